"""The command as it is run in production, and how it ends."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from ingest_service.settings import IngestSettings
from support.dicom_files import dicom_file
from support.dicom_network import OWNER, TENANTS, Modality, closed_batches
from support.ingest_api import IngestUser
from support.ingest_processes import environment_of, ready, running

MakeModality = Callable[..., Modality]
Running = Callable[[str], AbstractAsyncContextManager[tuple[asyncio.subprocess.Process, int]]]


@pytest.fixture
def intake(settings: IngestSettings, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> Running:
    """Runs the command for one calling AE title, and gives the process and its port."""

    @asynccontextmanager
    async def run(calling_ae: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
        port, health_port = unused_tcp_port_factory(), unused_tcp_port_factory()
        spool = tmp_path / "spool"
        peer = {"calling_ae": calling_ae, "tenant": TENANTS[calling_ae], "owner_id": OWNER}
        own = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "HEALTH_HOST": "127.0.0.1",
            "HEALTH_PORT": str(health_port),
            "PEERS": json.dumps([peer]),
            "GRACE_S": "3",
        }
        env = environment_of(settings, spool) | {f"RADRELAY_INGEST_DIMSE__{key}": value for key, value in own.items()}
        async with running("ingest_service.dimse", env=env) as process:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{health_port}") as client:
                await ready(client)
                assert "radrelay_ingest_dicom_connections" in (await client.get("/metrics")).text
            yield process, port
        assert list(spool.iterdir()) == []

    return run


async def test_told_to_end_it_takes_no_new_association_lets_the_busy_finish_and_aborts_the_idle(
    intake: Running, modality: MakeModality, doctor: Callable[[Modality], IngestUser]
) -> None:
    title = modality().calling_ae
    async with intake(title) as (process, port):
        scanner = modality(calling_ae=title, port=port)
        idle = await scanner.associate()
        async with scanner.association() as busy:
            assert await scanner.store(busy, dicom_file()) == (0x0000, None)
            process.send_signal(signal.SIGTERM)
            await refuses_connections(port)
            assert await scanner.store(busy, dicom_file()) == (0x0000, None)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
            while not idle.is_aborted:
                await asyncio.sleep(0.02)
    (batch,) = await closed_batches(doctor(scanner))
    assert batch["counts"]["queued"] == 2


async def refuses_connections(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:  # the listener closed just now
                continue
            writer.close()
            await asyncio.sleep(0.02)
