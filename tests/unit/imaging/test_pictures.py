"""What people see of an image, and of the heat over it."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radrelay_imaging import (
    WINDOWS_HU,
    NamedWindow,
    Refusal,
    RefusalReason,
    Window,
    draw_image,
    draw_overlay,
    picture_size,
)
from support.ct_images import ct, plain, ramp
from support.dicom_files import encode, image, set_pixels

BRAIN = Window(center=40.0, width=80.0)


def pixels(png: bytes, mode: str) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as opened:
        assert opened.mode == mode
        return np.asarray(opened)


def picture_yx(content: bytes, window: Window | None = None, frame_number: int = 1) -> npt.NDArray[np.uint8]:
    return pixels(draw_image(content, frame_number=frame_number, window=window), "L")


def overlay_yxc(heat_yx: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.uint8]:
    return pixels(draw_overlay(heat_yx, size=(rows, columns)), "RGBA")


def test_a_window_is_on_measured_values() -> None:
    hu = np.array([[-1024, 0, 20, 40, 60, 80, 2000]], np.int32)
    assert picture_yx(encode(ct((hu + 1024).astype("<u2"))), BRAIN).tolist() == [[0, 0, 64, 128, 191, 255, 255]]


def test_without_a_window_the_image_is_shown_as_it_asks() -> None:
    made = plain(ramp(), WindowCenter=2000, WindowWidth=1000, VOILUTFunction="LINEAR_EXACT")
    levels = np.clip((ramp().astype(float) - 2000) / 1000 + 0.5, 0, 1) * 255
    assert np.abs(picture_yx(encode(made)) - levels).max() <= 0.51


def test_colour_is_shown_as_luminance_whatever_the_window() -> None:
    made = image(rows=8, columns=8, samples=3, bits=8)
    set_pixels(made, np.tile(np.array([255, 0, 0], np.uint8), 64).tobytes())
    assert set(picture_yx(encode(made), BRAIN).ravel()) == {76}


def test_a_frame_is_drawn_by_its_number() -> None:
    made = ct(np.zeros((4, 4), "<u2"), NumberOfFrames=3)
    set_pixels(made, np.concatenate([np.full((4, 4), 1024 + 40 * k, "<u2") for k in range(3)]).tobytes())
    assert [int(picture_yx(encode(made), BRAIN, number)[0, 0]) for number in (1, 2, 3)] == [0, 128, 255]
    for number in (0, 4):
        with pytest.raises(Refusal) as caught:
            draw_image(encode(made), frame_number=number, window=BRAIN)
        assert caught.value.reason == RefusalReason.MALFORMED_ATTRIBUTES


@pytest.mark.parametrize(("rows", "columns", "size"), [(10, 3000, (3, 1024)), (20, 30, (20, 30)), (1, 5000, (1, 1024))])
def test_a_picture_keeps_the_pixel_frame_and_is_bounded(rows: int, columns: int, size: tuple[int, int]) -> None:
    assert picture_size(rows, columns) == size
    assert picture_yx(encode(plain(np.zeros((rows, columns), "<u2")))).shape == size


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        draw_image(b"text", frame_number=1, window=None)
    assert caught.value.reason == RefusalReason.NOT_DICOM


@pytest.mark.parametrize(("rows", "columns"), [(512, 512), (100, 640), (64, 64)])
def test_a_hot_cell_is_where_it_belongs_in_the_picture(rows: int, columns: int) -> None:
    heat = np.zeros((12, 8), np.float32)
    heat[6, 5] = 0.5
    alpha_yx = overlay_yxc(heat, rows, columns)[..., 3]
    assert alpha_yx.shape == (rows, columns)
    found_y, found_x = np.unravel_index(int(alpha_yx.argmax()), alpha_yx.shape)
    assert abs((found_y + 0.5) / rows - 6.5 / 12) <= 0.02
    assert abs((found_x + 0.5) / columns - 5.5 / 8) <= 0.02


def test_opacity_follows_the_heat_and_is_relative_to_the_maximum() -> None:
    heat = np.repeat(np.linspace(0, 1, 12, dtype=np.float32)[:, np.newaxis], 12, axis=1)
    faint, strong = (overlay_yxc(heat * factor, 120, 120) for factor in (1e-3, 10.0))
    assert np.array_equal(faint, strong)
    assert faint[0, 60, 3] == 0
    assert faint[..., 3].max() == 178
    assert np.diff(faint[:, 60, 3].astype(int)).min() >= 0
    assert faint[-1, 60, :3].tolist() == [255, 255, 0]


def test_no_evidence_gives_an_empty_overlay() -> None:
    assert overlay_yxc(np.zeros((12, 12), np.float32), 64, 64)[..., 3].max() == 0


def test_a_window_in_hounsfield_units_is_for_ct_images_only() -> None:
    made = ct(np.full((4, 4), 1064, "<u2"))
    brain = WINDOWS_HU[NamedWindow.BRAIN]
    shown = draw_image(encode(made), frame_number=1, window=brain, in_hounsfield=True)
    assert set(pixels(shown, "L").ravel()) == {128}
    made.Modality = "MR"
    with pytest.raises(Refusal) as caught:
        draw_image(encode(made), frame_number=1, window=brain, in_hounsfield=True)
    assert caught.value.reason == RefusalReason.NOT_HOUNSFIELD


def test_a_window_turns_an_inverted_radiograph_over_and_never_hounsfield_units() -> None:
    stored = np.array([[1000, 3000]], "<u2")
    radiograph = ct(stored, Modality="DX", PhotometricInterpretation="MONOCHROME1", RescaleIntercept=0)
    wide = Window(center=2000.0, width=4000.0)
    assert picture_yx(encode(radiograph), wide).tolist() == [[191, 64]]
    radiograph.Modality = "CT"
    assert picture_yx(encode(radiograph), wide).tolist() == [[64, 191]]


def test_a_picture_is_drawn_at_the_size_that_is_asked_for() -> None:
    made = encode(ct(np.zeros((20, 40), "<u2")))
    drawn = draw_image(made, frame_number=1, window=None, long_side_px=16)
    assert pixels(drawn, "L").shape == (8, 16)
    assert pixels(draw_image(made, frame_number=1, window=None, long_side_px=512), "L").shape == (20, 40)
