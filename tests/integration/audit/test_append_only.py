"""The chain is appended to and read; nobody changes it, and each sees of it what is theirs."""

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from radrelay_shared.database import Scope
from support.audited import AuditedService
from support.tenants import new_tenant

CHANGES = ["UPDATE {table} SET actor = 'eve'", "DELETE FROM {table}", "TRUNCATE {table}"]


@pytest.mark.parametrize("statement", CHANGES)
async def test_the_runtime_role_may_not_change_the_chain(audited: AuditedService, statement: str) -> None:
    tenant = new_tenant()
    await audited.read(tenant)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with audited.database.transaction(Scope.service(tenant)) as session:
            await session.execute(text(statement.format(table=audited.table)))


@pytest.mark.parametrize("statement", CHANGES)
async def test_even_an_administrator_of_the_database_is_refused(audited: AuditedService, statement: str) -> None:
    await audited.read(new_tenant())
    admin = await asyncpg.connect(audited.admin_dsn)
    try:
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await admin.execute(statement.format(table=audited.table))
    finally:
        await admin.close()


async def test_the_system_role_sees_no_audit(audited: AuditedService) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with audited.system.system_transaction() as session:
            await session.execute(text(f"SELECT * FROM {audited.table}"))


async def test_a_tenant_sees_its_own_chain_and_cannot_append_to_anothers(audited: AuditedService) -> None:
    tenant, other = new_tenant(), new_tenant()
    await audited.read(tenant)
    await audited.read(other)
    async with audited.database.transaction(Scope(tenant, "boss", "tenant_admin")) as session:
        seen = set(await session.scalars(text(f"SELECT tenant FROM {audited.table}")))
        assert seen == {tenant}
        with pytest.raises(DBAPIError, match="row-level security"):
            await session.execute(
                text(
                    f"INSERT INTO {audited.table} (tenant, sequence, actor, action, at, prev_hash, hash)"
                    " VALUES (:other, 2, 'eve', 'batch.read', now(), '0', '0')"
                ),
                {"other": other},
            )
