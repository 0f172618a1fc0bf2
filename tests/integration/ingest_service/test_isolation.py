"""Nobody sees, changes or learns of what is somebody else's, through any route or query."""

from collections.abc import Callable

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from ingest_service.adapters.tables import (
    AuditRow,
    Base,
    BatchFileRow,
    BatchRow,
    InstanceRow,
    RejectedFileRow,
    TenantUsageRow,
    UserUsageRow,
)
from ingest_service.api import batches, progress, quota, rejected, uploads
from radrelay_shared.database import Database, Scope
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser, assert_problem
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
ROUTES = sorted(
    (method, route.path.removeprefix("/v1/batches"))
    for router in (batches.router, uploads.router, progress.router, quota.router)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)
REJECTED = "/v1/rejected-files"
OF_ONE_REJECTED = [("GET", "/{rejected_id}/content"), ("POST", "/{rejected_id}/resubmit")]
OF_ONE_BATCH = [(method, path) for method, path in ROUTES if "{batch_id}" in path]


async def rejected_of(who: IngestUser, **query: str) -> list[tuple[str, str]]:
    listed = (await who.request("GET", REJECTED, params=query)).json()["rejected_files"]
    return [(each["rejected_id"], each["owner_id"]) for each in listed]


async def filled(owner: IngestUser) -> str:
    batch_id = await owner.open_batch()
    await owner.upload(batch_id, {"a.dcm": dicom_file(), "b.dcm": b"no"})
    return batch_id


def test_every_route_is_covered_here() -> None:
    assert set(ROUTES) - set(OF_ONE_BATCH) == {("GET", ""), ("POST", ""), ("GET", "/v1/quota")}
    assert len(OF_ONE_BATCH) == 7


@pytest.mark.parametrize(("method", "path"), OF_ONE_BATCH)
async def test_somebody_elses_batch_is_not_found_on_any_route(user: MakeUser, method: str, path: str) -> None:
    tenant = new_tenant()
    batch_id = await filled(user(tenant))
    content = {"files": [("files", ("x.dcm", dicom_file()))]} if path.endswith("/files") and method == "POST" else {}
    strangers = [
        user(tenant, "dr-b"),
        user(new_tenant(), "dr-a"),
        user(new_tenant(), "chief", ["tenant_admin"]),
    ]
    for stranger in strangers:
        response = await stranger.call(method, path.format(batch_id=batch_id), **content)
        assert_problem(response, 404, "batch_not_found")
    assert (await user(tenant).batch(batch_id))["counts"]["received"] == 2


def test_every_route_of_rejected_files_is_covered_here() -> None:
    routes = {
        (method, route.path)
        for route in rejected.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert routes == {("GET", REJECTED), *((method, REJECTED + path) for method, path in OF_ONE_REJECTED)}


@pytest.mark.parametrize(("method", "path"), OF_ONE_REJECTED)
async def test_somebody_elses_rejected_file_is_not_found_and_ones_own_only_an_administrators_to_open(
    user: MakeUser, method: str, path: str
) -> None:
    tenant = new_tenant()
    owner = user(tenant)
    await filled(owner)
    ((rejected_id, _),) = await rejected_of(owner)
    path = REJECTED + path.format(rejected_id=rejected_id)
    for stranger in (user(tenant, "dr-b"), user(new_tenant()), user(new_tenant(), "chief", ["tenant_admin"])):
        assert_problem(await stranger.request(method, path), 404, "rejected_file_not_found")
    assert_problem(await owner.request(method, path), 403, "not_tenant_admin")
    assert (await user(tenant, "chief", ["tenant_admin"]).request(method, path)).status_code == 200


async def test_the_list_of_rejected_files_is_ones_own_or_the_administrators_tenants(user: MakeUser) -> None:
    tenant = new_tenant()
    await filled(user(tenant, "dr-a"))
    batch_id = await filled(user(tenant, "dr-b"))
    await filled(user(new_tenant(), "dr-a"))
    assert [owner for _, owner in await rejected_of(user(tenant, "dr-a"))] == ["dr-a"]
    assert [owner for _, owner in await rejected_of(user(tenant, "dr-c"))] == []
    assert [owner for _, owner in await rejected_of(user(tenant, "dr-a"), batch_id=batch_id)] == []
    chief = user(tenant, "chief", ["tenant_admin"])
    assert {owner for _, owner in await rejected_of(chief)} == {"dr-a", "dr-b"}
    assert [owner for _, owner in await rejected_of(chief, batch_id=batch_id)] == ["dr-b"]


async def test_lists_hold_only_ones_own_batches(user: MakeUser) -> None:
    tenant = new_tenant()
    mine, theirs = await filled(user(tenant, "dr-a")), await filled(user(tenant, "dr-b"))
    await filled(user(new_tenant(), "dr-a"))

    async def listed(who: IngestUser) -> set[str]:
        return {batch["batch_id"] for batch in (await who.call("GET", "")).json()["batches"]}

    assert await listed(user(tenant, "dr-a")) == {mine}
    assert await listed(user(tenant, "dr-b")) == {theirs}
    assert await listed(user(new_tenant())) == set()
    assert await listed(user(tenant, "chief", ["tenant_admin"])) == {mine, theirs}


async def test_the_quota_tells_of_ones_own_use_and_of_the_tenants_sum(user: MakeUser) -> None:
    tenant = new_tenant()
    await filled(user(tenant, "dr-a"))

    async def used(who: IngestUser) -> tuple[bool, int]:
        standing = (await who.client.get("/v1/quota", headers=who.headers)).json()
        return standing["user_bytes"]["used"] > 0, standing["tenant_files"]["used"]

    assert await used(user(tenant, "dr-a")) == (True, 1)
    assert await used(user(tenant, "dr-b")) == (False, 1)
    assert await used(user(tenant, "chief", ["tenant_admin"])) == (False, 1)
    assert await used(user(new_tenant(), "dr-a")) == (False, 0)


async def test_the_sum_of_a_tenant_is_its_own(user: MakeUser, database: Database) -> None:
    one, other = new_tenant(), new_tenant()
    await filled(user(one))
    await filled(user(other))
    async with database.transaction(Scope(one, "dr-a", "clinician")) as session:
        assert {row.tenant for row in await session.scalars(select(TenantUsageRow))} == {one}


async def test_an_administrator_reads_the_tenants_batches_and_changes_none(user: MakeUser) -> None:
    tenant = new_tenant()
    batch_id = await filled(user(tenant))
    chief = user(tenant, "chief", ["tenant_admin"])
    assert (await chief.batch(batch_id))["counts"]["received"] == 2
    assert (await chief.files(batch_id)).keys() == {"a.dcm", "b.dcm"}
    for act in ("close", "retry", "cancel"):
        assert_problem(await chief.call("POST", f"/{batch_id}/{act}"), 403, "not_batch_owner")
    assert_problem(await chief.send(batch_id, {"c.dcm": dicom_file()}), 403, "not_batch_owner")


async def test_the_same_bytes_tell_nobody_that_another_has_them(user: MakeUser) -> None:
    tenant, content = new_tenant(), dicom_file()
    seen = []
    for owner in (user(tenant, "dr-a"), user(tenant, "dr-b"), user(new_tenant(), "dr-a")):
        (accepted,) = (await owner.upload(await owner.open_batch(), {"a.dcm": content}))["accepted"]
        assert not accepted["repeated"]
        seen.append(accepted["instance_id"])
    assert len(set(seen)) == 3


@pytest.mark.parametrize("table", [BatchRow, InstanceRow, BatchFileRow, RejectedFileRow, UserUsageRow])
async def test_a_query_without_a_condition_returns_ones_own_rows(
    user: MakeUser,
    database: Database,
    table: type[BatchRow | InstanceRow | BatchFileRow | RejectedFileRow | UserUsageRow],
) -> None:
    tenant = new_tenant()
    await filled(user(tenant, "dr-a"))
    await filled(user(tenant, "dr-b"))
    query = select(table.tenant, table.owner_id)
    async with database.transaction(Scope(tenant, "dr-a", "clinician")) as session:
        assert {tuple(row) for row in await session.execute(query)} == {(tenant, "dr-a")}
    async with database.transaction(Scope(tenant, "dr-c", "clinician")) as session:
        assert (await session.execute(query)).all() == []


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: table.name)
async def test_row_security_is_forced_on_every_table(database: Database, table: object) -> None:
    async with database.transaction(Scope("nobody", "nobody", "clinician")) as session:
        query = text("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = CAST(:name AS regclass)")
        assert await session.scalar(query, {"name": str(table)})


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: table.name)
async def test_without_a_tenant_nothing_is_there(user: MakeUser, database: Database, table: object) -> None:
    await filled(user(new_tenant()))
    async with database.transaction(Scope("", "", "service")) as session:
        if str(table) == "ingest.outbox":
            with pytest.raises(DBAPIError, match="permission denied"):
                await session.execute(text(f"SELECT count(*) FROM {table}"))
        else:
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0


async def test_nobody_writes_into_another_tenant(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()
    batch_id = await filled(user(tenant))
    async with database.transaction(Scope(new_tenant(), "dr-a", "service")) as session:
        changed = await session.execute(text("UPDATE ingest.batch SET closed_at = now()"))
        assert changed.rowcount == 0  # type: ignore[attr-defined]  # UPDATE gives a cursor result
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.transaction(Scope(new_tenant(), "dr-a", "service")) as session:
            await session.execute(
                text(
                    "INSERT INTO ingest.batch_file (tenant, batch_id, name, fingerprint, owner_id, reason, received_at)"
                    " VALUES (:tenant, :batch_id, 'x', 'y', 'dr-a', 'z', now())"
                ),
                {"tenant": tenant, "batch_id": batch_id},
            )


async def test_the_audit_chain_of_a_tenant_is_its_own(user: MakeUser, database: Database) -> None:
    one, other = new_tenant(), new_tenant()
    await filled(user(one))
    await filled(user(other))
    async with database.transaction(Scope(one, "dr-a", "clinician")) as session:
        rows = (await session.scalars(select(AuditRow))).all()
    assert {row.tenant for row in rows} == {one}
    assert sorted(row.sequence for row in rows) == [1, 2, 3]
