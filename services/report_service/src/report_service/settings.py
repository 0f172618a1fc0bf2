"""Settings of the report service, from the environment only."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from radrelay_shared.auth import AuthSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.events import TenantId
from radrelay_shared.http import RateLimitSettings
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import ObjectStoreSettings
from radrelay_shared.observability import ObservabilitySettings
from radrelay_shared.sealing import KEY_BYTES, decode_key
from radrelay_shared.settings import ServiceSettings
from report_service.domain.erasure import RetentionPolicy
from report_service.domain.patients import PatientVault
from report_service.domain.places import Allowed
from report_service.domain.webhooks import SecretVault

LinkKey = Annotated[SecretStr, Field(min_length=32)]


class DrawingSettings(BaseModel):
    """Where pictures of reports are drawn."""

    processes: int = Field(default=2, ge=1)
    timeout_s: float = Field(default=30.0, gt=0)
    memory_bytes: int = Field(default=2 << 30, ge=1 << 28)
    """How much more memory a drawing process may take than it starts with."""


class ErasureSettings(BaseModel):
    """How the worker erases."""

    interval_s: float = Field(default=60.0, gt=0)
    """How often it looks for what is to be erased."""
    grace_s: float = Field(default=120.0, ge=0)
    """Objects of an erased report are removed so long after its row, longer than drawing and storing a picture takes:
    who read the report before may still be at it."""


class PatientKeys(BaseModel):
    """One tenant's keys to who its studies are of; each is 32 random bytes in base64."""

    model_config = ConfigDict(extra="forbid")

    sealing: list[SecretStr] = Field(min_length=1)
    """The first seals, all of them open. To rotate, put a new one first and run `python -m report_service.reseal`."""
    search: SecretStr
    """What Patient IDs are found by. Another one finds nothing of what was kept before."""

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        keys = [decode_key(key) for key in (*self.sealing, self.search)]
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a key is not {KEY_BYTES} bytes in base64")
        if len(set(keys)) != len(keys):
            raise ValueError("a key is given twice")
        return self

    def vault(self, tenant: str) -> PatientVault:
        """What seals, opens and finds with these keys."""
        return PatientVault(tenant, [decode_key(key) for key in self.sealing], decode_key(self.search))


class PatientReadingSettings(BaseModel):
    """How the worker reads who studies are of."""

    interval_s: float = Field(default=2.0, gt=0)
    """How often it looks for new studies."""
    max_attempts: int = Field(default=8, ge=1)
    """A study whose image cannot be had so many times stays without a patient."""
    processes: int = Field(default=1, ge=1)
    timeout_s: float = Field(default=30.0, gt=0)
    memory_bytes: int = Field(default=1 << 30, ge=1 << 28)
    """How much more memory a reading process may take than it starts with."""


class LinkSettings(BaseModel):
    """Links to pictures that work without a token, for minutes."""

    keys: tuple[LinkKey, ...] = ()
    """Secrets of 32 characters or more. The first signs and all are accepted, so that a new one is put in front; a
    link ends when the key that signed it is taken away. Without any there are no links."""
    lifetime_s: int = Field(default=300, ge=30, le=3600)


class DestinationSettings(BaseModel):
    """Where tenants may have their results sent to, and how the worker sends them."""

    model_config = ConfigDict(extra="forbid")

    hosts: tuple[str, ...] = ()
    """Which hosts destinations may have, such as `["https://ris.example.org", "https://ehr.example.org:8443"]`; by
    default none. `http://` has to be said, and is for trials; `:*` stands for any port."""
    sealing: tuple[SecretStr, ...] = ()
    """Keys that the secrets of destinations are kept under, each 32 random bytes in base64. The first seals, all of
    them open. Without one no destination can be made."""
    timeout_s: float = Field(default=15.0, gt=0, le=60)
    """How long an attempt may take."""
    max_in_flight: int = Field(default=64, ge=1)
    """Attempts of one worker at a time; of these so many to one destination:"""
    max_in_flight_each: int = Field(default=4, ge=1)
    first_pause_s: float = Field(default=10.0, gt=0)
    """Until the second attempt; doubled for each further one, up to an hour."""
    kept_s: float = Field(default=30 * 24 * 3600.0, gt=0)
    """For so long it is shown what became of an event."""
    poll_s: float = Field(default=1.0, gt=0)
    """How often the worker looks for what is due."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(len(decode_key(key)) != KEY_BYTES for key in self.sealing):
            raise ValueError(f"a key is not {KEY_BYTES} bytes in base64")
        self.allowed()
        return self

    def allowed(self) -> tuple[Allowed, ...]:
        """The hosts.

        Raises:
            ValueError: one is none.
        """
        return tuple(map(Allowed.of, self.hosts))

    def vault(self) -> SecretVault:
        """What seals and opens secrets with these keys."""
        return SecretVault([decode_key(key) for key in self.sealing])


class ReportSettings(ServiceSettings):
    """What every process of this service reads; `RADRELAY_REPORT_NATS__URL` sets `nats.url`."""

    model_config = SettingsConfigDict(
        env_prefix="RADRELAY_REPORT_",
        env_nested_delimiter="__",
        extra="forbid",
        hide_input_in_errors=True,  # what is malformed may be a secret
    )

    nats: NatsSettings
    objects: ObjectStoreSettings
    database: DatabaseSettings
    auth: AuthSettings
    rate_limits: RateLimitSettings = Field(default_factory=RateLimitSettings)
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    drawing: DrawingSettings = Field(default_factory=DrawingSettings)
    erasure: ErasureSettings = Field(default_factory=ErasureSettings)
    retention: dict[TenantId, RetentionPolicy] = Field(default_factory=dict)
    """By tenant, as JSON: `{"north": {"days": 3650, "days_by_modality": {"MG": 7300}}}`. Who is not named keeps all.
    The worker erases by it, and the API tells it to administrators: give both the same."""
    patients: dict[str, PatientKeys] = Field(default_factory=dict)
    """By tenant; of a tenant that is not named no patient is kept."""
    patient_reading: PatientReadingSettings = Field(default_factory=PatientReadingSettings)
    links: LinkSettings = Field(default_factory=LinkSettings)
    destinations: DestinationSettings = Field(default_factory=DestinationSettings)
    """API and worker need the same hosts and keys."""
    health_host: str = "0.0.0.0"
    health_port: int = 9103
    """Where the worker serves /livez, /readyz and /metrics."""
    max_in_flight: int = Field(default=2048, ge=1)
    """Results that one worker turns into reports at a time; those of a tenant share transactions."""
    audit_head_interval_s: float = Field(default=60.0, gt=0)
    """The head of a tenant's audit chain that grew is published at most once in so long."""
