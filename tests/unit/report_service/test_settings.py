import pytest
from pydantic import SecretStr, ValidationError

from report_service.domain.erasure import RetentionPolicy
from report_service.settings import LinkSettings, ReportSettings

ENVIRONMENT = {
    "NATS__URL": "nats://broker:4222",
    "OBJECTS__ENDPOINT": "store:9000",
    "OBJECTS__ACCESS_KEY": "key",
    "OBJECTS__SECRET_KEY": "secret",
    "OBJECTS__BUCKET_PREFIX": "images",
    "OBJECTS__SECURE": "false",
    "DATABASE__APP_URL": "postgresql+asyncpg://report_app:hidden@db/radrelay",
    "DATABASE__SYSTEM_URL": "postgresql+asyncpg://report_system:hidden@db/radrelay",
    "DATABASE__OWNER_URL": "postgresql+asyncpg://report_owner:hidden@db/radrelay",
    "AUTH__ISSUER": "https://issuer",
    "AUTH__AUDIENCE": "radrelay",
    "AUTH__JWKS_URL": "https://issuer/jwks.json",
    "LINKS__KEYS": '["hidden, and as long as a key has to be", "hidden, and put behind the one before"]',
    "OBSERVABILITY__LOG_LEVEL": "WARNING",
    "HEALTH_PORT": "9999",
    "RETENTION": '{"north": {"days": 3650, "days_by_modality": {"MG": 7300}}}',
}


def test_settings_come_from_the_environment_and_keep_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(f"RADRELAY_REPORT_{name}", value)
    settings = ReportSettings()
    assert (settings.nats.url, settings.objects.bucket_prefix, settings.objects.secure) == (
        "nats://broker:4222",
        "images",
        False,
    )
    assert (settings.health_port, settings.observability.log_level) == (9999, "WARNING")
    assert settings.database.app_url.get_secret_value() == ENVIRONMENT["DATABASE__APP_URL"]
    assert [key.get_secret_value()[-4:] for key in settings.links.keys] == ["o be", "fore"]
    assert settings.retention == {"north": RetentionPolicy(days=3650, days_by_modality={"MG": 7300})}
    assert "hidden" not in repr(settings)
    assert "secret'" not in repr(settings)


def test_a_short_key_for_links_is_refused() -> None:
    with pytest.raises(ValidationError):
        LinkSettings(keys=(SecretStr("k" * 31),))
