"""What a route cannot do without, beside its path: bodies, and headers other than the token."""

import base64
from typing import Any, Final
from uuid import uuid4

from support.dicom_files import dicom_file, encode, image
from support.tus import BYTES, VERSION

_RELATED: Final = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=boundary'}
_PART: Final = b"--boundary\r\nContent-Type: application/dicom\r\n\r\n"
_IMAGE: Final = image()
_STOW: Final = {"headers": _RELATED, "content": _PART + encode(_IMAGE) + b"\r\n--boundary--\r\n"}
STUDY_UID: Final = str(_IMAGE.StudyInstanceUID)
UPLOAD_BYTES: Final = 4

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "POST /dicomweb/studies": _STOW,
    "POST /dicomweb/studies/{study}": _STOW,
    "POST /v1/batches": {"json": {}},
    "POST /v1/batches/{batch_id}/files": {"files": [("files", ("x.dcm", dicom_file()))]},
    "POST /v1/batches/{batch_id}/uploads": {
        "headers": VERSION
        | {"Upload-Length": str(UPLOAD_BYTES), "Upload-Metadata": f"filename {base64.b64encode(b'x.dcm').decode()}"}
    },
    "POST /v1/destinations": {
        "json": {"name": "RIS", "url": "https://ris.example.org/", "event_types": ["report.created"]}
    },
    "DELETE /v1/destinations/{destination_id}": {"headers": {"If-Match": "*"}},
    "PATCH /v1/destinations/{destination_id}": {"headers": {"If-Match": "*"}, "json": {"paused": True}},
    "POST /v1/destinations/{destination_id}/secret": {"headers": {"If-Match": "*"}},
    "POST /v1/erasures": {"json": {"kind": "image", "instance_id": str(uuid4()), "reason": "mistake"}},
    "POST /v1/patients/history": {"json": {"patient_id": "1"}},
    "PUT /v1/reports/{report_id}/review": {
        "headers": {"If-Match": "*"},
        "json": {"verdict": "unsure", "label": "not_assessable"},
    },
    "POST /v1/worklist/counts": {"json": {}},
    "POST /v1/worklist/search": {"json": {}},
    "DELETE /v1/uploads/{upload_id}": {"headers": VERSION},
    "HEAD /v1/uploads/{upload_id}": {"headers": VERSION},
    "PATCH /v1/uploads/{upload_id}": {
        "headers": VERSION | BYTES | {"Upload-Offset": "0"},
        "content": b"x" * UPLOAD_BYTES,
    },
}
"""By method and path: arguments of `httpx.AsyncClient.request`."""
