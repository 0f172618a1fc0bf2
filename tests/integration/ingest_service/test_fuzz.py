"""A few hundred mutated files against the API as a process; `make fuzz` sends thousands."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fuzz.intake import fuzz_intake
from ingest_service.settings import IngestSettings
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser
from support.ingest_processes import environment_of, left_in, ready, running
from support.memory import MemoryWatch, family
from support.mutations import shipped_samples
from support.tenants import new_tenant
from support.tokens import TestIssuer

MAX_MEMORY_BYTES = 400_000_000


@pytest.fixture
async def api(
    settings: IngestSettings, tmp_path: Path, unused_tcp_port: int
) -> AsyncIterator[tuple[int, httpx.AsyncClient]]:
    """The process id, and a client of it."""
    command = ("uvicorn", "--factory", "ingest_service.main:create_app", "--port", str(unused_tcp_port))
    async with (
        running(*command, env=environment_of(settings, tmp_path)) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}", timeout=60) as client,
    ):
        await ready(client)
        yield process.pid, client


async def test_mutated_files_are_judged_by_a_service_that_stays_up_and_small(
    api: tuple[int, httpx.AsyncClient], issuer: TestIssuer, tmp_path: Path
) -> None:
    pid, client = api
    tenant = new_tenant()

    def user(name: str) -> IngestUser:
        return IngestUser(client, issuer.bearer(tenant, name))

    first = user("first")
    await first.upload(await first.open_batch(), {"a.dcm": dicom_file()})
    before = {process.pid for process in family(pid)}
    with MemoryWatch(pid) as memory:
        findings = await fuzz_intake(user, shipped_samples(), files=320, seed=11, files_a_request=40)
    assert findings.faults == []
    assert findings.files == 320
    assert findings.outcomes["accepted"] > 10
    assert len(findings.outcomes) > 5
    assert {process.pid for process in family(pid)} == before
    assert memory.peak_bytes < MAX_MEMORY_BYTES
    assert left_in(tmp_path) == []
