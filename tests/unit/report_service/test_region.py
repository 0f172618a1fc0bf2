from typing import Any

import pytest
from pydantic import ValidationError

from report_service.domain.region import MAX_POINTS, ImpossibleRegion, Region

ROWS, COLUMNS = 100, 200
WHOLE = [(0, 0), (COLUMNS, 0), (COLUMNS, ROWS), (0, ROWS)]


def region(outline: dict[str, Any], frame_number: int = 1) -> Region:
    return Region.model_validate({"frame_number": frame_number, "outline": outline})


def polygon(*points: tuple[float, float]) -> dict[str, Any]:
    return {"shape": "polygon", "points": list(points)}


def ellipse(x: float, y: float, a: float, b: float, rotation_deg: float = 0.0) -> dict[str, Any]:
    return {"shape": "ellipse", "center": (x, y), "radii": (a, b), "rotation_deg": rotation_deg}


@pytest.mark.parametrize(
    "outline",
    [
        polygon(*WHOLE),
        polygon((0.25, 0.5), (3, 1), (2, 9.75)),
        ellipse(100, 50, 100, 50),
        ellipse(100, 50, 50, 100, 90.0),
        ellipse(100, 50, 50, 50, 45.0),
    ],
)
def test_a_region_up_to_the_border_is_within(outline: dict[str, Any]) -> None:
    region(outline).check_within(rows=ROWS, columns=COLUMNS)


@pytest.mark.parametrize(
    "outline",
    [
        polygon((0, 0), (COLUMNS + 0.01, 0), (0, ROWS)),
        polygon((0, 0), (COLUMNS, 0), (0, ROWS + 0.01)),
        # Rows and columns are not to be mistaken for each other.
        polygon((0, 0), (0, COLUMNS), (ROWS, 0)),
        ellipse(100, 50, 50, 100),
        ellipse(99, 50, 100, 50),
        ellipse(100, 50, 100, 50, 10.0),
    ],
)
def test_a_region_beyond_the_image_is_refused(outline: dict[str, Any]) -> None:
    with pytest.raises(ImpossibleRegion, match="200 columns and 100 rows"):
        region(outline).check_within(rows=ROWS, columns=COLUMNS)


@pytest.mark.parametrize("outline", [polygon((1, 1), (2, 2), (3, 3)), ellipse(50, 50, 0, 5)])
def test_a_region_without_an_inside_is_refused(outline: dict[str, Any]) -> None:
    with pytest.raises(ImpossibleRegion, match="no area"):
        region(outline).check_within(rows=ROWS, columns=COLUMNS)


@pytest.mark.parametrize(
    "outline",
    [
        polygon((1, 1), (2, 2)),
        polygon(*[(0, i) for i in range(MAX_POINTS + 1)]),
        polygon((-1, 0), (2, 2), (0, 3)),
        polygon((float("nan"), 0), (2, 2), (0, 3)),
        polygon((float("inf"), 0), (2, 2), (0, 3)),
        ellipse(5, 5, 1, 1, 180.0),
        ellipse(5, 5, 1, 1) | {"shape": "star"},
        ellipse(5, 5, 1, 1) | {"colour": "red"},
    ],
)
def test_what_is_no_outline_fits_no_schema(outline: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        region(outline)


def test_frames_count_from_one() -> None:
    with pytest.raises(ValidationError):
        region(polygon(*WHOLE), frame_number=0)
