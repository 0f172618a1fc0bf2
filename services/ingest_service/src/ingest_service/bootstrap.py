"""The only place where adapters are put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from ingest_service.adapters.listener import BatchListener
from ingest_service.adapters.records import PostgresRecords
from ingest_service.adapters.sandbox import Sandbox
from ingest_service.adapters.spool import Spool
from ingest_service.adapters.unpacking import Unpacker
from ingest_service.domain.limits import ArchiveLimits, DicomLimits
from ingest_service.ports import BatchChanges, Intake, Records
from ingest_service.settings import IngestSettings, UploadSettings
from radrelay_shared.auth import TokenVerifier
from radrelay_shared.database import Database
from radrelay_shared.http import ReadinessCheck
from radrelay_shared.objects import S3ObjectStore


@dataclass(frozen=True, slots=True)
class Container:
    """What the API's routes use."""

    intake: Intake
    changes: BatchChanges
    upload: UploadSettings
    slots: asyncio.Semaphore
    """Bounds the files handled at the same time by this process."""

    @property
    def records(self) -> Records:
        """The service's database."""
        return self.intake.records


@dataclass(frozen=True, slots=True)
class Api:
    """All that the API process holds open."""

    container: Container
    verifier: TokenVerifier
    readiness: dict[str, ReadinessCheck]


@asynccontextmanager
async def open_api(settings: IngestSettings) -> AsyncIterator[Api]:
    """Open what the API needs; nothing here waits for a dependency to be up."""
    async with AsyncExitStack() as stack:
        pool = settings.database
        database = await stack.enter_async_context(
            Database(pool.app_url, pool_size=pool.pool_size, max_overflow=pool.max_overflow)
        )
        objects = await stack.enter_async_context(S3ObjectStore(settings.objects))
        verifier = await stack.enter_async_context(TokenVerifier(settings.auth))
        spool = stack.enter_context(Spool(settings.upload.spool_dir))
        sandbox = await stack.enter_async_context(Sandbox(settings.validation, DicomLimits(), ArchiveLimits()))
        listener = BatchListener(database.dsn)
        await stack.enter_async_context(_running(listener))
        intake = Intake(PostgresRecords(database), objects, sandbox, spool.new_path, Unpacker)
        slots = asyncio.Semaphore(settings.upload.files_in_flight)
        yield Api(
            Container(intake, listener, settings.upload, slots),
            verifier,
            {"postgresql": database.ready, "objects": objects.ready},
        )


@asynccontextmanager
async def _running(listener: BatchListener) -> AsyncIterator[None]:
    task = asyncio.create_task(listener.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
