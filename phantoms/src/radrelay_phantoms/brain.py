"""The brain and its fluid spaces: cortex, white matter, deep nuclei, ventricles, sulci, falx and sinus."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radrelay_phantoms import tissue
from radrelay_phantoms.fields import FloatImage, angle_index, blend, soft_step
from radrelay_phantoms.slice_frame import SliceFrame

CORTEX_MM = 3.2
SULCAL_WANDER_RAD = 1.5
WARP_MM = 2.4


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """A paired structure, given for the left side in millimetres: centre, half axes, turn about the vertical."""

    centre: tuple[float, float, float]
    half_axes: tuple[float, float, float]
    turn_deg: float = 0.0


LATERAL_VENTRICLE = (
    Ellipsoid((7.5, -25, 8), (4.3, 14, 17), -20),
    Ellipsoid((11.5, -3, 24), (5.0, 30, 11), 9),
    Ellipsoid((24, 28, 9), (6.5, 15, 17), 14),
)
THIRD_VENTRICLE = Ellipsoid((0, 1, -2), (2.2, 12, 13))
CAUDATE = Ellipsoid((14.5, -21, 10), (4.6, 9, 15), -14)
THALAMUS = Ellipsoid((10.5, 8, 4), (7.5, 13, 15), 20)
LENTIFORM = Ellipsoid((25, -5, 3), (6.5, 16, 14), 14)
DEEP_NUCLEI = (CAUDATE, THALAMUS, LENTIFORM)

INSULA_TOP_MM = 19.0
SYLVIAN_WANDER_MM = 3.0
SYLVIAN_LINES = (((37, -21), (42, -7)), ((42, -7), (38, 14)), ((42, -3), (57, -9)), ((57, -9), (75, 2)))


@dataclass(frozen=True, slots=True, eq=False)
class Brain:
    """The painted inside of the skull. Images are float32, shape (size, size).

    Attributes:
        hu: Hounsfield units, meaningful inside the inner table.
        ventricles: 0 to 1.
        tissue: 0 to 1, the brain's surface inwards.
    """

    hu: FloatImage
    ventricles: FloatImage
    tissue: FloatImage


def paint_brain(frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage, ventricle_scale: float) -> Brain:
    """Paint the brain, looked up at displaced coordinates.

    Args:
        frame: the slice.
        x_mm: where each pixel's tissue would lie in the undisturbed head, float32, shape (size, size).
        y_mm: likewise.
        ventricle_scale: 1 for the middle of the range.
    """
    head = frame.head
    x_mm = x_mm + WARP_MM * frame.field("warp_x")
    y_mm = y_mm + WARP_MM * frame.field("warp_y")
    angle = angle_index(y_mm, x_mm)
    radius_mm = np.hypot(x_mm, y_mm)
    depth_mm = head.inner_table_at(frame.level_mm)[angle] - radius_mm

    rim_mm = 0.9 + 2.0 * head.atrophy
    surface = soft_step(depth_mm - rim_mm, 0.8)
    sulcal_grey, sulcal_fluid = _sulci(frame, angle, radius_mm, depth_mm - rim_mm)
    fissure_mm = _fissure_distance(frame, x_mm, y_mm)
    sylvian_mm = _sylvian_distance(frame, x_mm, y_mm)
    ventricle_mm = _ventricle_distance(frame, x_mm, y_mm, ventricle_scale)
    ventricles = soft_step(ventricle_mm, 0.7)

    hu = np.full_like(x_mm, tissue.GREY_MATTER_HU) + 1.1 * frame.field("fine_texture")
    white = soft_step(depth_mm - rim_mm - CORTEX_MM, 1.2) * (1 - sulcal_grey)
    white *= soft_step(fissure_mm - CORTEX_MM, 1.2) * soft_step(sylvian_mm - CORTEX_MM - 1, 1.2)
    blend(hu, white, tissue.WHITE_MATTER_HU + 1.2 * frame.field("white_texture"))
    blend(hu, _nuclei(frame, x_mm, y_mm), tissue.DEEP_GREY_MATTER_HU)
    pale = soft_step(ventricle_mm + 5, 4.5) * np.float32(min(head.leukoaraiosis, 1.0)) * white
    blend(hu, pale, tissue.CHRONIC_ISCHAEMIA_HU)

    fluid = np.maximum(sulcal_fluid, 1 - surface)
    fluid = np.maximum(fluid, soft_step(0.5 + 1.3 * head.atrophy - fissure_mm, 0.8) * 0.85)
    fluid = np.maximum(fluid, soft_step(0.7 + 1.6 * head.atrophy - sylvian_mm, 0.8) * 0.9)
    fluid = np.maximum(fluid, ventricles)
    blend(hu, fluid, tissue.CSF_HU)
    _paint_dura(hu, frame, x_mm, fissure_mm)
    return Brain(hu=hu, ventricles=ventricles, tissue=surface)


def _sulci(
    frame: SliceFrame, angle: NDArray[np.int32], radius_mm: FloatImage, depth_mm: FloatImage
) -> tuple[FloatImage, FloatImage]:
    """Return the cortex folded into sulci, and the fluid in them, 0 to 1.

    Sulci are the zeros of a wandering angular phase: each runs in from the surface to a depth of its own.
    """
    head = frame.head
    polar = (angle.astype(np.float32) + np.float32(0.5)) * np.float32(head.sulci / head.outer_table_mm.size)
    wander = frame.field("sulcal_warp") * SULCAL_WANDER_RAD + 0.45 * frame.field("sulcal_detail")
    phase = polar + wander * np.float32(1 / (2 * np.pi))
    whole = np.floor(phase)
    spacing_mm = radius_mm * np.float32(2 * np.pi / head.sulci)
    distance_mm = np.abs(phase - whole - np.float32(0.5)) * spacing_mm
    reach_mm = head.sulcus_depth_mm[whole.astype(np.int32) % head.sulci]
    width_mm = (0.15 + 1.15 * head.atrophy) * np.clip(1.2 - depth_mm / reach_mm, 0, 1.2)
    within = soft_step(reach_mm - depth_mm, 1.5)
    fluid = soft_step(width_mm - distance_mm, 0.7) * within
    grey = soft_step(CORTEX_MM - 0.3 + width_mm - distance_mm, 1.2) * soft_step(reach_mm + CORTEX_MM - depth_mm, 1.5)
    return grey, fluid


def _fissure_distance(frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> FloatImage:
    """Return the distance to the interhemispheric fissure, which the corpus callosum bridges at low levels."""
    openness = np.clip((frame.level_mm - 4) / 34, 0, 1)
    front_mm = -40 + 40 * openness
    back_mm = 38 - 38 * openness
    bridge_mm = np.minimum(y_mm - np.float32(front_mm), np.float32(back_mm) - y_mm)
    distance_mm: FloatImage = np.hypot(x_mm, np.maximum(bridge_mm, 0))
    return distance_mm


def _sylvian_distance(frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> FloatImage:
    """Return the distance to the Sylvian fissures and the insular cisterns."""
    nearest = np.full_like(x_mm, 1e3)
    x_mm = x_mm + SYLVIAN_WANDER_MM * frame.field("sulcal_warp")
    y_mm = y_mm + SYLVIAN_WANDER_MM * frame.field("edge")
    for side in (-1, 1):
        if frame.side_level_mm(side) > INSULA_TOP_MM:
            continue
        for (x0, y0), (x1, y1) in SYLVIAN_LINES:
            dx, dy = side * (x1 - x0), y1 - y0
            px, py = x_mm - np.float32(side * x0), y_mm - np.float32(y0)
            along = np.clip((px * dx + py * dy) / np.float32(dx * dx + dy * dy), 0, 1)
            np.minimum(nearest, np.hypot(px - along * dx, py - along * dy), out=nearest)
    return nearest


def _inside_mm(
    shape: Ellipsoid, side: int, level_mm: float, scale: float, xy: tuple[FloatImage, FloatImage]
) -> FloatImage | None:
    """Return about how far each pixel lies inside an ellipsoid, or None where the slice misses it."""
    height = (level_mm - shape.centre[2]) / shape.half_axes[2]
    if abs(height) >= 0.98:
        return None
    section = float(np.sqrt(1 - height * height))
    half_x, half_y = shape.half_axes[0] * section * scale, shape.half_axes[1] * section * np.sqrt(scale)
    turn = np.deg2rad(shape.turn_deg) * side
    x = xy[0] - np.float32(side * shape.centre[0])
    y = xy[1] - np.float32(shape.centre[1])
    u = x * np.float32(np.cos(turn) / half_x) - y * np.float32(np.sin(turn) / half_x)
    v = x * np.float32(np.sin(turn) / half_y) + y * np.float32(np.cos(turn) / half_y)
    return (1 - np.hypot(u, v)) * np.float32(half_x)


def _ventricle_distance(frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage, scale: float) -> FloatImage:
    """Return about how far each pixel lies inside the ventricles, negative outside."""
    inside = np.full_like(x_mm, -1e3)
    shapes = [(shape, side) for shape in LATERAL_VENTRICLE for side in (-1, 1)] + [(THIRD_VENTRICLE, 1)]
    for shape, side in shapes:
        distance = _inside_mm(shape, side, frame.side_level_mm(side), scale, (x_mm, y_mm))
        if distance is not None:
            np.maximum(inside, distance, out=inside)
    return inside


def _nuclei(frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> FloatImage:
    """Return the deep grey nuclei, 0 to 1."""
    grey = np.zeros_like(x_mm)
    for shape in DEEP_NUCLEI:
        for side in (-1, 1):
            distance = _inside_mm(shape, side, frame.side_level_mm(side), 1.0, (x_mm, y_mm))
            if distance is not None:
                np.maximum(grey, soft_step(distance, 1.2), out=grey)
    return grey


def _paint_dura(hu: FloatImage, frame: SliceFrame, x_mm: FloatImage, fissure_mm: FloatImage) -> None:
    """Paint the falx and the superior sagittal sinus, which are brighter than brain."""
    blend(hu, soft_step(0.7 - fissure_mm, 0.6) * 0.9, tissue.DURA_HU)
    high = np.clip((frame.level_mm - 30) / 20, 0, 1)
    ends = soft_step(frame.y_mm, 10) + np.float32(high) * soft_step(-frame.y_mm, 10)
    triangle = (7.5 - frame.depth_mm) * 0.55 - np.abs(x_mm)
    blend(hu, soft_step(triangle, 0.8) * np.clip(ends, 0, 1), tissue.VENOUS_BLOOD_HU)
