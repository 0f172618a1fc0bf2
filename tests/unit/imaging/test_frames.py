"""A frame as numbers: the values that the file means, and what a viewer is told to show them by."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_modality_lut

from radrelay_imaging import FrameValues, Refusal, RefusalReason, VoiFunction, Window, picture_size, read_frame
from support.ct_images import SIZE_PX, ct, plain, ramp
from support.dicom_files import encode, image, set_pixels


def values_yx(frame: FrameValues) -> npt.NDArray[Any]:
    """What the file holds; nothing but an array of (rows, columns) in C order does."""
    loaded = np.load(io.BytesIO(frame.npy), allow_pickle=False)
    assert isinstance(loaded, np.ndarray)
    assert loaded.ndim == 2
    assert loaded.flags.c_contiguous
    return loaded


def frames_of(made_zyx: npt.NDArray[Any]) -> bytes:
    made = ct(made_zyx[0], NumberOfFrames=len(made_zyx))
    set_pixels(made, made_zyx.tobytes())
    return encode(made)


def test_a_ct_image_is_its_hounsfield_units_in_whole_numbers() -> None:
    content = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    dataset = dcmread(io.BytesIO(content))
    frame = read_frame(content, frame_number=1)
    found_yx = values_yx(frame)
    assert found_yx.dtype == np.dtype("<i2")
    assert np.array_equal(found_yx, apply_modality_lut(dataset.pixel_array, dataset))
    assert (frame.is_hounsfield, frame.is_dark_high) == (True, False)
    assert (frame.frame_number, frame.number_of_frames) == (1, 1)


@pytest.mark.parametrize(
    ("stored", "attributes", "dtype"),
    [
        ([[0, 1, 33791]], {}, "<i2"),
        ([[0, 1, 33792]], {}, "<f4"),
        ([[0, 1]], {"RescaleIntercept": -32768}, "<i2"),
        ([[0, 1]], {"RescaleIntercept": -32769}, "<f4"),
        ([[0, 2]], {"RescaleSlope": "0.5"}, "<i2"),
        ([[0, 1]], {"RescaleSlope": "0.5"}, "<f4"),
    ],
)
def test_values_are_int16_exactly_where_all_are_whole_and_fit(
    stored: list[list[int]], attributes: dict[str, Any], dtype: str
) -> None:
    made = ct(np.array(stored, "<u2"), **attributes)
    found_yx = values_yx(read_frame(encode(made), frame_number=1))
    assert found_yx.dtype == np.dtype(dtype)
    assert np.array_equal(found_yx, apply_modality_lut(np.array(stored, "<u2"), made))


def test_a_frame_is_read_by_its_number_and_one_that_there_is_not_is_refused() -> None:
    content = frames_of(np.stack([np.full((4, 6), 1024 + number, "<u2") for number in (1, 2, 3)]))
    for number in (1, 2, 3):
        frame = read_frame(content, frame_number=number)
        assert (frame.frame_number, frame.number_of_frames) == (number, 3)
        assert set(values_yx(frame).ravel()) == {number}
    for number in (0, 4):
        with pytest.raises(Refusal) as caught:
            read_frame(content, frame_number=number)
        assert caught.value.reason == RefusalReason.MALFORMED_ATTRIBUTES


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        read_frame(b"text", frame_number=1)
    assert caught.value.reason == RefusalReason.NOT_DICOM


@pytest.mark.parametrize(("rows", "columns"), [(64, 48), (48, 64)])
def test_a_frame_is_as_large_as_its_pictures_and_in_fractions_where_it_was_made_smaller(
    rows: int, columns: int
) -> None:
    content = encode(ct(np.arange(rows * columns).reshape(rows, columns).astype("<u2")))
    small_yx = values_yx(read_frame(content, frame_number=1, long_side_px=20))
    assert (small_yx.shape, small_yx.dtype) == (picture_size(rows, columns, 20), np.dtype("<f4"))
    # Bilinear over the whole image, so that the mean stays.
    assert abs(small_yx.mean() - (rows * columns - 1) / 2 + 1024) <= 1
    assert values_yx(read_frame(content, frame_number=1, long_side_px=512)).shape == (rows, columns)


def test_high_values_are_dark_in_an_inverted_radiograph_and_never_in_hounsfield_units() -> None:
    inverted = {"PhotometricInterpretation": "MONOCHROME1"}
    radiograph = read_frame(encode(plain(ramp(), **inverted)), frame_number=1)
    assert (radiograph.is_hounsfield, radiograph.is_dark_high) == (False, True)
    assert np.array_equal(values_yx(radiograph), ramp())
    in_hounsfield = read_frame(encode(ct(ramp(), **inverted)), frame_number=1)
    assert (in_hounsfield.is_hounsfield, in_hounsfield.is_dark_high) == (True, False)


@pytest.mark.parametrize("attributes", [{"RescaleType": "US"}, {"Modality": "MR"}])
def test_values_of_another_unit_are_no_hounsfield_units(attributes: dict[str, str]) -> None:
    assert not read_frame(encode(ct(ramp(), **attributes)), frame_number=1).is_hounsfield


@pytest.mark.parametrize(
    ("attributes", "window", "function"),
    [
        ({"WindowCenter": 40, "WindowWidth": 80}, Window(40.0, 80.0), VoiFunction.LINEAR),
        ({"WindowCenter": [40, 600], "WindowWidth": [80, 2800]}, Window(40.0, 80.0), VoiFunction.LINEAR),
        (
            {"WindowCenter": 0.5, "WindowWidth": 0.25, "VOILUTFunction": "LINEAR_EXACT"},
            Window(0.5, 0.25),
            VoiFunction.LINEAR_EXACT,
        ),
    ],
)
def test_a_frame_is_first_shown_in_the_images_own_window(
    attributes: dict[str, Any], window: Window, function: VoiFunction
) -> None:
    frame = read_frame(encode(ct(ramp(), **attributes)), frame_number=1)
    assert (frame.window, frame.function) == (window, function)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": 40, "WindowWidth": 80, "VOILUTFunction": "SIGMOID"},
    ],
)
@pytest.mark.parametrize("long_side_px", [16, SIZE_PX])
def test_without_a_linear_window_the_values_of_the_whole_frame_fill_one(
    attributes: dict[str, Any], long_side_px: int
) -> None:
    frame = read_frame(encode(plain(ramp(), **attributes)), frame_number=1, long_side_px=long_side_px)
    greatest = SIZE_PX * SIZE_PX - 1
    assert (frame.window, frame.function) == (Window(greatest / 2, float(greatest)), VoiFunction.LINEAR_EXACT)


def test_a_flat_frame_has_a_window_with_a_width() -> None:
    frame = read_frame(encode(plain(np.full((4, 6), 7, "<u2"))), frame_number=1)
    assert frame.window == Window(7.0, 1.0)
    assert set(values_yx(frame).ravel()) == {7}


def test_colour_is_luminance_from_0_to_1() -> None:
    made = image(rows=2, columns=2, samples=3, bits=8)
    made.WindowCenter, made.WindowWidth = 40, 80
    set_pixels(made, np.array([[255, 0, 0], [0, 255, 0], [0, 0, 0], [255, 255, 255]], np.uint8).tobytes())
    frame = read_frame(encode(made), frame_number=1)
    assert values_yx(frame).dtype == np.dtype("<f4")
    assert np.allclose(values_yx(frame), [[0.299, 0.587], [0.0, 1.0]], atol=1e-6)
    assert (frame.window, frame.function) == (Window(0.5, 1.0), VoiFunction.LINEAR_EXACT)
    assert (frame.is_hounsfield, frame.is_dark_high) == (False, False)


def test_a_frame_goes_from_process_to_process() -> None:
    frame = read_frame(encode(ct(ramp())), frame_number=1)
    assert pickle.loads(pickle.dumps(frame)) == frame
