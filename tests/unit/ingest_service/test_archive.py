import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from ingest_service.domain.archive import ArchivePlan, member_name, plan_archive
from ingest_service.domain.limits import ArchiveLimits
from ingest_service.domain.reasons import Refusal, RejectReason
from support.dicom_files import zip_of

LIMITS = ArchiveLimits(
    max_entries=50,
    max_entry_bytes=10_000,
    max_total_bytes=200_000,
    max_ratio=10,
    ratio_floor_bytes=50_000,
    max_directory_bytes=100_000,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def plan(path: Path, content: bytes) -> ArchivePlan:
    path.write_bytes(content)
    return plan_archive(path, LIMITS)


def refusal_of(path: Path, content: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        plan(path, content)
    return caught.value


def reasons(planned: ArchivePlan) -> dict[str, RejectReason]:
    return {entry.name: entry.reason for entry in planned.refused}


def test_files_are_planned_and_folders_are_not(path: Path) -> None:
    planned = plan(path, zip_of({"study/": b"", "study/a.dcm": b"aaaa", "b.dcm": b"bb"}))
    assert [(entry.index, entry.name, entry.size_bytes) for entry in planned.entries] == [
        (1, "study/a.dcm", 4),
        (2, "b.dcm", 2),
    ]
    assert planned.refused == ()


@pytest.mark.parametrize(
    "name", ["../up.dcm", "a/../../up.dcm", "/etc/passwd", "C:\\windows\\x", "..\\up.dcm", "\\\\server\\x"]
)
def test_a_name_that_leaves_the_archive_is_refused_and_its_neighbours_are_kept(path: Path, name: str) -> None:
    planned = plan(path, zip_of({"before.dcm": b"1", name: b"2", "after.dcm": b"3"}))
    assert [entry.name for entry in planned.entries] == ["before.dcm", "after.dcm"]
    assert [entry.reason for entry in planned.refused] == [RejectReason.UNSAFE_PATH]


def test_a_name_that_only_looks_odd_is_kept(path: Path) -> None:
    planned = plan(path, zip_of({"..hidden/file..dcm": b"1", "Grün, Übung.dcm": b"2"}))
    assert [entry.name for entry in planned.entries] == ["..hidden/file..dcm", "Grün, Übung.dcm"]


def test_a_link_is_refused(path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.dcm")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert reasons(plan(path, buffer.getvalue())) == {"link.dcm": RejectReason.UNSAFE_PATH}


def test_an_encrypted_entry_is_refused(path: Path) -> None:
    content = bytearray(zip_of({"a.dcm": b"secret", "b.dcm": b"open"}))
    first_central = content.index(b"PK\x01\x02")
    content[first_central + 8] |= 1
    planned = plan(path, bytes(content))
    assert reasons(planned) == {"a.dcm": RejectReason.ENCRYPTED_ARCHIVE}
    assert [entry.name for entry in planned.entries] == ["b.dcm"]


def test_a_compression_that_is_not_deflate_is_refused(path: Path) -> None:
    content = zip_of({"a.dcm": b"a" * 100}, compression=zipfile.ZIP_LZMA)
    assert reasons(plan(path, content)) == {"a.dcm": RejectReason.UNSUPPORTED_COMPRESSION}


def test_an_archive_inside_is_refused(path: Path) -> None:
    planned = plan(path, zip_of({"inner.ZIP": zip_of({"a.dcm": b"a"}), "b.dcm": b"b"}))
    assert reasons(planned) == {"inner.ZIP": RejectReason.NESTED_ARCHIVE}


@pytest.mark.filterwarnings("ignore:Duplicate name")  # the writer warns of what is planted
def test_the_first_of_two_entries_of_one_name_is_kept(path: Path) -> None:
    planned = plan(path, zip_of([("a.dcm", b"first"), ("a.dcm", b"second!")]))
    assert [entry.size_bytes for entry in planned.entries] == [5]
    assert reasons(planned) == {"a.dcm": RejectReason.DUPLICATE_NAME}


def test_an_entry_beyond_the_limit_is_refused_by_itself(path: Path) -> None:
    planned = plan(path, zip_of({"big.dcm": b"x" * 10_001, "small.dcm": b"x"}, compression=zipfile.ZIP_STORED))
    assert reasons(planned) == {"big.dcm": RejectReason.TOO_LARGE}
    assert [entry.name for entry in planned.entries] == ["small.dcm"]


def test_an_archive_without_files_is_refused(path: Path) -> None:
    assert refusal_of(path, zip_of({"folder/": b""})).reason is RejectReason.EMPTY_ARCHIVE
    assert refusal_of(path, zip_of({})).reason is RejectReason.EMPTY_ARCHIVE


@pytest.mark.parametrize("cut", [1, 10, 22, 40, 100])
def test_a_cut_archive_is_malformed(path: Path, cut: int) -> None:
    content = zip_of({"a.dcm": b"a" * 50, "b.dcm": b"b" * 50}, compression=zipfile.ZIP_STORED)
    assert refusal_of(path, content[:-cut]).reason is RejectReason.MALFORMED_ARCHIVE


def test_too_many_entries_are_a_bomb(path: Path) -> None:
    assert refusal_of(path, zip_of({f"{n}.dcm": b"" for n in range(51)})).reason is RejectReason.ARCHIVE_BOMB


def test_a_directory_with_more_entries_than_its_end_record_says_is_a_bomb(path: Path) -> None:
    content = bytearray(zip_of({f"{n}.dcm": b"" for n in range(51)}))
    end = content.rindex(b"PK\x05\x06")
    content[end + 8 : end + 12] = struct.pack("<HH", 1, 1)
    assert refusal_of(path, bytes(content)).reason is RejectReason.ARCHIVE_BOMB


def test_a_huge_directory_is_a_bomb(path: Path) -> None:
    content = zip_of({f"{n}{'x' * 60_000}.dcm": b"" for n in range(2)})
    assert refusal_of(path, content).reason is RejectReason.ARCHIVE_BOMB


def test_an_archive_that_expands_beyond_the_total_is_a_bomb(path: Path) -> None:
    content = zip_of({f"{n}.dcm": b"x" * 9_000 for n in range(25)}, compression=zipfile.ZIP_STORED)
    assert refusal_of(path, content).reason is RejectReason.ARCHIVE_BOMB


def test_an_archive_that_expands_too_many_times_is_a_bomb(path: Path) -> None:
    refusal = refusal_of(path, zip_of({f"{n}.dcm": bytes(9_000) for n in range(10)}))
    assert refusal.reason is RejectReason.ARCHIVE_BOMB
    assert "times" in refusal.detail


def test_overlapping_entries_are_a_bomb(path: Path) -> None:
    """CVE-2024-0450: every entry of the directory points at the same compressed bytes."""
    content = bytearray(zip_of({"aa.dcm": bytes(5_000), "bb.dcm": bytes(5_000)}))
    second_central = content.rindex(b"PK\x01\x02")
    content[second_central + 42 : second_central + 46] = struct.pack("<L", 0)
    refusal = refusal_of(path, bytes(content))
    assert (refusal.reason, refusal.detail) == (RejectReason.ARCHIVE_BOMB, "entries overlap")


def test_an_entry_that_reaches_into_the_next_is_a_bomb(path: Path) -> None:
    content = bytearray(zip_of({"a.dcm": b"a" * 40, "b.dcm": b"b" * 40}, compression=zipfile.ZIP_STORED))
    first_central = content.index(b"PK\x01\x02")
    content[first_central + 20 : first_central + 28] = struct.pack("<LL", 60, 60)
    assert refusal_of(path, bytes(content)).reason is RejectReason.ARCHIVE_BOMB


def test_an_entry_that_reaches_into_the_directory_is_a_bomb(path: Path) -> None:
    content = bytearray(zip_of({"a.dcm": b"a" * 40}, compression=zipfile.ZIP_STORED))
    central = content.index(b"PK\x01\x02")
    content[central + 20 : central + 28] = struct.pack("<LL", 60, 60)
    assert refusal_of(path, bytes(content)).reason is RejectReason.ARCHIVE_BOMB


@pytest.mark.parametrize("offset", [1, 7, 0x7FFFFFFF])
def test_a_directory_that_points_at_no_entry_is_malformed(path: Path, offset: int) -> None:
    content = bytearray(zip_of({"a.dcm": b"a" * 200}, compression=zipfile.ZIP_STORED))
    central = content.index(b"PK\x01\x02")
    content[central + 42 : central + 46] = struct.pack("<L", offset)
    assert refusal_of(path, bytes(content)).reason is RejectReason.MALFORMED_ARCHIVE


def test_a_member_is_named_by_its_archive_and_its_place() -> None:
    assert member_name("study.zip", "a/b.dcm") == "study.zip/a/b.dcm"
