"""The product's schemas in one dump, and back into an empty database."""

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg
from sqlalchemy import URL

from radrelay_local.credentials import ROLES, STATEFUL_SERVICES
from radrelay_local.errors import StackError
from radrelay_shared.database.outbox import announce_again

_SHOWN_CHARACTERS: Final = 3000


def dump(url: URL, path: Path, program: Callable[[str], str]) -> None:
    """Write the schemas of all services as they are at one moment, while everything goes on.

    Raises:
        StackError: it could not be done.
    """
    schemas = [f"--schema={service}" for service in STATEFUL_SERVICES]
    _run([program("pg_dump"), "--format=custom", "--no-password", *schemas, f"--file={path}"], url)


async def require_restorable(url: URL, program: Callable[[str], str], *, over: bool) -> None:
    """Return where a dump may be restored.

    Args:
        url: the database.
        program: finds PostgreSQL's programs.
        over: whether it may where there are rows already.

    Raises:
        StackError: the programs are for another server, roles are missing, a service is connected, or there are rows.
    """
    connection = await connect(url)
    try:
        server = connection.get_server_version().major
        if (ours := _major_version(program("pg_restore"))) != server:
            raise StackError(f"pg_restore is of PostgreSQL {ours}, the server of {server}: install that of {server}")
        await _require_roles(connection)
        await _require_nobody_connected(connection)
        if not over and (table := await _first_with_rows(connection)):
            raise StackError(f"{table} has rows: restore into an empty database, or give --replace to lose them")
    finally:
        await connection.close()


async def restore(url: URL, path: Path, program: Callable[[str], str]) -> None:
    """Put the schemas of a dump in the place of those that are there.

    Args:
        url: the database, as who may drop the schemas and make tables for their owners.
        path: the dump.
        program: finds PostgreSQL's programs.

    Raises:
        StackError: it could not be done. Schemas that were there are lost then, and it can be done again.
    """
    connection = await connect(url)
    try:
        for service in STATEFUL_SERVICES:
            await connection.execute(f"DROP SCHEMA IF EXISTS {service} CASCADE")
    finally:
        await connection.close()
    options = ["--exit-on-error", "--single-transaction", "--no-password", f"--dbname={url.database}"]
    _run([program("pg_restore"), *options, str(path)], url)


async def announce_since(url: URL, since: datetime) -> int:
    """Have the relays publish again what they published since then; return how many events these are."""
    connection = await connect(url)
    try:
        return sum([await announce_again(connection, service, since) for service in STATEFUL_SERVICES])
    finally:
        await connection.close()


async def connect(url: URL) -> asyncpg.Connection:
    """A connection.

    Raises:
        StackError: there is none to be had.
    """
    try:
        return await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    except (OSError, asyncpg.PostgresError) as error:
        raise StackError(f"no connection to the database: {type(error).__name__}: {error}") from error


async def _require_roles(connection: asyncpg.Connection) -> None:
    wanted = [f"{service}_{role}" for service in STATEFUL_SERVICES for role in ROLES]
    there = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    if missing := [name for name in wanted if name not in there]:
        raise StackError(f"the roles {', '.join(missing)} are missing: run the migrations first, which make them")


async def _require_nobody_connected(connection: asyncpg.Connection) -> None:
    connected = await connection.fetch(
        "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database() AND usename = ANY($1)",
        [f"{service}_{role}" for service in STATEFUL_SERVICES for role in ROLES],
    )
    if connected:
        names = ", ".join(sorted(row["usename"] for row in connected))
        raise StackError(f"{names} are connected: stop the services first")


async def _first_with_rows(connection: asyncpg.Connection) -> str | None:
    tables = await connection.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname = ANY($1) AND tablename <> 'alembic_version' ORDER BY 1",
        list(STATEFUL_SERVICES),
    )
    for table in tables:
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table['name']})"):  # noqa: S608  # quoted by format
            return str(table["name"])
    return None


def _major_version(program: str) -> int:
    """Of a program of PostgreSQL. Newer ones begin with settings that older servers do not know."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    if found is None:
        raise StackError(f"{program} does not say its version: {said.strip()}")
    return int(found[1])


def _run(command: Sequence[str], url: URL) -> None:
    """Run one of PostgreSQL's programs; who we are goes by the environment, where other users do not see it.

    Raises:
        StackError: it failed.
    """
    places = {
        "PGHOST": url.host,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password else None,
        "PGDATABASE": url.database,
        **{f"PG{name.upper()}": str(value) for name, value in url.query.items()},
    }
    environment = os.environ | {name: value for name, value in places.items() if value}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StackError(f"{Path(command[0]).name} failed: {result.stderr[-_SHOWN_CHARACTERS:]}")
