"""Why a file is refused, and the exception that says so."""

from enum import StrEnum
from typing import Final, Self

from ingest_service.domain.identity import SopReference


class RejectReason(StrEnum):
    """Stable, machine-readable reason codes; `sentence` documents each for people."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        """A code and the sentence that documents it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    EMPTY_FILE = "empty_file", "The file holds no bytes."
    TOO_LARGE = "too_large", "The file, or what it expands to, is larger than the limit."
    UNEXPECTED_FIELD = "unexpected_field", "The part of the form is not named 'files'."

    NOT_DICOM = "not_dicom", "The file has no DICOM preamble and prefix (PS3.10 section 7.1)."
    MALFORMED = "malformed", "The DICOM data breaks the encoding rules and cannot be read safely."
    TRUNCATED = "truncated", "The file ends before the data that it announces."
    UNSUPPORTED_TRANSFER_SYNTAX = (
        "unsupported_transfer_syntax",
        "The transfer syntax is missing or is not one that can be decoded here.",
    )
    MISSING_UID = "missing_uid", "A SOP class, SOP instance, study or series UID is missing or is not a valid UID."
    MISSING_ATTRIBUTE = "missing_attribute", "An attribute that describes the image is missing."
    INVALID_ATTRIBUTE = "invalid_attribute", "An attribute that describes the image has the wrong type or value."
    NO_PIXEL_DATA = "no_pixel_data", "The file holds no integer Pixel Data (7FE0,0010)."
    PIXEL_LENGTH_MISMATCH = (
        "pixel_length_mismatch",
        "The pixel data does not match rows, columns, frames, samples and bits.",
    )
    SOP_MISMATCH = (
        "sop_mismatch",
        "The DICOM command names another SOP class or SOP instance than the data set that it brings.",
    )
    VALIDATION_TIMEOUT = "validation_timeout", "The file took longer to validate than the limit."
    VALIDATION_CRASHED = "validation_crashed", "The process that validated the file died of it."

    MALFORMED_ARCHIVE = "malformed_archive", "The ZIP archive, or this entry of it, cannot be read."
    EMPTY_ARCHIVE = "empty_archive", "The ZIP archive holds no files."
    ARCHIVE_BOMB = "archive_bomb", "The ZIP archive has overlapping entries, too many, or expands beyond the limits."
    ENCRYPTED_ARCHIVE = "encrypted_archive", "The entry of the ZIP archive is encrypted."
    UNSUPPORTED_COMPRESSION = "unsupported_compression", "The entry is compressed by another method than deflate."
    UNSAFE_PATH = "unsafe_path", "The entry's name is absolute or leaves the archive, or the entry is a link."
    NESTED_ARCHIVE = "nested_archive", "An archive inside an archive is not opened."
    DUPLICATE_NAME = "duplicate_name", "Another entry of the same archive has this name."

    CONFLICTING_SOP_INSTANCE = (
        "conflicting_sop_instance",
        "The same SOP Instance UID was received before with other content.",
    )
    BURNED_IN_ANNOTATION = (
        "burned_in_annotation",
        "The pixels show text that may name the patient, or may do so, and this tenant de-identifies what it receives.",
    )
    QUOTA_EXCEEDED = "quota_exceeded", "With this file the tenant or the user would store more than the day's quota."
    OTHER_STUDY = "other_study", "The image is of another study than the request is for."


NOT_KEPT: Final = frozenset({RejectReason.EMPTY_FILE, RejectReason.TOO_LARGE, RejectReason.QUOTA_EXCEEDED})
"""A file that was looked at and refused for another reason is kept for a time, to be looked into."""


class Refusal(Exception):
    """A file is refused. `detail` says what and where, and never holds a value from the file.

    `sop` is what the file says it is, as far as that could be read.
    """

    def __init__(self, reason: RejectReason, detail: str, sop: SopReference | None = None) -> None:
        super().__init__(reason, detail, sop)
        self.reason = reason
        self.detail = detail
        self.sop = sop
