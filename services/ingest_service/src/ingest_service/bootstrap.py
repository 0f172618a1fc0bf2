"""The only place where adapters are put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ingest_service.adapters.answers import PostgresAnswers
from ingest_service.adapters.deidentifier import SandboxedDeidentifier
from ingest_service.adapters.records import PostgresRecords
from ingest_service.adapters.resumable import PostgresUploads
from ingest_service.adapters.sandbox import Sandbox
from ingest_service.adapters.spool import Spool
from ingest_service.adapters.statements import BATCH_CHANNEL
from ingest_service.adapters.unpacking import Unpacker
from ingest_service.domain.limits import ArchiveLimits, DicomLimits
from ingest_service.handlers.registering import GroupedRegister
from ingest_service.ports import Answers, BatchChanges, Intake, Records
from ingest_service.settings import IngestSettings, UploadSettings
from ingest_service.upload_ports import Resumption, Uploads
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.audit.trail import Trail, open_trail
from radrelay_shared.auth import TokenVerifier
from radrelay_shared.database import ChangeListener, Database
from radrelay_shared.http import RateLimiter, ReadinessCheck
from radrelay_shared.objects import S3ObjectStore


@dataclass(frozen=True, slots=True)
class Container:
    """What the API's routes use."""

    intake: Intake
    uploads: Uploads
    answers: Answers
    changes: BatchChanges
    reads: ReadLog
    upload: UploadSettings
    slots: asyncio.Semaphore
    """Bounds the files handled at the same time by this process."""

    @property
    def records(self) -> Records:
        """The service's database."""
        return self.intake.records

    @property
    def resumption(self) -> Resumption:
        """What receiving a file in pieces takes."""
        return Resumption(self.intake, self.uploads, self.upload.resumable)


@dataclass(frozen=True, slots=True)
class Api:
    """All that the API process holds open."""

    container: Container
    trail: Trail
    verifier: TokenVerifier
    rate_limiter: RateLimiter
    readiness: dict[str, ReadinessCheck]


@dataclass(frozen=True, slots=True)
class OpenIntake:
    """What any process that receives files holds open."""

    intake: Intake
    slots: asyncio.Semaphore
    """Bounds the files handled at the same time by this process."""
    database: Database
    readiness: dict[str, ReadinessCheck]


@asynccontextmanager
async def open_intake(settings: IngestSettings) -> AsyncIterator[OpenIntake]:
    """Open what receiving files needs; nothing here waits for a dependency to be up."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(settings.database.app())
        objects = await stack.enter_async_context(S3ObjectStore(settings.objects))
        spool = stack.enter_context(Spool(settings.upload.spool_dir))
        sandbox = await stack.enter_async_context(Sandbox(settings.validation, DicomLimits(), ArchiveLimits()))
        deidentifiers = {
            tenant: SandboxedDeidentifier(sandbox, tenant, chosen.key_bytes())
            for tenant, chosen in settings.deidentification.items()
            if chosen.mode == "basic"
        }
        records = PostgresRecords(database)
        yield OpenIntake(
            Intake(
                records=records,
                register=await stack.enter_async_context(
                    GroupedRegister(records, objects, settings.upload.store_timeout_s)
                ),
                objects=objects,
                validator=sandbox,
                new_path=spool.new_path,
                rejected_retention_s=settings.rejected_retention_s,
                open_archive=Unpacker,
                archive_slots=asyncio.Semaphore(settings.upload.archives_in_flight),
                quota_of=settings.quota.of,
                deidentifiers=deidentifiers,
                store_timeout_s=settings.upload.store_timeout_s,
            ),
            asyncio.Semaphore(settings.upload.files_in_flight),
            database,
            {"postgresql": database.ready, "objects": objects.ready},
        )


@asynccontextmanager
async def open_api(settings: IngestSettings) -> AsyncIterator[Api]:
    """Open what the API needs; nothing here waits for a dependency to be up."""
    async with (
        open_intake(settings) as opened,
        TokenVerifier(settings.auth) as verifier,
        RateLimiter(settings.rate_limits, "ingest") as rate_limiter,
    ):
        listener = ChangeListener(opened.database.connect_to_listen, BATCH_CHANNEL)
        async with listener.running(), open_trail(opened.intake.records, "ingest") as trail:
            answers = PostgresAnswers(opened.database)
            container = Container(
                intake=opened.intake,
                uploads=PostgresUploads(opened.database),
                answers=answers,
                changes=listener,
                reads=trail.reads,
                upload=settings.upload,
                slots=opened.slots,
            )
            yield Api(container, trail, verifier, rate_limiter, opened.readiness)
