"""Settings of the dashboard service, from the environment only."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, Field
from pydantic_settings import SettingsConfigDict

from radrelay_shared.auth import AuthSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.http import RateLimitSettings
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.observability import ObservabilitySettings
from radrelay_shared.settings import ServiceSettings


def _known(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no time zone of the IANA database, such as Europe/Vienna")
    return name


TimeZoneName = Annotated[str, AfterValidator(_known)]


class TimeZones(BaseModel):
    """Whose days are counted. What was counted keeps its time zone until it is rebuilt."""

    default: TimeZoneName = "UTC"
    tenants: dict[str, TimeZoneName] = Field(default_factory=dict)
    """By tenant, where it is not the default."""

    def of(self, tenant: str) -> str:
        """The time zone of a tenant."""
        return self.tenants.get(tenant, self.default)


class DashboardSettings(ServiceSettings):
    """What every process of this service reads; `RADRELAY_DASHBOARD_NATS__URL` sets `nats.url`."""

    model_config = SettingsConfigDict(env_prefix="RADRELAY_DASHBOARD_", env_nested_delimiter="__", extra="forbid")

    nats: NatsSettings
    database: DatabaseSettings
    auth: AuthSettings
    rate_limits: RateLimitSettings = Field(default_factory=RateLimitSettings)
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    health_host: str = "0.0.0.0"
    health_port: int = 9104
    """Where the worker serves /livez, /readyz and /metrics."""
    max_in_flight: int = Field(default=16, ge=1)
    """Events of each kind that one worker counts at a time."""
    time_zones: TimeZones = Field(default_factory=TimeZones)
    stream_s: float = Field(default=900.0, gt=0.0)
    """For so long a stream of live figures is open; then the client opens it again, with a token that is valid."""
    smallest_group: int = Field(default=5, ge=0)
    """Figures of single clinicians are withheld where they rest on fewer cases; 0 withholds none."""
