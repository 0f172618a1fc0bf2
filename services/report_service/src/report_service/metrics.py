"""Prometheus metrics of this service; labels never hold tenants or identifiers."""

from prometheus_client import Counter, Histogram

RESULTS = Counter("radrelay_report_results_total", "Results taken in, by what became of them", ["outcome"])
ERASED = Counter("radrelay_report_erased_total", "Reports erased, by why", ["reason"])
TURNAROUND_S = Histogram(
    "radrelay_report_turnaround_seconds",
    "From an image's arrival to its report",
    ["urgency"],
    buckets=(0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600),
)
