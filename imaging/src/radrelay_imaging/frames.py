"""One frame of an image as numbers, for viewers that window it themselves."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from radrelay_imaging.intensity import VoiFunction, Window, own_window
from radrelay_imaging.opening import open_frame
from radrelay_imaging.pictures import LONG_SIDE_PX, encode_npy, picture_size
from radrelay_imaging.pixels import Float32Array, is_monochrome
from radrelay_imaging.refusal import RefusalReason, refusing
from radrelay_imaging.resizing import resize

FRAME_VERSION: Final = "1"
"""Another one whenever the same image gives other values or facts: who holds them knows them by it."""
_INT16: Final = np.iinfo(np.int16)
_LUMINANCE: Final = Window(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class FrameValues:
    """The values of a frame, and what a viewer has to know to show them."""

    npy: bytes
    """NumPy `.npy` file of (rows, columns) in C order: `<i2` where all values are whole numbers that fit, else `<f4`.

    Values after the modality LUT or rescale; luminance 0 to 1 for colour.
    """
    is_hounsfield: bool
    is_dark_high: bool
    """High values are to be dark."""
    window: Window
    """What to show first."""
    function: VoiFunction
    """What the window means, LINEAR or LINEAR_EXACT."""
    frame_number: int
    """From 1, as DICOM counts frames."""
    number_of_frames: int


def read_frame(content: bytes, *, frame_number: int, long_side_px: int = LONG_SIDE_PX) -> FrameValues:
    """One frame of a DICOM file as values of `picture_size`, over exactly its pictures.

    The window is the image's own first one where that is linear; else the least value of the whole frame is black and
    the greatest white, and for colour 0 and 1 are.

    Args:
        content: the file.
        frame_number: from 1; 1 for an image that has only one.
        long_side_px: what the long side is at most.

    Raises:
        Refusal: the file cannot be read, or has no such frame.
    """
    frame = open_frame(content, frame_number)
    values_yx = frame.decode()
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "The VOI window is damaged"):
        window, function = _first_window(values_yx, frame.view)
    rows, columns = values_yx.shape
    return FrameValues(
        npy=encode_npy(_compact(resize(values_yx, picture_size(rows, columns, long_side_px)))),
        is_hounsfield=frame.is_hounsfield,
        is_dark_high=frame.is_dark_high,
        window=window,
        function=function,
        frame_number=frame.number,
        number_of_frames=frame.count,
    )


def _first_window(values_yx: Float32Array, view: Dataset) -> tuple[Window, VoiFunction]:
    if not is_monochrome(view):
        return _LUMINANCE, VoiFunction.LINEAR_EXACT
    own = own_window(view)
    if own is not None and own[1] is not VoiFunction.SIGMOID:
        return own
    least, greatest = float(values_yx.min()), float(values_yx.max())
    # No width is 0: a flat image is mid-grey.
    return Window((least + greatest) / 2.0, (greatest - least) or 1.0), VoiFunction.LINEAR_EXACT


def _compact(values_yx: Float32Array) -> npt.NDArray[np.int16] | Float32Array:
    """The same values in half the bytes, where they are whole numbers of 16 bits."""
    fit = values_yx.min() >= _INT16.min and values_yx.max() <= _INT16.max
    is_whole = fit and np.array_equal(values_yx, np.rint(values_yx))
    return np.asarray(values_yx, "<i2" if is_whole else "<f4", order="C")
