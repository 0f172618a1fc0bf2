"""Where the source image lies in the model's square input, and the map over it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image


@dataclass(frozen=True, slots=True)
class Placement:
    """The box, in input pixels, that the whole source image fills; the rest of the square is padding."""

    rows: int
    columns: int
    input_px: int
    top: int
    left: int
    height: int
    width: int


def place(rows: int, columns: int, *, pixel_aspect: float, input_px: int) -> Placement:
    """Fit an image into a square, centred, keeping its physical shape.

    Args:
        rows: of the source.
        columns: of the source.
        pixel_aspect: height of a source pixel divided by its width.
        input_px: side of the square.
    """
    height_units = rows * pixel_aspect
    scale = input_px / max(height_units, columns)
    height = min(input_px, max(1, round(height_units * scale)))
    width = min(input_px, max(1, round(columns * scale)))
    return Placement(
        rows, columns, input_px, top=(input_px - height) // 2, left=(input_px - width) // 2, height=height, width=width
    )


def cut_to_image(cam_yx: npt.NDArray[np.float32], placement: Placement) -> npt.NDArray[np.float32]:
    """The part of a map over the whole input that lies over the source image, at the map's own resolution.

    A cell of the map stands for an equal share of the input. Where the edge of the padding runs through a cell, the
    map is resampled (bicubic) so that the cut is exact; without padding it stays what it is, to the last bit.

    Args:
        cam_yx: float32, not negative, over the whole input, padding included.
        placement: where the source image lies in the input.

    Returns:
        float32 (rows, columns), not negative.
    """
    per_px_y, per_px_x = (cells / placement.input_px for cells in cam_yx.shape)
    box = (
        placement.left * per_px_x,
        placement.top * per_px_y,
        (placement.left + placement.width) * per_px_x,
        (placement.top + placement.height) * per_px_y,
    )
    rows, columns = max(1, round(box[3] - box[1])), max(1, round(box[2] - box[0]))
    if box == (0.0, 0.0, cam_yx.shape[1], cam_yx.shape[0]):
        return cam_yx
    cut = Image.fromarray(cam_yx).resize((columns, rows), Image.Resampling.BICUBIC, box=box)
    return np.maximum(np.asarray(cut, np.float32), 0.0)
