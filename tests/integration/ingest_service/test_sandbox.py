"""The validating processes under files that hang, swell or kill them."""

import asyncio
import os
import signal
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from pydicom import uid

from ingest_service.adapters.sandbox import Sandbox
from ingest_service.deidentification.pseudonyms import pseudonym_keys
from ingest_service.domain.limits import MIB, ArchiveLimits, DicomLimits
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.settings import ValidationSettings
from support.dicom_files import compressed, dicom_file, zip_of

MEMORY_BYTES = 96 * MIB


def descendants() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def opened_for(timeout_s: float) -> Sandbox:
    settings = ValidationSettings(processes=2, timeout_s=timeout_s, memory_bytes=MEMORY_BYTES)
    return Sandbox(settings, DicomLimits(), ArchiveLimits())


@pytest.fixture
async def sandbox(others: set[int]) -> AsyncIterator[Sandbox]:
    async with opened_for(1.0) as opened:
        yield opened


@pytest.fixture
async def others(tmp_path: Path) -> set[int]:
    """Processes that are not this test's: the server that forks workers is started before, and shared."""
    async with Sandbox(ValidationSettings(processes=1), DicomLimits(), ArchiveLimits()):
        pass
    return descendants()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good"
    path.write_bytes(dicom_file())
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file whose pixel data has millions of empty fragments."""
    path = tmp_path / "endless"
    content = compressed([b"x"], uid.JPEG2000)
    at = content.index(b"\xe0\x7f\x10\x00OB") + 12
    path.write_bytes(content[:at] + b"\xfe\xff\x00\xe0\0\0\0\0" * 8_000_000 + content[at:])
    return path


async def reason_of(sandbox: Sandbox, path: Path) -> RejectReason:
    with pytest.raises(Refusal) as caught:
        await sandbox.validate(path)
    return caught.value.reason


async def test_facts_plans_and_refusals_come_back_from_the_processes(
    sandbox: Sandbox, good: Path, tmp_path: Path
) -> None:
    assert (await sandbox.validate(good)).modality == "CT"
    archive, letter = tmp_path / "archive", tmp_path / "letter"
    archive.write_bytes(zip_of({"a.dcm": b"x", "../b.dcm": b"y"}))
    letter.write_bytes(b"hello" * 100)
    plan = await sandbox.plan(archive)
    assert ([entry.name for entry in plan.entries], plan.refused[0].reason) == (["a.dcm"], RejectReason.UNSAFE_PATH)
    assert await reason_of(sandbox, letter) is RejectReason.NOT_DICOM


async def test_a_file_that_takes_too_long_is_refused_and_its_neighbour_is_not(
    sandbox: Sandbox, good: Path, endless: Path
) -> None:
    reason, facts = await asyncio.gather(reason_of(sandbox, endless), sandbox.validate(good))
    assert reason is RejectReason.VALIDATION_TIMEOUT
    assert facts.modality == "CT"
    assert (await sandbox.validate(good)).modality == "CT"


async def test_a_file_that_asks_for_too_much_memory_is_refused(sandbox: Sandbox, good: Path, tmp_path: Path) -> None:
    content = dicom_file()
    at = content.index(b"\xe0\x7f\x10\x00")
    path, size = tmp_path / "greedy", 2 * MEMORY_BYTES
    with path.open("wb") as file:
        file.write(content[:at] + b"\x09\x00\x10\x10OB\0\0" + struct.pack("<L", size))
        file.seek(size, 1)
        file.write(content[at:])
    assert (await sandbox.validate(path)).modality == "CT"
    with pytest.raises(Refusal) as caught:
        await sandbox.deidentify(path, tmp_path / "target", pseudonym_keys(bytes(32), "north"))
    assert (caught.value.reason, "MemoryError" in caught.value.detail) == (RejectReason.MALFORMED, True)
    assert (await sandbox.validate(good)).modality == "CT"


async def test_a_file_whose_process_dies_is_refused_and_the_next_is_served(
    good: Path, endless: Path, others: set[int]
) -> None:
    async with opened_for(60.0) as sandbox:
        judging = asyncio.create_task(reason_of(sandbox, endless))
        async with asyncio.timeout(30):
            while not (busy := [pid for pid in descendants() - others if _is_busy(pid)]):
                await asyncio.sleep(0.02)
        for pid in busy:
            os.kill(pid, signal.SIGKILL)
        assert await judging is RejectReason.VALIDATION_CRASHED
        assert (await sandbox.validate(good)).modality == "CT"


def _is_busy(pid: int) -> bool:
    try:
        return float(psutil.Process(pid).cpu_times().user) > 0.3
    except psutil.NoSuchProcess:
        return False


async def test_workers_that_die_while_idle_are_replaced(sandbox: Sandbox, good: Path, others: set[int]) -> None:
    await sandbox.validate(good)
    for _ in range(2):
        for pid in descendants() - others:
            os.kill(pid, signal.SIGKILL)
        outcomes = await asyncio.gather(*(sandbox.validate(good) for _ in range(4)))
        assert {facts.modality for facts in outcomes} == {"CT"}


async def test_leaving_the_sandbox_ends_its_processes(good: Path, others: set[int]) -> None:
    async with Sandbox(ValidationSettings(processes=2), DicomLimits(), ArchiveLimits()) as opened:
        await opened.validate(good)
        assert len(descendants() - others) == 2
    assert descendants() <= others
