"""Prometheus metrics of intake; labels are bounded by the code, never by tenants or names."""

from prometheus_client import Counter

FILES_ACCEPTED = Counter(
    "radrelay_ingest_files_accepted_total", "Files accepted; repeated: the same bytes were there already", ["repeated"]
)
FILES_REJECTED = Counter("radrelay_ingest_files_rejected_total", "Files refused, by reason code", ["reason"])
BYTES_RECEIVED = Counter("radrelay_ingest_received_bytes_total", "Bytes of request bodies")
BYTES_STORED = Counter("radrelay_ingest_stored_bytes_total", "Bytes of newly stored images")
SWEPT = Counter("radrelay_ingest_swept_total", "What the sweeper had to end", ["kind"])
