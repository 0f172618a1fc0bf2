"""Heat in colours that everybody can tell apart, alone and over the image."""

import io

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radrelay_imaging import DRAWING_VERSION, ColourMap, Window, blend_heatmap, draw_heatmap, draw_image
from radrelay_imaging.colours import colours_of
from radrelay_imaging.png import encode_png
from support.ct_images import ct
from support.dicom_files import encode

RAMP = np.linspace(0.0, 3.0, 64, dtype=np.float32)[None, :]


def rgb(png: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as opened:
        assert opened.mode == "RGB"
        return np.asarray(opened)


def lightness(rgb_xc: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """CIE L* of sRGB colours (IEC 61966-2-1, CIE 15)."""
    encoded = rgb_xc / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    light: npt.NDArray[np.float64] = np.where(
        luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27
    )
    return light


@pytest.mark.parametrize("colour_map", ColourMap)
def test_a_colour_map_grows_lighter_in_equal_steps(colour_map: ColourMap) -> None:
    light = lightness(colours_of(colour_map, 256))
    assert np.diff(light).min() > 0, "so that it reads right in grey and to colour-blind eyes"
    line = np.linspace(light[0], light[-1], 256)
    assert np.abs(light - line).max() < 6, "of 100"


@pytest.mark.parametrize("colour_map", ColourMap)
def test_a_colour_map_is_what_its_name_says(colour_map: ColourMap) -> None:
    known = mpl.colormaps[colour_map](np.linspace(0, 1, 256))[:, :3] * 255
    assert np.abs(colours_of(colour_map, 256) - known).max() < 11, "17 stops are near the whole map"


def test_heat_alone_fills_the_picture_from_the_darkest_to_the_brightest_colour() -> None:
    drawn = rgb(draw_heatmap(RAMP, size=(4, 64), colour_map=ColourMap.VIRIDIS))
    assert drawn.shape == (4, 64, 3)
    assert drawn[0, 0].tolist() == [0x44, 0x01, 0x54]
    assert drawn[0, -1].tolist() == [0xFD, 0xE7, 0x25]


def test_no_evidence_is_the_darkest_colour() -> None:
    drawn = rgb(draw_heatmap(np.zeros((3, 3), np.float32), size=(8, 8), colour_map=ColourMap.INFERNO))
    assert {tuple(colour) for colour in drawn.reshape(-1, 3)} == {(0, 0, 4)}


def test_an_overlay_leaves_the_image_where_there_is_no_evidence_and_covers_it_where_there_is_most() -> None:
    image = encode_png(np.full((1, 64), 100, np.uint8))
    blended = rgb(blend_heatmap(image, RAMP, opacity=1.0, colour_map=ColourMap.INFERNO))
    assert blended[0, 0].tolist() == [100, 100, 100]
    assert blended[0, -1].tolist() == [0xFC, 0xFF, 0xA4]
    half = rgb(blend_heatmap(image, RAMP, opacity=0.5, colour_map=ColourMap.INFERNO))
    assert np.abs(half[0, -1].astype(int) - (np.array([0xFC, 0xFF, 0xA4]) + 100) / 2).max() <= 1


def test_an_overlay_of_no_opacity_or_of_no_evidence_is_the_image() -> None:
    grey = np.arange(64, dtype=np.uint8)[None, :]
    image = encode_png(grey)
    for heat, opacity in ((RAMP, 0.0), (np.zeros((2, 2), np.float32), 1.0)):
        blended = rgb(blend_heatmap(image, heat, opacity=opacity, colour_map=ColourMap.CIVIDIS))
        assert np.array_equal(blended, np.repeat(grey[..., None], 3, axis=-1))


def test_pixels_stay_what_they_are_until_the_drawing_version_is_raised() -> None:
    stored = 1024 + np.add.outer(np.arange(32) * 2, np.arange(48))
    content = encode(ct(stored.astype("<u2")))
    heat = np.array([[0, 1, 2], [4, 0, 1]], np.float32)
    image = draw_image(content, frame_number=1, window=Window(40.0, 80.0), long_side_px=48)
    drawn = {
        "windowed": image,
        "own": draw_image(content, frame_number=1, window=None, long_side_px=48),
        "heat": draw_heatmap(heat, size=(32, 48), colour_map=ColourMap.INFERNO),
        "over": blend_heatmap(image, heat, opacity=0.6, colour_map=ColourMap.INFERNO),
    }
    known = {
        "windowed": [[38, 89, 140], [115, 166, 217], [191, 242, 255]],
        "own": [[15, 57, 100], [79, 121, 163], [142, 184, 227]],
        "heat": [
            [[0, 0, 4], [41, 11, 82], [140, 35, 105]],
            [[172, 48, 92], [41, 11, 82], [89, 17, 110]],
            [[242, 234, 104], [34, 12, 75], [34, 12, 75]],
        ],
        "over": [
            [[38, 38, 38], [85, 82, 88], [140, 116, 132]],
            [[131, 96, 109], [155, 153, 159], [197, 186, 201]],
            [[220, 215, 142], [226, 224, 229], [238, 236, 241]],
        ],
    }
    assert DRAWING_VERSION == "1", "these are the pixels of version 1"
    for name, png in drawn.items():
        with Image.open(io.BytesIO(png)) as opened:
            sampled = np.asarray(opened, np.int16)[4::12, 4::16]
        assert np.abs(sampled - np.array(known[name])).max() <= 2, name
