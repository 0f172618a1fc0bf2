"""From DICOM bytes to the model's array: what hospitals send, read as the standard says."""

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from inference_service.bundles.image_spec import EveryFrame
from inference_service.imaging import prepare_frames
from radrelay_imaging import Refusal
from support.ct_images import CT, SIZE_PX, ct, plain, prepared, ramp
from support.dicom_files import encode, image, set_pixels


def test_ct_windows_are_channels_on_hounsfield_units() -> None:
    hu = np.array([-1024, 0, 20, 40, 60, 80, 2000], np.int32)
    stored = np.repeat((hu + 1024).astype("<u2"), SIZE_PX)[: 7 * SIZE_PX].reshape(7, SIZE_PX)
    ready = prepared(ct(np.repeat(stored, 9, axis=0)[:63]), CT)
    # 63 rows of 64 columns fill the square but for one padding row; column 0 is as good as any.
    assert ready.image_cyx.shape == (2, SIZE_PX, SIZE_PX)
    assert ready.image_cyx.dtype == np.uint8
    rows = [ready.placement.top + 9 * index + 4 for index in range(7)]
    assert ready.image_cyx[0, rows, 5].tolist() == [0, 0, 64, 128, 191, 255, 255]
    assert ready.image_cyx[1, rows, 5].tolist() == [0, 85, 87, 88, 90, 92, 255]


def test_a_slope_and_signed_values_reach_hounsfield_units() -> None:
    signed = prepared(ct(np.full((64, 64), -984, "<i2"), RescaleSlope=1, RescaleIntercept=1024), CT)
    halved = prepared(ct(np.full((64, 64), 2128, "<u2"), RescaleSlope="0.5", RescaleIntercept="-1024"), CT)
    assert set(signed.image_cyx[0].ravel()) == set(halved.image_cyx[0].ravel()) == {128}


def test_unused_high_bits_are_not_part_of_the_value() -> None:
    stored = np.full((64, 64), 1064, "<u2") | 0xA000
    assert set(prepared(ct(stored, BitsStored=12, HighBit=11), CT).image_cyx[0].ravel()) == {128}
    signed = (np.full((64, 64), -984 & 0x0FFF, "<u2") | 0x4000).view("<i2")
    made = ct(signed, BitsStored=12, HighBit=11, RescaleIntercept=1024)
    assert set(prepared(made, CT).image_cyx[0].ravel()) == {128}


def test_monochrome1_turns_a_picture_over_but_not_hounsfield_units() -> None:
    upright, turned = (
        prepared(plain(ramp(), PhotometricInterpretation=kind)).image_cyx[0].astype(int)
        for kind in ("MONOCHROME2", "MONOCHROME1")
    )
    assert np.abs(upright + turned - 255).max() <= 1
    assert upright.max() == 255
    as_hu = prepared(ct(np.full((64, 64), 1064, "<u2"), PhotometricInterpretation="MONOCHROME1"), CT)
    assert set(as_hu.image_cyx[0].ravel()) == {128}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", lambda x: (x - (2000 - 0.5)) / (1000 - 1) + 0.5),
        ("LINEAR_EXACT", lambda x: (x - 2000) / 1000 + 0.5),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 2000) / 1000))),
    ],
)
def test_the_images_own_window_is_applied_as_the_standard_has_it(function: str, expected: Any) -> None:
    made = plain(ramp(), WindowCenter=2000, WindowWidth=1000, VOILUTFunction=function)
    levels = np.clip(expected(ramp().astype(float)), 0, 1) * 255
    assert np.abs(prepared(made).image_cyx[0] - levels).max() <= 0.51


def test_the_window_agrees_with_pydicoms() -> None:
    made = plain(ramp(), WindowCenter=[1500, 40], WindowWidth=[900, 80])
    by_pydicom = apply_voi_lut(ramp(), made) / 65535 * 255
    assert np.abs(prepared(made).image_cyx[0] - by_pydicom).max() <= 0.51


def test_a_voi_lut_goes_before_a_window() -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = (np.arange(4096)[::-1] * 16).astype("<u2").tolist()
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    made = plain(ramp(), VOILUTSequence=[table], WindowCenter=1, WindowWidth=1)
    assert np.abs(prepared(made).image_cyx[0] - (4095 - ramp().astype(float)) * 16 / 65535 * 255).max() <= 0.51


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 5, "WindowWidth": 0}, {"WindowCenter": None}])
def test_without_a_usable_window_percentiles_set_the_range(window: dict[str, Any]) -> None:
    levels = prepared(plain(ramp(), **window)).image_cyx[0]
    assert levels[0, 0] == 0
    assert levels[-1, -1] == 255
    assert abs(int(levels[32, 0]) - 128) <= 2


def test_pixel_padding_does_not_set_the_range() -> None:
    stored = ramp()
    stored[:32] = 60000
    levels = prepared(plain(stored, PixelPaddingValue=60000)).image_cyx[0]
    assert levels[32, 0] == 0
    assert abs(int(levels[48, 0]) - 128) <= 3


def test_an_image_of_one_value_is_not_a_division_by_zero() -> None:
    assert set(prepared(plain(np.full((64, 64), 7, "<u2"))).image_cyx.ravel()) == {0}


def test_colour_becomes_luminance() -> None:
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:16, :, 0], colours[16:32, :, 1], colours[32:48, :, 2], colours[48:] = 255, 255, 255, 255
    made = image(rows=64, columns=64, samples=3, bits=8)
    made.Modality = "US"
    set_pixels(made, colours.tobytes())
    assert prepared(made).image_cyx[0, [8, 24, 40, 56], 0].tolist() == [76, 150, 29, 255]


def test_a_palette_is_looked_up() -> None:
    made = image(rows=64, columns=64, bits=8)
    made.Modality = "US"
    made.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{colour}PaletteColorLookupTableData", (np.arange(256)[::-1] * 257).astype("<u2").tobytes())
    set_pixels(made, np.repeat(np.arange(64, dtype=np.uint8) * 4, 64).tobytes())
    assert prepared(made).image_cyx[0, [0, 16, 32], 0].tolist() == [255, 191, 127]


@pytest.mark.parametrize(("frames", "middle"), [(1, 0), (2, 1), (3, 1), (5, 2)])
def test_the_middle_frame_stands_for_a_multi_frame_image(frames: int, middle: int) -> None:
    made = ct(np.zeros((64, 64), "<u2"), NumberOfFrames=frames)
    set_pixels(made, np.concatenate([np.full((64, 64), 1024 + 10 * k, "<u2") for k in range(frames)]).tobytes())
    assert set(prepared(made, CT).image_cyx[0].ravel()) == {round(10 * middle / 80 * 255)}


@pytest.mark.parametrize(
    ("frames", "at_most", "numbers"), [(1, 64, [1]), (4, 64, [1, 2, 3, 4]), (10, 3, [2, 6, 9]), (3, 1, [2])]
)
def test_a_bundle_may_want_every_frame_or_some_that_are_evenly_spread(
    frames: int, at_most: int, numbers: list[int]
) -> None:
    made = ct(np.zeros((64, 64), "<u2"), NumberOfFrames=frames)
    set_pixels(made, np.concatenate([np.full((64, 64), 1024 + 5 * k, "<u2") for k in range(frames)]).tobytes())
    every = CT.model_copy(update={"frames": EveryFrame(rule="every", at_most=at_most)})
    ready = prepare_frames(encode(made), every)
    assert [each.frame_number for each in ready] == numbers
    for each in ready:
        assert set(each.image_cyx[0].ravel()) == {round(5 * (each.frame_number - 1) / 80 * 255)}


def test_one_frame_that_cannot_be_decoded_refuses_the_image() -> None:
    made = ct(np.zeros((64, 64), "<u2"), NumberOfFrames=3)
    set_pixels(made, np.zeros((2, 64, 64), "<u2").tobytes())
    every = CT.model_copy(update={"frames": EveryFrame(rule="every")})
    with pytest.raises(Refusal):
        prepare_frames(encode(made), every)


def test_an_enhanced_image_keeps_its_rescale_in_functional_groups() -> None:
    made = ct(np.zeros((64, 64), "<u2"), NumberOfFrames=3)
    del made.RescaleSlope, made.RescaleIntercept, made.RescaleType
    set_pixels(made, np.full((3, 64, 64), 100, "<u2").tobytes())
    made.SharedFunctionalGroupsSequence = [Dataset()]
    spacing = Dataset()
    spacing.PixelSpacing = [2.0, 1.0]
    made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = [spacing]
    made.PerFrameFunctionalGroupsSequence = []
    for intercept in (0, -60, 0):
        rescale = Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, intercept, "HU"
        group = Dataset()
        group.PixelValueTransformationSequence = [rescale]
        made.PerFrameFunctionalGroupsSequence.append(group)
    ready = prepared(made, CT)
    assert ready.image_cyx[0, 32, 32] == 128
    assert (ready.placement.height, ready.placement.width) == (64, 32)


@pytest.mark.parametrize(
    ("attributes", "box"),
    [
        ({"PixelSpacing": [0.5, 0.5]}, (16, 0, 32, 64)),
        ({"PixelSpacing": [1.0, 0.5]}, (0, 0, 64, 64)),
        ({"ImagerPixelSpacing": [0.5, 1.0]}, (24, 0, 16, 64)),
        ({"PixelAspectRatio": [4, 1]}, (0, 16, 64, 32)),
        ({}, (16, 0, 32, 64)),
        ({"PixelSpacing": [0.0, 1.0]}, (16, 0, 32, 64)),
        ({"PixelSpacing": [1e6, 1.0]}, (16, 0, 32, 64)),
    ],
)
def test_the_image_keeps_the_shape_that_it_has_in_the_patient(
    attributes: dict[str, Any], box: tuple[int, int, int, int]
) -> None:
    ready = prepared(ct(np.full((32, 64), 1064, "<u2"), **attributes), CT)
    place = ready.placement
    assert (place.top, place.left, place.height, place.width) == box
    inside = np.zeros((SIZE_PX, SIZE_PX), bool)
    inside[place.top : place.top + place.height, place.left : place.left + place.width] = True
    assert set(ready.image_cyx[0][inside]) == {128}
    assert set(ready.image_cyx[0][~inside]) <= {0}


def test_shrinking_averages_hounsfield_units() -> None:
    stored = np.full((128, 128), 1024, "<u2")
    stored[::2] += 80
    assert abs(int(prepared(ct(stored), CT).image_cyx[0, 32, 32]) - 128) <= 8


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_native_transfer_syntax_gives_the_same_array(syntax: Any) -> None:
    made = ct(ramp(">u2" if syntax == ExplicitVRBigEndian else "<u2"))
    assert np.array_equal(prepare_frames(encode(made, syntax), CT)[0].image_cyx, prepared(ct(ramp()), CT).image_cyx)


def test_run_length_encoding_gives_the_same_array() -> None:
    made = ct(ramp())
    encode(made)
    made.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(
        prepare_frames(encode(made, RLELossless), CT)[0].image_cyx, prepared(ct(ramp()), CT).image_cyx
    )
