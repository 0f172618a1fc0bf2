"""The spool and unpacking from it."""

import asyncio
import struct
import zipfile
from pathlib import Path

import pytest

from ingest_service.adapters.spool import Spool
from ingest_service.adapters.unpacking import Unpacker
from ingest_service.domain.archive import plan_archive
from ingest_service.domain.limits import ArchiveLimits
from ingest_service.domain.reasons import Refusal, RejectReason
from support.dicom_files import zip_of


def folders(parent: Path) -> set[str]:
    return {path.name for path in parent.iterdir()}


def test_the_spool_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with Spool(tmp_path / "made") as spool:
        path = spool.new_path()
        path.write_bytes(b"x")
        assert path.parent.stat().st_mode & 0o077 == 0
        assert path != spool.new_path()
    assert folders(tmp_path / "made") == set()


def test_what_a_killed_process_left_is_removed_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    abandoned = tmp_path / "radrelay-ingest-abandoned"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    (abandoned / "body").write_bytes(b"patient data")
    (tmp_path / "somebody-elses").mkdir()
    with Spool(tmp_path) as living:
        kept = living.new_path()
        kept.write_bytes(b"x")
        with Spool(tmp_path):
            assert kept.exists()
        assert not abandoned.exists()
    assert folders(tmp_path) == {"somebody-elses"}


async def extract(content: bytes, folder: Path) -> bytes:
    path, target = folder / "archive", folder / "target"
    path.write_bytes(content)
    (entry,) = plan_archive(path, ArchiveLimits()).entries
    async with Unpacker(path) as unpacking:
        await unpacking.extract(entry, target)
    return await asyncio.to_thread(target.read_bytes)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
async def test_an_entry_comes_out_as_it_went_in(tmp_path: Path, compression: int) -> None:
    content = bytes(range(256)) * 9000
    assert await extract(zip_of({"a.dcm": content}, compression=compression), tmp_path) == content


@pytest.mark.parametrize("claimed", [0, 100, 9_999, 10_001, 1_000_000])
async def test_an_entry_of_another_size_than_announced_is_refused_and_leaves_nothing(
    tmp_path: Path, claimed: int
) -> None:
    content = bytearray(zip_of({"a.dcm": bytes(10_000)}))
    central = content.index(b"PK\x01\x02")
    content[central + 24 : central + 28] = struct.pack("<L", claimed)
    with pytest.raises(Refusal) as caught:
        await extract(bytes(content), tmp_path)
    assert caught.value.reason is RejectReason.MALFORMED_ARCHIVE
    assert not (tmp_path / "target").exists()


async def test_an_entry_whose_deflated_data_is_broken_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_of({"a.dcm": bytes(range(256)) * 40}))
    content[60:80] = b"\xff" * 20
    with pytest.raises(Refusal) as caught:
        await extract(bytes(content), tmp_path)
    assert caught.value.reason is RejectReason.MALFORMED_ARCHIVE


async def test_an_entry_whose_own_header_tells_another_name_is_refused(tmp_path: Path) -> None:
    content = zip_of({"aaaa.dcm": b"x" * 50}).replace(b"aaaa.dcm", b"bbbb.dcm", 1)
    with pytest.raises(Refusal) as caught:
        await extract(content, tmp_path)
    assert caught.value.reason is RejectReason.MALFORMED_ARCHIVE
