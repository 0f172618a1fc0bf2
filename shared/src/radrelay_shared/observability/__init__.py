"""Logs, traces and metrics, set up once a process."""

from typing import Literal

from pydantic import BaseModel

from radrelay_shared.observability.logs import configure_logs
from radrelay_shared.observability.tracing import configure_tracing, current_traceparent, get_tracer


class ObservabilitySettings(BaseModel):
    """How much is said, and where spans go."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    otlp_endpoint: str | None = None
    """Base address of an OTLP/HTTP receiver; None keeps spans in the process."""


def configure(service: str, settings: ObservabilitySettings) -> None:
    """Set up logs and tracing for this process; call it once, first."""
    configure_logs(service, settings.log_level)
    configure_tracing(service, settings.otlp_endpoint)


__all__ = ["ObservabilitySettings", "configure", "current_traceparent", "get_tracer"]
