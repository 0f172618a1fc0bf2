"""Prometheus metrics of the shared plumbing; labels are bounded by the topology, never by tenants or identifiers."""

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("radrelay_events_published_total", "Events sent to JetStream", ["outcome"])
CONSUMED = Counter("radrelay_events_consumed_total", "Deliveries handled", ["durable", "outcome"])
IN_FLIGHT = Gauge("radrelay_events_in_flight", "Deliveries being handled", ["durable"])
HANDLING_S = Histogram("radrelay_event_handling_seconds", "From delivery to settlement", ["durable"])
OUTBOX_RELAYED = Counter("radrelay_outbox_relayed_total", "Outbox rows published and marked", ["service"])
OUTBOX_AGE_S = Gauge("radrelay_outbox_oldest_age_seconds", "Age of the oldest unpublished outbox row", ["service"])
