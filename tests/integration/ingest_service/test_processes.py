"""The commands as they are run in production: settings from the environment only."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from ingest_service.settings import IngestSettings
from radrelay_shared.database import DatabaseSettings
from support.databases import dsn, new_database, provisioned
from support.dicom_files import dicom_file
from support.stack import Infrastructure
from support.tenants import new_tenant
from support.tokens import TestIssuer

MIB = 1 << 20
BODY_BYTES = 256 * MIB


@pytest.fixture
def environment(settings: IngestSettings, tmp_path: Path) -> dict[str, str]:
    database = settings.database
    assert database.system_url is not None
    assert database.owner_url is not None
    values = {
        "NATS__URL": settings.nats.url,
        "OBJECTS__ENDPOINT": settings.objects.endpoint,
        "OBJECTS__ACCESS_KEY": settings.objects.access_key,
        "OBJECTS__SECRET_KEY": settings.objects.secret_key.get_secret_value(),
        "OBJECTS__BUCKET": settings.objects.bucket,
        "OBJECTS__SECURE": "false",
        "DATABASE__APP_URL": database.app_url.get_secret_value(),
        "DATABASE__SYSTEM_URL": database.system_url.get_secret_value(),
        "DATABASE__OWNER_URL": database.owner_url.get_secret_value(),
        "AUTH__ISSUER": settings.auth.issuer,
        "AUTH__JWKS_URL": settings.auth.jwks_url,
        "UPLOAD__SPOOL_DIR": str(tmp_path),
        "HEALTH_HOST": "127.0.0.1",
    }
    return {f"RADRELAY_INGEST_{name}": value for name, value in values.items()}


@asynccontextmanager
async def running(*command: str, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, env={**os.environ, **env}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def stopped(process: asyncio.subprocess.Process) -> int:
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        return await process.wait()


async def test_the_migration_command_makes_the_schema(environment: dict[str, str], infra: Infrastructure) -> None:
    database: DatabaseSettings = await provisioned(await new_database(infra.postgres_admin_url), "ingest")
    assert database.owner_url is not None
    env = environment | {"RADRELAY_INGEST_DATABASE__OWNER_URL": database.owner_url.get_secret_value()}
    async with running("ingest_service.migrate", env=env) as process, asyncio.timeout(30):
        assert await process.wait() == 0
    connection = await asyncpg.connect(dsn(database.owner_url))
    try:
        assert await connection.fetchval("SELECT version_num FROM ingest.alembic_version") == "0001"
    finally:
        await connection.close()


async def test_the_worker_becomes_ready_and_ends_when_told(environment: dict[str, str], unused_tcp_port: int) -> None:
    env = environment | {"RADRELAY_INGEST_HEALTH_PORT": str(unused_tcp_port)}
    async with running("ingest_service.worker", env=env) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
            await ready(client)
            assert "radrelay_outbox_oldest_age_seconds" in (await client.get("/metrics")).text
        assert await stopped(process) == 0


async def test_a_large_upload_takes_no_memory(
    environment: dict[str, str], unused_tcp_port: int, issuer: TestIssuer, tmp_path: Path
) -> None:
    command = ("uvicorn", "--factory", "ingest_service.main:create_app", "--port", str(unused_tcp_port))
    async with running(*command, env=environment) as process:
        headers = issuer.bearer(new_tenant(), "dr-a")
        base_url = f"http://127.0.0.1:{unused_tcp_port}"
        async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60) as client:
            await ready(client)
            batch_id = (await client.post("/v1/batches", json={})).json()["batch_id"]
            path = f"/v1/batches/{batch_id}/files"
            small = await client.post(path, files={"files": ("a.dcm", dicom_file())})
            assert len(small.json()["accepted"]) == 1
            before = peak_memory_bytes(process.pid)
            response = await client.post(
                path, content=big_body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
            )
        assert [each["reason"] for each in response.json()["rejected"]] == ["not_dicom"]
        assert peak_memory_bytes(process.pid) - before < 32 * MIB
        await stopped(process)
    assert left_in(tmp_path) == []


async def big_body() -> AsyncIterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="big.dcm"\r\n\r\n'
    for _ in range(BODY_BYTES // MIB):
        yield bytes(MIB)
    yield b"\r\n--x--\r\n"


def peak_memory_bytes(pid: int) -> int:
    """The most that the process ever had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())
