"""Schemas and roles, made once by an administrator before a service's first migration."""

import re
from typing import Final

import asyncpg

ROLES: Final = ("owner", "app", "system")
_NO_MORE: Final = "NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"
_MAY_MORE: Final = "SELECT rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = $1"
"""Of a role: whether it has what `_NO_MORE` takes; NULL where there is no such role."""
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,40}$")


async def provision_service(connection: asyncpg.Connection, service: str, passwords: dict[str, str]) -> None:
    """Create or update `<service>_owner`, `_app` and `_system`, and the schema `<service>` that the first one owns.

    Args:
        connection: an administrator's connection to the product's database; one who may make roles and owns the
            database is enough.
        service: name of the service and of its schema.
        passwords: one for each of `owner`, `app` and `system`.

    Raises:
        ValueError: `service` is not a plain identifier.
    """
    if not _NAME.match(service):
        raise ValueError(f"{service!r} cannot name a schema")
    async with connection.transaction():
        for role in ROLES:
            name = f"{service}_{role}"
            may_more = await connection.fetchval(_MAY_MORE, name)
            password = await connection.fetchval("SELECT quote_literal($1::text)", passwords[role])
            # Only a superuser may even say NOSUPERUSER of a role that exists.
            attributes = "" if may_more is False else _NO_MORE
            await connection.execute(
                f"{'CREATE' if may_more is None else 'ALTER'} ROLE {name} LOGIN {attributes} PASSWORD {password}"
            )
        await connection.execute(f"GRANT {service}_owner TO CURRENT_USER")
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {service}_owner")
        await connection.execute(f"GRANT USAGE ON SCHEMA {service} TO {service}_app, {service}_system")
