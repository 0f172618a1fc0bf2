import hashlib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.api.multipart import (
    MalformedMultipart,
    NotMultipart,
    PartSpooler,
    SpooledPart,
    TooManyParts,
    form_boundary,
    related_boundary,
)

BOUNDARY = b"boundary"


def body_of(*files: tuple[str, bytes], field: str = "files") -> bytes:
    request = httpx.Request(
        "POST",
        "http://service.test",
        files=[(field, file) for file in files],
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"},
    )
    return request.read()


def spooler(folder: Path, *, max_file_bytes: int = 1 << 20, max_parts: int = 100) -> PartSpooler:
    return PartSpooler(BOUNDARY, lambda: folder / uuid4().hex, max_file_bytes=max_file_bytes, max_parts=max_parts)


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def parse(form: PartSpooler, body: bytes, *, size: int = 1 << 16) -> list[SpooledPart]:
    found: list[SpooledPart] = []
    for piece in pieces(body, size):
        form.feed([piece])
        found += form.take()
    form.finish()
    return found


def test_each_part_is_a_file_with_its_name_size_and_digest(tmp_path: Path) -> None:
    contents = [b"first" * 1000, b"", b"\r\n--bound but not the boundary\r\n"]
    names = ["a.dcm", "folder/b.dcm", "Größe 1.dcm"]
    parts = parse(spooler(tmp_path), body_of(*zip(names, contents, strict=True)))
    assert [part.path.read_bytes() for part in parts] == contents
    assert [part.file_name for part in parts] == names
    assert [part.size_bytes for part in parts] == [len(content) for content in contents]
    assert [part.sha256 for part in parts] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert {part.field for part in parts} == {"files"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=300), min_size=1, max_size=4), size=st.integers(1, 400))
def test_however_the_body_is_cut_into_chunks_the_parts_are_the_same(
    tmp_path: Path, contents: list[bytes], size: int
) -> None:
    parts = parse(spooler(tmp_path), body_of(*[(f"{i}.dcm", each) for i, each in enumerate(contents)]), size=size)
    assert [part.path.read_bytes() for part in parts] == contents


def test_a_part_can_be_taken_before_the_next_has_arrived(tmp_path: Path) -> None:
    body = body_of(("a.dcm", b"a" * 100), ("b.dcm", b"b" * 100))
    form = spooler(tmp_path)
    form.feed([body[: body.index(b"b" * 100) + 50]])
    assert [part.file_name for part in form.take()] == ["a.dcm"]
    form.close()


def test_a_part_over_the_limit_is_hashed_to_its_end_and_not_kept(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    (big, small) = parse(
        spooler(tmp_path, max_file_bytes=1000), body_of(("big.dcm", content), ("small.dcm", b"ok")), size=100
    )
    assert big.over_limit
    assert big.size_bytes == len(content)
    assert big.sha256 == hashlib.sha256(content).hexdigest()
    assert big.path.stat().st_size <= 1000
    assert not small.over_limit


def test_a_name_with_control_characters_or_directions_is_made_fit_to_show(tmp_path: Path) -> None:
    body = body_of(("plain.dcm", b"x")).replace(b"plain.dcm", "pl\u202eain\x01.dcm".encode())
    (part,) = parse(spooler(tmp_path), body)
    assert part.file_name == "pl\ufffdain\ufffd.dcm"


def test_a_part_without_a_file_name_has_none(tmp_path: Path) -> None:
    (part,) = parse(spooler(tmp_path), body_of(("plain.dcm", b"x")).replace(b'; filename="plain.dcm"', b""))
    assert (part.field, part.file_name) == ("files", None)


def test_a_related_part_is_known_by_its_place_and_type(tmp_path: Path) -> None:
    body = (
        b"\r\n--boundary\r\nContent-Type: Application/DICOM; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\nfirst"
        b"\r\n--boundary\r\n\r\nsecond\r\n--boundary--"
    )
    parts = parse(spooler(tmp_path), body, size=7)
    assert [(part.number, part.media_type, part.field, part.file_name) for part in parts] == [
        (1, "application/dicom", "", None),
        (2, "", "", None),
    ]
    assert [part.path.read_bytes() for part in parts] == [b"first", b"second"]


def test_a_body_that_ends_early_is_malformed_and_its_whole_parts_stay(tmp_path: Path) -> None:
    body = body_of(("a.dcm", b"a" * 100), ("b.dcm", b"b" * 100))
    form = spooler(tmp_path)
    form.feed([body[:-60]])
    (whole,) = form.take()
    with pytest.raises(MalformedMultipart):
        form.finish()
    form.close()
    assert [path.name for path in tmp_path.iterdir()] == [whole.path.name]


def test_parts_that_came_before_a_fault_can_be_taken(tmp_path: Path) -> None:
    form = spooler(tmp_path)
    with pytest.raises(MalformedMultipart):
        form.feed([body_of(("a.dcm", b"a" * 100)).removesuffix(b"--\r\n") + b"\r\nno header: \x00 at all\r\n\r\n"])
    assert [part.file_name for part in form.take()] == ["a.dcm"]
    form.close()


def test_closing_removes_what_was_not_taken(tmp_path: Path) -> None:
    form = spooler(tmp_path)
    form.feed([body_of(("a.dcm", b"a" * 100), ("b.dcm", b"b" * 100))[:-60]])
    form.close()
    assert list(tmp_path.iterdir()) == []


def test_more_parts_than_the_limit_are_refused(tmp_path: Path) -> None:
    form = spooler(tmp_path, max_parts=2)
    with pytest.raises(TooManyParts):
        form.feed([body_of(*[(f"{n}.dcm", b"x") for n in range(3)])])
    assert len(list(form.take())) == 2


def test_headers_without_end_are_malformed(tmp_path: Path) -> None:
    form = spooler(tmp_path)
    with pytest.raises(MalformedMultipart):
        form.feed([b"--boundary\r\nContent-Disposition: " + b"x" * 100_000])
    form.close()


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/dicom",
        "multipart/form-data",
        "multipart/related; boundary=x",
        "multipart/form-data; boundary=" + "x" * 71,
    ],
)
def test_what_is_not_a_form_has_no_boundary(content_type: str | None) -> None:
    with pytest.raises(NotMultipart):
        form_boundary(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/dicom",
        "multipart/form-data; boundary=x",
        "multipart/related; boundary=x",
        'multipart/related; type="application/dicom+json"; boundary=x',
        'multipart/related; type="application/dicom"',
        'multipart/related; type="application/dicom"; boundary=""',
        'multipart/related; type="application/dicom"; boundary=' + "x" * 71,
    ],
)
def test_what_is_not_related_dicom_has_no_boundary(content_type: str | None) -> None:
    with pytest.raises(NotMultipart):
        related_boundary(content_type, "application/dicom")


def test_the_boundary_may_be_quoted() -> None:
    assert form_boundary('multipart/form-data; boundary="a b"') == b"a b"


@pytest.mark.parametrize("kind", ['"application/dicom"', "application/dicom", '"Application/DICOM"'])
def test_the_type_of_related_parts_may_be_quoted(kind: str) -> None:
    assert related_boundary(f"Multipart/Related; boundary=abc; type={kind}", "application/dicom") == b"abc"
