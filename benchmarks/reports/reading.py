"""Reading reports over HTTP in a database of very many against one of few."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Any, Final, Literal, get_args

import aiohttp
import asyncpg

from benchmarks.errors import BenchmarkError
from benchmarks.execution import Say
from benchmarks.percentiles import percentile, pooled, ratio
from benchmarks.reports.many_reports import OWNER, Population, fill
from benchmarks.reports.stack import ReadingStack
from benchmarks.results import Figure, Table
from benchmarks.timed_requests import timed_get

Role = Literal["clinician", "tenant_admin"]
Question = tuple[str, Role]
Times = dict[tuple[Question, Population], list[float]]
"""Milliseconds of each request."""

PAGE: Final = 50
"""Reports of a page, as many as one has unless the client asks for another number."""
_WORKLIST: Final = "The worklist's first page"
_REPORT: Final = "A report by id"
_QUESTIONS: Final = tuple((what, role) for what in (_WORKLIST, _REPORT) for role in get_args(Role))
_WHO: Final[dict[Role, str]] = {"clinician": "a clinician", "tenant_admin": "an administrator"}
_RATIO_AT_MOST: Final = 1.5
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Database:
    """One of the two, and who asks for what lies in it."""

    population: Population
    http: aiohttp.ClientSession
    tokens: dict[tuple[int, Role], str]
    row: tuple[str | float, ...]
    """What the table says of it."""

    async def ask(self, question: Question, random: Random) -> float:
        """Milliseconds of one request, for a tenant and where it matters a report picked at random.

        Raises:
            BenchmarkError: it was not answered, or not with a full page.
        """
        what, role = question
        tenant = random.randrange(self.population.tenants)
        path = "/v1/reports" if what == _WORKLIST else f"/v1/reports/{self._some_report(tenant, random)}"
        body, took_ms = await timed_get(self.http, path, self.tokens[tenant, role])
        found: dict[str, Any] = json.loads(body)
        if what == _WORKLIST and len(found["reports"]) != PAGE:
            raise BenchmarkError(f"a page has {len(found['reports'])} reports and not {PAGE}")
        return took_ms

    def _some_report(self, tenant: int, random: Random) -> str:
        """One of the clinician's own, so that both may read it."""
        hundred = random.randrange(self.population.reports_a_tenant // 100)
        return str(self.population.report_id(tenant, 100 * hundred + random.randrange(20)))


async def measure_reading(
    stack: ReadingStack, *, few: Population, many: Population, rounds: int, requests: int, say: Say
) -> tuple[list[Figure], list[Table]]:
    """The 95th percentile of each question with many reports by that with few, asked in turn."""
    async with AsyncExitStack() as opened:
        databases = []
        for population, (api_url, admin_url) in zip((many, few), stack.places, strict=True):
            say(f"writing {population.reports:,} reports of {population.tenants} tenants")
            row = await _fill(admin_url, population)
            http = await opened.enter_async_context(aiohttp.ClientSession(api_url))
            databases.append(Database(population, http, _tokens(stack, population), row))
        random = Random(1)  # noqa: S311  # the same questions in every run, not a secret
        measured: list[Times] = []
        for number in range(rounds + 1):
            say(f"questions, round {number} of {rounds}" if number else "a first round, to warm up")
            measured.append(await _ask(databases, requests, random))
    loaded = Table(
        title="The two databases",
        columns=("reports", "tenants", "s to load", "GiB", "of which indexes"),
        rows=tuple(each.row for each in databases),
    )
    return _figures(measured[1:], few, many), [_table(measured[1:]), loaded]


async def _fill(admin_url: str, population: Population) -> tuple[str | float, ...]:
    started = perf_counter()
    await fill(admin_url, population)
    took_s = perf_counter() - started
    connection = await asyncpg.connect(admin_url)
    try:
        ((whole, indexes),) = await connection.fetch(
            "SELECT sum(pg_total_relation_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class"
            " WHERE relnamespace = 'report'::regnamespace AND relkind = 'r'"
        )
    finally:
        await connection.close()
    return f"{population.reports:,}", str(population.tenants), took_s, float(whole) / _GIB, float(indexes) / _GIB


def _tokens(stack: ReadingStack, population: Population) -> dict[tuple[int, Role], str]:
    return {
        (tenant, role): stack.issue_token(f"t-{tenant}", OWNER, [role])
        for tenant in range(population.tenants)
        for role in get_args(Role)
    }


async def _ask(databases: Sequence[Database], requests: int, random: Random) -> Times:
    times: Times = {}
    for question in _QUESTIONS:
        for _ in range(requests):
            for database in databases:
                took_ms = await database.ask(question, random)
                times.setdefault((question, database.population), []).append(took_ms)
    return times


def _figures(measured: Sequence[Times], few: Population, many: Population) -> list[Figure]:
    return [
        Figure(
            what=f"{what} for {_WHO[role]}: 95th percentile with {many.reports:,} reports by that with {few.reports:,}",
            unit="ratio",
            value=ratio(measured, ((what, role), many), ((what, role), few), 95),
            at_most=_RATIO_AT_MOST,
        )
        for what, role in _QUESTIONS
    ]


def _table(measured: Sequence[Times]) -> Table:
    return Table(
        title="Time of a request (ms), all rounds together",
        columns=("question", "of", "reports", "median", "95%", "99%"),
        rows=tuple(
            (what, _WHO[role], f"{population.reports:,}", *(percentile(values, each) for each in (50, 95, 99)))
            for ((what, role), population), values in pooled(measured).items()
        ),
    )
