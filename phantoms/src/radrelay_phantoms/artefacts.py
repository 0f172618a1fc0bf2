"""What the scanner adds: beam hardening, blur, motion and noise.

Beam hardening: Brooks and Di Chiro, Phys Med Biol 1976;21:390-398 (cupping next to the skull, streaks between dense
bones). Noise: Kijewski and Judy, Phys Med Biol 1987;32:565-575 (filtered back-projection gives a power spectrum that
rises with frequency and rolls off with the kernel).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from radrelay_phantoms.fields import FloatImage
from radrelay_phantoms.slice_frame import SliceFrame

BLUR_MM = 0.55
NOISE_ROLL_OFF_PER_MM = 0.30
NOISE_IN_THE_MIDDLE = 0.35


@dataclass(frozen=True, slots=True)
class Streak:
    """A straight band: its direction, offset from the centre, half width and height at its axis."""

    angle_rad: float
    offset_mm: float
    width_mm: float
    height_hu: float


@dataclass(frozen=True, slots=True)
class Artefacts:
    """The scanner's imperfections in one slice.

    Attributes:
        cupping_hu: rise of CT numbers at the inner table.
        cupping_mm: depth over which it falls to a third.
        streaks: bands of too high or too low CT numbers.
        motion_mm: shift of the head in the course of the scan, x and y.
        motion_share: share of the views taken after it moved.
        noise_sd_hu: standard deviation of the noise at the head's edge; dose and patients differ.
    """

    cupping_hu: float
    cupping_mm: float
    streaks: tuple[Streak, ...]
    motion_mm: tuple[float, float]
    motion_share: float
    noise_sd_hu: float


def draw_artefacts(rng: np.random.Generator, level_mm: float, noise_sd_hu: float) -> Artefacts:
    """Draw the imperfections; streaks are strongest near the skull base."""
    near_base = float(np.clip(1.2 - level_mm / 40, 0.25, 1.2))
    streaks = [
        Streak(
            angle_rad=float(rng.normal(0, 0.25) + (np.pi / 2 if rng.uniform() < 0.3 else 0)),
            offset_mm=float(rng.uniform(-60, 60)),
            width_mm=float(rng.uniform(1.5, 7)),
            height_hu=float(rng.normal(0, 4.0) * near_base),
        )
        for _ in range(int(rng.integers(2, 7)))
    ]
    moved = rng.uniform() < 0.15
    return Artefacts(
        cupping_hu=float(rng.uniform(4, 20)),
        cupping_mm=float(rng.uniform(2.5, 6)),
        streaks=tuple(streaks),
        motion_mm=(float(rng.normal(0, 0.9)), float(rng.normal(0, 0.9))) if moved else (0.0, 0.0),
        motion_share=float(rng.uniform(0.15, 0.4)),
        noise_sd_hu=noise_sd_hu * float(np.clip(rng.lognormal(0, 0.33), 0.6, 1.7)),
    )


def harden_beam(hu: FloatImage, frame: SliceFrame, artefacts: Artefacts) -> None:
    """Add cupping and streaks inside the skull, in place."""
    extra = np.float32(artefacts.cupping_hu) * np.exp(
        np.minimum(-frame.depth_mm, 0) * np.float32(1 / artefacts.cupping_mm)
    )
    for streak in artefacts.streaks:
        cos, sin = np.float32(np.cos(streak.angle_rad)), np.float32(np.sin(streak.angle_rad))
        across = (frame.y_mm * cos - frame.x_mm * sin - np.float32(streak.offset_mm)) * np.float32(1 / streak.width_mm)
        extra += np.float32(streak.height_hu) / (1 + across * across)
    hu += extra * frame.intracranial


def blur_and_move(hu: FloatImage, spacing_mm: float, artefacts: Artefacts) -> FloatImage:
    """Blur by the scanner's point spread, and mix in the head's second position where it moved."""
    blurred: FloatImage = ndimage.gaussian_filter(hu, BLUR_MM / spacing_mm, truncate=3.5)
    if artefacts.motion_mm == (0.0, 0.0):
        return blurred
    shift_yx = (artefacts.motion_mm[1] / spacing_mm, artefacts.motion_mm[0] / spacing_mm)
    moved: FloatImage = ndimage.shift(blurred, shift_yx, order=1, mode="nearest")
    return blurred + np.float32(artefacts.motion_share) * (moved - blurred)


@lru_cache(maxsize=8)
def _noise_filter(size: int, spacing_per_mm: float) -> FloatImage:
    """Return the noise's amplitude spectrum for `rfft2`, scaled to unit variance: shape (size, size // 2 + 1)."""
    frequency_y = np.fft.fftfreq(size, spacing_per_mm)[:, None]
    frequency_x = np.fft.rfftfreq(size, spacing_per_mm)[None, :]
    frequency = np.hypot(frequency_x, frequency_y)
    amplitude = np.sqrt(frequency + 0.01) * np.exp(-((frequency / NOISE_ROLL_OFF_PER_MM) ** 2))
    weights = np.full(size // 2 + 1, 2.0)
    weights[0] = 1.0
    if size % 2 == 0:
        weights[-1] = 1.0
    mean_power = (amplitude**2 * weights).sum() / (size * size)
    scaled: FloatImage = (amplitude / np.sqrt(mean_power)).astype(np.float32)
    return scaled


def add_noise(hu: FloatImage, rng: np.random.Generator, frame: SliceFrame, artefacts: Artefacts) -> None:
    """Add correlated noise, stronger in the middle of the head where fewer photons get through, in place."""
    size = frame.grid.size
    white = rng.standard_normal((size, size), dtype=np.float32)
    spectrum = fft.rfft2(white) * _noise_filter(size, round(frame.grid.spacing_mm, 2))
    noise: FloatImage = fft.irfft2(spectrum, s=(size, size))
    edge_mm = np.float32(frame.head.outer_table_mm.mean())
    middle = np.clip(1 - (frame.radius_mm / edge_mm) ** 2, -0.5, 1)
    hu += noise * (np.float32(artefacts.noise_sd_hu) * (1 + np.float32(NOISE_IN_THE_MIDDLE) * middle))
