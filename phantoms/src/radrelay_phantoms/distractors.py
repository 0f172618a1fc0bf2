"""Bright and dark things that are no haemorrhage: calcifications, old infarcts, hygromas."""

from dataclasses import dataclass

import numpy as np

from radrelay_phantoms import tissue
from radrelay_phantoms.extra_axial import draw_hygroma
from radrelay_phantoms.fields import FloatImage, soft_step
from radrelay_phantoms.lesions import Blob, Lesion, place_in_brain
from radrelay_phantoms.slice_frame import SliceFrame


@dataclass(frozen=True, slots=True)
class Calcification:
    """A calcified spot.

    Attributes:
        centre_mm: x, y and level.
        half_axes_mm: along x, y and level.
        hu: CT number where it fills the voxel.
        patchiness: 0 (solid) to 1 (speckled).
    """

    centre_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]
    hu: float
    patchiness: float

    def paint(self, hu: FloatImage, frame: SliceFrame, x_mm: FloatImage, y_mm: FloatImage) -> None:
        """Paint into `hu` in place, at displaced coordinates; the slice may take only a part of it."""
        height = (frame.level_mm - self.centre_mm[2]) / self.half_axes_mm[2]
        if abs(height) >= 1:
            return
        u = (x_mm - np.float32(self.centre_mm[0])) / np.float32(self.half_axes_mm[0])
        v = (y_mm - np.float32(self.centre_mm[1])) / np.float32(self.half_axes_mm[1])
        inside_mm = (1 - np.hypot(u, v)) * np.float32(min(self.half_axes_mm[:2]))
        filled = soft_step(inside_mm, 0.6) * np.float32(1 - height * height)
        speckle = np.clip(1 + np.float32(self.patchiness) * frame.field("bone_texture"), 0, 2)
        np.maximum(hu, hu + filled * speckle * (np.float32(self.hu) - hu), out=hu)


@dataclass(frozen=True, slots=True)
class Distractors:
    """What imitates a haemorrhage in one head: spots of calcium, and lesions without acute blood."""

    calcifications: tuple[Calcification, ...]
    lesions: tuple[Lesion, ...]


def draw_distractors(rng: np.random.Generator, frame: SliceFrame) -> Distractors:
    """Draw them as often as adults have them; basal ganglia, falx and hygroma more often, to teach the difference."""
    calcifications = [*_midline(rng), *_choroid_plexus(rng), *_basal_ganglia(rng), *_scattered(rng, frame)]
    lesions: list[Lesion] = []
    if rng.uniform() < 0.10:
        lesions.append(draw_hygroma(rng, frame.level_mm))
    if rng.uniform() < 0.15:
        lesions.append(_old_infarct(rng, frame))
    return Distractors(tuple(calcifications), tuple(lesions))


def _calcium_hu(rng: np.random.Generator) -> float:
    return float(np.clip(tissue.CALCIFICATION_HU * rng.lognormal(0, 0.55), 62, 700))


def _midline(rng: np.random.Generator) -> list[Calcification]:
    """Pineal gland and falx."""
    found = []
    if rng.uniform() < 0.71:
        half = float(rng.uniform(1.4, 3.6))
        centre = (float(rng.normal(0, 0.8)), float(rng.normal(15, 2)), float(rng.uniform(-2, 6)))
        found.append(Calcification(centre, (half, half * float(rng.uniform(0.8, 1.5)), 7), _calcium_hu(rng), 0.4))
    if rng.uniform() < 0.18:
        y = float(rng.choice((-1, 1)) * rng.uniform(42, 66))
        half_axes = (float(rng.uniform(1.0, 2.4)), float(rng.uniform(4, 11)), 12.0)
        found.append(Calcification((0.0, y, float(rng.uniform(5, 55))), half_axes, _calcium_hu(rng), 0.5))
    return found


def _choroid_plexus(rng: np.random.Generator) -> list[Calcification]:
    """The glomus in each atrium, most often on both sides."""
    if rng.uniform() > 0.66:
        return []
    sides = (-1, 1) if rng.uniform() < 0.8 else (int(rng.choice((-1, 1))),)
    size, level = float(rng.uniform(1.5, 4.6)), float(rng.uniform(6, 17))
    return [
        Calcification(
            centre_mm=(side * (22.5 + float(rng.normal(0, 1))), 25 + float(rng.normal(0, 2.5)), level),
            half_axes_mm=(size * float(rng.uniform(0.7, 1.2)), size * float(rng.uniform(1, 1.6)), 9),
            hu=_calcium_hu(rng),
            patchiness=0.6,
        )
        for side in sides
    ]


def _basal_ganglia(rng: np.random.Generator) -> list[Calcification]:
    """Faint, patchy calcium in both pallida, often within the range of acute blood."""
    if rng.uniform() > 0.16:
        return []
    hu = float(rng.uniform(58, 130))
    half_x, half_y = float(rng.uniform(2.5, 5.5)), float(rng.uniform(4, 9))
    level = float(rng.uniform(0, 9))
    return [
        Calcification(
            centre_mm=(side * (20.5 + float(rng.normal(0, 1))), -3 + float(rng.normal(0, 1.5)), level),
            half_axes_mm=(half_x * float(rng.uniform(0.8, 1.2)), half_y * float(rng.uniform(0.8, 1.2)), 11),
            hu=hu,
            patchiness=0.7,
        )
        for side in (-1, 1)
    ]


def _scattered(rng: np.random.Generator, frame: SliceFrame) -> list[Calcification]:
    """Old granulomas and vessel walls: small and bright."""
    found = []
    for _ in range(int(rng.poisson(0.35))):
        half = float(rng.uniform(0.8, 2.8))
        x, y = place_in_brain(rng, frame, half, deep=False)
        found.append(Calcification((x, y, frame.level_mm), (half, half, 5), _calcium_hu(rng), 0.2))
    return found


def _old_infarct(rng: np.random.Generator, frame: SliceFrame) -> Blob:
    """A dark, shrunken region: what oedema looks like without the blood."""
    radius_mm = float(rng.uniform(4, 15))
    x, y = place_in_brain(rng, frame, radius_mm, deep=bool(rng.uniform() < 0.4))
    return Blob(
        centre_mm=(x, y, frame.level_mm),
        half_axes_mm=(radius_mm, radius_mm * float(rng.uniform(0.7, 1.4)), radius_mm),
        turn_rad=float(rng.uniform(-1, 1)),
        hu=tissue.CHRONIC_ISCHAEMIA_HU + float(rng.normal(0, 4)),
        unevenness_hu=2.0,
        oedema_mm=3.0,
        oedema_drop_hu=3.0,
        mass=0.0,
    )
