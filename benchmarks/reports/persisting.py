"""Results that the worker turns into reports, against bare inserts of the same rows."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from statistics import harmonic_mean, mean, median
from time import perf_counter
from typing import Final
from uuid import uuid4

import asyncpg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from benchmarks.errors import BenchmarkError
from benchmarks.execution import Say
from benchmarks.processor_time import family_seconds
from benchmarks.reports.bare import insert, transactions_of
from benchmarks.reports.made_results import announcements_of, results_of
from benchmarks.reports.stack import WORKER, WorkerStack
from benchmarks.results import Figure, Spread, Table
from radrelay_shared.events import Event, InferenceCompleted
from radrelay_shared.messaging import NatsSettings, Publisher, connect, durables

Results = dict[str, list[Event[InferenceCompleted]]]
"""By tenant."""

TENANTS: Final = (1, 8)
_AT_LEAST: Final = 0.25
_TIMEOUT_S: Final = 300.0
_PUBLISHED_AT_ONCE: Final = 100
_LOOKED_EVERY_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Round:
    """What one way brought."""

    reports_per_s: float
    """Until the last one is durable."""
    announced_per_s: float
    """Until the last one is announced, where any is."""
    cpu_ms: dict[str, float]
    """Processor time of one report, by process."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The rounds of each way with the results of so many tenants."""

    tenants: int
    worker: list[Round] = field(default_factory=list)
    one_connection: list[Round] = field(default_factory=list)
    a_connection_each: list[Round] = field(default_factory=list)
    """A connection for each of several tenants; with one that is the same as above."""


async def measure_persisting(
    stack: WorkerStack, *, rounds: int, reports: int, say: Say
) -> tuple[list[Figure], list[Table]]:
    """Bare inserts and the worker in turn, the results of one tenant and of several."""
    compared = [Compared(tenants) for tenants in TENANTS]
    async with connect(NatsSettings(url=stack.nats_url), name="benchmark") as client:
        for number in range(rounds + 1):
            say(f"results to reports, round {number} of {rounds}" if number else "a first round, to warm up")
            for each in compared:
                await _round_of(each if number else Compared(each.tenants), stack, client, reports)
    figures = [figure for each in compared for figure in _figures(each)]
    return figures, [_table(compared)]


async def _round_of(compared: Compared, stack: WorkerStack, client: Client, reports: int) -> None:
    """One round of each way, added to those before.

    The bare inserts that the worker is compared with are made half before it and half after it, since machines that
    are shared with others are faster in one moment than in the next.
    """
    results, half = partial(_results, reports, compared.tenants), partial(_results, reports // 2, compared.tenants)
    before = await _insert(stack, half(), side_by_side=False)
    compared.worker.append(await _persist(stack, client, results()))
    compared.one_connection.append(_mean(before, await _insert(stack, half(), side_by_side=False)))
    if compared.tenants > 1:
        compared.a_connection_each.append(await _insert(stack, results(), side_by_side=True))


def _mean(first: Round, second: Round) -> Round:
    """Of two rounds with as many reports each."""
    return Round(
        reports_per_s=harmonic_mean((first.reports_per_s, second.reports_per_s)),
        announced_per_s=harmonic_mean((first.announced_per_s, second.announced_per_s)),
        cpu_ms={part: mean((first.cpu_ms[part], second.cpu_ms[part])) for part in first.cpu_ms},
    )


def _figures(compared: Compared) -> list[Figure]:
    persisted = [each.reports_per_s for each in compared.worker]
    announced = [each.announced_per_s for each in compared.worker]
    named, bare = _named(compared.tenants), compared.one_connection
    figures = [
        _ratio(f"Reports persisted by the worker against bare inserts, {named}", persisted, bare, _AT_LEAST),
        _ratio(f"Reports persisted and announced by the worker against bare inserts, {named}", announced, bare, None),
    ]
    if compared.a_connection_each:
        what = f"Reports persisted by the worker against bare inserts over {compared.tenants} connections, {named}"
        figures.append(_ratio(what, persisted, compared.a_connection_each, None))
    return figures


def _ratio(what: str, rates: Sequence[float], inserted: Sequence[Round], at_least: float | None) -> Figure:
    ratios = [rate / bare.reports_per_s for rate, bare in zip(rates, inserted, strict=True)]
    return Figure(what=what, unit="ratio", value=Spread.of(ratios), at_least=at_least)


def _results(reports: int, tenants: int) -> Results:
    names = (f"bench-{uuid4().hex[:12]}" for _ in range(tenants))
    return {name: results_of(name, reports // tenants) for name in names}


async def _insert(stack: WorkerStack, results: Results, *, side_by_side: bool) -> Round:
    transactions = [transactions_of(tenant, each) for tenant, each in results.items()]
    writers = transactions if side_by_side else [list(chain.from_iterable(transactions))]
    before = _cpu_seconds(stack)
    took_s = await insert(stack.database_admin_url, writers)
    return await _round(stack, results, before, took_s, took_s)


async def _persist(stack: WorkerStack, client: Client, results: Results) -> Round:
    """The worker stands still while results are published, so that what it finds is a queue."""
    js = client.jetstream()
    publisher = Publisher(js)
    events = [event for together in zip(*results.values(), strict=True) for event in together]
    async with _announcements(client, results, len(events)) as all_heard:
        stack.suspend(WORKER)
        try:
            for start in range(0, len(events), _PUBLISHED_AT_ONCE):
                await asyncio.gather(*map(publisher.publish, events[start : start + _PUBLISHED_AT_ONCE]))
            before, started = _cpu_seconds(stack), perf_counter()
        finally:
            stack.resume(WORKER)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await _all_acknowledged(js)
                persisted_s = perf_counter() - started
                await all_heard.wait()
        except TimeoutError as error:
            raise BenchmarkError(f"not every result became a report within {_TIMEOUT_S:g} s") from error
        announced_s = perf_counter() - started
    return await _round(stack, results, before, persisted_s, announced_s)


async def _all_acknowledged(js: JetStreamContext) -> None:
    """Wait until the worker has said of every result that its report is durable."""
    durable = durables.REPORT_RESULTS
    while True:
        info = await js.consumer_info(durable.stream.name, durable.name)
        if not info.num_pending and not info.num_ack_pending:
            return
        await asyncio.sleep(_LOOKED_EVERY_S)


@asynccontextmanager
async def _announcements(client: Client, tenants: Iterable[str], count: int) -> AsyncIterator[asyncio.Event]:
    """Set when so many reports of these tenants were announced."""
    all_heard, heard = asyncio.Event(), 0

    async def hear(_: Msg) -> None:
        nonlocal heard
        heard += 1
        if heard == count:
            all_heard.set()

    subscriptions = [await client.subscribe(announcements_of(tenant), cb=hear) for tenant in tenants]
    await client.flush()
    try:
        yield all_heard
    finally:
        for subscription in subscriptions:
            await subscription.unsubscribe()


async def _round(
    stack: WorkerStack, results: Results, before: dict[str, float], persisted_s: float, announced_s: float
) -> Round:
    after, reports = _cpu_seconds(stack), sum(map(len, results.values()))
    connection = await asyncpg.connect(stack.database_admin_url)
    try:
        found = await connection.fetchval("SELECT count(*) FROM report.reports WHERE tenant = ANY ($1)", list(results))
    finally:
        await connection.close()
    if found != reports:
        raise BenchmarkError(f"there are {found} reports of {reports} results")
    cpu_ms = {part: 1000 * (after[part] - before[part]) / reports for part in after}
    return Round(reports / persisted_s, reports / announced_s, cpu_ms)


def _cpu_seconds(stack: WorkerStack) -> dict[str, float]:
    parts = {
        "worker": stack.pid(WORKER),
        "PostgreSQL": stack.pid("postgres"),
        "NATS": stack.pid("nats"),
        "this benchmark": os.getpid(),
    }
    return {name: family_seconds(pid) for name, pid in parts.items() if pid is not None}


def _table(compared: Sequence[Compared]) -> Table:
    rows = [
        (f"{way}, {_named(each.tenants)}", runs)
        for each in compared
        for way, runs in (
            ("worker", each.worker),
            ("bare inserts", each.one_connection),
            (f"bare inserts over {each.tenants} connections", each.a_connection_each),
        )
        if runs
    ]
    parts = tuple(rows[0][1][0].cpu_ms)
    return Table(
        title="Reports a second, and processor time of one (ms)",
        columns=("way", "reports/s", *parts),
        rows=tuple(
            (
                name,
                median(each.reports_per_s for each in runs),
                *(median(each.cpu_ms[part] for each in runs) for part in parts),
            )
            for name, runs in rows
        ),
    )


def _named(tenants: int) -> str:
    return "one tenant" if tenants == 1 else f"{tenants} tenants"
