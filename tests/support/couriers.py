"""The part of the report worker that sends, by itself; and events as the worker gets them, without a broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Event, Verdict, parse_event
from radrelay_shared.messaging import Delivery
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.deliveries import PostgresDeliveryQueue
from report_service.adapters.erasures import PostgresErasureQueue
from report_service.adapters.outages import is_outage
from report_service.adapters.postgres import PostgresReportStore
from report_service.adapters.webhooks import WebhookCarrier
from report_service.delivering import Courier, note_event
from report_service.domain.destinations import Patience
from report_service.domain.erasure import ErasureReason, Target
from report_service.domain.report import Report
from report_service.domain.review import Judgement, Label
from report_service.erasing import Eraser, request_erasures
from report_service.handlers import persist_report
from report_service.reviewing import review_report
from support.destinations import SOON
from support.events import inference_completed


@dataclass(frozen=True)
class Couriers:
    """What sends, on one database."""

    database: Database
    system: Database
    objects: S3ObjectStore

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
                patience=Patience(timedelta(seconds=settings.first_pause_s), timedelta(seconds=settings.give_up_s)),
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
        store = PostgresReportStore(self.database)
        _, report = await persist_report(result, reports=store, now=lambda: datetime.now(UTC))
        return report

    async def review(self, report: Report) -> None:
        """Its first review."""
        await review_report(
            report.report_id,
            Judgement(Verdict.UNSURE, Label.NOT_ASSESSABLE, None, None),
            is_current=lambda version: version == 0,
            scope=Scope(report.tenant, "dr-a", "clinician"),
            store=PostgresReportStore(self.database),
        )

    async def erase(self, report: Report) -> None:
        """The report, as the worker does it."""
        store = PostgresReportStore(self.database)
        target = Target(report.study_instance_uid, None)
        boss = Scope(report.tenant, "boss", "tenant_admin")
        await request_erasures([target], ErasureReason.PATIENT_REQUEST, scope=boss, store=store)
        eraser = Eraser(store, PostgresErasureQueue(self.system), self.objects, {}, 0.0)
        await eraser.run(asyncio.Event())

    async def announced(self, tenant: str, event_type: str) -> Event[Any]:
        """The last event of a type that waits to be published."""
        async with self.system.system_transaction() as session:
            payloads = await session.scalars(
                text("SELECT payload FROM report.outbox WHERE tenant = :tenant ORDER BY created_at DESC"),
                {"tenant": tenant},
            )
            return next(event for event in map(parse_event, payloads) if event.type.endswith(f".{event_type}.v1"))

    async def tell(self, event: Event[Any]) -> None:
        """As if the event came from the broker."""
        store = PostgresReportStore(self.database)
        await note_event(Delivery(event, "subject", attempt=1), store=store, give_up_after=timedelta(days=3))

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
