"""Resumable uploads across processes that are killed, as they are run in production."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from ingest_service.settings import IngestSettings
from radrelay_shared.database import Database, Scope
from support import tus
from support.dicom_files import dicom_file, zip_of
from support.ingest_api import IngestUser, assert_problem
from support.ingest_processes import environment_of, ready, running
from support.tenants import new_tenant
from support.tokens import TestIssuer

IMAGES = 8
MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def environment(settings: IngestSettings, tmp_path: Path, unused_tcp_port: int) -> dict[str, str]:
    own = {
        "HEALTH_PORT": str(unused_tcp_port),
        "UPLOAD__PART_BYTES": "65536",
        "TAKING_IN_INTERVAL_S": "0.05",
        "TAKING_IN_LEASE_S": "3",
    }
    return environment_of(settings, tmp_path) | {f"RADRELAY_INGEST_{name}": value for name, value in own.items()}


@asynccontextmanager
async def killed_at_the_end(*command: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    async with running(*command, env=env) as process:
        yield process
        process.kill()
        await process.wait()


async def test_an_upload_goes_on_after_its_api_was_killed_over_it(
    environment: dict[str, str], unused_tcp_port: int, user: MakeUser, issuer: TestIssuer
) -> None:
    tenant, content = new_tenant(), os.urandom(200_000)
    doctor = user(tenant)
    batch_id = await doctor.open_batch()
    path = await tus.begin(doctor, batch_id, len(content))
    command = ("uvicorn", "--factory", "ingest_service.main:create_app", "--port", str(unused_tcp_port))
    base_url = f"http://127.0.0.1:{unused_tcp_port}"

    async def slowly() -> AsyncIterator[bytes]:
        yield content[:100_000]
        await asyncio.Event().wait()

    async with (
        httpx.AsyncClient(base_url=base_url, timeout=30) as client,
        killed_at_the_end(*command, env=environment),
    ):
        await ready(client)
        elsewhere = IngestUser(client, issuer.bearer(tenant, "dr-a"))
        sending = asyncio.create_task(tus.send(elsewhere, path, 0, slowly()))
        # The first part is stored, the second has begun.
        await tus.offset_becomes(doctor, path, 65_536)
    sending.cancel()
    assert (await tus.send(doctor, path, 65_536, content[65_536:])).status_code == 204


async def test_a_whole_upload_is_taken_up_again_when_the_worker_that_had_it_was_killed(
    environment: dict[str, str], user: MakeUser, working: Working, database: Database, system: Database
) -> None:
    tenant = new_tenant()
    doctor = user(tenant)
    batch_id = await doctor.open_batch()
    content = zip_of({f"ct/{number}.dcm": dicom_file() for number in range(IMAGES)} | {"letter.txt": b"Dear"})
    path = await tus.send_all(doctor, batch_id, content)
    # Who holds the tenant's audit chain lets nothing of it be recorded.
    async with database.transaction(Scope(tenant, "dr-a", "clinician")) as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(3141001, hashtext(:tenant))"), {"tenant": tenant})
        async with killed_at_the_end("ingest_service.worker", env=environment):
            await claimed(system, path)
    assert (await doctor.batch(batch_id))["counts"]["received"] == 0
    assert_problem(await doctor.call("POST", f"/{batch_id}/close"), 409, "uploads_pending")
    async with working(taking_in_interval_s=0.05):
        batch = await doctor.wait_for(batch_id, lambda batch: batch["counts"]["received"] == IMAGES + 1)
    assert (batch["counts"]["queued"], batch["counts"]["rejected"]) == (IMAGES, 1)


async def claimed(system: Database, path: str) -> None:
    """Return when a worker has taken an upload up."""
    query = text("SELECT attempts FROM ingest.resumable_upload WHERE upload_id = CAST(:upload_id AS uuid)")
    async with asyncio.timeout(60):
        while True:
            async with system.system_transaction() as session:
                if await session.scalar(query, {"upload_id": path.rsplit("/", 1)[1]}):
                    return
            await asyncio.sleep(0.02)
