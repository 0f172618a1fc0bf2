"""Settings of the report service, from the environment only."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from radrelay_shared.auth import AuthSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import ObjectStoreSettings
from radrelay_shared.observability import ObservabilitySettings


class ReportSettings(BaseSettings):
    """What every process of this service reads; `RADRELAY_REPORT_NATS__URL` sets `nats.url`."""

    model_config = SettingsConfigDict(env_prefix="RADRELAY_REPORT_", env_nested_delimiter="__", extra="forbid")

    nats: NatsSettings
    objects: ObjectStoreSettings
    database: DatabaseSettings
    auth: AuthSettings
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    health_host: str = "0.0.0.0"
    health_port: int = 9103
    """Where the worker serves /livez, /readyz and /metrics."""
    max_in_flight: int = Field(default=32, ge=1)
    """Results that one worker turns into reports at a time."""
