import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import uid
from pydicom.data import get_testdata_file

from ingest_service.domain.dicom import SUPPORTED_SYNTAXES, DicomFacts, validate_dicom
from ingest_service.domain.identity import SopReference
from ingest_service.domain.limits import DicomLimits
from ingest_service.domain.reasons import Refusal, RejectReason
from support.dicom_files import compressed, dicom_file, encode, image, set_pixels

Judge = Callable[[bytes], DicomFacts]
LIMITS = DicomLimits(max_inflated_bytes=1 << 20, max_pixel_bytes=1 << 20)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def validate(content: bytes) -> DicomFacts:
        path = tmp_path / "file"
        path.write_bytes(content)
        return validate_dicom(path, LIMITS)

    return validate


def refusal_of(judge: Judge, content: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        judge(content)
    return caught.value


def reason_of(judge: Judge, content: bytes) -> RejectReason:
    return refusal_of(judge, content).reason


def pixel_offset(content: bytes) -> int:
    """Where the Pixel Data element starts in an explicit little-endian file."""
    return content.index(b"\xe0\x7f\x10\x00")


def test_a_valid_file_gives_its_identifying_facts(judge: Judge) -> None:
    dataset = image(rows=4, columns=6, frames=3)
    dataset.InstanceNumber = 17
    facts = judge(encode(dataset))
    assert facts == DicomFacts(
        sop_instance_uid=dataset.SOPInstanceUID,
        sop_class_uid=uid.CTImageStorage,
        study_instance_uid=dataset.StudyInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        modality="CT",
        body_part="HEAD",
        instance_number=17,
        transfer_syntax_uid=uid.ExplicitVRLittleEndian,
        rows=4,
        columns=6,
        frames=3,
    )


def test_a_refusal_tells_what_the_file_meta_information_says_the_file_is(judge: Judge) -> None:
    dataset = image()
    named = SopReference(uid.CTImageStorage, dataset.SOPInstanceUID)
    del dataset.PixelData
    assert refusal_of(judge, encode(dataset)).sop == named
    content = encode(dataset, uid.MPEG2MPML)
    assert refusal_of(judge, content).sop == named
    not_a_uid = b"x" * len(named.instance_uid)
    assert refusal_of(judge, content.replace(named.instance_uid.encode(), not_a_uid)).sop is None
    assert refusal_of(judge, b"no DICOM at all").sop is None


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("shape", [{}, {"bits": 8}, {"samples": 3, "bits": 8}, {"rows": 3, "columns": 3, "bits": 8}])
def test_native_pixels_of_every_layout_are_accepted(judge: Judge, syntax: uid.UID, shape: dict[str, int]) -> None:
    assert judge(encode(image(**shape), syntax)).transfer_syntax_uid == syntax


@pytest.mark.parametrize("name", ["MR_small_bigendian.dcm", "liver_1frame.dcm", "SC_ybr_full_422_uncompressed.dcm"])
def test_big_endian_one_bit_and_subsampled_pixels_are_accepted(name: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    assert validate_dicom(Path(path), DicomLimits()).frames == 1


@pytest.mark.parametrize("syntax", sorted(SUPPORTED_SYNTAXES - {uid.ExplicitVRBigEndian}))
def test_every_supported_syntax_has_a_way_in(judge: Judge, syntax: uid.UID) -> None:
    content = compressed([b"fragment"], syntax) if syntax.is_encapsulated else encode(image(), syntax)
    assert judge(content).transfer_syntax_uid == syntax


def test_an_empty_file_is_named_so(judge: Judge) -> None:
    assert reason_of(judge, b"") is RejectReason.EMPTY_FILE


@pytest.mark.parametrize("content", [b"hello, this is a letter", b"\0" * 131, b"\0" * 128 + b"DICN" + b"\0" * 50])
def test_what_has_no_prefix_is_not_dicom(judge: Judge, content: bytes) -> None:
    assert reason_of(judge, content) is RejectReason.NOT_DICOM


def test_a_file_without_pixels_is_refused(judge: Judge) -> None:
    dataset = image()
    del dataset.PixelData
    assert reason_of(judge, encode(dataset)) is RejectReason.NO_PIXEL_DATA


@pytest.mark.parametrize("syntax", [uid.MPEG2MPML, uid.UID("1.2.3.4.5")])
def test_a_syntax_that_is_not_decoded_here_is_refused(judge: Judge, syntax: uid.UID) -> None:
    content = compressed([b"fragment"], uid.JPEG2000).replace(uid.JPEG2000.encode(), syntax.encode().ljust(22, b"\0"))
    assert reason_of(judge, content) is RejectReason.UNSUPPORTED_TRANSFER_SYNTAX


@pytest.mark.parametrize("syntax", [b"DOE^JANE\t", b"1.2\0DOE^JANE\n", b"\r1.2.3"])
def test_what_is_no_registered_syntax_is_not_echoed(judge: Judge, syntax: bytes) -> None:
    content = compressed([b"fragment"], uid.JPEG2000).replace(uid.JPEG2000.encode(), syntax.ljust(22, b"\0"))
    with pytest.raises(Refusal) as refused:
        judge(content)
    assert refused.value.detail == "not a registered transfer syntax"


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", [None, "", "1.2.three", "1..2", "1." * 40 + "1"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # the writer warns of the very faults that are planted
def test_a_missing_or_broken_uid_is_refused(judge: Judge, keyword: str, value: str | None) -> None:
    dataset = image()
    if value is None:
        delattr(dataset, keyword)
    else:
        setattr(dataset, keyword, value)
    refusal = refusal_of(judge, encode(dataset))
    assert refusal.reason is RejectReason.MISSING_UID
    assert keyword in refusal.detail


@pytest.mark.parametrize(
    "keyword",
    ["Modality", "Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel", "PixelRepresentation"],
)
def test_a_missing_image_attribute_is_refused_by_name(judge: Judge, keyword: str) -> None:
    dataset = image()
    delattr(dataset, keyword)
    refusal = refusal_of(judge, encode(dataset))
    assert refusal.reason is RejectReason.MISSING_ATTRIBUTE
    assert keyword in refusal.detail


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Rows", 0),
        ("BitsAllocated", 12),
        ("BitsStored", 17),
        ("SamplesPerPixel", 4),
        ("PixelRepresentation", 2),
        ("NumberOfFrames", 0),
        ("NumberOfFrames", -3),
    ],
)
def test_a_value_out_of_range_is_refused(judge: Judge, keyword: str, value: int) -> None:
    dataset = image()
    setattr(dataset, keyword, value)
    assert reason_of(judge, encode(dataset)) is RejectReason.INVALID_ATTRIBUTE


def test_rows_of_another_value_representation_are_refused(judge: Judge) -> None:
    content = encode(image(rows=4))
    disguised = content.replace(b"\x28\x00\x10\x00US\x02\x00\x04\x00", b"\x28\x00\x10\x00DS\x02\x004 ")
    assert disguised != content
    assert reason_of(judge, disguised) is RejectReason.INVALID_ATTRIBUTE


@pytest.mark.parametrize("length", [0, 2, 46, 50, 96])
def test_native_pixels_of_another_length_are_refused(judge: Judge, length: int) -> None:
    dataset = image(rows=4, columns=6, bits=16)
    set_pixels(dataset, bytes(length))
    assert reason_of(judge, encode(dataset)) is RejectReason.PIXEL_LENGTH_MISMATCH


def test_pixels_that_claim_four_gigabytes_are_refused(judge: Judge) -> None:
    content = dicom_file()
    offset = pixel_offset(content)
    claimed = content[: offset + 8] + struct.pack("<L", 0xFFFFFFFE) + b"\0\0"
    assert reason_of(judge, claimed) is RejectReason.TRUNCATED


def test_an_image_that_decodes_to_too_much_is_refused(judge: Judge) -> None:
    bomb = compressed([b"tiny"], uid.JPEG2000, rows=60_000, columns=60_000)
    assert reason_of(judge, bomb) is RejectReason.TOO_LARGE


@pytest.mark.parametrize("cut", [1, 4, 7, 8, 9, 15, 16, 20])
def test_encapsulated_pixels_that_are_cut_are_truncated(judge: Judge, cut: int) -> None:
    content = compressed([b"a fragment of some length"], uid.JPEG2000)
    assert reason_of(judge, content[:-cut]) is RejectReason.TRUNCATED


def test_encapsulated_pixels_need_a_fragment_for_each_frame(judge: Judge) -> None:
    content = compressed([b"one", b"two"], uid.JPEG2000).replace(b"IS\x02\x002 ", b"IS\x02\x005 ")
    assert reason_of(judge, content) is RejectReason.PIXEL_LENGTH_MISMATCH


def test_rle_has_exactly_one_fragment_for_each_frame(judge: Judge) -> None:
    content = compressed([b"one", b"two"], uid.RLELossless).replace(b"IS\x02\x002 ", b"IS\x02\x001 ")
    assert reason_of(judge, content) is RejectReason.PIXEL_LENGTH_MISMATCH


def test_encapsulated_pixels_hold_nothing_but_items(judge: Judge) -> None:
    content = compressed([b"fragment"], uid.JPEG2000)
    offset = pixel_offset(content) + 12
    broken = content[:offset] + b"junkjunk" + content[offset + 8 :]
    assert reason_of(judge, broken) is RejectReason.MALFORMED


def test_native_pixels_in_a_compressed_syntax_are_malformed(judge: Judge) -> None:
    content = encode(image()).replace(
        uid.ExplicitVRLittleEndian.encode() + b"\0", uid.RLELossless.encode().ljust(20, b"\0")
    )
    assert reason_of(judge, content) is RejectReason.MALFORMED


def test_a_deflated_bomb_is_stopped_at_the_limit(judge: Judge) -> None:
    dataset = image(rows=2000, columns=2000)
    content = encode(dataset, uid.DeflatedExplicitVRLittleEndian)
    assert len(content) < 20_000
    refusal = refusal_of(judge, content)
    assert refusal.reason is RejectReason.TOO_LARGE
    assert "inflates" in refusal.detail


def test_a_cut_deflated_data_set_is_truncated(judge: Judge) -> None:
    content = encode(image(), uid.DeflatedExplicitVRLittleEndian)
    assert reason_of(judge, content[:-40]) is RejectReason.TRUNCATED


def test_a_broken_deflated_data_set_is_malformed(judge: Judge) -> None:
    content = encode(image(), uid.DeflatedExplicitVRLittleEndian)
    plain = zlib.decompressobj(-15)
    start = next(i for i in range(132, len(content)) if _inflates(content[i:]))
    assert plain.decompress(content[start:])
    assert reason_of(judge, content[:start] + b"\xff" * 64) is RejectReason.MALFORMED


def _inflates(content: bytes) -> bool:
    try:
        return zlib.decompressobj(-15).decompress(content).startswith(b"\x08\x00\x16\x00")
    except zlib.error:
        return False


def test_sequences_nested_beyond_reason_are_malformed(judge: Judge) -> None:
    # (0040,A730) Content Sequence of undefined length, opened 3000 times.
    level = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    content = dicom_file()
    offset = pixel_offset(content)
    assert reason_of(judge, content[:offset] + level * 3000 + content[offset:]) is RejectReason.MALFORMED


def test_a_second_pixel_data_is_malformed(judge: Judge) -> None:
    content = dicom_file()
    assert reason_of(judge, content + content[pixel_offset(content) :]) is RejectReason.MALFORMED


def test_elements_after_the_pixels_are_walked_too(judge: Judge) -> None:
    content = dicom_file()
    padding = b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<L", 8)
    assert judge(content + padding + bytes(8)).rows == 4
    assert reason_of(judge, content + padding + bytes(3)) is RejectReason.TRUNCATED


def test_a_body_part_that_is_no_code_is_left_unknown(judge: Judge) -> None:
    content = encode(image()).replace(b"CS\x04\x00HEAD", b"CS\x04\x00h\xe9ad")
    assert judge(content).body_part is None


@pytest.mark.parametrize(
    ("written", "number"),
    [("-3 ", -3), ("+2147483647 ", 2147483647), ("2147483648", None), ("", None), ("1.5 ", None), ("1\\2 ", None)],
)
def test_an_instance_number_that_is_none_is_left_unknown(judge: Judge, written: str, number: int | None) -> None:
    dataset = image()
    dataset.InstanceNumber = "7" * 11 + " "
    content = encode(dataset)
    assert content.count(b"IS\x0c\x00" + b"7" * 11 + b" ") == 1
    assert judge(content.replace(b"7" * 11 + b" ", written.ljust(12).encode())).instance_number == number


def test_an_image_without_an_instance_number_has_none(judge: Judge) -> None:
    assert judge(dicom_file()).instance_number is None


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_a_file_cut_anywhere_is_refused(judge: Judge, syntax: uid.UID) -> None:
    content = encode(image(), syntax)
    reasons = {reason_of(judge, content[:length]) for length in range(0, len(content), 3)}
    assert RejectReason.TRUNCATED in reasons


def test_a_refusal_never_quotes_the_file(judge: Judge) -> None:
    dataset = image()
    dataset.Modality = "OT"
    dataset.add_new(0x00281050, "DS", "40")
    secret = encode(dataset).replace(b"CS\x02\x00OT", b"CS\x02\x00j:")
    assert "j:" not in refusal_of(judge, secret).detail
