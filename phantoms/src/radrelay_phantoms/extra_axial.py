"""Collections between skull and brain: the epidural lens, the subdural crescent, and hygromas that imitate them."""

from dataclasses import dataclass

import numpy as np

from radrelay_phantoms import tissue
from radrelay_phantoms.brain import Brain
from radrelay_phantoms.fields import FloatImage, blend, curve_angles, soft_step
from radrelay_phantoms.phantom import HaemorrhageKind
from radrelay_phantoms.slice_frame import SliceFrame

SHIFT_REACH_MM = 55.0

GIVE = 0.8
"""Share of a collection's thickness by which the brain's surface moves; the rest presses its sulci shut."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection along the inner table.

    Attributes:
        shape: EPIDURAL bulges towards the brain and ends abruptly; SUBDURAL follows the brain and tapers.
        angle_rad: its middle, as a polar angle of the head's frame.
        half_width_rad: half of its extent along the skull.
        thickness_mm: where it is thickest.
        level_mm: level of its middle.
        half_height_mm: half of its extent in level.
        hu: mean CT number.
        unevenness_hu: standard deviation of the CT number inside.
        shift: displacement of the brain away from it, as a share of its thickness.
    """

    shape: HaemorrhageKind
    angle_rad: float
    half_width_rad: float
    thickness_mm: float
    level_mm: float
    half_height_mm: float
    hu: float
    unevenness_hu: float
    shift: float

    def _section(self, level_mm: float) -> float:
        height = (level_mm - self.level_mm) / self.half_height_mm
        return float(np.sqrt(max(1 - height * height, 0)))

    def thickness_at(self, level_mm: float) -> FloatImage:
        """Return the thickness along the skull in one slice: float32, shape (ANGLES,)."""
        section = self._section(level_mm)
        offset = np.angle(np.exp(1j * (curve_angles() - self.angle_rad))) / (self.half_width_rad * max(section, 0.3))
        power = 2.0 if self.shape is HaemorrhageKind.EPIDURAL else 4.0
        profile = np.clip(1 - np.abs(offset) ** power, 0, 1)
        if self.shape is HaemorrhageKind.SUBDURAL:
            profile *= 0.75 + 0.25 * np.cos(2.3 * offset + 0.8)
        thickness: FloatImage = (self.thickness_mm * section * profile).astype(np.float32)
        return thickness

    def displace(self, frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> tuple[FloatImage, FloatImage]:
        """Press the brain in under the collection and shift it towards the other side."""
        inner_mm = frame.head.inner_table_at(frame.level_mm)[frame.angle]
        share = np.clip(frame.radius_mm / inner_mm, 0, 1.2)
        pressed_mm = np.float32(GIVE) * self.thickness_at(frame.level_mm)[frame.angle] * share**4
        radial = 1 + pressed_mm / np.maximum(frame.radius_mm, 1)
        x, y = x_mm * radial, y_mm * radial
        shift_mm = self.shift * self.thickness_mm * self._section(frame.level_mm)
        reach_mm = frame.head.inner_table_at(frame.level_mm).mean() * 0.7
        cos, sin = np.float32(np.cos(self.angle_rad)), np.float32(np.sin(self.angle_rad))
        away2 = (frame.x_mm - cos * reach_mm) ** 2 + (frame.y_mm - sin * reach_mm) ** 2
        amount = np.float32(shift_mm) * np.exp(away2 * np.float32(-0.5 / SHIFT_REACH_MM**2)) * (1 - share**4).clip(0)
        return x + cos * amount, y + sin * amount

    def paint(self, hu: FloatImage, frame: SliceFrame, brain: Brain) -> FloatImage:
        """Paint the collection under the inner table; the falx stops a subdural one."""
        del brain
        share = soft_step(self.thickness_at(frame.level_mm)[frame.angle] - frame.depth_mm - 0.3, 0.8)
        share *= soft_step(frame.depth_mm)
        if self.shape is HaemorrhageKind.SUBDURAL:
            side = 1.0 if np.cos(self.angle_rad) > 0 else -1.0
            share *= soft_step(frame.x_mm * np.float32(side) - 1.2)
        blend(hu, share, np.float32(self.hu) + np.float32(self.unevenness_hu) * frame.field("blood_texture"))
        return share


def _side_angle(rng: np.random.Generator, spread_rad: float) -> float:
    """Draw a polar angle on one of the two sides of the head."""
    return float((0 if rng.uniform() < 0.5 else np.pi) + rng.uniform(-spread_rad, spread_rad))


def draw_lens(rng: np.random.Generator, level_mm: float, hu: float, size: float) -> Collection:
    """Draw an epidural haematoma; `size` 1 is the middle of the range."""
    thickness_mm = float(np.clip(11 * size * rng.lognormal(0, 0.4), 3.5, 28))
    return Collection(
        shape=HaemorrhageKind.EPIDURAL,
        angle_rad=_side_angle(rng, 1.2),
        half_width_rad=float(np.clip(0.18 + 0.024 * thickness_mm + rng.normal(0, 0.04), 0.2, 0.75)),
        thickness_mm=thickness_mm,
        level_mm=level_mm + float(rng.uniform(-6, 6)),
        half_height_mm=float(rng.uniform(18, 34)),
        hu=hu,
        unevenness_hu=float(rng.uniform(1, 5)),
        shift=float(rng.uniform(0.2, 0.5)),
    )


def draw_crescent(rng: np.random.Generator, level_mm: float, hu: float, size: float) -> Collection:
    """Draw a subdural haematoma; `size` 1 is the middle of the range."""
    return Collection(
        shape=HaemorrhageKind.SUBDURAL,
        angle_rad=_side_angle(rng, 0.6),
        half_width_rad=float(rng.uniform(0.65, 1.25)),
        thickness_mm=float(np.clip(6.5 * size * rng.lognormal(0, 0.4), 2.5, 17)),
        level_mm=level_mm + float(rng.uniform(-8, 8)),
        half_height_mm=float(rng.uniform(24, 42)),
        hu=hu,
        unevenness_hu=float(rng.uniform(1, 5)),
        shift=float(rng.uniform(0.3, 0.7)),
    )


def draw_hygroma(rng: np.random.Generator, level_mm: float) -> Collection:
    """Draw an old, dark subdural collection: the shape of a haemorrhage without acute blood."""
    return draw_crescent(rng, level_mm, tissue.CSF_HU + float(rng.uniform(0, 9)), float(rng.uniform(0.6, 1.2)))
