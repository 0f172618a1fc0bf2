"""Logs, traces and metrics, set up once a process."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from radrelay_shared.observability.logs import configure_logs
from radrelay_shared.observability.tracing import (
    TRACEPARENT,
    configure_tracing,
    context_of,
    current_traceparent,
    get_tracer,
    links_to,
    span_context_of,
    traceparent_of,
    use_stable_http_conventions,
    work_for,
)

OTHER_TENANTS: Final = "other"


class ObservabilitySettings(BaseModel):
    """How much is said, and where spans go."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    otlp_endpoint: str | None = None
    """Base address of an OTLP/HTTP receiver; None keeps spans in the process."""
    tenants: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    """Tenants that metrics of the way of a case name; all others are one."""

    def tenant_label(self, tenant: str) -> str:
        """What metrics call a tenant: they are bounded, and the same in each replica."""
        return tenant if tenant in self.tenants else OTHER_TENANTS


def configure(process: str, settings: ObservabilitySettings) -> None:
    """Set up logs and tracing for this process; call it once, first."""
    configure_logs(process, settings.log_level)
    configure_tracing(process, settings.otlp_endpoint)


__all__ = [
    "OTHER_TENANTS",
    "TRACEPARENT",
    "ObservabilitySettings",
    "configure",
    "context_of",
    "current_traceparent",
    "get_tracer",
    "links_to",
    "span_context_of",
    "traceparent_of",
    "use_stable_http_conventions",
    "work_for",
]
