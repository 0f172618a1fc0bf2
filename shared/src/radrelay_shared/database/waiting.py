"""Waiting until a service's schema is there, for processes that are started beside the migration and not after it."""

import asyncio
import logging
from typing import Final

import asyncpg
from sqlalchemy import text

from radrelay_shared.database.migrations import revisions
from radrelay_shared.database.outages import OUTAGES
from radrelay_shared.database.session import Database
from radrelay_shared.database.settings import DatabaseSettings

_PAUSE_S: Final = 1.0

_log = logging.getLogger(__name__)


async def wait_for_schema(service: str, settings: DatabaseSettings, *, pause_s: float = _PAUSE_S) -> None:
    """Return once the schema of `service` is at the newest revision that this installation knows, or at a newer one.

    A revision that is not known is a newer one: an image that is replaced may start again after its successor's
    migration. A database that is away, or that has no roles or schema yet, is waited for as well.
    """
    newest, older = revisions(f"{service}_service")
    async with settings.app(pool_size=1) as database:
        while True:
            found = await _revision(service, database)
            if found in older or found is None:
                _log.info("waiting for the schema", extra={"schema": service, "revision": found, "needed": newest})
                await asyncio.sleep(pause_s)
                continue
            _log.info("the schema is there", extra={"schema": service, "revision": found})
            return


async def _revision(service: str, database: Database) -> str | None:
    """What the schema is at; None where that cannot be seen yet."""
    statement = text(f"SELECT version_num FROM {service}.alembic_version")  # noqa: S608  # a name of ours, not a caller's
    try:
        async with database.engine.connect() as connection:
            revision: str | None = await connection.scalar(statement)
    except (*OUTAGES, asyncpg.PostgresError) as error:
        # Away; or no role, schema, table or right yet; or a wrong password, which nobody but an operator mends.
        _log.warning("the schema cannot be seen", extra={"schema": service, "error": type(error).__name__})
        return None
    return revision
