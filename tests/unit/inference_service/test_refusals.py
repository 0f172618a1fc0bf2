"""What cannot be screened is refused by name, under a bound, without a word of the patient's."""

import traceback
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_files
from pydicom.uid import MPEG2MPML, DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from inference_service.bundles.image_spec import ImageSpec
from inference_service.imaging import prepare_frames
from radrelay_imaging import Refusal, RefusalReason, dataset, pixels
from support.ct_images import CT, SIZE_PX, ct, ramp, refusal
from support.dicom_files import encode, set_pixels


def change(attribute: str, value: Any) -> bytes:
    made = ct(ramp())
    setattr(made, attribute, value)
    return encode(made)


def without(*attributes: str) -> bytes:
    made = ct(ramp())
    for attribute in attributes:
        delattr(made, attribute)
    return encode(made)


def encapsulated(fragment: bytes, syntax: Any) -> bytes:
    made = ct(ramp())
    set_pixels(
        made,
        b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0"
        + len(fragment).to_bytes(4, "little")
        + fragment
        + b"\xfe\xff\xdd\xe0\0\0\0\0",
        encapsulated=True,
    )
    return encode(made, syntax)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", RefusalReason.NOT_DICOM),
        (b"just text", RefusalReason.NOT_DICOM),
        (bytes(128) + b"DICM" + b"\xff" * 64, RefusalReason.NO_PIXEL_DATA),
        (without("PixelData"), RefusalReason.NO_PIXEL_DATA),
        (change("Modality", "MR"), RefusalReason.OUTSIDE_INTENDED_USE),
        (without("Modality"), RefusalReason.OUTSIDE_INTENDED_USE),
        (change("PhotometricInterpretation", "HSV"), RefusalReason.UNSUPPORTED_PHOTOMETRIC),
        (without("PhotometricInterpretation"), RefusalReason.UNSUPPORTED_PHOTOMETRIC),
        (without("RescaleSlope"), RefusalReason.NOT_HOUNSFIELD),
        (change("RescaleType", "US"), RefusalReason.NOT_HOUNSFIELD),
        (change("RescaleSlope", float("1e308")), RefusalReason.UNUSABLE_PIXEL_VALUES),
        (change("Rows", 0), RefusalReason.MALFORMED_ATTRIBUTES),
        (without("BitsAllocated"), RefusalReason.MALFORMED_ATTRIBUTES),
        (change("Rows", 65), RefusalReason.UNDECODABLE_PIXEL_DATA),
        (encapsulated(b"not a codestream", JPEG2000Lossless), RefusalReason.UNDECODABLE_PIXEL_DATA),
        (encapsulated(b"\0\0\1\xb3", MPEG2MPML), RefusalReason.UNSUPPORTED_TRANSFER_SYNTAX),
    ],
)
def test_what_cannot_be_screened_is_refused_with_its_reason(content: bytes, reason: RefusalReason) -> None:
    refused = refusal(content, CT)
    assert refused.reason == reason
    assert refused.detail
    assert "Doe" not in refused.detail


@pytest.mark.parametrize("vr", [b"FD", b"CW"])
@pytest.mark.parametrize(("element", "own_vr"), [(b"\x28\x00\x04\x00", b"CS"), (b"\x28\x00\x54\x10", b"LO")])
def test_an_attribute_of_another_value_representation_is_refused(element: bytes, own_vr: bytes, vr: bytes) -> None:
    """Found by `make fuzz`: the parser raises when the value is looked at, not when the file is read."""
    content = encode(ct(ramp()))
    damaged = content.replace(element + own_vr, element + vr)
    assert damaged != content
    assert refusal(damaged, CT).reason == RefusalReason.MALFORMED_ATTRIBUTES


def test_a_header_that_claims_more_than_is_allowed_is_refused_before_decoding() -> None:
    made = ct(ramp())
    made.Rows = made.Columns = 60000
    assert refusal(encode(made), CT).reason == RefusalReason.TOO_LARGE


def test_a_deflated_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MAX_INFLATED_BYTES", 100_000)
    monkeypatch.setattr(zlib, "decompress", lambda *_: pytest.fail("inflated without a bound"))
    bomb = encode(ct(np.zeros((512, 512), "<u2")), DeflatedExplicitVRLittleEndian)
    assert len(bomb) < 2_000
    assert refusal(bomb, CT).reason == RefusalReason.TOO_LARGE


def test_sequences_nested_without_end_are_refused() -> None:
    content = encode(ct(ramp()))
    depth = 1000
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x08\x00\x10\x11" + b"SQ\0\0\xff\xff\xff\xff"
    nested = b"\x08\x00\x10\x11" + b"SQ\0\0\xff\xff\xff\xff" + item * depth
    place = content.index(b"\x08\x00\x16\x00UI")
    assert refusal(content[:place] + nested, CT).reason == RefusalReason.NOT_DICOM


def test_a_refusal_keeps_no_exception_that_quotes_the_file() -> None:
    refused = refusal(change("Rows", 65), CT)
    assert "Doe" not in "".join(traceback.format_exception(refused))
    assert "ValueError:" not in "".join(traceback.format_exception(refused))


def test_memory_that_runs_out_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(pixels, "pixel_array", exhaust)
    assert refusal(encode(ct(ramp())), CT).reason == RefusalReason.TOO_LARGE


def shipped_files() -> list[Path]:
    return sorted(path for path in map(Path, get_testdata_files()) if path.is_file())


def test_every_file_that_pydicom_ships_gives_an_array_or_a_named_refusal() -> None:
    spec = ImageSpec.model_validate(
        {
            "size_px": SIZE_PX,
            "accepts": {"modalities": ["CT", "MR", "CR", "DX", "US", "OT", "NM", "SEG", "SC", "RTDOSE", "SM", "XC"]},
            "channels": {"kind": "voi"},
        }
    )
    outcomes: dict[str, int] = {}
    for path in shipped_files():
        content = path.read_bytes()
        for each in (spec, CT):
            try:
                (ready,) = prepare_frames(content, each)
            except Refusal as refused:
                outcomes[refused.reason] = outcomes.get(refused.reason, 0) + 1
            else:
                outcomes["array"] = outcomes.get("array", 0) + 1
                assert ready.image_cyx.shape == each.shape_cyx
                assert ready.image_cyx.std() > 0 or path.name in {"17166", "17196"}
    assert outcomes["array"] >= 90
    assert outcomes[RefusalReason.NO_PIXEL_DATA] >= 60
    assert RefusalReason.UNDECODABLE_PIXEL_DATA in outcomes
