"""Figures of a tenant with very many reports against those of one with few, over HTTP."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import uuid4

import aiohttp

from benchmarks.dashboard.rollups import write_rollups
from benchmarks.dashboard.stack import DashboardStack
from benchmarks.execution import Say
from benchmarks.percentiles import percentile, pooled, ratio
from benchmarks.results import Figure, Table
from benchmarks.timed_requests import timed_get
from radrelay_shared.database import Database

Times = dict[tuple[str, int], list[float]]
"""Milliseconds of each request, by question and number of reports."""
_RATIO_AT_MOST: Final = 1.3
_WARM_UP: Final = 20


def _questions(today: date) -> dict[str, tuple[str, dict[str, str]]]:
    year = {"scope": "tenant", "first": str(today - timedelta(days=364)), "last": str(today)}
    both = {"scope": "tenant", "first": str(today - timedelta(days=699)), "last": str(today)}
    month = {"scope": "tenant"}
    return {
        "Summary of 30 days": ("/v1/summary", month),
        "Summary of 700 days": ("/v1/summary", both),
        "Trend of a year by day": ("/v1/trends", {**year, "step": "day"}),
        "Trend of 30 days by hour": ("/v1/trends", {**month, "step": "hour"}),
        "Histogram of a year": ("/v1/histogram", year),
    }


async def measure_reading(
    stack: DashboardStack, *, few: int, many: int, days: int, rounds: int, requests: int, say: Say
) -> tuple[list[Figure], list[Table]]:
    """The 99th percentile of each question, many reports of so many days by few, asked in turn."""
    today = datetime.now(UTC).date()
    tenants, rows = {}, {}
    async with Database(stack.database_url, pool_size=1) as database:
        for reports in (few, many):
            tenants[reports] = f"bench-{uuid4().hex[:12]}"
            say(f"writing the rollups of {reports:,} reports")
            rows[reports] = await write_rollups(database, tenants[reports], reports, days=days, last=today)
    measured: list[Times] = []
    async with aiohttp.ClientSession(stack.api_url) as http:
        for number in range(rounds + 1):
            say(f"questions, round {number} of {rounds}" if number else "a first round, to warm up")
            count = requests if number else _WARM_UP
            measured.append(await _ask(stack, http, tenants, count, today))
    return _figures(measured[1:], few, many), [_table(measured[1:], rows)]


async def _ask(
    stack: DashboardStack, http: aiohttp.ClientSession, tenants: dict[int, str], requests: int, today: date
) -> Times:
    tokens = {reports: stack.issue_token(tenant, "benchmark", ["tenant_admin"]) for reports, tenant in tenants.items()}
    times: Times = {}
    for question, (path, parameters) in _questions(today).items():
        for _ in range(requests):
            for reports, token in tokens.items():
                _, took_ms = await timed_get(http, path, token, parameters)
                times.setdefault((question, reports), []).append(took_ms)
    return times


def _figures(measured: Sequence[Times], few: int, many: int) -> list[Figure]:
    return [
        Figure(
            what=f"{question}: 99th percentile with {many:,} reports by that with {few:,}",
            unit="ratio",
            value=ratio(measured, (question, many), (question, few), 99),
            at_most=_RATIO_AT_MOST,
        )
        for question, reports in measured[0]
        if reports == few
    ]


def _table(measured: Sequence[Times], rows: dict[int, int]) -> Table:
    return Table(
        title="Time of a request (ms), all rounds together",
        columns=("question", "reports", "rows of rollups", "median", "95%", "99%"),
        rows=tuple(
            (question, f"{reports:,}", f"{rows[reports]:,}", *(percentile(values, each) for each in (50, 95, 99)))
            for (question, reports), values in pooled(measured).items()
        ),
    )
