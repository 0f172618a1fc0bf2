"""Everything that can be set, read from the environment with the prefix RADRELAY_INGEST_."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from ingest_service.dimse.settings import DimseSettings
from ingest_service.domain.limits import GIB, KIB, MIB
from ingest_service.domain.quota import Amounts
from ingest_service.domain.resumable import ResumableLimits
from radrelay_shared.auth import AuthSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.http import RateLimitSettings
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import ObjectStoreSettings
from radrelay_shared.observability import ObservabilitySettings
from radrelay_shared.sealing import KEY_BYTES, decode_key
from radrelay_shared.settings import ServiceSettings


class UploadSettings(BaseModel):
    """Bounds on what one request may bring."""

    max_file_bytes: int = Field(default=4 * GIB, gt=0)
    """One file, or one archive, as sent."""
    max_body_bytes: int = Field(default=64 * GIB, gt=0)
    max_files: int = Field(default=20_000, gt=0)
    stall_timeout_s: float = Field(default=60.0, gt=0)
    """How long may be waited for `stall_bytes` of the body, or its end, before the upload is ended."""
    stall_bytes: int = Field(default=16 * KIB, gt=0)
    files_in_flight: int = Field(default=8, gt=0)
    """Files that are validated and stored at the same time in this process."""
    store_timeout_s: float = Field(default=40.0, gt=0)
    """How long the object store may take for a file, and a second more for each MiB of it; 503 after that."""
    archives_in_flight: int = Field(default=4, gt=0)
    """Archives that are open at the same time in this process: the directory of each is in memory."""
    spool_dir: Path | None = None
    """Where bodies are kept until they are stored; the system's temporary folder where not set."""
    part_bytes: int = Field(default=5 * MIB, gt=0, le=64 * MIB)
    """What is stored at a time of a resumable upload. S3 takes 5 MiB in one request; more is cut up once again."""
    max_parts: int = Field(default=10_000, gt=0)
    """Of one resumable upload: a client that sends it in smaller pieces than a part makes more of them."""
    max_open_uploads: int = Field(default=64, gt=0)
    """Resumable uploads that one user may have begun and not finished."""
    resumable_retention_s: float = Field(default=24 * 3600.0, gt=0)
    """A resumable upload that brings nothing for so long expires."""

    @property
    def resumable(self) -> ResumableLimits:
        """Bounds on resumable uploads."""
        return ResumableLimits(
            max_length_bytes=self.max_file_bytes,
            part_bytes=self.part_bytes,
            max_parts=self.max_parts,
            max_open=self.max_open_uploads,
            retention_s=self.resumable_retention_s,
        )


class TenantQuota(BaseModel):
    """What is different for one tenant."""

    model_config = ConfigDict(extra="forbid")

    tenant_bytes_per_day: int | None = Field(default=None, ge=0)
    tenant_files_per_day: int | None = Field(default=None, ge=0)
    user_bytes_per_day: int | None = Field(default=None, ge=0)


class QuotaSettings(BaseModel):
    """How much is stored in a day (UTC)."""

    tenant_bytes_per_day: int = Field(default=2048 * GIB, ge=0)
    tenant_files_per_day: int = Field(default=4_000_000, ge=0)
    user_bytes_per_day: int = Field(default=1024 * GIB, ge=0)
    """A PACS is a user."""
    tenants: dict[str, TenantQuota] = Field(default_factory=dict)
    """By tenant; what is not given there is as for the others."""

    def of(self, tenant: str) -> Amounts:
        """What this tenant, and each of its users, may store in a day."""
        different = self.tenants.get(tenant, TenantQuota()).model_dump(exclude_none=True)
        chosen = self.model_copy(update=different)
        return Amounts(chosen.tenant_bytes_per_day, chosen.tenant_files_per_day, chosen.user_bytes_per_day)


class ValidationSettings(BaseModel):
    """Bounds on judging one file."""

    processes: int = Field(default=2, gt=0)
    timeout_s: float = Field(default=30.0, gt=0)
    memory_bytes: int = Field(default=256 * MIB, gt=0)
    """How much more memory a validating process may take than it starts with."""


class DeidentificationSettings(BaseModel):
    """Whether and how one tenant's images are de-identified."""

    mode: Literal["off", "basic"]
    """`basic` is the Basic Profile of DICOM PS3.15 Annex E."""
    key: SecretStr = SecretStr("")
    """32 random bytes in base64: pseudonyms and UIDs follow from it, and what they stand for is encrypted under it."""

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.mode == "basic" and len(self.key_bytes()) != KEY_BYTES:
            raise ValueError(f"the key for de-identification is not {KEY_BYTES} bytes in base64")
        return self

    def key_bytes(self) -> bytes:
        """The key decoded; empty where it is not base64."""
        return decode_key(self.key)


class IngestSettings(ServiceSettings):
    """Settings of the ingest API, DICOM intake, worker and migrations."""

    model_config = SettingsConfigDict(
        env_prefix="RADRELAY_INGEST_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,  # what is malformed may be a secret
    )

    nats: NatsSettings = Field(default_factory=NatsSettings)
    objects: ObjectStoreSettings
    database: DatabaseSettings
    auth: AuthSettings
    rate_limits: RateLimitSettings = Field(default_factory=RateLimitSettings)
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    upload: UploadSettings = Field(default_factory=UploadSettings)
    quota: QuotaSettings = Field(default_factory=QuotaSettings)
    validation: ValidationSettings = Field(default_factory=ValidationSettings)
    dimse: DimseSettings = Field(default_factory=DimseSettings)
    deidentification: dict[str, DeidentificationSettings] = Field(default_factory=dict)
    """By tenant; images of a tenant that is not named are stored as received."""
    health_host: str = "0.0.0.0"
    health_port: int = 9101
    processing_deadline_s: float = Field(default=3600.0, gt=0)
    """An image that stays queued or processing longer is shown as failed."""
    idle_batch_s: float = Field(default=3600.0, gt=0)
    """A batch that receives nothing for so long is closed."""
    rejected_retention_s: float = Field(default=7 * 24 * 3600.0, gt=0)
    """A rejected file is kept so long to be looked into."""
    sweep_interval_s: float = Field(default=30.0, gt=0)
    observe_interval_s: float = Field(default=10.0, gt=0)
    """How often the worker counts unfinished cases and dead letters for its metrics."""
    taking_in_interval_s: float = Field(default=1.0, gt=0)
    """How often the worker looks for resumable uploads that have come whole."""
    taking_in_lease_s: float = Field(default=60.0, gt=0)
    """When a worker that takes one in was killed, another takes it up after so long."""
    audit_head_interval_s: float = Field(default=60.0, gt=0)
    """The head of a tenant's audit chain that grew is published at most once in so long."""
