"""Decides whether a spooled file is a DICOM image that can be screened, and reads what identifies it.

Only the structure is read: every element's header, and the values of a few attributes. Pixels are measured, never
decoded. Run it where a crash or a bomb costs one file: the parser underneath trusts lengths.
Sources: DICOM PS3.10 section 7 (file format), PS3.5 sections 7 and 8 (encoding, pixel data), PS3.3 section C.7.6.3.
"""

import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import uid
from pydicom.dataelem import RawDataElement

from ingest_service.domain import attributes
from ingest_service.domain.identity import InstanceUids, SopReference
from ingest_service.domain.limits import DicomLimits
from ingest_service.domain.pixel_data import check_pixel_data
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.domain.scan import Scan

PREFIX_OFFSET: Final = 128
PREFIX: Final = b"DICM"

ENCAPSULATED_SYNTAXES: Final = frozenset(
    {
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
        uid.HTJ2KLossless,
        uid.HTJ2KLosslessRPCL,
        uid.HTJ2K,
        uid.RLELossless,
    }
)
NATIVE_SYNTAXES: Final = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    }
)
SUPPORTED_SYNTAXES: Final = NATIVE_SYNTAXES | ENCAPSULATED_SYNTAXES

_TRANSFER_SYNTAX_UID: Final = 0x00020010
PIXEL_DATA: Final = 0x7FE00010
_INFLATE_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class DicomFacts:
    """What the file says it is; every UID is valid, every number is in range."""

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    body_part: str | None
    instance_number: int | None
    transfer_syntax_uid: str
    rows: int
    columns: int
    frames: int

    @property
    def sop(self) -> SopReference:
        """The SOP instance and its class."""
        return SopReference(self.sop_class_uid, self.sop_instance_uid)

    @property
    def uids(self) -> InstanceUids:
        """What DICOM calls the image."""
        return InstanceUids(self.sop, self.study_instance_uid)


def validate_dicom(path: Path, limits: DicomLimits) -> DicomFacts:
    """Read the file at `path` and return its facts.

    Raises:
        Refusal: the file is not a DICOM image that can be screened; carries the reason, and what the file meta
            information says the file is.
    """
    size = path.stat().st_size
    if size == 0:
        raise Refusal(RejectReason.EMPTY_FILE, "0 bytes")
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser warns of what is judged here, and its words may hold patient data
        _check_prefix(file)
        meta = read_meta(file, size, limits)
        try:
            syntax = transfer_syntax(meta)
            with data_set_of(file, path, syntax, limits) as (data_set, data_set_size):
                return _check_data_set(data_set, data_set_size, syntax, limits)
        except Refusal as refusal:
            refusal.sop = attributes.media_storage(meta)
            raise


@contextmanager
def data_set_of(file: BinaryIO, path: Path, syntax: str, limits: DicomLimits) -> Iterator[tuple[BinaryIO, int]]:
    """The data set that follows the file meta information, inflated where it is deflated, and its file's size in bytes.

    `file` is the file at `path`, positioned at the data set.

    Raises:
        Refusal: it cannot be inflated within the limits.
    """
    if syntax != uid.DeflatedExplicitVRLittleEndian:
        yield file, path.stat().st_size
        return
    with tempfile.TemporaryFile(dir=path.parent) as inflated:
        size = _inflate(file, inflated, limits.max_inflated_bytes)
        yield inflated, size


def _check_prefix(file: BinaryIO) -> None:
    head = file.read(PREFIX_OFFSET + len(PREFIX))
    if head[PREFIX_OFFSET:] != PREFIX:
        raise Refusal(RejectReason.NOT_DICOM, "no DICM prefix at byte 128")


def read_meta(file: BinaryIO, size: int, limits: DicomLimits) -> Mapping[int, RawDataElement]:
    """Read the file meta information and leave `file` at the first element of the data set.

    `file`, of `size` bytes, is positioned after the prefix.

    Raises:
        Refusal: it cannot be read.
    """
    scan = Scan(file, size, implicit=False, little_endian=True, limits=limits, where="file meta information")
    scan.run(lambda tag: tag >> 16 != 0x0002)
    return scan.found


def transfer_syntax(meta: Mapping[int, RawDataElement]) -> str:
    """The transfer syntax that the file meta information names.

    Raises:
        Refusal: unsupported_transfer_syntax.
    """
    element = meta.get(_TRANSFER_SYNTAX_UID)
    if element is None:
        raise Refusal(RejectReason.UNSUPPORTED_TRANSFER_SYNTAX, "no Transfer Syntax UID (0002,0010)")
    syntax = attributes.text(element)
    if syntax not in SUPPORTED_SYNTAXES:
        # Only registered names are echoed: any other text may be anything.
        detail = attributes.registered_name(syntax) or "not a registered transfer syntax"
        raise Refusal(RejectReason.UNSUPPORTED_TRANSFER_SYNTAX, detail)
    return syntax


def _inflate(source: BinaryIO, target: BinaryIO, max_bytes: int) -> int:
    """Inflate the rest of `source` (PS3.5 section A.5, RFC 1951) into `target`, rewound; return the size in bytes."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    pending = b""
    while not inflater.eof:
        pending = pending or source.read(_INFLATE_CHUNK)
        if not pending:
            raise Refusal(RejectReason.TRUNCATED, "the deflated data set ends early")
        try:
            piece = inflater.decompress(pending, _INFLATE_CHUNK)
        except zlib.error as error:
            raise Refusal(RejectReason.MALFORMED, "the deflated data set cannot be inflated") from error
        pending = inflater.unconsumed_tail
        total += len(piece)
        if total > max_bytes:
            raise Refusal(RejectReason.TOO_LARGE, f"the data set inflates to more than {max_bytes} bytes")
        target.write(piece)
    target.seek(0)
    return total


def _check_data_set(file: BinaryIO, size: int, syntax: str, limits: DicomLimits) -> DicomFacts:
    implicit = syntax == uid.ImplicitVRLittleEndian
    little_endian = syntax != uid.ExplicitVRBigEndian
    scan = Scan(file, size, implicit=implicit, little_endian=little_endian, limits=limits, where="data set")
    pixels = scan.run(lambda tag: tag == PIXEL_DATA)
    if pixels is None:
        raise Refusal(RejectReason.NO_PIXEL_DATA, "no Pixel Data (7FE0,0010)")
    facts = _facts(scan.found, syntax)
    shape = attributes.pixel_shape(scan.found)
    end = check_pixel_data(
        file,
        size,
        pixels,
        shape,
        encapsulated=syntax in ENCAPSULATED_SYNTAXES,
        fragment_per_frame=syntax == uid.RLELossless,
        max_pixel_bytes=limits.max_pixel_bytes,
    )
    file.seek(end)
    tail = Scan(file, size, implicit=implicit, little_endian=little_endian, limits=limits, where="after Pixel Data")
    if tail.run(lambda tag: tag == PIXEL_DATA) is not None:
        raise Refusal(RejectReason.MALFORMED, "a second Pixel Data (7FE0,0010)")
    return facts


def _facts(found: Mapping[int, RawDataElement], syntax: str) -> DicomFacts:
    return DicomFacts(
        sop_instance_uid=attributes.dicom_uid(found, 0x00080018),
        sop_class_uid=attributes.dicom_uid(found, 0x00080016),
        study_instance_uid=attributes.dicom_uid(found, 0x0020000D),
        series_instance_uid=attributes.dicom_uid(found, 0x0020000E),
        modality=attributes.code_string(found, 0x00080060),
        body_part=attributes.optional_code_string(found, 0x00180015),
        instance_number=attributes.optional_integer_string(found, 0x00200013),
        transfer_syntax_uid=str(syntax),
        rows=attributes.unsigned_short(found, 0x00280010),
        columns=attributes.unsigned_short(found, 0x00280011),
        frames=attributes.frame_count(found),
    )
