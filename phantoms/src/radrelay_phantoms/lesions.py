"""Haemorrhages: where they lie, how they push the brain aside and how they look.

CT numbers and their sources are in `tissue`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from radrelay_phantoms import tissue
from radrelay_phantoms.brain import Brain
from radrelay_phantoms.extra_axial import Collection, draw_crescent, draw_lens
from radrelay_phantoms.fields import FloatImage, blend, soft_step
from radrelay_phantoms.phantom import HaemorrhageKind
from radrelay_phantoms.slice_frame import SliceFrame

DEEP_TOP_MM = 17.0
"""Level above which there are no basal ganglia to bleed into."""

VENTRICLE_LEVELS_MM = (2.0, 25.0)
"""Levels at which a slice shows enough of the lateral ventricles for blood in them."""

BODY_LEVEL_MM = 16.0
"""Level from which the bodies of the lateral ventricles are cut, below it their horns."""


class Lesion(Protocol):
    """A haemorrhage, or something that imitates one, in one head."""

    def displace(self, frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> tuple[FloatImage, FloatImage]:
        """Return where the tissue that is now at (x, y) lay before."""
        ...

    def paint(self, hu: FloatImage, frame: SliceFrame, brain: Brain) -> FloatImage:
        """Paint into `hu` in place and return how much of each pixel is lesion, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Blob:
    """A focal lesion in the brain's tissue: a haematoma, or an old infarct with no mass effect.

    Attributes:
        centre_mm: x, y and level.
        half_axes_mm: along x, y and level before the turn.
        turn_rad: turn in the slice.
        hu: mean CT number.
        unevenness_hu: standard deviation of the CT number inside.
        oedema_mm: width of the dark rim.
        oedema_drop_hu: how much darker than before the rim is next to the lesion.
        mass: share of the lesion's area that pushes tissue aside; 0 replaces tissue.
        fluid_level_hu: how much the lower half is brighter than the upper; 0 without a level.
    """

    centre_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]
    turn_rad: float
    hu: float
    unevenness_hu: float
    oedema_mm: float
    oedema_drop_hu: float
    mass: float
    fluid_level_hu: float = 0.0

    def _section(self, level_mm: float) -> float:
        height = (level_mm - self.centre_mm[2]) / self.half_axes_mm[2]
        return float(np.sqrt(max(1 - height * height, 0)))

    def displace(self, frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> tuple[FloatImage, FloatImage]:
        """Push tissue outwards so that areas are kept near the lesion, and less further away."""
        section = self._section(frame.level_mm)
        area_mm2 = self.mass * self.half_axes_mm[0] * self.half_axes_mm[1] * section * section
        if area_mm2 == 0:
            return x_mm, y_mm
        dx, dy = x_mm - np.float32(self.centre_mm[0]), y_mm - np.float32(self.centre_mm[1])
        distance2 = dx * dx + dy * dy + np.float32(0.01)
        kept = np.sqrt(np.maximum(1 - np.float32(area_mm2) / distance2, 0.01))
        factor = 1 + (kept - 1) * np.exp(distance2 * np.float32(-1 / 45**2))
        return np.float32(self.centre_mm[0]) + dx * factor, np.float32(self.centre_mm[1]) + dy * factor

    def paint(self, hu: FloatImage, frame: SliceFrame, brain: Brain) -> FloatImage:
        """Paint the lesion with its rim of oedema."""
        section = self._section(frame.level_mm)
        half_x, half_y = self.half_axes_mm[0] * section, self.half_axes_mm[1] * section
        if min(half_x, half_y) < 0.7:
            return np.zeros_like(hu)
        cos, sin = np.float32(np.cos(self.turn_rad)), np.float32(np.sin(self.turn_rad))
        dx, dy = frame.x_mm - np.float32(self.centre_mm[0]), frame.y_mm - np.float32(self.centre_mm[1])
        ellipse = np.hypot((cos * dx + sin * dy) / np.float32(half_x), (cos * dy - sin * dx) / np.float32(half_y))
        mean_half = np.float32(np.sqrt(half_x * half_y))
        inside_mm = (1 - ellipse) * mean_half + np.float32(0.14) * mean_half * frame.field("edge")
        room = frame.intracranial * soft_step(frame.depth_mm - 1.5, 1)
        if self.oedema_mm > 0:
            rim = np.clip(1 + inside_mm / np.float32(self.oedema_mm), 0, 1)
            hu -= rim * np.float32(self.oedema_drop_hu) * brain.tissue * (1 - brain.ventricles)
        share = soft_step(inside_mm, 0.8) * room
        level = np.float32(self.fluid_level_hu) * (soft_step(frame.grid.y_mm - self._level_y(frame), 0.6) - 0.5)
        blend(hu, share, np.float32(self.hu) + np.float32(self.unevenness_hu) * frame.field("blood_texture") + level)
        return share

    def _level_y(self, frame: SliceFrame) -> np.float32:
        """Return the height of the fluid level in the image: blood settles towards the table."""
        sin, cos = np.sin(frame.head.rotation_rad), np.cos(frame.head.rotation_rad)
        return np.float32(frame.head.centre_mm[1] + sin * self.centre_mm[0] + cos * self.centre_mm[1])


@dataclass(frozen=True, slots=True)
class VentricularBlood:
    """Blood in the lateral ventricles: settled at the back of the horns, or a cast around one place.

    Attributes:
        side: 1 for the patient's left, -1 for the right, 0 for both.
        surface_y_mm: blood lies behind this line, in the head's frame.
        centre_y_mm: middle of a cast; with `reach_mm` it replaces the line.
        reach_mm: half length of a cast, 0 for settled blood.
        hu: mean CT number.
        unevenness_hu: standard deviation of the CT number inside.
    """

    side: int
    surface_y_mm: float
    centre_y_mm: float
    reach_mm: float
    hu: float
    unevenness_hu: float

    def displace(self, frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> tuple[FloatImage, FloatImage]:
        """Blood in a ventricle takes the place of fluid."""
        del frame
        return x_mm, y_mm

    def paint(self, hu: FloatImage, frame: SliceFrame, brain: Brain) -> FloatImage:
        """Paint the blood into the ventricles that were painted before."""
        if self.reach_mm > 0:
            ragged_mm = (
                frame.y_mm - np.float32(self.centre_y_mm) + 3 * frame.field("edge") + 2 * frame.field("sulcal_warp")
            )
            filled = soft_step(np.float32(self.reach_mm) - np.abs(ragged_mm), 2)
        else:
            filled = soft_step(frame.y_mm - np.float32(self.surface_y_mm), 0.8)
        if self.side != 0:
            filled = filled * soft_step(frame.x_mm * np.float32(self.side))
        share = filled * brain.ventricles
        blend(hu, share, np.float32(self.hu) + np.float32(self.unevenness_hu) * frame.field("blood_texture"))
        return share


def blood_hu(rng: np.random.Generator, difficulty: float) -> float:
    """Draw the mean CT number of a haemorrhage: less haematocrit or less retraction makes it harder to see."""
    mean = tissue.ACUTE_BLOOD_EASY_HU + difficulty * (tissue.ACUTE_BLOOD_HARD_HU - tissue.ACUTE_BLOOD_EASY_HU)
    return float(np.clip(rng.normal(mean, 5), 45, 84))


def draw_lesion(rng: np.random.Generator, kind: HaemorrhageKind, frame: SliceFrame, difficulty: float) -> Lesion:
    """Draw a haemorrhage that crosses a given slice."""
    if kind is HaemorrhageKind.INTRAPARENCHYMAL:
        return _draw_haematoma(rng, frame, difficulty)
    if kind is HaemorrhageKind.INTRAVENTRICULAR:
        return _draw_ventricular_blood(rng, frame.level_mm, difficulty)
    draw = draw_lens if kind is HaemorrhageKind.EPIDURAL else draw_crescent
    collection: Collection = draw(rng, frame.level_mm, blood_hu(rng, difficulty), 1.3 - 0.9 * difficulty)
    return collection


def place_in_brain(rng: np.random.Generator, frame: SliceFrame, radius_mm: float, *, deep: bool) -> tuple[float, float]:
    """Draw x and y of a focal lesion in the basal ganglia or thalamus, or under the cortex."""
    side = rng.choice((-1, 1))
    if deep:
        return float(side * rng.uniform(12, 30)), float(rng.uniform(-14, 14))
    angle = rng.uniform(-np.pi, np.pi)
    inner_mm = frame.head.inner_table_at(frame.level_mm)
    edge_mm = float(inner_mm[int((angle + np.pi) / (2 * np.pi) * inner_mm.size) % inner_mm.size])
    distance_mm = edge_mm - radius_mm - rng.uniform(4, 18)
    x, y = distance_mm * np.cos(angle), distance_mm * np.sin(angle)
    away_from_falx = side * max(radius_mm + 4, 10)
    return float(x if abs(x) > abs(away_from_falx) else away_from_falx), float(y)


def _draw_haematoma(rng: np.random.Generator, frame: SliceFrame, difficulty: float) -> Blob:
    radius_mm = float(np.clip((14.5 - 9.5 * difficulty) * rng.lognormal(0, 0.4), 4.0, 24))
    stretch = rng.uniform(0.8, 1.3)
    deep = frame.level_mm < DEEP_TOP_MM and rng.uniform() < 0.55
    x, y = place_in_brain(rng, frame, radius_mm, deep=deep)
    return Blob(
        centre_mm=(x, y, frame.level_mm + float(rng.uniform(-0.4, 0.4)) * radius_mm),
        half_axes_mm=(radius_mm / stretch, radius_mm * stretch, radius_mm * float(rng.uniform(0.9, 1.4))),
        turn_rad=float(rng.uniform(-0.6, 0.6)),
        hu=blood_hu(rng, difficulty),
        unevenness_hu=float(rng.uniform(1.5, 5)),
        oedema_mm=float(rng.uniform(1.5, 3 + 0.5 * radius_mm)),
        oedema_drop_hu=float(rng.uniform(0.4, 1.2)) * tissue.OEDEMA_DROP_HU,
        mass=float(rng.uniform(0.4, 0.9)),
        fluid_level_hu=float(rng.uniform(8, 18)) if rng.uniform() < 0.1 else 0.0,
    )


def _draw_ventricular_blood(rng: np.random.Generator, level_mm: float, difficulty: float) -> VentricularBlood:
    cast = rng.uniform() < 0.5
    centres_mm = (-23.0, 27.0) if level_mm < BODY_LEVEL_MM else (-13.0, 7.0)
    return VentricularBlood(
        side=int(rng.choice((-1, 1))) if cast or rng.uniform() < 0.4 else 0,
        surface_y_mm=float(rng.uniform(14, 21) + 9 * difficulty),
        centre_y_mm=float(rng.choice(centres_mm) + rng.normal(0, 3)),
        reach_mm=float(rng.uniform(20, 27) - 11 * difficulty) if cast else 0.0,
        hu=blood_hu(rng, difficulty),
        unevenness_hu=float(rng.uniform(1.5, 5)),
    )
