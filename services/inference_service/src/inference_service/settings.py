"""Settings of the model server and of the worker, read from `RADRELAY_INFERENCE_*`."""

import os
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict

from inference_service.engine.runtime import DeviceChoice, RuntimeChoice
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import ObjectStoreSettings
from radrelay_shared.observability import ObservabilitySettings
from radrelay_shared.settings import ServiceSettings

_CONFIG: Final = SettingsConfigDict(env_prefix="RADRELAY_INFERENCE_", env_nested_delimiter="__")


def _split_paths(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


class BatchingSettings(ServiceSettings):
    """Adaptive batching, which BentoML wants to know when the service class is defined."""

    model_config = _CONFIG

    max_batch_size: Annotated[int, Field(ge=2, le=256)] = 8
    max_latency_ms: Annotated[int, Field(gt=0)] = 30_000
    """BentoML answers 503 when it thinks that a request will wait longer."""


class ServerSettings(ServiceSettings):
    """The model server."""

    model_config = _CONFIG

    bundle_dirs: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_paths), Field(min_length=1)]
    """Folders of the bundles whose scores are results, separated as in PATH; the first that takes an image gets it."""
    shadow_bundle_dirs: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_paths)] = ()
    """Bundles on trial, separated likewise: scored and recorded, never shown."""
    device: DeviceChoice = "auto"
    runtime: RuntimeChoice = "auto"
    """`auto` takes the fastest that agrees with float32 PyTorch; see `choose_runtime`."""
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)


class WorkerSettings(ServiceSettings):
    """The worker."""

    model_config = _CONFIG

    nats: NatsSettings = Field(default_factory=NatsSettings)
    objects: ObjectStoreSettings
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    model_url: str
    """Base address of the model server, such as `http://127.0.0.1:3000`."""
    health_port: int
    health_host: str = "0.0.0.0"
    decode_processes: Annotated[int, Field(ge=1, le=64)] | None = None
    """None takes the cores that the container really has."""
    decode_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    decode_memory_bytes: Annotated[int, Field(ge=1 << 28)] = 2 << 30
    """How much more memory a decoding process may take than it starts with."""
