"""Prometheus metrics of this service; labels are bounded, and name only the tenants that are set to be named."""

from prometheus_client import Counter, Gauge, Histogram

from radrelay_shared.events import Urgency
from radrelay_shared.observability import OTHER_TENANTS
from report_service.domain.destinations import DeliveryOutcome
from report_service.handlers import Persisted

UNKNOWN_LANE = "unknown"
"""Of events from before they said it."""

RESULTS = Counter("radrelay_report_results_total", "Results taken in, by what became of them", ["outcome"])
ERASED = Counter("radrelay_report_erased_total", "Reports erased, by why", ["reason"])
DELIVERIES = Counter("radrelay_report_deliveries_total", "Attempts to deliver, by what they led to", ["outcome"])
DELIVERY_AGE_S = Gauge(
    "radrelay_report_delivery_oldest_seconds", "Age of the oldest event that waits for a destination that is not paused"
)
TURNAROUND_S = Histogram(
    "radrelay_report_turnaround_seconds",
    "From an image's arrival to its report; cases that were tried again by hand are left out",
    ["lane", "tenant"],
    buckets=(0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600),
)

for outcome in Persisted:
    RESULTS.labels(outcome)
for delivery_outcome in DeliveryOutcome:
    DELIVERIES.labels(delivery_outcome)
for lane in Urgency:
    TURNAROUND_S.labels(lane, OTHER_TENANTS)
