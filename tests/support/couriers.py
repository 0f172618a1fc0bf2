"""The part of the report worker that sends, by itself; and reports to send something of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Verdict
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.deliveries import PostgresDeliveryQueue
from report_service.adapters.erasures import PostgresErasureQueue
from report_service.adapters.outages import is_outage
from report_service.adapters.postgres import PostgresReportStore, PostgresReportUnit
from report_service.adapters.webhooks import WebhookCarrier
from report_service.delivering import Courier
from report_service.domain.destinations import Patience
from report_service.domain.erasure import ErasureReason, Target
from report_service.domain.report import Report
from report_service.domain.review import Judgement, Label
from report_service.erasing import Eraser, request_erasures
from report_service.handlers import persist_report
from report_service.reviewing import ReviewStore, review_report
from support.destinations import SOON
from support.events import inference_completed


@dataclass(frozen=True)
class Couriers:
    """What sends, on one database."""

    database: Database
    system: Database
    objects: S3ObjectStore

    @property
    def store(self) -> PostgresReportStore:
        """Where destinations are kept, and the reports of all tenants."""
        return PostgresReportStore(self.database)

    @property
    def queue(self) -> PostgresDeliveryQueue:
        """What is on its way, of all tenants."""
        return PostgresDeliveryQueue(self.system)

    @asynccontextmanager
    async def at_work(self, *, at_once: int = 64, **changes: Any) -> AsyncIterator[WebhookCarrier]:
        """A worker's sending, with changes to the settings, while the block runs."""
        settings = SOON.model_copy(update=changes)
        stop = asyncio.Event()
        allowed, vault = settings.allowed(), settings.vault()
        async with (
            WebhookCarrier(allowed, vault, timeout_s=settings.timeout_s, at_once=at_once) as carrier,
            asyncio.TaskGroup() as group,
        ):
            courier = Courier(
                queue=self.queue,
                carrier=carrier,
                lease=timedelta(seconds=2 * settings.timeout_s + 5),
                patience=Patience(timedelta(seconds=settings.first_pause_s)),
                at_once=at_once,
                at_once_each=settings.max_in_flight_each,
                poll_s=settings.poll_s,
                kept=timedelta(seconds=settings.kept_s),
                is_outage=is_outage,
            )
            group.create_task(courier.run(stop))
            try:
                yield carrier
            finally:
                stop.set()

    async def persist(self, tenant: str) -> Report:
        """A report of a result."""
        result = inference_completed(tenant=tenant)
        store = self.store
        _, report = await persist_report(result, reports=store, now=lambda: datetime.now(UTC))
        return report

    async def review(self, report: Report, store: ReviewStore | None = None) -> None:
        """Its first review."""
        await review_report(
            report.report_id,
            Judgement(Verdict.UNSURE, Label.NOT_ASSESSABLE, None, None),
            is_current=lambda version: version == 0,
            scope=Scope(report.tenant, "dr-a", "clinician"),
            store=store or self.store,
        )

    @asynccontextmanager
    async def reviewing(self, report: Report) -> AsyncIterator[None]:
        """Its first review, all done but committed while the block runs."""
        held = _Held(self.store)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.review(report, held))
            await held.reached.wait()
            try:
                yield
            finally:
                held.leave.set()

    async def erase(self, report: Report) -> None:
        """The report, as the worker does it."""
        store = self.store
        target = Target(report.study_instance_uid, None)
        boss = Scope(report.tenant, "boss", "tenant_admin")
        await request_erasures([target], ErasureReason.PATIENT_REQUEST, scope=boss, store=store)
        eraser = Eraser(store, PostgresErasureQueue(self.system), self.objects, {}, 0.0)
        await eraser.run(asyncio.Event())

    async def change(self, tenant: str, statement: str, **values: Any) -> None:
        """Change rows of a tenant."""
        async with self.database.transaction(Scope.service(tenant)) as session:
            await session.execute(text(statement), values)

    async def until_one_waits(self) -> None:
        """Until a transaction waits for another one's rows."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(20):
            while not await self._one(waiting):
                await asyncio.sleep(0.02)

    async def _one(self, query: str) -> Any:
        async with self.database.engine.connect() as connection:
            return (await connection.execute(text(query))).scalar_one()


@dataclass
class _Held:
    """A store whose transaction commits when it is told to."""

    store: PostgresReportStore
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[PostgresReportUnit]:
        async with self.store.transaction(scope) as unit:
            yield unit
            self.reached.set()
            await self.leave.wait()
