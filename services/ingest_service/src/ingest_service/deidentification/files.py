"""De-identifies one file on disk into another. Run it where validation runs: the bytes are just as hostile.

The pixel data is copied as it is, header and fragments included. What follows it in a file (padding, digital
signatures, private groups) is nothing that the profile keeps, so nothing is written after it.
"""

import hashlib
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import BaseTag

from ingest_service.deidentification.burned_in import refuse_burned_in
from ingest_service.deidentification.profile import Patient, deidentify
from ingest_service.deidentification.pseudonyms import PseudonymKeys
from ingest_service.domain.dicom import (
    PIXEL_DATA,
    PREFIX,
    PREFIX_OFFSET,
    DicomFacts,
    data_set_of,
    read_meta,
    transfer_syntax,
    validate_dicom,
)
from ingest_service.domain.limits import DicomLimits
from ingest_service.domain.pixel_data import PixelElement, end_of_pixel_data
from ingest_service.domain.reasons import Refusal, RejectReason

IMPLEMENTATION_CLASS_UID: Final = uid.UID("2.25.333594069287490164384070200887020197143")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What is known of a file that was written."""

    facts: DicomFacts
    size_bytes: int
    sha256: str
    patient: Patient | None


class _Sink(Protocol):
    def write(self, piece: bytes, /) -> object: ...


def deidentify_file(source: Path, target: Path, keys: PseudonymKeys, limits: DicomLimits) -> Deidentified:
    """Write the file at `source`, which was validated, to `target` under the Basic Profile. The same gives the same.

    Raises:
        Refusal: its pixels may show who the patient is, or it cannot be read and written safely; what may be at
            `target` then is to be thrown away.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of values, and its words may hold patient data
        try:
            patient = _convert(source, target, keys, limits)
        except Refusal:
            raise
        except Exception as error:  # as in validation: whatever the parser raises of hostile bytes, it is the file
            raise Refusal(
                RejectReason.MALFORMED, f"data set: cannot be de-identified ({type(error).__name__})"
            ) from error
    facts = validate_dicom(target, limits)
    with target.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    return Deidentified(facts, target.stat().st_size, sha256, patient)


def _convert(source: Path, target: Path, keys: PseudonymKeys, limits: DicomLimits) -> Patient | None:
    with source.open("rb") as file:
        file.seek(PREFIX_OFFSET + len(PREFIX))
        syntax = transfer_syntax(read_meta(file, source.stat().st_size, limits))
        with data_set_of(file, source, syntax, limits) as (content, size), target.open("wb") as written:
            dataset, pixels = _read_header(content, syntax)
            start, end = content.tell(), end_of_pixel_data(content, size, pixels)
            refuse_burned_in(dataset)
            patient = deidentify(dataset, keys)
            written.write(_file_head(dataset, syntax))
            sink = _Deflating(written) if syntax == uid.DeflatedExplicitVRLittleEndian else written
            sink.write(_encoded(dataset, syntax))
            _copy(content, start, end, sink)
            if isinstance(sink, _Deflating):
                sink.finish()
    return patient


def _read_header(content: BinaryIO, syntax: str) -> tuple[Dataset, PixelElement]:
    """All before the pixel data, and where that is; leaves `content` at its start."""
    implicit, little_endian = _encoding(syntax)
    found: list[PixelElement] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag == PIXEL_DATA:
            found.append(PixelElement(vr, length, content.tell(), little_endian=little_endian))
        return bool(found)

    dataset = read_dataset(content, implicit, little_endian, stop_when=at_pixels)
    if not found or dataset.original_encoding != (implicit, little_endian):
        raise Refusal(RejectReason.MALFORMED, "data set: not encoded as the transfer syntax says")
    return dataset, found[-1]


def _encoding(syntax: str) -> tuple[bool, bool]:
    """Implicit value representations, little endian."""
    return syntax == uid.ImplicitVRLittleEndian, syntax != uid.ExplicitVRBigEndian


def _file_head(dataset: Dataset, syntax: str) -> bytes:
    """An empty preamble and file meta information with nothing of the original (PS3.10 section 7.1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = uid.UID(syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    head = DicomBytesIO()
    head.write(bytes(PREFIX_OFFSET) + PREFIX)
    write_file_meta_info(head, meta)
    return head.getvalue()


def _encoded(dataset: Dataset, syntax: str) -> bytes:
    body = DicomBytesIO()
    body.is_implicit_VR, body.is_little_endian = _encoding(syntax)
    write_dataset(body, dataset)
    return body.getvalue()


def _copy(source: BinaryIO, start: int, end: int, sink: _Sink) -> None:
    source.seek(start)
    left = end - start
    while left:
        piece = source.read(min(left, _CHUNK))
        if not piece:
            raise Refusal(RejectReason.TRUNCATED, "Pixel Data is cut off")
        sink.write(piece)
        left -= len(piece)


class _Deflating:
    """Deflates what is written (PS3.5 section A.5)."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._deflated_bytes = 0

    def write(self, piece: bytes, /) -> None:
        self._put(self._deflater.compress(piece))

    def finish(self) -> None:
        """Write the end; one byte of padding makes the length even."""
        self._put(self._deflater.flush())
        self._put(bytes(self._deflated_bytes % 2))

    def _put(self, piece: bytes) -> None:
        self._deflated_bytes += len(piece)
        self._target.write(piece)
