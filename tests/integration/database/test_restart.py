"""A database server that goes and comes back: what was pooled is dead at once, and costs nobody more than a 503."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from radrelay_local.parts import postgres
from radrelay_shared.database import DatabaseSettings
from support.applications import LISTS, application_of
from support.asgi import serving
from support.database_server import PostgresAlone, pooled, run_pgbouncer
from support.databases import migrated, new_database
from support.stack import Infrastructure
from support.tenants import new_tenant
from support.tokens import TestIssuer

AT_ONCE = 10
"""As many as the pool has connections."""


class Api:
    """A service's application, of which one read is asked."""

    def __init__(self, client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
        self._client, self._path, self._headers = client, path, headers

    async def statuses(self) -> set[int]:
        """What as many requests as there are pooled connections are answered."""
        asked = (self._client.get(self._path, headers=self._headers) for _ in range(AT_ONCE))
        return {answer.status_code for answer in await asyncio.gather(*asked)}

    async def recovers(self) -> None:
        """Requests are answered 503 until all are answered."""
        async with asyncio.timeout(60):
            while (statuses := await self.statuses()) != {200}:
                assert statuses <= {200, 503}


async def on_server(server: PostgresAlone, service: str) -> DatabaseSettings:
    """A new database of a service."""
    return await migrated(await new_database(server.postgres_admin_url), service)


@pytest.fixture(scope="module", params=LISTS)
async def service(request: pytest.FixtureRequest, server: PostgresAlone) -> tuple[str, DatabaseSettings]:
    """Each service, and its database on that server."""
    return request.param, await on_server(server, request.param)


@pytest.fixture
async def api(service: tuple[str, DatabaseSettings], infra: Infrastructure, issuer: TestIssuer) -> AsyncIterator[Api]:
    """Each service, with its pool filled."""
    name, database = service
    async with serving(application_of(name, infra, issuer.settings, database)) as client:
        opened = Api(client, LISTS[name], issuer.bearer(new_tenant(), "dr-a"))
        assert await opened.statuses() == {200}
        yield opened


async def test_after_a_restart_every_request_is_answered(api: Api, server: PostgresAlone) -> None:
    await asyncio.to_thread(server.restart, postgres.NAME)
    assert await api.statuses() == {200}


async def test_a_server_that_was_killed_is_an_outage_until_it_is_back(api: Api, server: PostgresAlone) -> None:
    await asyncio.to_thread(server.kill, postgres.NAME)
    try:
        assert await api.statuses() == {503}
    finally:
        await asyncio.to_thread(server.start, postgres.NAME)
    assert await api.statuses() == {200}


async def test_connections_that_end_under_requests_are_outages_and_the_next_requests_are_answered(
    api: Api, server: PostgresAlone
) -> None:
    admin = await asyncpg.connect(server.postgres_admin_url)
    try:
        seen: set[int] = set()
        async with asyncio.timeout(30):
            while 503 not in seen:
                under_way = asyncio.ensure_future(api.statuses())
                while not under_way.done():
                    await admin.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '%_app'"
                    )
                seen |= await under_way
        assert seen <= {200, 503}
    finally:
        await admin.close()
    assert await api.statuses() == {200}


@asynccontextmanager
async def reports_on(database: DatabaseSettings, infra: Infrastructure, issuer: TestIssuer) -> AsyncIterator[Api]:
    """The report service, with its pool filled, and little patience."""
    # Longer than PgBouncer here waits before it asks a server again that was away.
    impatient = database.model_copy(update={"begin_timeout_s": 1.5})
    async with serving(application_of("report", infra, issuer.settings, impatient)) as client:
        api = Api(client, LISTS["report"], issuer.bearer(new_tenant(), "dr-a"))
        await api.recovers()
        yield api


async def test_a_server_that_no_longer_says_anything_is_an_outage_until_it_does(
    server: PostgresAlone, infra: Infrastructure, issuer: TestIssuer
) -> None:
    async with reports_on(await on_server(server, "report"), infra, issuer) as api:
        server.suspend(postgres.NAME)
        try:
            assert await api.statuses() == {503}
        finally:
            server.resume(postgres.NAME)
        await api.recovers()


async def test_an_outage_behind_a_pooler_is_told_in_time_and_ends(
    server: PostgresAlone, certificate: tuple[Path, Path], infra: Infrastructure, issuer: TestIssuer
) -> None:
    direct = await on_server(server, "report")
    url = make_url(direct.app_url.get_secret_value())
    passwords = {str(url.username): str(url.password)}
    with run_pgbouncer(server.ports[postgres.NAME], passwords, *certificate) as port:
        async with reports_on(pooled(direct, port), infra, issuer) as api:
            await asyncio.to_thread(server.kill, postgres.NAME)
            try:
                assert await api.statuses() == {503}  # PgBouncer itself would let them wait for two minutes
            finally:
                await asyncio.to_thread(server.start, postgres.NAME)
            await api.recovers()
