"""Hostile archives and DICOM files, end to end: each ends in its own reason code, beside a good file that is taken."""

import io
import stat
import struct
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from pydicom import uid

from ingest_service.settings import IngestSettings
from support.dicom_files import compressed, dicom_file, encode, image, zip_of
from support.dicom_network import nothing_left_in
from support.ingest_api import IngestUser
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
PIXELS = b"\xe0\x7f\x10\x00"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
NAMES = {
    "up": "../up.dcm",
    "deep up": "a/b/../../../up.dcm",
    "backslashes": "..\\..\\up.dcm",
    "absolute": "/etc/passwd",
    "drive": "C:\\Windows\\system.ini",
    "drive without a slash": "c:up.dcm",
    "share": "\\\\server\\share\\x.dcm",
    "nul": "a.dcm\0.txt",
}
ODD_NAMES = {
    "bidirectional": "\u202egnp.dcm",
    "control": "a\r\nb\x1b[31m.dcm",
    "long": "x" * 60_000 + ".dcm",
    "device": "CON",
    "device with a suffix": "folder/aux.dcm",
    "dots": "....//....//x.dcm",
    "combining": "e\u0301" * 200,
    "blank": " ",
}


@pytest.fixture(autouse=True)
async def nothing_left(settings: IngestSettings) -> AsyncIterator[None]:
    """Whatever is sent, the spool is empty after it."""
    yield
    assert settings.upload.spool_dir is not None
    await nothing_left_in(settings.upload.spool_dir)


async def refused(user: MakeUser, files: dict[str, bytes]) -> dict[str, str]:
    """Reason codes by name of what is sent together with a good file, which is accepted."""
    doctor = user(new_tenant())
    outcome = await doctor.upload(await doctor.open_batch(), {"good.dcm": dicom_file(), **files})
    assert "good.dcm" in {each["name"] for each in outcome["accepted"]}
    assert all(each["detail"] for each in outcome["rejected"])
    return {each["name"]: each["reason"] for each in outcome["rejected"]}


def entry(name: str, content: bytes = b"", *, kind: int = 0) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    info.external_attr = (kind | 0o644) << 16
    return info, content


def archive_of(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return buffer.getvalue()


def patched(content: bytes, magic: bytes, at: int, value: bytes) -> bytes:
    """The archive with other bytes at an offset of its last record of a kind."""
    start = content.rindex(magic) + at
    return content[:start] + value + content[start + len(value) :]


def overlapping() -> bytes:
    """CVE-2024-0450: many entries on the same compressed bytes."""
    content = bytearray(zip_of({f"{n:02}.dcm": bytes(5000) for n in range(50)}))
    first = content.index(CENTRAL)
    at = first
    while (at := content.find(CENTRAL, at + 1)) > 0:
        content[at + 42 : at + 46] = bytes(4)
    return bytes(content)


def nested_zips() -> bytes:
    content = dicom_file()
    for depth in range(20):
        content = zip_of({f"{depth}": content})
    return content


def bombs() -> Iterator[tuple[str, bytes, str]]:
    small = zip_of({"a": b"x"})
    many = zip_of({f"{n}": b"" for n in range(20_001)})
    yield "overlapping", overlapping(), "archive_bomb"
    yield "ratio", patched(small, CENTRAL, 24, struct.pack("<L", 512 << 20)), "archive_bomb"
    yield "larger than all", patched(small, CENTRAL, 24, struct.pack("<L", 0xFFFFFFFE)), "archive_bomb"
    yield "forged count", patched(many, END, 8, struct.pack("<HH", 1, 1)), "archive_bomb"
    yield "forged directory size", patched(small, END, 12, struct.pack("<L", 0x7FFFFFFF)), "archive_bomb"
    yield "forged directory offset", patched(small, END, 16, struct.pack("<L", 0x7FFFFFFF)), "malformed_archive"
    yield "no entries", zip_of({}), "empty_archive"
    yield "cut", zip_of({"a.dcm": dicom_file()})[:-10], "malformed_archive"


@pytest.mark.parametrize(("content", "reason"), [pytest.param(*rest, id=name) for name, *rest in bombs()])
async def test_a_bomb_is_refused_whole(user: MakeUser, content: bytes, reason: str) -> None:
    assert await refused(user, {"b.zip": content}) == {"b.zip": reason}


async def test_archives_within_archives_are_not_opened(user: MakeUser) -> None:
    assert await refused(user, {"n.zip": nested_zips()}) == {"n.zip/19": "nested_archive"}


@pytest.mark.parametrize("forged_bytes", [10, 100_000])
async def test_an_entry_of_another_size_than_announced_is_refused(user: MakeUser, forged_bytes: int) -> None:
    content = patched(zip_of({"a.dcm": dicom_file()}), CENTRAL, 24, struct.pack("<L", forged_bytes))
    assert await refused(user, {"f.zip": content}) == {"f.zip/a.dcm": "malformed_archive"}


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_leaves_the_archive_is_refused_and_its_neighbour_is_not(user: MakeUser, name: str) -> None:
    content = archive_of(entry(NAMES[name], dicom_file()), entry("fine.dcm", dicom_file()))
    assert list((await refused(user, {"n.zip": content})).values()) == ["unsafe_path"]


@pytest.mark.parametrize(
    "kind",
    [stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK],
    ids=["link", "block", "character", "fifo", "socket"],
)
async def test_links_and_devices_are_refused(user: MakeUser, kind: int) -> None:
    content = archive_of(entry("l.dcm", b"/etc/passwd", kind=kind), entry("fine.dcm", dicom_file()))
    assert await refused(user, {"l.zip": content}) == {"l.zip/l.dcm": "unsafe_path"}


async def test_an_entry_that_its_system_calls_a_hard_link_is_a_file_like_others(user: MakeUser) -> None:
    """ZIP knows no hard links: the Unix extra field (0x000d) that names one is not followed."""
    info, content = entry("hard.dcm", dicom_file())
    info.extra = struct.pack("<HHLLHH", 0x000D, 12 + 11, 0, 0, 0, 0) + b"/etc/passwd"
    assert await refused(user, {"h.zip": archive_of((info, content))}) == {}


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_an_odd_name_is_made_fit_to_show(user: MakeUser, name: str) -> None:
    doctor = user(new_tenant())
    content = archive_of(entry(ODD_NAMES[name], dicom_file()))
    (accepted,) = (await doctor.upload(await doctor.open_batch(), {"o.zip": content}))["accepted"]
    assert len(accepted["name"]) <= 255
    assert accepted["name"].isprintable()


def nested_dicom() -> bytes:
    content = dicom_file()
    at = content.index(PIXELS)
    level = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return content[:at] + level * 3000 + content[at:]


def forged_length() -> bytes:
    content = dicom_file()
    at = content.index(PIXELS)
    return content[: at + 8] + struct.pack("<L", 0xFFFFFFFE) + b"\0\0"


DICOM = {
    "nested": (nested_dicom(), "malformed"),
    "forged length": (forged_length(), "truncated"),
    "rows as DS": (
        encode(image(rows=4)).replace(b"\x28\x00\x10\x00US\x02\x00\x04\x00", b"\x28\x00\x10\x00DS\x02\x004 "),
        "invalid_attribute",
    ),
    "larger than all": (compressed([b"tiny"], uid.JPEG2000, rows=60_000, columns=60_000), "too_large"),
    "cut": (dicom_file()[:-3], "truncated"),
    "DICOM of DICOM": (dicom_file() + dicom_file(), "truncated"),
    "a ZIP in a DICOM file's place": (bytes(128) + b"DICM" + zip_of({"a": b"x"}), "unsupported_transfer_syntax"),
}


@pytest.mark.parametrize("name", DICOM)
async def test_hostile_dicom_is_refused_by_name(user: MakeUser, name: str) -> None:
    content, reason = DICOM[name]
    assert await refused(user, {"h.dcm": content, "z.zip": zip_of({"h.dcm": content, "fine.dcm": dicom_file()})}) == {
        "h.dcm": reason,
        "z.zip/h.dcm": reason,
    }
