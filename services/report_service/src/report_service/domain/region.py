"""A region that a reviewer draws on an image.

Coordinates are those of DICOM's spatial coordinates: (x, y) is (column, row) in pixels of the image, with fractions;
(0, 0) is the top left corner of the top left pixel, (columns, rows) the bottom right corner of the bottom right one.
Source: DICOM PS3.3 section C.18.6.1.2.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_POINTS = 500
_SMALLEST_AREA = 1e-6
"""In square pixels: what is less has no inside that anybody could mean."""
_TOLERANCE = 1e-6
"""In pixels: rounding of a region that reaches to the border."""

Coordinate = Annotated[float, Field(strict=True, ge=0.0, le=1_000_000.0, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]


class ImpossibleRegion(ValueError):
    """A region is not one of its image; the message says why."""


class Polygon(BaseModel):
    """A closed outline: the last point is joined with the first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Literal["polygon"]
    points: Annotated[tuple[Point, ...], Field(min_length=3, max_length=MAX_POINTS, description="(x, y) each.")]

    def extent(self) -> tuple[float, float, float, float]:
        """Least and greatest x, least and greatest y."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), max(xs), min(ys), max(ys)

    def area(self) -> float:
        """In square pixels, by the shoelace formula."""
        shifted = (*self.points[1:], self.points[0])
        return abs(sum(x * y1 - x1 * y for (x, y), (x1, y1) in zip(self.points, shifted, strict=True))) / 2.0


class Ellipse(BaseModel):
    """An ellipse by its centre and semi-axes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Literal["ellipse"]
    center: Point = Field(description="(x, y).")
    radii: Point = Field(description="Semi-axes in pixels, along x and y before it is turned.")
    rotation_deg: Annotated[float, Field(strict=True, ge=0.0, lt=180.0, allow_inf_nan=False)] = Field(
        default=0.0, description="How far it is turned, from x towards y: clockwise as the image is shown."
    )

    def extent(self) -> tuple[float, float, float, float]:
        """Least and greatest x, least and greatest y."""
        (x, y), (a, b) = self.center, self.radii
        angle = math.radians(self.rotation_deg)
        half_x = math.hypot(a * math.cos(angle), b * math.sin(angle))
        half_y = math.hypot(a * math.sin(angle), b * math.cos(angle))
        return x - half_x, x + half_x, y - half_y, y + half_y

    def area(self) -> float:
        """In square pixels."""
        return math.pi * self.radii[0] * self.radii[1]


def _whole(number: object) -> object:
    """A number without a fraction is an integer to JSON Schema, however it is written."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class Region(BaseModel):
    """Where on which frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame_number: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1), BeforeValidator(_whole)] = Field(
        description="From 1, as in DICOM."
    )
    outline: Annotated[Polygon | Ellipse, Field(discriminator="shape")]

    def check_within(self, *, rows: int, columns: int) -> None:
        """Go on only with a region that lies in an image of that size.

        Raises:
            ImpossibleRegion: it reaches beyond, or has no inside.
        """
        least_x, greatest_x, least_y, greatest_y = self.outline.extent()
        if min(least_x, least_y) < -_TOLERANCE or greatest_x > columns + _TOLERANCE or greatest_y > rows + _TOLERANCE:
            raise ImpossibleRegion(f"the region reaches beyond the image of {columns} columns and {rows} rows")
        if self.outline.area() < _SMALLEST_AREA:
            raise ImpossibleRegion("the region has no area")
