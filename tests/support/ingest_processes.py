"""Commands of services as they are run in production: settings from the environment only."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from ingest_service.settings import IngestSettings
from report_service.settings import ReportSettings


def values_of(settings: IngestSettings | ReportSettings) -> dict[str, str]:
    """What says where the servers are that every process of a service needs; a service's prefix belongs before it."""
    assert settings.database.system_url is not None
    return {
        "NATS__URL": settings.nats.url,
        "OBJECTS__ENDPOINT": settings.objects.endpoint,
        "OBJECTS__ACCESS_KEY": settings.objects.access_key,
        "OBJECTS__SECRET_KEY": settings.objects.secret_key.get_secret_value(),
        "OBJECTS__BUCKET_PREFIX": settings.objects.bucket_prefix,
        "OBJECTS__SECURE": "false",
        "DATABASE__APP_URL": settings.database.app_url.get_secret_value(),
        "DATABASE__SYSTEM_URL": settings.database.system_url.get_secret_value(),
        "AUTH__ISSUER": settings.auth.issuer,
        "AUTH__JWKS_URL": settings.auth.jwks_url,
        "HEALTH_HOST": "127.0.0.1",
    }


def environment_of(settings: IngestSettings, spool_dir: Path) -> dict[str, str]:
    """The environment that says the same as these settings, with a spool of its own."""
    assert settings.database.owner_url is not None
    values = values_of(settings) | {
        "DATABASE__OWNER_URL": settings.database.owner_url.get_secret_value(),
        "UPLOAD__SPOOL_DIR": str(spool_dir),
    }
    return {f"RADRELAY_INGEST_{name}": value for name, value in values.items()}


@asynccontextmanager
async def running(*command: str, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python module as a process that runs while the block does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, env={**os.environ, **env}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ready(client: httpx.AsyncClient, *, timeout_s: float = 30) -> None:
    """Return when the process is ready."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def stopped(process: asyncio.subprocess.Process) -> int:
    """Ask the process to end, and return its exit status."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        return await process.wait()


def left_in(spool: Path) -> list[Path]:
    """Files in the spool of a process that runs, other than its lock."""
    return [path for path in spool.rglob("*") if path.is_file() and path.name != "lock"]
