"""Bringing an array to a picture's size."""

import numpy as np
from PIL import Image

from radrelay_imaging.pixels import Float32Array


def resize(
    image_yx: Float32Array, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BILINEAR
) -> Float32Array:
    """The array at (rows, columns) `size`; itself where it has that already."""
    if image_yx.shape == size:
        return image_yx
    return np.asarray(Image.fromarray(image_yx).resize((size[1], size[0]), how), np.float32)
