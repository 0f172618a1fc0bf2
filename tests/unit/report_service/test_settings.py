import pytest

from report_service.settings import ReportSettings

ENVIRONMENT = {
    "NATS__URL": "nats://broker:4222",
    "OBJECTS__ENDPOINT": "store:9000",
    "OBJECTS__ACCESS_KEY": "key",
    "OBJECTS__SECRET_KEY": "secret",
    "OBJECTS__BUCKET": "images",
    "OBJECTS__SECURE": "false",
    "DATABASE__APP_URL": "postgresql+asyncpg://report_app:hidden@db/radrelay",
    "DATABASE__SYSTEM_URL": "postgresql+asyncpg://report_system:hidden@db/radrelay",
    "DATABASE__OWNER_URL": "postgresql+asyncpg://report_owner:hidden@db/radrelay",
    "AUTH__ISSUER": "https://issuer",
    "AUTH__AUDIENCE": "radrelay",
    "AUTH__JWKS_URL": "https://issuer/jwks.json",
    "OBSERVABILITY__LOG_LEVEL": "WARNING",
    "HEALTH_PORT": "9999",
}


def test_settings_come_from_the_environment_and_keep_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(f"RADRELAY_REPORT_{name}", value)
    settings = ReportSettings()
    assert (settings.nats.url, settings.objects.bucket, settings.objects.secure) == (
        "nats://broker:4222",
        "images",
        False,
    )
    assert (settings.health_port, settings.observability.log_level) == (9999, "WARNING")
    assert settings.database.app_url.get_secret_value() == ENVIRONMENT["DATABASE__APP_URL"]
    assert "hidden" not in repr(settings)
    assert "secret'" not in repr(settings)
