"""Accesses that were refused: recorded with who, what and why, before they are answered, and bounded."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from radrelay_shared.audit import AuditRecord, Verification
from radrelay_shared.audit.refusals import PER_CALLER
from support.audited import AuditedService
from support.tenants import new_tenant


def said(records: list[AuditRecord]) -> list[tuple[str, str, str | None]]:
    return [(record.fact.actor, record.fact.action, record.fact.reason) for record in records]


async def test_an_unknown_identifier_that_is_asked_for_is_recorded(audited: AuditedService) -> None:
    tenant, asked = new_tenant(), uuid4()
    response = await audited.get(audited.thing.format(asked), tenant)
    assert response.status_code == 404
    (record,) = await audited.records(tenant)
    template = next(iter(audited.thing.split("{}")))
    assert record.fact.action.startswith(f"refused GET {template}{{")
    assert (record.fact.actor, record.fact.reason) == ("dr-a", response.json()["code"])
    assert UUID(str(asked)) in (record.fact.batch_id, record.fact.report_id)


async def test_who_reads_the_trail_and_is_no_administrator_is_recorded(audited: AuditedService) -> None:
    tenant = new_tenant()
    for path in ("/v1/audit", "/v1/audit/head"):
        response = await audited.get(path, tenant)
        assert (response.status_code, response.json()["code"]) == (403, "not_tenant_admin")
    assert said(await audited.records(tenant)) == [
        ("dr-a", "refused GET /v1/audit", "not_tenant_admin"),
        ("dr-a", "refused GET /v1/audit/head", "not_tenant_admin"),
    ]


@pytest.mark.parametrize(
    ("claims", "actor", "reason"),
    [({"roles": ["janitor"]}, "dr-a", "no_known_role"), ({"sub": "a\nb"}, "unnamed", "no_valid_subject")],
)
async def test_a_verified_token_that_proves_no_caller_is_recorded_in_its_tenant(
    audited: AuditedService, claims: dict[str, Any], actor: str, reason: str
) -> None:
    tenant = new_tenant()
    headers = audited.issuer.bearer(tenant, "dr-a", **claims)
    assert (await audited.client.get(audited.listing, headers=headers)).status_code == 401
    assert said(await audited.records(tenant)) == [(actor, f"refused GET {audited.listing}", reason)]


async def test_a_token_that_is_not_verified_and_a_path_that_is_none_write_nothing(audited: AuditedService) -> None:
    tenant = new_tenant()
    for claims in ({"exp": 1}, {"aud": "other"}, {"iss": "https://elsewhere.test"}):
        headers = audited.issuer.bearer(tenant, "dr-a", **claims)
        assert (await audited.client.get(audited.listing, headers=headers)).status_code == 401
    assert (await audited.client.get(audited.listing)).status_code == 401
    assert (await audited.get(audited.thing.format("5"), tenant)).status_code == 422
    assert (await audited.get("/v1/nothing/here", tenant)).status_code == 404
    assert await audited.records(tenant) == []


async def test_a_flood_of_one_caller_ends_in_one_record_and_leaves_room_for_others(audited: AuditedService) -> None:
    tenant = new_tenant()
    for _ in range(PER_CALLER.amount + 10):
        assert (await audited.get(audited.thing.format(uuid4()), tenant)).status_code == 404
    assert (await audited.get(audited.thing.format(uuid4()), tenant, "dr-b")).status_code == 404
    records = await audited.records(tenant)
    actors = [record.fact.actor for record in records]
    assert actors == ["dr-a"] * (PER_CALLER.amount + 1) + ["dr-b"]
    assert said(records)[PER_CALLER.amount] == ("dr-a", "refusals.withheld", "too_many_refusals")
    # What is refused past the bound takes nothing from reads.
    await audited.read(tenant)
    verification = Verification([])
    for record in await audited.records(tenant):
        verification.add(record)
    assert verification.faults == []
    assert verification.records == PER_CALLER.amount + 3
