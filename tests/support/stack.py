"""The embedded stack for tests: started once a run, on free ports, in a folder of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import asyncpg
from sqlalchemy import make_url

from radrelay_local.stack import Infrastructure, RunningStack
from radrelay_shared.database import DatabaseSettings
from support.databases import migrated

__all__ = ["Infrastructure", "ProvisionedDatabases", "RunningStack", "provisioned_databases"]

ProvisionedDatabases = Callable[[str], DatabaseSettings]


def provisioned_databases(infrastructure: Infrastructure) -> ProvisionedDatabases:
    """Gives the addresses of a service's own database with its schema at the newest revision."""

    async def make(service: str) -> DatabaseSettings:
        admin_url = infrastructure.postgres_admin_url
        name = f"provisioned_{service}"
        connection = await asyncpg.connect(admin_url)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        address = make_url(admin_url).set(database=name).render_as_string(hide_password=False)
        return await migrated(address, service)

    @cache
    def provisioned(service: str) -> DatabaseSettings:
        # In a thread of its own: the caller may be inside a running event loop.
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(lambda: asyncio.run(make(service))).result()

    return provisioned
