"""The rows of reports, inserted as bare as can be: no inbox, outbox or audit, no row security, no work on events."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

import asyncpg
from pydantic import BaseModel
from sqlalchemy.dialects import postgresql

from radrelay_shared.events import Event, InferenceCompleted, Urgency
from report_service.adapters.adding import rows_of
from report_service.adapters.tables import Base
from report_service.consumer import AT_ONCE
from report_service.domain.report import report_from_result

Statements = list[tuple[str, list[Any]]]
"""Of one transaction, each with its parameters."""

_TABLES: Final = {"studies": True, "series": True, "kinds": True, "instances": False, "reports": False}
"""Those that a report touches, and whether a row may be there already."""
_RANKS: Final = {urgency: rank for rank, urgency in enumerate(Urgency)}


def transactions_of(tenant: str, results: Sequence[Event[InferenceCompleted]]) -> list[Statements]:
    """What inserts the rows of a tenant's results, everything made that can be made before."""
    now = datetime.now(UTC)
    reports = [report_from_result(tenant, each.data, created_at=now) for each in results]
    groups = (reports[start : start + AT_ONCE] for start in range(0, len(reports), AT_ONCE))
    return [_statements(rows_of(tenant, group)) for group in groups]


async def insert(admin_url: str, writers: Sequence[Sequence[Statements]]) -> float:
    """Insert each writer's transactions over a connection of its own, all side by side; return the seconds it took."""
    connections = [await asyncpg.connect(admin_url) for _ in writers]
    try:
        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            for connection, own in zip(connections, writers, strict=True):
                group.create_task(_insert(connection, own))
        return perf_counter() - started
    finally:
        for connection in connections:
            await connection.close()


async def _insert(connection: asyncpg.Connection, transactions: Sequence[Statements]) -> None:
    for statements in transactions:
        async with connection.transaction():
            for statement, parameters in statements:
                await connection.execute(statement, *parameters)


def _statements(rows: Mapping[str, Any]) -> Statements:
    return [_statement(table, may_be_there, rows) for table, may_be_there in _TABLES.items()]


def _statement(name: str, may_be_there: bool, rows: Mapping[str, Any]) -> tuple[str, list[Any]]:  # noqa: FBT001  # as in the table above
    columns = [key.removeprefix(f"{name}_") for key in rows if key.startswith(f"{name}_")]
    table = Base.metadata.tables[f"report.{name}"]
    types = (table.c[column].type.compile(dialect=postgresql.dialect()) for column in columns)  # type: ignore[no-untyped-call]  # SQLAlchemy types its dialects' constructors not
    values = ", ".join(f"unnest(${number}::{kind}[])" for number, kind in enumerate(types, start=2))
    ending = " ON CONFLICT DO NOTHING" if may_be_there else ""
    statement = f"INSERT INTO {table} (tenant, {', '.join(columns)}) SELECT $1, {values}{ending}"
    return statement, [rows["tenant"], *([_plain(each) for each in rows[f"{name}_{column}"]] for column in columns)]


def _plain(value: Any) -> Any:
    """The value as asyncpg takes it."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return _RANKS[value] if isinstance(value, Urgency) else value
