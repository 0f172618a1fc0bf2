"""One slice through a head: its pixels in the head's own coordinates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radrelay_phantoms.fields import FloatImage, Grid, angle_index, soft_step
from radrelay_phantoms.head import Head

HALF_HEAD_MM = 25.0
"""Where left and right structures lie, for the level at which a tilted slice meets them."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceFrame:
    """A slice's geometry. Images are float32, shape (size, size), millimetres, in the head's frame.

    Attributes:
        head: the head that is cut.
        grid: the pixels.
        level_mm: height of the slice in the middle of the head.
        x_mm: to the patient's left.
        y_mm: to the patient's back.
        radius_mm: distance from the head's centre.
        angle: index of the polar angle into closed curves, int32.
        depth_mm: distance inside the inner table, along the radius; negative outside.
        intracranial: 0 to 1, inside the inner table.
    """

    head: Head
    grid: Grid
    level_mm: float
    x_mm: FloatImage
    y_mm: FloatImage
    radius_mm: FloatImage
    angle: NDArray[np.int32]
    depth_mm: FloatImage
    intracranial: FloatImage

    @classmethod
    def cut(cls, head: Head, grid: Grid, level_mm: float) -> "SliceFrame":
        """Cut a head at a level."""
        cos, sin = np.float32(np.cos(head.rotation_rad)), np.float32(np.sin(head.rotation_rad))
        x = grid.x_mm - np.float32(head.centre_mm[0])
        y = grid.y_mm - np.float32(head.centre_mm[1])
        x_mm, y_mm = cos * x + sin * y, cos * y - sin * x
        angle = angle_index(y_mm, x_mm)
        radius_mm = np.hypot(x_mm, y_mm)
        depth_mm = head.inner_table_at(level_mm)[angle] - radius_mm
        return cls(head, grid, level_mm, x_mm, y_mm, radius_mm, angle, depth_mm, soft_step(depth_mm))

    def side_level_mm(self, side: int) -> float:
        """Return the level at which the slice cuts the left (1) or the right (-1) half of a tilted head."""
        return self.level_mm + side * HALF_HEAD_MM * float(np.tan(self.head.tilt_rad))

    def field(self, name: str) -> FloatImage:
        """Evaluate one of the head's random fields on this slice."""
        return self.head.fields[name].at(self.grid, self.level_mm)
