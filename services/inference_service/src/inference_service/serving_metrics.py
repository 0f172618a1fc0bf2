"""Prometheus metrics of the model server, whose processes share them by files: BentoML sets that up at its import."""

from prometheus_client import Histogram

COLD_START_S = Histogram(
    "radrelay_model_cold_start_seconds",
    "From the start of a serving process to models that are loaded and warm",
    buckets=(1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600),
)
BATCH_S = Histogram("radrelay_model_batch_seconds", "Time that one batch took in the runtime")
BATCH_IMAGES = Histogram(
    "radrelay_model_batch_images", "Images in one batch", buckets=[1, 2, 4, 8, 16, 32, 64, 128, 256]
)
