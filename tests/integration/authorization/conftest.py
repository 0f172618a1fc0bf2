from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from radrelay_shared.objects import S3ObjectStore
from support.applications import application_of
from support.authorization.matrix import SERVICES
from support.authorization.things import Make, Site, of_dashboard, of_ingest, of_report, open_site
from support.serving import served
from support.stack import Infrastructure, ProvisionedDatabases
from support.tenants import new_tenant
from support.tokens import TestIssuer


@pytest.fixture(scope="session")
async def sites(
    infra: Infrastructure, provisioned: ProvisionedDatabases, issuer: TestIssuer
) -> AsyncIterator[dict[str, Site]]:
    """The services by name, each with what its owners have."""
    tenants = new_tenant(), new_tenant()
    async with AsyncExitStack() as stack:
        clients = {}
        for service in SERVICES:
            app = application_of(service, infra, issuer.settings, provisioned(service))
            address = await stack.enter_async_context(served(app))
            clients[service] = await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=30))
        reports = await stack.enter_async_context(provisioned("report").app())
        figures = await stack.enter_async_context(provisioned("dashboard").app())
        objects = await stack.enter_async_context(S3ObjectStore(infra.objects))
        makers: dict[str, Make] = {
            "ingest": of_ingest(clients["ingest"], issuer),
            "report": of_report(reports, objects),
            "dashboard": of_dashboard(figures),
        }
        yield {service: await open_site(clients[service], issuer, makers[service], tenants) for service in SERVICES}
