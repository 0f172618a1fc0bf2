"""Reading a DICOM file under a bound, and finding its attributes where each kind of image keeps them."""

import io
import zlib
from typing import Final

from pydicom import Dataset, FileDataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset as read_elements
from pydicom.filereader import read_preamble
from pydicom.uid import DeflatedExplicitVRLittleEndian

from radrelay_imaging.refusal import Refusal, RefusalReason, refusing

MAX_INFLATED_BYTES: Final = 512 * 1024 * 1024
_PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_VIEWED_GROUPS: Final = (0x0018, 0x0028)

_FRAME_ATTRIBUTES: Final = {
    "PixelMeasuresSequence": ("PixelSpacing",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
}
"""Functional group macros of enhanced images (PS3.3 section C.7.6.16.2) and what we take from each."""


def read_dataset(content: bytes) -> FileDataset:
    """Parse a DICOM file (PS3.10) that holds an image.

    Raises:
        Refusal: not_dicom, too_large, no_pixel_data.
    """
    with refusing(RefusalReason.NOT_DICOM, "The data set cannot be parsed"):
        try:
            _check_inflated_size(content)
            dataset = dcmread(io.BytesIO(content))
        except InvalidDicomError:
            raise Refusal(RefusalReason.NOT_DICOM, "The file has no DICOM preamble and prefix.") from None
        held = [keyword for keyword in _PIXEL_KEYWORDS if dataset.get(keyword)]
    if len(held) != 1:
        raise Refusal(RefusalReason.NO_PIXEL_DATA, "The data set holds no image.")
    return dataset


def frame_view(dataset: Dataset, frame: int) -> Dataset:
    """The attributes of one frame as a plain data set, with those that enhanced images keep in functional groups.

    A per-frame group overrides a shared one, and either overrides the top level (PS3.3 section C.7.6.16).
    """
    view = Dataset()
    for group in _VIEWED_GROUPS:
        view.update(dataset.group_dataset(group))
    if hasattr(dataset, "file_meta"):
        view.file_meta = dataset.file_meta
    groups = [*dataset.get("SharedFunctionalGroupsSequence", [])[:1]]
    groups += dataset.get("PerFrameFunctionalGroupsSequence", [])[frame : frame + 1]
    for group in groups:
        for macro, keywords in _FRAME_ATTRIBUTES.items():
            for item in group.get(macro, [])[:1]:
                view.update({item[keyword].tag: item[keyword] for keyword in keywords if keyword in item})
    return view


def frame_count(dataset: Dataset) -> int:
    """How many frames the image says to have; 1 where it says nothing."""
    return max(1, int(dataset.get("NumberOfFrames") or 1))


def _check_inflated_size(content: bytes) -> None:
    """Inflate a deflated data set under a cap: pydicom itself would inflate a bomb to its end (PS3.5 section A.5)."""
    stream = io.BytesIO(content)
    read_preamble(stream, force=False)
    meta = read_elements(
        stream, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2
    )
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = len(inflater.decompress(content[stream.tell() :], MAX_INFLATED_BYTES))
    if inflated >= MAX_INFLATED_BYTES:
        raise Refusal(RefusalReason.TOO_LARGE, f"The data set inflates to {MAX_INFLATED_BYTES} bytes or more.")
