"""The trail over HTTP, for the tenant's administrators."""

from uuid import uuid4

import pytest

from support.audited import AuditedService
from support.tenants import new_tenant

ADMIN = ("tenant_admin",)


async def test_an_administrator_reads_the_trail_page_by_page_and_so_adds_to_it(audited: AuditedService) -> None:
    tenant, asked = new_tenant(), uuid4()
    await audited.read(tenant)
    await audited.get(audited.thing.format(asked), tenant)
    await audited.read(tenant)
    first = (await audited.get("/v1/audit?limit=2", tenant, "boss", ADMIN)).json()
    assert first["next_after"] == 2
    second = (await audited.get("/v1/audit?after=2", tenant, "boss", ADMIN)).json()
    assert second["next_after"] is None
    records = [*first["records"], *second["records"]]
    assert [(record["sequence"], record["actor"]) for record in records] == [
        (1, "dr-a"),
        (2, "dr-a"),
        (3, "dr-a"),
        (4, "boss"),
    ]
    assert records[3]["action"] == "audit.read"
    assert str(asked) in (records[1]["batch_id"], records[1]["report_id"])
    assert (await audited.get("/v1/audit/head", tenant, "boss", ADMIN)).json()["sequence"] == 5


async def test_an_empty_trail_has_a_head_of_number_0(audited: AuditedService) -> None:
    tenant = new_tenant()
    response = await audited.get("/v1/audit/head", tenant, "boss", ADMIN)
    assert response.json() == {"tenant": tenant, "sequence": 0, "hash": "0" * 64, "at": None}


@pytest.mark.parametrize("parameters", ["after=-1", f"after={2**63}", "limit=0", "limit=1001"])
async def test_a_page_that_cannot_be_is_refused(audited: AuditedService, parameters: str) -> None:
    response = await audited.get(f"/v1/audit?{parameters}", new_tenant(), "boss", ADMIN)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
