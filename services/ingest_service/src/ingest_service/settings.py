"""Everything that can be set, read from the environment with the prefix RADRELAY_INGEST_."""

from pathlib import Path

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest_service.domain.limits import GIB, MIB
from radrelay_shared.auth import AuthSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import ObjectStoreSettings
from radrelay_shared.observability import ObservabilitySettings


class UploadSettings(BaseModel):
    """Bounds on what one request may bring."""

    max_file_bytes: int = Field(default=4 * GIB, gt=0)
    """One file, or one archive, as sent."""
    max_body_bytes: int = Field(default=64 * GIB, gt=0)
    max_files: int = Field(default=20_000, gt=0)
    stall_timeout_s: float = Field(default=60.0, gt=0)
    """How long the body may bring nothing before the upload is ended."""
    files_in_flight: int = Field(default=8, gt=0)
    """Files that are validated and stored at the same time in this process."""
    spool_dir: Path | None = None
    """Where bodies are kept until they are stored; the system's temporary folder where not set."""


class ValidationSettings(BaseModel):
    """Bounds on judging one file."""

    processes: int = Field(default=2, gt=0)
    timeout_s: float = Field(default=30.0, gt=0)
    memory_bytes: int = Field(default=1024 * MIB, gt=0)
    """Address space of one validating process."""


class IngestSettings(BaseSettings):
    """Settings of the ingest API, worker and migrations."""

    model_config = SettingsConfigDict(env_prefix="RADRELAY_INGEST_", env_nested_delimiter="__")

    nats: NatsSettings = Field(default_factory=NatsSettings)
    objects: ObjectStoreSettings
    database: DatabaseSettings
    auth: AuthSettings
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    upload: UploadSettings = Field(default_factory=UploadSettings)
    validation: ValidationSettings = Field(default_factory=ValidationSettings)
    health_host: str = "0.0.0.0"
    health_port: int = 9101
    processing_deadline_s: float = Field(default=3600.0, gt=0)
    """An image that stays queued or processing longer is shown as failed."""
    idle_batch_s: float = Field(default=3600.0, gt=0)
    """A batch that receives nothing for so long is closed."""
    sweep_interval_s: float = Field(default=30.0, gt=0)
