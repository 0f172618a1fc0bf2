"""Decoding one frame to numbers that mean something: modality units, or luminance for colour."""

from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, FileDataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from radrelay_imaging.refusal import Refusal, RefusalReason, refusing

Float32Array = npt.NDArray[np.float32]

MAX_FRAME_BYTES: Final = 512 * 1024 * 1024
_MONOCHROME: Final = {"MONOCHROME1", "MONOCHROME2"}
_COLOUR: Final = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_PALETTE: Final = "PALETTE COLOR"
_LUMA_RGB: Final = np.array([0.299, 0.587, 0.114], np.float32)
"""Luma of Rec. ITU-R BT.601, the colour space of DICOM's YBR_FULL (PS3.3 section C.7.6.3.1.2)."""


def is_monochrome(dataset: Dataset) -> bool:
    """Whether pixel values are one measured quantity."""
    return _photometric(dataset) in _MONOCHROME


def decode_frame(dataset: FileDataset, view: Dataset, frame: int) -> Float32Array:
    """One frame as float32 (rows, columns), after the modality LUT or rescale; luminance 0 to 1 for colour.

    Stored values are taken as PS3.5 section 8.1.1 has them: signed or not, with unused high bits cleared or filled
    with the sign.

    Args:
        dataset: the whole file.
        view: the attributes of this frame, from `frame_view`.
        frame: index from 0.

    Raises:
        Refusal: unsupported_photometric, unsupported_transfer_syntax, malformed_attributes, too_large,
            undecodable_pixel_data, unusable_pixel_values.
    """
    photometric = _photometric(dataset)
    if photometric not in _MONOCHROME | _COLOUR | {_PALETTE}:
        raise Refusal(RefusalReason.UNSUPPORTED_PHOTOMETRIC, "The photometric interpretation is none that is read.")
    with refusing(
        RefusalReason.MALFORMED_ATTRIBUTES, "Rows, Columns, Bits Allocated or Samples per Pixel is no number"
    ):
        _check_size(dataset)
    with refusing(RefusalReason.UNDECODABLE_PIXEL_DATA, f"Pixel data in {_syntax(dataset)} cannot be decoded"):
        try:
            stored = pixel_array(dataset, index=frame)
        except NotImplementedError:
            raise Refusal(RefusalReason.UNSUPPORTED_TRANSFER_SYNTAX, f"{_syntax(dataset)} is not read.") from None
        if photometric in _MONOCHROME:
            values = _to_modality_units(stored, view)
        else:
            values = _to_luminance(stored, dataset, photometric)
    if values.ndim != 2 or values.size == 0:
        raise Refusal(RefusalReason.UNDECODABLE_PIXEL_DATA, "The decoded frame is not a picture of rows and columns.")
    if not np.isfinite(values).all():
        raise Refusal(RefusalReason.UNUSABLE_PIXEL_VALUES, "Pixel values are not all finite numbers.")
    return values


def _photometric(dataset: Dataset) -> str:
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "The photometric interpretation is damaged"):
        return str(dataset.get("PhotometricInterpretation") or "").strip().upper()


def _syntax(dataset: FileDataset) -> str:
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "The transfer syntax is damaged"):
        uid = UID(str(dataset.file_meta.get("TransferSyntaxUID") or ""))
        return uid.name if uid.is_transfer_syntax else "an unknown transfer syntax"


def _check_size(dataset: Dataset) -> None:
    """What the header claims, bounded before anything of that size is made."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    sample_bytes = int(dataset.BitsAllocated) / 8 * int(dataset.get("SamplesPerPixel") or 1)
    if rows <= 0 or columns <= 0 or sample_bytes <= 0:
        raise Refusal(RefusalReason.MALFORMED_ATTRIBUTES, "Rows, Columns or Bits Allocated is not above zero.")
    if rows * columns * sample_bytes > MAX_FRAME_BYTES:
        raise Refusal(RefusalReason.TOO_LARGE, f"One frame is larger than {MAX_FRAME_BYTES} bytes.")


def _to_modality_units(stored: npt.NDArray[np.generic], view: Dataset) -> Float32Array:
    """Stored values after the modality LUT or rescale (PS3.3 section C.11.1)."""
    intercept = _small_integer(view.get("RescaleIntercept"))
    is_shift = view.get("RescaleSlope") == 1 and intercept is not None and "ModalityLUTSequence" not in view
    if is_shift and stored.itemsize <= 2:
        # Integers this small are exact in float32: the same as pydicom's float64, for half of the time.
        return stored.astype(np.float32) + np.float32(intercept)
    return np.asarray(apply_modality_lut(stored, view), np.float32)


def _small_integer(number: object) -> int | None:
    """The number where it is an integer of at most 16 bits, else None."""
    is_one = isinstance(number, float | int) and abs(number) < 2**16 and number == int(number)
    return int(number) if is_one else None  # type: ignore[call-overload]  # checked in the line before


def _to_luminance(stored: npt.NDArray[np.generic], dataset: Dataset, photometric: str) -> Float32Array:
    """Colour to luma in 0 to 1; an alpha palette is left out, since nothing lies behind the image."""
    colour = apply_color_lut(stored, dataset) if photometric == _PALETTE else stored
    top = np.float32(np.iinfo(colour.dtype).max if photometric == _PALETTE else 2 ** int(dataset.BitsStored) - 1)
    return np.asarray((colour[..., :3].astype(np.float32) / top) @ _LUMA_RGB, np.float32)
