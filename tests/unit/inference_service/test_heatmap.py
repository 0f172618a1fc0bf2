"""The explanation lies exactly on the image that people see."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from inference_service.imaging import Heatmap, render_heatmap
from inference_service.imaging.geometry import Placement, place


def overlay_yxc(heatmap: Heatmap) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(heatmap.overlay_png)) as opened:
        assert opened.mode == "RGBA"
        return np.asarray(opened)


def cam_yx(heatmap: Heatmap) -> npt.NDArray[np.float32]:
    loaded: npt.NDArray[np.float32] = np.load(io.BytesIO(heatmap.cam_npy), allow_pickle=False)
    assert loaded.dtype == np.float32
    return loaded


def square(rows: int, columns: int, input_px: int = 384) -> Placement:
    return place(rows, columns, pixel_aspect=1.0, input_px=input_px)


def test_a_square_image_keeps_the_map_untouched() -> None:
    cam = np.random.default_rng(0).random((12, 12), dtype=np.float32)
    assert np.array_equal(cam_yx(render_heatmap(cam, square(512, 512))), cam)


def test_padding_is_cut_off() -> None:
    cam = np.zeros((12, 12), np.float32)
    cam[:3], cam[9:], cam[3:9] = 9.0, 9.0, 1.0
    wide = render_heatmap(cam, square(256, 512))
    assert cam_yx(wide).shape == (6, 12)
    assert cam_yx(wide)[1:-1].max() == pytest.approx(1.0)
    assert overlay_yxc(wide).shape == (256, 512, 4)


@pytest.mark.parametrize(("rows", "columns"), [(512, 512), (256, 512), (512, 200), (3000, 2000)])
def test_a_hot_cell_is_where_it_belongs_in_the_image(rows: int, columns: int) -> None:
    placement = square(rows, columns)
    cam = np.zeros((12, 12), np.float32)
    cell_y, cell_x = 6, 5
    cam[cell_y, cell_x] = 0.5
    heatmap = render_heatmap(cam, placement)
    alpha_yx = overlay_yxc(heatmap)[..., 3]
    assert alpha_yx.shape == placement.preview_size
    found_y, found_x = np.unravel_index(int(alpha_yx.argmax()), alpha_yx.shape)
    # Centre of the cell in input pixels, then in the preview's pixels.
    expected_y = ((cell_y + 0.5) * 32 - placement.top) / placement.height * alpha_yx.shape[0]
    expected_x = ((cell_x + 0.5) * 32 - placement.left) / placement.width * alpha_yx.shape[1]
    assert abs(found_y + 0.5 - expected_y) <= alpha_yx.shape[0] * 0.02
    assert abs(found_x + 0.5 - expected_x) <= alpha_yx.shape[1] * 0.02


def test_opacity_follows_the_heat_and_is_relative_to_the_maximum() -> None:
    cam = np.repeat(np.linspace(0, 1, 12, dtype=np.float32)[:, np.newaxis], 12, axis=1)
    faint, strong = (overlay_yxc(render_heatmap(cam * factor, square(120, 120))) for factor in (1e-3, 10.0))
    assert np.array_equal(faint, strong)
    assert faint[0, 60, 3] == 0
    assert faint[..., 3].max() == 178
    assert np.diff(faint[:, 60, 3].astype(int)).min() >= 0
    assert faint[-1, 60, :3].tolist() == [255, 255, 0]


def test_no_evidence_gives_an_empty_overlay() -> None:
    heatmap = render_heatmap(np.zeros((12, 12), np.float32), square(64, 64))
    assert overlay_yxc(heatmap)[..., 3].max() == 0
    assert cam_yx(heatmap).max() == 0.0


def test_the_map_is_never_negative() -> None:
    cam = np.random.default_rng(1).random((12, 12), dtype=np.float32) ** 8
    assert cam_yx(render_heatmap(cam, square(300, 511))).min() >= 0.0
