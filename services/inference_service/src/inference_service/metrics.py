"""Prometheus metrics of the worker; labels are bounded: lanes, stages and reason codes, never identifiers."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from radrelay_imaging import RefusalReason
from radrelay_shared.events import Urgency

RETRIES_EXHAUSTED: Final = "retries_exhausted"
OBJECT_MISSING: Final = "object_missing"
"""Reasons that are of the machinery; all others are of the image or its model."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

QUEUE_WAIT_S = Histogram(
    "radrelay_inference_queue_wait_seconds", "From the stored event to the start of work", ["lane"], buckets=_SECONDS
)
STAGE_S = Histogram("radrelay_inference_stage_seconds", "Time of one case in one stage", ["stage"], buckets=_SECONDS)
COMPLETED = Counter("radrelay_inference_completed_total", "Cases that ended with a result")
FAILED = Counter("radrelay_inference_failed_total", "Cases that ended without a result", ["reason"])
CANCELLED = Counter("radrelay_inference_cancelled_total", "Cases left because they were cancelled")
SHADOWED = Counter("radrelay_inference_shadow_scored_total", "Attempts at scores by shadow models", ["outcome"])
MODEL_RETRIES = Counter("radrelay_inference_model_retries_total", "Calls of the model server made again", ["cause"])
MODEL_IN_FLIGHT = Gauge("radrelay_inference_model_in_flight", "Calls of the model server that have no answer yet")

for lane in Urgency:
    QUEUE_WAIT_S.labels(lane)
for reason in (RETRIES_EXHAUSTED, OBJECT_MISSING, *RefusalReason):
    FAILED.labels(reason)
for outcome in ("scored", "failed"):
    SHADOWED.labels(outcome)
for cause in ("overloaded", "unreachable", "broken"):
    MODEL_RETRIES.labels(cause)
for stage in ("fetch", "prepare", "model"):
    STAGE_S.labels(stage)
