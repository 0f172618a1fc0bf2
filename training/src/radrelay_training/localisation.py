"""Whether the heat lies where the lesion is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, zoom


@dataclass(frozen=True, slots=True)
class Localisation:
    """Over the cases that were looked at."""

    cases: int
    hits: int
    """Cases whose hottest point lies in the lesion, grown by one cell of the map (pointing game, Zhang et al. 2018)."""
    heat_inside: float
    """Mean share of the heat that lies inside the grown lesion, 0 to 1."""

    @property
    def hit_rate(self) -> float:
        """Share of hits, 0 to 1; not a number without cases."""
        return self.hits / self.cases if self.cases else float("nan")


def localise(cams_nyx: npt.NDArray[np.float32], masks_nyx: npt.NDArray[np.bool_]) -> Localisation:
    """Hold Grad-CAM maps against lesion masks.

    Args:
        cams_nyx: maps over the whole square input, not negative, at feature-map resolution, such as (n, 6, 6).
        masks_nyx: lesions in the frame of the input, such as (n, 192, 192); none is empty.

    Raises:
        ValueError: the numbers of maps and masks differ.
    """
    hits, inside = 0, []
    for cam_yx, mask_yx in zip(cams_nyx, masks_nyx, strict=True):
        cell = mask_yx.shape[0] // cam_yx.shape[0]
        grown_yx = binary_dilation(mask_yx, np.ones((2 * cell + 1, 2 * cell + 1), np.bool_))
        scale = mask_yx.shape[0] / cam_yx.shape[0]
        heat_yx = np.clip(zoom(cam_yx, scale, order=1, grid_mode=True, mode="nearest"), 0, None)
        hits += bool(grown_yx.flat[int(np.argmax(heat_yx))])
        total = float(heat_yx.sum())
        inside.append(float(heat_yx[grown_yx].sum()) / total if total else 0.0)
    return Localisation(len(inside), hits, float(np.mean(inside)) if inside else float("nan"))
