"""The explanation as files: the raw Grad-CAM map, and a transparent overlay that lies on the preview."""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference_service.imaging.geometry import Placement
from inference_service.imaging.pixels import Float32Array
from inference_service.imaging.png import encode_png

_COLOUR_STOPS: Final = (0.0, 0.5, 1.0)
_COLOURS_RGB: Final = ((128, 0, 0), (255, 80, 0), (255, 255, 0))
_MAX_OPACITY: Final = 0.7
_STEPS: Final = 64
"""Finer steps cannot be seen and make the file half as large again."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """One explanation."""

    cam_npy: bytes
    """.npy, float32 (rows, columns): the map at feature-map resolution over exactly the source image, not scaled."""
    overlay_png: bytes
    """RGBA, the size of the preview."""


def render_heatmap(cam_yx: Float32Array, placement: Placement) -> Heatmap:
    """Turn the map over the model's square input into files in the source image's frame.

    A cell of the map stands for an equal share of the input. Padding is cut off; where its edge runs through a cell,
    the map is resampled so that the cut is exact. The overlay is scaled to the map's own maximum: colours run from
    dark red (0) over orange (half) to yellow (maximum), opacity from none to 70 % in proportion, so it shows where the
    evidence lies, and not how strong it is. A map without evidence gives an empty overlay.

    Args:
        cam_yx: float32, not negative, over the whole input, padding included.
        placement: where the source image lies in the input.
    """
    per_px_y, per_px_x = (cells / placement.input_px for cells in cam_yx.shape)
    box = (
        placement.left * per_px_x,
        placement.top * per_px_y,
        (placement.left + placement.width) * per_px_x,
        (placement.top + placement.height) * per_px_y,
    )
    cells = (max(1, round(box[3] - box[1])), max(1, round(box[2] - box[0])))
    stream = io.BytesIO()
    np.save(stream, _cut(cam_yx, box, cells), allow_pickle=False)
    heat_yx = _cut(cam_yx, box, placement.preview_size)
    return Heatmap(stream.getvalue(), _overlay_png(heat_yx))


def _cut(cam_yx: Float32Array, box: tuple[float, float, float, float], size: tuple[int, int]) -> Float32Array:
    if box == (0.0, 0.0, cam_yx.shape[1], cam_yx.shape[0]) and size == cam_yx.shape:
        return cam_yx.astype(np.float32, copy=False)
    image = Image.fromarray(cam_yx).resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box)
    return np.maximum(np.asarray(image, np.float32), 0.0)


def _overlay_png(heat_yx: Float32Array) -> bytes:
    peak = float(heat_yx.max())
    steps_yx = np.rint(heat_yx * ((_STEPS - 1) / peak) if peak > 0.0 else heat_yx).astype(np.intp)
    pixels_yx = _COLOURS[steps_yx]
    return encode_png(pixels_yx.view(np.uint8).reshape(*heat_yx.shape, 4))


def _colours() -> npt.NDArray[np.uint32]:
    """The colour of every step, its four bytes as one number, which is looked up ten times as fast."""
    heat = np.linspace(0.0, 1.0, _STEPS)
    channels = [np.interp(heat, _COLOUR_STOPS, [colour[i] for colour in _COLOURS_RGB]) for i in range(3)]
    rgba = np.rint(np.stack([*channels, heat * _MAX_OPACITY * 255.0], axis=-1)).astype(np.uint8)
    return rgba.view(np.uint32)[:, 0].copy()


_COLOURS: Final = _colours()
