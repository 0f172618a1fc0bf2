"""What a refusal is called in DICOM: Failure Reason (0008,1197) of STOW-RS and Status (0000,0900) of C-STORE.

Source: PS3.18 table I.2-2, whose ranges A7xx, A9xx and Cxxx leave the last digits to us; the codes of C-STORE, PS3.4
table B.2-1, are the same. Duplicate SOP Instance is from PS3.7 section C.5.7.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from ingest_service.domain.reasons import RejectReason


class FailureReason(IntEnum):
    """Why an instance was not stored."""

    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    """The same SOP Instance UID is stored with other content."""
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    OTHER_STUDY = 0xA901
    """The data set does not match the study that the request names."""
    CANNOT_UNDERSTAND = 0xC000
    IDENTIFYING_PIXELS = 0xC112
    """Understood, but the pixels may show who the patient is."""
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122


FAILURE_REASONS: Final[Mapping[RejectReason, FailureReason]] = {
    RejectReason.EMPTY_FILE: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.TOO_LARGE: FailureReason.OUT_OF_RESOURCES,
    RejectReason.UNEXPECTED_FIELD: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.NOT_DICOM: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.MALFORMED: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.TRUNCATED: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.UNSUPPORTED_TRANSFER_SYNTAX: FailureReason.TRANSFER_SYNTAX_NOT_SUPPORTED,
    RejectReason.MISSING_UID: FailureReason.DOES_NOT_MATCH_SOP_CLASS,
    RejectReason.MISSING_ATTRIBUTE: FailureReason.DOES_NOT_MATCH_SOP_CLASS,
    RejectReason.INVALID_ATTRIBUTE: FailureReason.DOES_NOT_MATCH_SOP_CLASS,
    RejectReason.NO_PIXEL_DATA: FailureReason.SOP_CLASS_NOT_SUPPORTED,
    RejectReason.PIXEL_LENGTH_MISMATCH: FailureReason.DOES_NOT_MATCH_SOP_CLASS,
    RejectReason.VALIDATION_TIMEOUT: FailureReason.PROCESSING_FAILURE,
    RejectReason.VALIDATION_CRASHED: FailureReason.PROCESSING_FAILURE,
    RejectReason.MALFORMED_ARCHIVE: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.EMPTY_ARCHIVE: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.ARCHIVE_BOMB: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.ENCRYPTED_ARCHIVE: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.UNSUPPORTED_COMPRESSION: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.UNSAFE_PATH: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.NESTED_ARCHIVE: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.DUPLICATE_NAME: FailureReason.CANNOT_UNDERSTAND,
    RejectReason.CONFLICTING_SOP_INSTANCE: FailureReason.DUPLICATE_SOP_INSTANCE,
    RejectReason.BURNED_IN_ANNOTATION: FailureReason.IDENTIFYING_PIXELS,
    RejectReason.QUOTA_EXCEEDED: FailureReason.OUT_OF_RESOURCES,
    RejectReason.OTHER_STUDY: FailureReason.OTHER_STUDY,
    RejectReason.SOP_MISMATCH: FailureReason.DOES_NOT_MATCH_SOP_CLASS,
}

NOT_AUTHORIZED: Final = 0x0124
"""Status of a C-STORE that was refused for its sender, not for its image (PS3.7 section 9.1.1.1.9)."""
