"""Prometheus metrics of the shared plumbing; labels are bounded by the topology, never by tenants or identifiers.

Whoever counts something shows it as zero from the start: an alert sees no change in what was not there.
"""

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("radrelay_events_published_total", "Events sent to JetStream", ["outcome"])
CONSUMED = Counter("radrelay_events_consumed_total", "Deliveries handled", ["durable", "outcome"])
DEAD_LETTERS = Gauge("radrelay_dead_letters", "Dead letters that wait to be sent again, or grow too old")
IN_FLIGHT = Gauge("radrelay_events_in_flight", "Deliveries being handled", ["durable"])
HANDLING_S = Histogram("radrelay_event_handling_seconds", "From delivery to settlement", ["durable"])
SANDBOX_LOSSES = Counter("radrelay_sandbox_losses_total", "Sandboxed processes that died or hung", ["cause"])
SANDBOX_LOSS_CAUSES = ("died", "hung", "pool_broken")
RATE_LIMITED = Counter("radrelay_rate_limited_total", "Requests answered 429, by limit", ["service", "limit"])
RATE_LIMIT_STORE_FAILURES = Counter(
    "radrelay_rate_limit_store_failures_total", "Times that the store of rate limits was found away", ["service"]
)
OUTBOX_RELAYED = Counter("radrelay_outbox_relayed_total", "Outbox rows published and marked", ["service"])
OUTBOX_AGE_S = Gauge("radrelay_outbox_oldest_age_seconds", "Age of the oldest unpublished outbox row", ["service"])
READS_RECORDED = Counter("radrelay_reads_recorded_total", "Reads and refusals recorded in audit trails", ["service"])
REFUSALS = Counter(
    "radrelay_refusals_total",
    "Accesses refused to known callers; recorded or only counted",
    ["service", "recorded"],
)

for outcome in ("confirmed", "failed"):
    PUBLISHED.labels(outcome)
