"""Reading who an image is of."""

import io
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue

from radrelay_imaging.refusal import Refusal, RefusalReason, refusing

_MAX_CHARACTERS: Final = 64
"""Of a value of VR LO (PS3.5 section 6.2)."""


def read_patient(head: io.BufferedIOBase) -> tuple[str, str | None] | None:
    """Patient ID (0010,0020) and Issuer of Patient ID (0010,0021) of a DICOM file; None where it names nobody.

    Nothing behind the pixel data is read, and the pixel data neither.

    Raises:
        Refusal: not_dicom, malformed_attributes.
    """
    with refusing(RefusalReason.NOT_DICOM, "The data set cannot be parsed"):
        wanted = ["PatientID", "IssuerOfPatientID"]
        dataset = dcmread(head, stop_before_pixels=True, specific_tags=wanted)
        patient_id, issuer = (_text(dataset, keyword) for keyword in wanted)
    return (patient_id, issuer or None) if patient_id else None


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if isinstance(value, MultiValue):  # a backslash that should not be there
        value = "\\".join(value)
    text = str(value or "").strip("\0 ")
    if len(text) > _MAX_CHARACTERS or "\0" in text:
        raise Refusal(RefusalReason.MALFORMED_ATTRIBUTES, f"{keyword} is longer than its kind of value may be.")
    return text
