"""Pictures of an image and of the heat over it, as PNG files in the image's own pixel frame."""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from radrelay_imaging.intensity import Window, apply_own_voi, apply_window, to_uint8
from radrelay_imaging.opening import open_frame
from radrelay_imaging.pixels import Float32Array, is_monochrome
from radrelay_imaging.png import encode_png
from radrelay_imaging.refusal import Refusal, RefusalReason, refusing
from radrelay_imaging.resizing import resize

DRAWING_VERSION: Final = "1"
"""Another one whenever the same image gives other pixels: kept pictures are known by it."""
LONG_SIDE_PX: Final = 1024
_COLOUR_STOPS: Final = (0.0, 0.5, 1.0)
_COLOURS_RGB: Final = ((128, 0, 0), (255, 80, 0), (255, 255, 0))
_MAX_OPACITY: Final = 0.7
_STEPS: Final = 64
"""Finer steps cannot be seen and make the file half as large again."""


def picture_size(rows: int, columns: int, long_side_px: int = LONG_SIDE_PX) -> tuple[int, int]:
    """(rows, columns) of the pictures of an image of that size: the same, long side at most so long, never enlarged."""
    scale = min(1.0, long_side_px / max(rows, columns))
    return max(1, round(rows * scale)), max(1, round(columns * scale))


def draw_image(
    content: bytes,
    *,
    frame_number: int,
    window: Window | None,
    in_hounsfield: bool = False,
    long_side_px: int = LONG_SIDE_PX,
) -> bytes:
    """One frame of a DICOM file as an 8-bit greyscale PNG of `picture_size`.

    Args:
        content: the file.
        frame_number: from 1, as DICOM counts frames; 1 for an image that has only one.
        window: on modality values; high ones are dark where the image asks for it (MONOCHROME1) and they are no
            Hounsfield units. None shows the image as its own VOI LUT or window does, and colour as luminance.
        in_hounsfield: the window means Hounsfield units, so that an image with other values is refused.
        long_side_px: what the picture's long side is at most.

    Raises:
        Refusal: the file cannot be read, has no such frame, or has no Hounsfield units where the window means them.
    """
    frame = open_frame(content, frame_number)
    if in_hounsfield and not frame.is_hounsfield:
        raise Refusal(RefusalReason.NOT_HOUNSFIELD, "The window is for Hounsfield units, which this image has not.")
    values_yx, view = frame.decode(), frame.view
    rows, columns = values_yx.shape
    size = picture_size(rows, columns, long_side_px)
    if window is not None and is_monochrome(view):
        shown_yx = apply_window(resize(values_yx, size), window)
        return encode_png(np.uint8(255) - shown_yx if frame.is_dark_high else shown_yx)
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "The VOI LUT or window is damaged"):
        levels_yx = np.clip(apply_own_voi(values_yx, view), 0.0, 1.0) if is_monochrome(view) else values_yx
    return encode_png(to_uint8(resize(levels_yx, size)))


def draw_overlay(heat_yx: Float32Array, *, size: tuple[int, int]) -> bytes:
    """Heat over an image as a transparent RGBA PNG, to be laid over the image's picture.

    Scaled to the map's own maximum: colours run from dark red (0) over orange (half) to yellow (maximum), opacity
    from none to 70 % in proportion, so it shows where the evidence lies, and not how strong it is. A map without
    evidence gives an empty overlay.

    Args:
        heat_yx: float32 (rows, columns), not negative, over exactly the image, at any resolution.
        size: (rows, columns) of the picture, from `picture_size`.
    """
    fine_yx = np.maximum(resize(heat_yx, size, Image.Resampling.BICUBIC), 0.0)
    peak = float(fine_yx.max())
    steps_yx = np.rint(fine_yx * ((_STEPS - 1) / peak) if peak > 0.0 else fine_yx).astype(np.intp)
    return encode_png(_COLOURS[steps_yx].view(np.uint8).reshape(*size, 4))


def encode_npy(array: npt.NDArray[np.float32 | np.int16]) -> bytes:
    """An array as a NumPy `.npy` file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _colours() -> npt.NDArray[np.uint32]:
    """The colour of every step, its four bytes as one number, which is looked up ten times as fast."""
    heat = np.linspace(0.0, 1.0, _STEPS)
    channels = [np.interp(heat, _COLOUR_STOPS, [colour[i] for colour in _COLOURS_RGB]) for i in range(3)]
    rgba = np.rint(np.stack([*channels, heat * _MAX_OPACITY * 255.0], axis=-1)).astype(np.uint8)
    return rgba.view(np.uint32)[:, 0].copy()


_COLOURS: Final = _colours()
