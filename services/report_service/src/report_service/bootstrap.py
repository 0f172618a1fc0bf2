"""The only place that wires adapters together."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from radrelay_shared.audit.heads import HeadPublisher
from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.audit.trail import open_trail
from radrelay_shared.auth import TokenVerifier
from radrelay_shared.database import Database
from radrelay_shared.errors import ConfigurationError
from radrelay_shared.http import RateLimiter
from radrelay_shared.messaging import Consumer, broker_ready, connect, durables, ensure_topology
from radrelay_shared.objects import ObjectStore, S3ObjectStore
from radrelay_shared.periodic import every
from radrelay_shared.process import Jobs
from radrelay_shared.sandbox import Sandbox
from report_service.adapters.deliveries import PostgresDeliveryQueue
from report_service.adapters.drawing import SandboxedDrawing
from report_service.adapters.erasures import PostgresErasureQueue
from report_service.adapters.links import LinkSigner
from report_service.adapters.outages import is_outage
from report_service.adapters.patients import PostgresWaitingStudies, SandboxedPatientReader
from report_service.adapters.postgres import CHAIN, PostgresReportStore
from report_service.adapters.typesetting import Typesetter
from report_service.adapters.webhooks import WebhookCarrier
from report_service.consumer import ResultConsumer
from report_service.delivering import Courier
from report_service.destinations import Destinations
from report_service.documents import Documents
from report_service.domain.destinations import Patience
from report_service.domain.erasure import RetentionPolicy
from report_service.domain.patients import PatientVaults
from report_service.erasing import Eraser, ErasureStore
from report_service.frames import Frames
from report_service.handlers import ReportStore
from report_service.links import Links
from report_service.patient_handlers import PatientReading
from report_service.pictures import Pictures
from report_service.relay import outbox_relay
from report_service.reviewing import ReviewStore
from report_service.settings import ReportSettings

_TIDYING_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Container:
    """What the routes work on."""

    reports: ReportStore
    reviews: ReviewStore
    erasures: ErasureStore
    objects: ObjectStore
    reads: ReadLog
    patients: PatientVaults
    pictures: Pictures
    frames: Frames
    links: Links
    documents: Documents
    destinations: Destinations
    retention: Mapping[str, RetentionPolicy]
    """By tenant; who is not named keeps all."""


async def open_api(settings: ReportSettings, stack: AsyncExitStack) -> dict[str, Any]:
    """Open what the HTTP application needs on `stack`, and return the state of its requests."""
    database = await stack.enter_async_context(settings.database.app())
    objects = await stack.enter_async_context(S3ObjectStore(settings.objects))
    drawing = await stack.enter_async_context(SandboxedDrawing(settings.drawing))
    reports = PostgresReportStore(database)
    trail = await stack.enter_async_context(open_trail(reports, "report"))
    verifier = await stack.enter_async_context(TokenVerifier(settings.auth))
    rate_limiter = await stack.enter_async_context(RateLimiter(settings.rate_limits, "report"))
    pictures = Pictures(reports, objects, drawing, trail.reads)
    documents = Documents(reports, reports, pictures, Typesetter(drawing.sandbox), trail.reads)
    signer = LinkSigner(settings.links.keys)
    links = Links(reports, trail.reads, signer, settings.links.lifetime_s, partial(datetime.now, UTC))
    return {
        "verifier": verifier,
        "rate_limiter": rate_limiter,
        "readiness": {"database": database.ready, "objects": objects.ready},
        "container": Container(
            reports=reports,
            reviews=reports,
            erasures=reports,
            objects=objects,
            reads=trail.reads,
            patients=_vaults(settings),
            pictures=pictures,
            frames=Frames(reports, objects, drawing, trail.reads),
            links=links,
            documents=documents,
            destinations=Destinations(reports, settings.destinations.vault(), settings.destinations.allowed()),
            retention=settings.retention,
        ),
        "audit": trail,
    }


async def open_worker(settings: ReportSettings, stack: AsyncExitStack, stop: asyncio.Event) -> Jobs:
    """Open what the worker needs on `stack`, and return its jobs and readiness checks.

    Raises:
        ConfigurationError: no address for the system role, which the relay works as, is set.
    """
    if settings.database.system_url is None:
        raise ConfigurationError("RADRELAY_REPORT_DATABASE__SYSTEM_URL is not set")
    database = await stack.enter_async_context(settings.database.app())
    system = await stack.enter_async_context(settings.database.system(pool_size=2, max_overflow=1))
    client = await stack.enter_async_context(connect(settings.nats, name="report-worker"))
    js = client.jetstream()
    await ensure_topology(js, settings.nats.streams)
    reports = PostgresReportStore(database)
    results = ResultConsumer(reports, partial(datetime.now, UTC), settings.observability.tenant_label)
    consumer = Consumer(js, durables.REPORT_RESULTS, results.together, max_in_flight=settings.max_in_flight)
    heads = HeadPublisher("report", reports, system, CHAIN)
    objects = await stack.enter_async_context(S3ObjectStore(settings.objects))
    eraser = Eraser(
        reports, PostgresErasureQueue(system), objects, settings.retention, grace_s=settings.erasure.grace_s
    )
    pace_s = settings.audit_head_interval_s
    jobs = [
        consumer.run(stop),
        outbox_relay(system, js).run(stop),
        *await _delivering(settings, stack, stop),
        every(settings.erasure.interval_s, partial(eraser.run, stop), stop, is_outage=is_outage),
        every(pace_s, partial(heads.publish, pace_s), stop, is_outage=is_outage),
    ]
    if settings.patients:
        reading = await _patient_reading(settings, stack, system, reports, objects)
        jobs.append(every(settings.patient_reading.interval_s, reading.work, stop, is_outage=_is_outage_of_some))
    return jobs, {"database": database.ready, "broker": partial(broker_ready, client)}


async def _delivering(
    settings: ReportSettings, stack: AsyncExitStack, stop: asyncio.Event
) -> list[Coroutine[Any, Any, None]]:
    """The jobs that send to destinations what was noted for them."""
    chosen = settings.destinations
    # Of its own, so that nothing of this waits for connections that outbox and results need.
    queue = await stack.enter_async_context(settings.database.system(pool_size=4))
    carrier = WebhookCarrier(chosen.allowed(), chosen.vault(), timeout_s=chosen.timeout_s, at_once=chosen.max_in_flight)
    courier = Courier(
        queue=PostgresDeliveryQueue(queue),
        carrier=await stack.enter_async_context(carrier),
        patience=Patience(timedelta(seconds=chosen.first_pause_s)),
        lease=timedelta(seconds=2 * chosen.timeout_s + 5),
        at_once=chosen.max_in_flight,
        at_once_each=chosen.max_in_flight_each,
        poll_s=chosen.poll_s,
        kept=timedelta(seconds=chosen.kept_s),
        is_outage=is_outage,
    )
    return [courier.run(stop), every(_TIDYING_S, courier.tidy, stop, is_outage=is_outage)]


async def _patient_reading(
    settings: ReportSettings,
    stack: AsyncExitStack,
    system: Database,
    reports: PostgresReportStore,
    objects: S3ObjectStore,
) -> PatientReading:
    chosen = settings.patient_reading
    sandbox = Sandbox(
        processes=chosen.processes,
        timeout_s=chosen.timeout_s,
        memory_bytes=chosen.memory_bytes,
        preload=["radrelay_imaging"],
    )
    await stack.enter_async_context(sandbox)
    return PatientReading(
        waiting=PostgresWaitingStudies(system),
        store=reports,
        objects=objects,
        reader=SandboxedPatientReader(sandbox),
        vaults=_vaults(settings),
        max_attempts=chosen.max_attempts,
    )


def _is_outage_of_some(error: BaseException) -> bool:
    """Whether nothing but outages happened to studies that were read side by side."""
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    return all(map(is_outage, errors))


def _vaults(settings: ReportSettings) -> PatientVaults:
    return PatientVaults({tenant: keys.vault(tenant) for tenant, keys in settings.patients.items()})
