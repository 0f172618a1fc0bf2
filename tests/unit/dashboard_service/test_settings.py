import pytest
from pydantic import ValidationError

from dashboard_service.settings import DashboardSettings, TimeZones

ENVIRONMENT = {
    "NATS__URL": "nats://broker:4222",
    "DATABASE__APP_URL": "postgresql+asyncpg://dashboard_app:hidden@db/radrelay",
    "DATABASE__SYSTEM_URL": "postgresql+asyncpg://dashboard_system:hidden@db/radrelay",
    "DATABASE__OWNER_URL": "postgresql+asyncpg://dashboard_owner:hidden@db/radrelay",
    "AUTH__ISSUER": "https://issuer",
    "AUTH__AUDIENCE": "radrelay",
    "AUTH__JWKS_URL": "https://issuer/jwks.json",
    "OBSERVABILITY__LOG_LEVEL": "WARNING",
    "HEALTH_PORT": "9999",
    "TIME_ZONES__DEFAULT": "Europe/Vienna",
    "TIME_ZONES__TENANTS": '{"north": "America/New_York"}',
}


def test_settings_come_from_the_environment_and_keep_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(f"RADRELAY_DASHBOARD_{name}", value)
    settings = DashboardSettings()
    assert settings.nats.url == "nats://broker:4222"
    assert (settings.health_port, settings.observability.log_level) == (9999, "WARNING")
    assert settings.database.app_url.get_secret_value() == ENVIRONMENT["DATABASE__APP_URL"]
    assert "hidden" not in repr(settings)
    assert (settings.time_zones.of("north"), settings.time_zones.of("south")) == ("America/New_York", "Europe/Vienna")


@pytest.mark.parametrize("name", ["Europe/Wien", "CEST", "", "UTC+1", "../etc/passwd"])
def test_a_time_zone_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no time zone of the IANA database"):
        TimeZones(default=name)
    with pytest.raises(ValidationError, match="no time zone of the IANA database"):
        TimeZones(tenants={"north": name})
