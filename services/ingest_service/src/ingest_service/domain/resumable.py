"""Uploads that may be resumed: what is known of one, and of the parts that came.

Source of the terms: tus resumable upload protocol 1.0.0, https://tus.io/protocols/resumable-upload.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from ingest_service.domain.names import display_name

MAX_METADATA_LENGTH: Final = 4096
_FILE_NAME_KEY: Final = "filename"


class InvalidMetadata(ValueError):
    """The metadata of an upload does not follow the protocol, or is too long."""


@dataclass(frozen=True, slots=True)
class ResumableUpload:
    """One file on its way."""

    tenant: str
    upload_id: UUID
    owner_id: str
    batch_id: UUID
    metadata: str | None
    """Of the client, as in `Upload-Metadata`; None where there is none, or where the tenant de-identifies."""
    length_bytes: int
    offset_bytes: int
    """How much of it came, without a gap."""
    parts: int
    """How many parts are stored."""
    expires_at: datetime
    """Moves on with every part."""
    ended_at: datetime | None = None
    """When it was taken in, refused or terminated."""

    @property
    def is_complete(self) -> bool:
        """Whether every byte came."""
        return self.offset_bytes == self.length_bytes

    @property
    def file_name(self) -> str:
        """Fit to show; never a path."""
        found = parse_metadata(self.metadata or "").get(_FILE_NAME_KEY, "")
        return display_name(found) if found else "unnamed"

    def is_gone(self, now: datetime) -> bool:
        """Whether its time has passed; what is complete waits to be taken in however long that takes."""
        waits = self.is_complete and self.ended_at is None
        return self.expires_at <= now and not waits


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A stored piece of an upload."""

    first_byte: int
    size_bytes: int
    sha256: str
    """Of the bytes as they came, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class ClaimedUpload:
    """A complete upload that this process takes in, and nobody else for now."""

    upload: ResumableUpload
    claim_id: UUID
    attempts: int
    """How often it was claimed, this time included, without an end and without an outage."""
    parts: Sequence[UploadPart]
    """In order."""
    traceparent: str | None = None
    """The span of the request that brought the last of them."""


@dataclass(frozen=True, slots=True)
class OpenUploads:
    """What a user has begun and not finished."""

    number: int
    length_bytes: int
    """Sum of their announced lengths."""


@dataclass(frozen=True, slots=True)
class ResumableLimits:
    """Bounds on resumable uploads."""

    max_length_bytes: int
    part_bytes: int
    """A part is cut off after so many bytes: what memory and disk hold of a request."""
    max_parts: int
    max_open: int
    """How many one user may have begun and not finished."""
    retention_s: float
    """How long an upload may bring nothing before it expires."""


def parse_metadata(header: str) -> dict[str, str]:
    """Keys and values of an `Upload-Metadata` header: pairs of a key and a value in Base64, separated by commas.

    Raises:
        InvalidMetadata: it is none, or too long.
    """
    if len(header) > MAX_METADATA_LENGTH:
        raise InvalidMetadata(f"longer than {MAX_METADATA_LENGTH} characters")
    values: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in header.split(","))):
        key, _, encoded = pair.partition(" ")
        if not key.isascii() or not key.isprintable() or key in values:
            raise InvalidMetadata("a key is not ASCII, or is there twice")
        try:
            values[key] = base64.b64decode(encoded.strip(), validate=True).decode(errors="replace")
        except (binascii.Error, ValueError) as error:
            raise InvalidMetadata("a value is not Base64") from error
    return values
