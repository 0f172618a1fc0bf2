"""A tenant's destinations, as its administrator looks after them over HTTP."""

import asyncio
from typing import Any, Final

import httpx
from sqlalchemy import text

from radrelay_shared.database import Database, Scope
from report_service.adapters.postgres import PostgresReportStore
from report_service.destinations import Destinations
from report_service.domain.destinations import Topic
from report_service.settings import DestinationSettings
from support.patients import new_key
from support.tokens import TestIssuer

TOPICS: Final = ["report.created", "report.reviewed", "report.erased"]
SOON: Final = DestinationSettings(
    hosts=("http://127.0.0.1:*", "https://127.0.0.1:*"),
    sealing=(new_key(),),
    poll_s=0.05,
    first_pause_s=0.05,
    timeout_s=5.0,
)
"""Loopback is allowed, and nothing waits long."""


async def failing_destination(database: Database, tenant: str) -> tuple[str, str]:
    """A destination, and the identifier of an event that was given up on the way to it."""
    scope = Scope(tenant, "boss", "tenant_admin")
    destinations = Destinations(PostgresReportStore(database), SOON.vault(), SOON.allowed())
    standing, _ = await destinations.create("RIS", "http://127.0.0.1:1/", [Topic.CREATED], scope=scope)
    destination_id = standing.destination.destination_id
    delivery = await destinations.test(destination_id, scope=scope)
    async with database.transaction(scope) as session:
        await session.execute(
            text("UPDATE report.deliveries SET state = 'failed', settled_at = now() WHERE event_id = :event_id"),
            {"event_id": delivery.event_id},
        )
    return str(destination_id), delivery.event_id


class Administrator:
    """One administrator of a tenant."""

    def __init__(self, client: httpx.AsyncClient, issuer: TestIssuer, tenant: str, role: str = "tenant_admin") -> None:
        self.client, self.tenant = client, tenant
        self.headers = issuer.bearer(tenant, "boss", (role,))

    async def call(self, method: str, path: str = "", **given: Any) -> httpx.Response:
        """The answer to a request about destinations."""
        headers = self.headers | given.pop("headers", {})
        return await self.client.request(method, f"/v1/destinations{path}", headers=headers, **given)

    async def create(self, url: str, topics: list[str] | None = None, name: str = "RIS") -> dict[str, Any]:
        """A new destination, with its secret."""
        answer = await self.call("POST", json={"name": name, "url": url, "event_types": topics or TOPICS})
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def get(self, destination: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """A destination as it is now, and its tag."""
        answer = await self.call("GET", f"/{destination['destination_id']}")
        assert answer.status_code == 200, answer.text
        return answer.json(), answer.headers["etag"]

    async def change(self, destination: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """A destination after a change."""
        _, tag = await self.get(destination)
        answer = await self.call("PATCH", f"/{destination['destination_id']}", json=changes, headers={"If-Match": tag})
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    async def test(self, destination: dict[str, Any]) -> str:
        """Have a test event sent; its identifier."""
        answer = await self.call("POST", f"/{destination['destination_id']}/test")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["event_id"])

    async def deliveries(self, destination: dict[str, Any]) -> list[dict[str, Any]]:
        """What was on its way to a destination."""
        answer = await self.call("GET", f"/{destination['destination_id']}/deliveries")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["deliveries"]
        return found

    async def until_tried(self, destination: dict[str, Any]) -> dict[str, Any]:
        """Wait until the newest delivery was tried and did not arrive; how it stands."""
        async with asyncio.timeout(30):
            while (found := (await self.deliveries(destination))[0])["last_reason"] is None:
                await asyncio.sleep(0.02)
        return found

    async def remove_all(self) -> None:
        """Leave the tenant without destinations."""
        for each in (await self.call("GET")).json()["destinations"]:
            path = f"/{each['destination_id']}"
            assert (await self.call("DELETE", path, headers={"If-Match": "*"})).status_code == 204

    async def until(self, destination: dict[str, Any], state: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait until so many deliveries stand so, and return those."""
        async with asyncio.timeout(30):
            while True:
                found = [each for each in await self.deliveries(destination) if each["state"] == state]
                if len(found) >= number:
                    return found
                await asyncio.sleep(0.02)
