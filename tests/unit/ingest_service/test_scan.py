"""What is nested is passed in memory that does not grow with it, and what is mutated is judged."""

import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset

from ingest_service.domain.dicom import DicomFacts, validate_dicom
from ingest_service.domain.limits import MIB, DicomLimits
from ingest_service.domain.reasons import Refusal, RejectReason
from support.dicom_files import dicom_file, encode, image
from support.mutations import mutate, shipped_samples

Judge = Callable[[bytes], DicomFacts]

PIXELS = b"\xe0\x7f\x10\x00"
SEQUENCE = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff"
IMPLICIT_SEQUENCE = b"\x40\x00\x30\xa7\xff\xff\xff\xff"
UNKNOWN = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff"
ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
END_OF_ITEM = b"\xfe\xff\x0d\xe0\0\0\0\0"
END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"
CODE = b"\x08\x00\x00\x01SH\x02\x001 "
IMPLICIT_CODE = b"\x08\x00\x00\x01\x02\0\0\x001 "


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def validate(content: bytes) -> DicomFacts:
        path = tmp_path / "file"
        path.write_bytes(content)
        return validate_dicom(path, DicomLimits())

    return validate


def reason_of(judge: Judge, content: bytes) -> RejectReason:
    with pytest.raises(Refusal) as caught:
        judge(content)
    return caught.value.reason


def with_elements(elements: bytes, syntax: uid.UID = uid.ExplicitVRLittleEndian) -> bytes:
    """A valid file with these bytes before its pixel data."""
    content = encode(image(), syntax)
    at = content.rindex(PIXELS)
    return content[:at] + elements + content[at:]


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that Python held while it ran."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "nested",
    [
        SEQUENCE + END_OF_SEQUENCE,
        SEQUENCE + ITEM + END_OF_ITEM + END_OF_SEQUENCE,
        SEQUENCE + ITEM + CODE + END_OF_ITEM + ITEM + CODE + END_OF_ITEM + END_OF_SEQUENCE,
        SEQUENCE + b"\xfe\xff\x00\xe0\x0a\0\0\0" + CODE + END_OF_SEQUENCE,
        SEQUENCE + ITEM + SEQUENCE + ITEM + CODE + END_OF_ITEM + END_OF_SEQUENCE + CODE + END_OF_ITEM + END_OF_SEQUENCE,
        SEQUENCE + ITEM + IMPLICIT_CODE + END_OF_ITEM + ITEM + CODE + END_OF_ITEM + END_OF_SEQUENCE,
        UNKNOWN + ITEM + IMPLICIT_SEQUENCE + ITEM + IMPLICIT_CODE + END_OF_ITEM + END_OF_SEQUENCE + END_OF_ITEM
        + END_OF_SEQUENCE,
    ],
)  # fmt: skip
def test_nested_sequences_of_every_form_are_passed(judge: Judge, nested: bytes) -> None:
    assert judge(with_elements(nested)).rows == 4


@pytest.mark.parametrize(
    ("nested", "reason"),
    [
        (SEQUENCE + CODE, RejectReason.MALFORMED),
        (SEQUENCE + b"\xfe\xff\x00\xe0\xf0\xff\xff\xff", RejectReason.TRUNCATED),
        (SEQUENCE + ITEM + CODE + END_OF_SEQUENCE, RejectReason.TRUNCATED),
        ((SEQUENCE + ITEM) * 101 + (END_OF_ITEM + END_OF_SEQUENCE) * 101, RejectReason.MALFORMED),
        ((SEQUENCE + ITEM) * 200_000, RejectReason.MALFORMED),
    ],
)
def test_sequences_that_break_the_rules_are_refused(judge: Judge, nested: bytes, reason: RejectReason) -> None:
    assert reason_of(judge, with_elements(nested)) is reason


def test_a_value_inside_of_a_sequence_is_passed_unread(tmp_path: Path) -> None:
    path, size = tmp_path / "big", 300 * MIB
    before, after = dicom_file().split(PIXELS)
    with path.open("wb") as file:
        file.write(before + SEQUENCE + ITEM + b"\x09\x00\x11\x10OB\0\0" + struct.pack("<L", size))
        file.seek(size, 1)
        file.write(END_OF_ITEM + END_OF_SEQUENCE + PIXELS + after)
    assert peak_bytes(lambda: validate_dicom(path, DicomLimits())) < MIB


def test_many_frames_take_no_more_memory_than_few(judge: Judge) -> None:
    few, many = (peak_bytes(partial(judge, _enhanced(frames))) for frames in (10, 1000))
    assert many - few < 100_000


def _enhanced(frames: int) -> bytes:
    measures = Dataset()
    measures.SliceThickness = "1.0"
    measures.is_undefined_length_sequence_item = True
    frame = Dataset()
    frame.PixelMeasuresSequence = [measures]
    frame["PixelMeasuresSequence"].is_undefined_length = True
    frame.is_undefined_length_sequence_item = True
    dataset = image(frames=frames)
    dataset.PerFrameFunctionalGroupsSequence = [frame] * frames
    dataset["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
    return encode(dataset)


SAMPLES = shipped_samples()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sample=st.integers(0, len(SAMPLES) - 1),
    other=st.integers(0, len(SAMPLES) - 1),
    random=st.randoms(use_true_random=True),
)
def test_mutations_of_real_files_are_judged_and_nothing_else(
    judge: Judge, sample: int, other: int, random: Random
) -> None:
    with suppress(Refusal):
        facts = judge(mutate(SAMPLES[sample], SAMPLES[other], random))
        assert min(facts.rows, facts.columns, facts.frames) > 0
