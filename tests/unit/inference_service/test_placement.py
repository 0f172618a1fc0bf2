"""The map lies exactly on the image that it explains."""

import numpy as np
import pytest

from inference_service.imaging import Placement, cut_to_image
from inference_service.imaging.placement import place


def square(rows: int, columns: int, input_px: int = 384) -> Placement:
    return place(rows, columns, pixel_aspect=1.0, input_px=input_px)


def test_a_square_image_keeps_the_map_untouched() -> None:
    cam = np.random.default_rng(0).random((12, 12), dtype=np.float32)
    assert np.array_equal(cut_to_image(cam, square(512, 512)), cam)


def test_padding_is_cut_off() -> None:
    cam = np.zeros((12, 12), np.float32)
    cam[:3], cam[9:], cam[3:9] = 9.0, 9.0, 1.0
    wide = cut_to_image(cam, square(256, 512))
    assert wide.shape == (6, 12)
    assert wide[1:-1].max() == pytest.approx(1.0)


@pytest.mark.parametrize(("rows", "columns"), [(256, 512), (512, 200), (3000, 2000)])
def test_heat_is_where_it_belongs_in_the_image(rows: int, columns: int) -> None:
    placement = square(rows, columns)
    cam = np.zeros((12, 12), np.float32)
    cam[6, 5] = 0.5
    cut = cut_to_image(cam, placement)
    found_y, found_x = ((np.argwhere(cut == cut.max())[0] + 0.5) / cut.shape).tolist()
    # Centre of the cell in input pixels, then as a share of the image.
    expected_y = (6.5 * 32 - placement.top) / placement.height
    expected_x = (5.5 * 32 - placement.left) / placement.width
    assert abs(found_y - expected_y) <= 0.5 / cut.shape[0]
    assert abs(found_x - expected_x) <= 0.5 / cut.shape[1]


def test_the_map_is_never_negative() -> None:
    cam = np.random.default_rng(1).random((12, 12), dtype=np.float32) ** 8
    assert cut_to_image(cam, square(300, 511)).min() >= 0.0
