"""Coordinates, soft edges and smooth random fields that do not depend on the number of pixels."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

FloatImage = NDArray[np.float32]

FIELD_DEPTH_MM = 9.0
"""A field decorrelates over about this many millimetres from slice to slice."""

ANGLES = 2048
"""Samples of a closed curve given as a function of the polar angle."""

_BLAS: Final = ThreadpoolController().select(user_api="blas")
"""NumPy's. Its threads wait for each other spinning: where others use the cores too, a product of small matrices takes
several of them many times as long as one."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Pixel centres of a square image in millimetres, origin in the middle, x to the right, y down.

    Attributes:
        size: pixels along each side.
        spacing_mm: width and height of a pixel.
        x_mm: float32, shape (1, size).
        y_mm: float32, shape (size, 1).
    """

    size: int
    spacing_mm: float
    x_mm: FloatImage
    y_mm: FloatImage

    @classmethod
    def make(cls, size: int, field_of_view_mm: float) -> "Grid":
        """Lay `size` by `size` pixels over a square field of view."""
        spacing_mm = field_of_view_mm / size
        axis = ((np.arange(size) - (size - 1) / 2) * spacing_mm).astype(np.float32)
        return cls(size, spacing_mm, axis[None, :], axis[:, None])


def soft_step(distance_mm: FloatImage, half_width_mm: float = 0.5) -> FloatImage:
    """Return 0 outside (negative distance), 1 inside, with a linear edge of twice `half_width_mm`."""
    scaled = distance_mm * np.float32(0.5 / half_width_mm)
    scaled += np.float32(0.5)
    return np.clip(scaled, 0, 1, out=scaled)


def blend(target: FloatImage, alpha: FloatImage, value: float | FloatImage) -> None:
    """Mix `value` into `target` in place, by `alpha` between 0 and 1."""
    target += alpha * (value - target)


@lru_cache(maxsize=32)
def _spline_basis(size: int, cells: int) -> FloatImage:
    """Return the uniform cubic B-spline basis, shape (size, cells + 3), over the unit interval."""
    position = (np.arange(size) + 0.5) / size * cells
    cell = np.minimum(position.astype(int), cells - 1)
    t = position - cell
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    basis = np.zeros((size, cells + 3), np.float32)
    rows = np.arange(size)
    for offset, weight in enumerate(weights):
        basis[rows, cell + offset] = weight
    return basis


@dataclass(frozen=True, slots=True, eq=False)
class SmoothField:
    """A smooth Gaussian random field over the field of view, of zero mean and about unit variance.

    Attributes:
        coefficients: float32, shape (2, cells + 3, cells + 3).
    """

    coefficients: FloatImage

    @classmethod
    def draw(cls, rng: np.random.Generator, cells: int) -> "SmoothField":
        """Draw a field whose details are about one `cells`-th of the field of view wide."""
        variance = (151 / 315) ** 2  # of a sum of cubic B-splines, averaged over a cell, in two dimensions
        scale = np.float32(1 / np.sqrt(variance))
        return cls(rng.standard_normal((2, cells + 3, cells + 3), dtype=np.float32) * scale)

    def at(self, grid: Grid, level_mm: float) -> FloatImage:
        """Evaluate the field on one slice: float32, shape (size, size)."""
        basis = _spline_basis(grid.size, self.coefficients.shape[1] - 3)
        phase = level_mm / FIELD_DEPTH_MM
        mixed = self.coefficients[0] * np.float32(np.cos(phase)) + self.coefficients[1] * np.float32(np.sin(phase))
        with _BLAS.limit(limits=1):
            field: FloatImage = basis @ mixed @ basis.T
        return field


def closed_curve(rng: np.random.Generator, amplitudes: NDArray[np.float64]) -> FloatImage:
    """Draw a periodic function of the polar angle: float32, shape (ANGLES,), harmonics 1 to len(amplitudes)."""
    angles = np.linspace(-np.pi, np.pi, ANGLES, endpoint=False)
    phases = rng.uniform(0, 2 * np.pi, len(amplitudes))
    sizes = rng.standard_normal(len(amplitudes)) * amplitudes
    orders = np.arange(1, len(amplitudes) + 1)
    curve = (sizes[:, None] * np.cos(orders[:, None] * angles + phases[:, None])).sum(axis=0)
    sampled: FloatImage = curve.astype(np.float32)
    return sampled


def angle_index(y: FloatImage, x: FloatImage) -> NDArray[np.int32]:
    """Return the index into a closed curve for each point; the polar angle starts at the patient's left."""
    index = (np.arctan2(y, x) + np.float32(np.pi)) * np.float32(ANGLES / (2 * np.pi))
    return index.astype(np.int32) % ANGLES


def curve_angles() -> NDArray[np.float64]:
    """Return the polar angles of a closed curve's samples, in radians: float64, shape (ANGLES,)."""
    return np.linspace(-np.pi, np.pi, ANGLES, endpoint=False)
