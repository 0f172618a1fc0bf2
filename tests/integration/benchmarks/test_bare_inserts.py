"""What the worker is measured against does the same work on the tables: no row more, none less, none otherwise."""

from dataclasses import replace
from uuid import uuid4

from benchmarks.reports.bare import insert, transactions_of
from benchmarks.reports.made_results import results_of
from radrelay_shared.database import Database, Scope
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import report_from_result
from support.databases import migrated, new_database
from support.stack import Infrastructure

RESULTS = 300


async def test_bare_inserts_leave_the_reports_that_the_store_reads(infra: Infrastructure) -> None:
    address = await new_database(infra.postgres_admin_url)
    settings = await migrated(address, "report")
    tenants = [f"bare-{uuid4().hex[:12]}" for _ in range(2)]
    results = {tenant: results_of(tenant, RESULTS) for tenant in tenants}
    await insert(address, [transactions_of(tenant, each) for tenant, each in results.items()])
    async with Database(settings.app_url) as database:
        for tenant in tenants:
            async with PostgresReportStore(database).transaction(Scope.service(tenant)) as unit:
                for result in results[tenant]:
                    wanted = report_from_result(tenant, result.data, created_at=result.time)
                    found = await unit.find(wanted.report_id)
                    assert found is not None
                    assert replace(found, created_at=wanted.created_at) == wanted
