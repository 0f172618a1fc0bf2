"""Prometheus metrics of intake; labels are bounded by the code, never by tenants or names."""

from prometheus_client import Counter, Gauge

from ingest_service.domain.reasons import RejectReason
from radrelay_shared.events import Urgency

FILES_ACCEPTED = Counter(
    "radrelay_ingest_files_accepted_total", "Files accepted; repeated: the same bytes were there already", ["repeated"]
)
FILES_REJECTED = Counter("radrelay_ingest_files_rejected_total", "Files refused, by reason code", ["reason"])
BYTES_RECEIVED = Counter("radrelay_ingest_received_bytes_total", "Bytes of request bodies and of DICOM data sets")
BYTES_STORED = Counter("radrelay_ingest_stored_bytes_total", "Bytes of newly stored images")
ERASED = Counter("radrelay_ingest_erased_total", "Images erased")
SWEPT = Counter("radrelay_ingest_swept_total", "What the sweeper had to end", ["kind"])
CONNECTIONS = Gauge("radrelay_ingest_dicom_connections", "DICOM network connections that are open")
ASSOCIATIONS_REJECTED = Counter(
    "radrelay_ingest_associations_rejected_total", "Association requests rejected, by diagnostic", ["diagnostic"]
)
C_STORES = Counter("radrelay_ingest_c_stores_total", "C-STORE requests answered, by status", ["status"])
UNFINISHED = Gauge("radrelay_ingest_unfinished_cases", "Cases that are queued or processing, by lane", ["lane"])
OLDEST_UNFINISHED_S = Gauge(
    "radrelay_ingest_oldest_unfinished_seconds", "Age of the oldest case that is queued or processing", ["lane"]
)
OVERDUE, REJECTED_FILE, UPLOAD, IDLE_BATCH = "overdue_instance", "rejected_file", "resumable_upload", "idle_batch"
"""What the sweeper ends."""

for repeated in ("yes", "no"):
    FILES_ACCEPTED.labels(repeated)
for reason in RejectReason:
    FILES_REJECTED.labels(reason)
for kind in (OVERDUE, REJECTED_FILE, UPLOAD, IDLE_BATCH):
    SWEPT.labels(kind)
for lane in Urgency:
    UNFINISHED.labels(lane)
    OLDEST_UNFINISHED_S.labels(lane)
