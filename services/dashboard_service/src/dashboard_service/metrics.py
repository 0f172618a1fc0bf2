"""Prometheus metrics of this service; labels never hold tenants or identifiers."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram

EVENTS = Counter("radrelay_dashboard_events_total", "Events taken in, by what became of them", ["event", "outcome"])
LAG_S = Histogram(
    "radrelay_dashboard_lag_seconds",
    "From an event's making to its being counted",
    ["event"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300),
)


def expect(event_types: Iterable[str]) -> None:
    """Show what has not happened yet as zero, so that the first time shows as a change."""
    for event in event_types:
        LAG_S.labels(event)
        for outcome in ("counted", "repeated"):
            EVENTS.labels(event, outcome)
