"""The shape of one synthetic head: everything that stays the same from slice to slice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radrelay_phantoms.fields import ANGLES, FloatImage, SmoothField, closed_curve, curve_angles

WIDEST_LEVEL_MM = 12.0
HEAD_HEIGHT_MM = 98.0

LOWEST_LEVEL_MM = -2.0
HIGHEST_LEVEL_MM = 56.0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The anatomy of one head.

    Lengths in millimetres, angles in radians. Curves are functions of the polar angle (see `fields.closed_curve`).

    Attributes:
        outer_table_mm: radius of the outer table at the widest level, float32, shape (ANGLES,).
        skull_thickness_mm: float32, shape (ANGLES,).
        scalp_thickness_mm: float32, shape (ANGLES,).
        suture_loss: share of bone missing in sutures, 0 to 1, float32, shape (ANGLES,).
        centre_mm: x and y of the head's centre in the image.
        rotation_rad: turn of the head within the slice.
        tilt_rad: roll of the head: the left half is cut higher than the right.
        ventricle_scale: 1 is the middle of the range for adults.
        atrophy: 0 (young, tight sulci) to 1.
        sulci: how many sulci meet the circumference.
        sulcus_depth_mm: float32, shape (sulci,).
        calibration_gain: multiplies soft-tissue HU; scanners differ.
        leukoaraiosis: 0 to 1, dark white matter around the ventricles.
        fields: smooth random fields by name.
    """

    outer_table_mm: FloatImage
    skull_thickness_mm: FloatImage
    scalp_thickness_mm: FloatImage
    suture_loss: FloatImage
    centre_mm: tuple[float, float]
    rotation_rad: float
    tilt_rad: float
    ventricle_scale: float
    atrophy: float
    sulci: int
    sulcus_depth_mm: FloatImage
    calibration_gain: float
    leukoaraiosis: float
    fields: dict[str, SmoothField]

    def level_scale(self, level_mm: float) -> float:
        """Return how much narrower the head is at a level than where it is widest."""
        height = (level_mm - WIDEST_LEVEL_MM) / HEAD_HEIGHT_MM
        return float(np.sqrt(max(1 - height * height, 0.05)))

    def outer_table_at(self, level_mm: float) -> FloatImage:
        """Return the radius of the outer table in one slice: float32, shape (ANGLES,)."""
        return self.outer_table_mm * np.float32(self.level_scale(level_mm))

    def inner_table_at(self, level_mm: float) -> FloatImage:
        """Return the radius of the inner table in one slice; a slanting vault is cut thicker."""
        obliquity = np.float32(1 / self.level_scale(level_mm) ** 1.5)
        return self.outer_table_at(level_mm) - self.skull_thickness_mm * obliquity


FIELD_CELLS = {
    "warp_x": 7,
    "warp_y": 7,
    "sulcal_warp": 13,
    "sulcal_detail": 30,
    "white_texture": 22,
    "fine_texture": 70,
    "bone_texture": 90,
    "blood_texture": 34,
    "edge": 26,
}


def draw_head(rng: np.random.Generator) -> Head:
    """Draw a head of an adult; sizes follow the usual range (breadth 135 to 160 mm, length 170 to 200 mm)."""
    angles = curve_angles()
    half_width_mm = rng.normal(71, 3)
    half_length_mm = rng.normal(89, 3.5)
    ellipse = half_width_mm * half_length_mm / np.hypot(half_length_mm * np.cos(angles), half_width_mm * np.sin(angles))
    egg = 1 + rng.normal(0.03, 0.012) * np.sin(angles)  # the back of the head is broader than the forehead
    irregular = 1 + closed_curve(rng, np.array([0.002, 0.008, 0.006, 0.005, 0.003, 0.003]))
    outer = (ellipse * egg * irregular).astype(np.float32)

    midline = 1.6 * np.exp(-((np.abs(np.sin(angles)) - 1) ** 2) / 0.004)  # crests at the front and the back
    thickness = rng.uniform(4.4, 7.6) + midline + closed_curve(rng, np.array([0.3, 0.5, 0.4, 0.3, 0.3, 0.2, 0.2]))
    temporal = -1.4 * np.abs(np.cos(angles)) ** 3
    skull: FloatImage = np.clip(thickness + temporal, 3.0, 12.0).astype(np.float32)

    sulci = int(rng.integers(30, 40))
    age = rng.uniform()
    return Head(
        outer_table_mm=outer,
        skull_thickness_mm=skull,
        scalp_thickness_mm=_draw_scalp(rng, angles),
        suture_loss=_draw_sutures(rng, angles),
        centre_mm=(float(rng.normal(0, 3.5)), float(rng.normal(0, 4))),
        rotation_rad=float(rng.normal(0, np.deg2rad(5))),
        tilt_rad=float(rng.normal(0, np.deg2rad(3))),
        ventricle_scale=float(np.clip(0.75 + 0.5 * age + rng.normal(0, 0.12), 0.6, 1.5)),
        atrophy=float(np.clip(age + rng.normal(0, 0.15), 0, 1)),
        sulci=sulci,
        sulcus_depth_mm=rng.uniform(4, 19, sulci).astype(np.float32),
        calibration_gain=float(np.clip(rng.normal(1, 0.085), 0.81, 1.19)),
        leukoaraiosis=float(max(0.0, rng.normal(age - 0.75, 0.3))),
        fields={name: SmoothField.draw(rng, cells) for name, cells in FIELD_CELLS.items()},
    )


def _draw_scalp(rng: np.random.Generator, angles: NDArray[np.float64]) -> FloatImage:
    """Return the scalp's thickness, with swelling in some heads: trauma without blood inside is common."""
    scalp = rng.uniform(3.5, 6.5) + closed_curve(rng, np.array([0.4, 0.4, 0.3, 0.2])).astype(np.float64)
    if rng.uniform() < 0.3:
        where, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 0.5)
        offset = np.angle(np.exp(1j * (angles - where)))
        scalp = scalp + rng.uniform(3, 9) * np.exp(-((offset / width) ** 2))
    thickness: FloatImage = np.clip(scalp, 2.5, None).astype(np.float32)
    return thickness


def _draw_sutures(rng: np.random.Generator, angles: NDArray[np.float64]) -> FloatImage:
    """Return the share of bone that is missing where the coronal and lambdoid sutures cross the slice."""
    loss = np.zeros(ANGLES)
    for centre in (-np.pi / 4.2, -np.pi + np.pi / 4.2, np.pi / 3.2, np.pi - np.pi / 3.2):
        offset = np.angle(np.exp(1j * (angles - centre - rng.normal(0, 0.08))))
        loss += rng.uniform(0.1, 0.75) * np.exp(-((offset / 0.011) ** 2))
    missing: FloatImage = loss.astype(np.float32)
    return missing
