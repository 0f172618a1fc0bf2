"""The heat of an image in colours: alone, and blended into the image's picture."""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from radrelay_imaging.colours import ColourMap, colours_of
from radrelay_imaging.intensity import to_uint8
from radrelay_imaging.pixels import Float32Array
from radrelay_imaging.png import encode_png
from radrelay_imaging.resizing import resize

_STEPS: Final = 64
"""Finer steps cannot be seen and make the file half as large again."""


def draw_heatmap(heat_yx: Float32Array, *, size: tuple[int, int], colour_map: ColourMap) -> bytes:
    """Heat alone as an RGB PNG, scaled to the map's own maximum; a map without evidence has the darkest colour.

    Args:
        heat_yx: float32 (rows, columns), not negative, over exactly the image, at any resolution.
        size: (rows, columns) of the picture, from `picture_size`.
        colour_map: its colours.
    """
    colours = np.rint(colours_of(colour_map, _STEPS)).astype(np.uint8)
    return encode_png(colours[_steps(heat_yx, size)])


def blend_heatmap(image_png: bytes, heat_yx: Float32Array, *, opacity: float, colour_map: ColourMap) -> bytes:
    """Heat over an image's picture, as an RGB PNG of the same size.

    The heat is opaque in proportion to itself, so that the image is unchanged where the map has no evidence; scaled to
    the map's own maximum, it shows where the evidence lies, and not how strong it is.

    Args:
        image_png: greyscale, from `draw_image`.
        heat_yx: float32 (rows, columns), not negative, over exactly the image, at any resolution.
        opacity: 0 to 1, where the map has its maximum.
        colour_map: the heat's colours.
    """
    with Image.open(io.BytesIO(image_png)) as opened:
        grey_yx = np.asarray(opened.convert("L"), np.float32)
    steps_yx = _steps(heat_yx, (grey_yx.shape[0], grey_yx.shape[1]))
    share_yx1 = np.linspace(0.0, opacity, _STEPS, dtype=np.float32)[steps_yx][..., None]
    blended_yxc = grey_yx[..., None] * (1.0 - share_yx1) + colours_of(colour_map, _STEPS)[steps_yx] * share_yx1
    return encode_png(to_uint8(blended_yxc / np.float32(255.0)))


def _steps(heat_yx: Float32Array, size: tuple[int, int]) -> npt.NDArray[np.intp]:
    """Heat at the picture's size, as a step of the colour map for each pixel."""
    fine_yx = np.maximum(resize(heat_yx, size, Image.Resampling.BICUBIC), 0.0)
    peak = float(fine_yx.max())
    return np.rint(fine_yx * ((_STEPS - 1) / peak) if peak > 0.0 else fine_yx).astype(np.intp)
