"""Everything outside the inner table: headrest, scalp, muscle and bone."""

import numpy as np

from radrelay_phantoms import tissue
from radrelay_phantoms.fields import FloatImage, blend, soft_step
from radrelay_phantoms.slice_frame import SliceFrame

SKIN_MM = 2.7
TABLE_SHARE = 0.27
"""Share of the skull's thickness taken by each of its two tables."""

MUSCLE_TOP_MM = 32.0
"""Level above which the temporal muscle has ended."""


def paint_outside(hu: FloatImage, frame: SliceFrame) -> None:
    """Paint headrest, scalp and skull into an image of air, in place."""
    _paint_headrest(hu, frame)
    outer_mm = frame.head.outer_table_at(frame.level_mm)[frame.angle]
    scalp_mm = (frame.head.scalp_thickness_mm + _muscle_mm(frame))[frame.angle]
    inside_skin_mm = outer_mm + scalp_mm - frame.radius_mm
    above_bone_mm = frame.radius_mm - outer_mm

    blend(hu, soft_step(inside_skin_mm), tissue.SKIN_HU)
    blend(hu, soft_step(inside_skin_mm - SKIN_MM), tissue.SUBCUTANEOUS_FAT_HU)
    deep_share = np.clip((scalp_mm - 4) / 8, 0.22, 0.75)
    deep = soft_step(deep_share * scalp_mm - above_bone_mm) * soft_step(inside_skin_mm - SKIN_MM)
    blend(hu, deep, tissue.MUSCLE_HU + 6 * frame.field("fine_texture"))
    _paint_bone(hu, frame, outer_mm)


def _muscle_mm(frame: SliceFrame) -> FloatImage:
    """Return the thickness of the temporal muscles: float32, shape (ANGLES,)."""
    angles = np.linspace(-np.pi, np.pi, frame.head.scalp_thickness_mm.size, endpoint=False)
    height = np.clip((MUSCLE_TOP_MM - frame.level_mm) / 30, 0, 1)
    lateral = np.exp(-(((np.abs(np.cos(angles)) - 0.88) / 0.16) ** 2)) * np.clip((0.3 - np.sin(angles)) / 0.6, 0, 1)
    thickness: FloatImage = (8.0 * height * lateral).astype(np.float32)
    return thickness


def _paint_bone(hu: FloatImage, frame: SliceFrame, outer_mm: FloatImage) -> None:
    """Paint two tables of cortical bone with diploe between them, crossed by sutures."""
    into_bone_mm = outer_mm - frame.radius_mm
    thickness_mm = into_bone_mm - frame.depth_mm
    texture = frame.field("bone_texture")
    table_mm = TABLE_SHARE * thickness_mm
    diploe = soft_step(into_bone_mm - table_mm, 0.7) * soft_step(thickness_mm - table_mm - into_bone_mm, 0.7)
    bone = tissue.CORTICAL_BONE_HU + 110 * texture
    blend(bone, diploe, tissue.DIPLOE_HU + 170 * texture)
    present = soft_step(into_bone_mm) * (1 - frame.head.suture_loss)[frame.angle]
    blend(hu, present, bone)


def _paint_headrest(hu: FloatImage, frame: SliceFrame) -> None:
    """Paint the scanner's headrest: a thin shell behind the head, fixed to the image and not to the head."""
    radius = np.hypot(frame.grid.x_mm, frame.grid.y_mm + np.float32(12))
    shell = soft_step(2.2 - np.abs(radius - np.float32(124))) * soft_step(frame.grid.y_mm - 46)
    blend(hu, shell, tissue.HEADREST_HU)
