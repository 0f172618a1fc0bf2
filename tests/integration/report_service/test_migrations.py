import asyncio
from typing import Any

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from radrelay_shared.database import Database, DatabaseSettings, Scope
from radrelay_shared.database.migrations import migrate
from report_service.adapters.postgres import PostgresReportStore
from report_service.adapters.tables import Base
from report_service.domain.worklist import WorklistQuery
from support.databases import dsn, new_database, provisioned
from support.stack import Infrastructure

TABLES = {
    *("reports", "studies", "series", "instances", "kinds", "reviews", "destinations", "deliveries"),
    *("erasures", "erased_marks", "erasure_leftovers", "audit", "audit_head", "outbox", "inbox"),
}
AS_BEFORE = (
    *("owner_id", "instance_id", "batch_id", "sop_instance_uid", "study_instance_uid", "series_instance_uid"),
    *("modality", "body_part", "finding", "positive", "source_key", "received_at"),
)


async def test_the_schema_goes_up_down_and_up_again(infra: Infrastructure) -> None:
    settings = await provisioned(await new_database(infra.postgres_admin_url), "report")
    assert settings.owner_url is not None
    for revision, tables in (("head", TABLES), ("base", set()), ("head", TABLES)):
        await asyncio.to_thread(migrate, "report_service", settings.owner_url.get_secret_value(), revision)
        assert await tables_of(settings) - {"alembic_version"} == tables


_OLD_REPORTS = """
INSERT INTO report.reports (tenant, report_id, owner_id, instance_id, batch_id, sop_instance_uid, sop_class_uid,
    study_instance_uid, series_instance_uid, modality, body_part, model_name, model_version, model_digest, model_label,
    model_intended_use, finding, positive, probability_raw, probability, confidence, urgency, source_key, received_at,
    completed_at, created_at)
SELECT 'acme', gen_random_uuid(), 'dr-' || n % 2, md5((n / 2)::text)::uuid, gen_random_uuid(), '1.2.' || n / 2, '1.2',
    '1.3.' || n / 8, '1.4.' || n / 4, 'CT', CASE WHEN n % 4 > 1 THEN 'HEAD' END, 'model', '1', 'sha256:' || n % 3,
    'label', 'use', 'b\u00f6se', n % 5 = 0, 0.5, 0.5, 0.5, n % 3, 'acme/' || n / 2, now(), now(), now()
FROM generate_series(1, 40) AS n
"""


async def test_reports_from_before_are_carried_over_and_back(infra: Infrastructure) -> None:
    address = await new_database(infra.postgres_admin_url)
    settings = await provisioned(address, "report")
    assert settings.owner_url is not None
    owner_url = settings.owner_url.get_secret_value()
    await asyncio.to_thread(migrate, "report_service", owner_url, "0004")
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(_OLD_REPORTS)
        before = await connection.fetch("SELECT * FROM report.reports ORDER BY report_id")
        await asyncio.to_thread(migrate, "report_service", owner_url)
        async with (
            Database(settings.app_url) as database,
            PostgresReportStore(database).transaction(Scope.service("acme")) as unit,
        ):
            reports = {report.report_id: report for report in await unit.search(WorklistQuery(limit=100))}
            rows = await connection.fetch("SELECT report_id, study_id, kind_id FROM report.reports")
        assert await connection.fetchval("SELECT count(*) FROM report.studies") == 11
        await asyncio.to_thread(downgrade, owner_url, "0004")
        after = await connection.fetch("SELECT * FROM report.reports ORDER BY report_id")
    finally:
        await connection.close()
    assert [dict(row) for row in after] == [dict(row) for row in before]
    assert {row["report_id"]: (row["study_id"], row["kind_id"]) for row in rows} == {
        report_id: (report.study_id, report.kind_id) for report_id, report in reports.items()
    }
    for row in before:
        report = reports[row["report_id"]]
        assert {name: getattr(report, name) for name in AS_BEFORE} == {name: row[name] for name in AS_BEFORE}
        assert (report.model.digest, report.model.label) == (row["model_digest"], row["model_label"])


def downgrade(owner_url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "report_service:migrations")
    config.attributes["url"] = owner_url
    config.attributes["connect_args"] = {}
    command.downgrade(config, revision)


async def tables_of(settings: DatabaseSettings) -> set[str]:
    connection = await asyncpg.connect(dsn(settings.owner_url))
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'report'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_the_mapped_columns_are_the_migrated_ones(report_database: DatabaseSettings) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"include_schemas": True, "include_name": in_schema, "version_table_schema": "report"}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    assert report_database.owner_url is not None
    engine = create_async_engine(report_database.owner_url.get_secret_value())
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    # Indexes and constraints are the migrations' own; the models say nothing of them.
    own = [
        each
        for each in found
        if isinstance(each, tuple) and each[0] in {"remove_index", "remove_constraint", "remove_fk"}
    ]
    assert [each for each in found if each not in own] == []


def in_schema(name: str | None, kind: str, _: Any) -> bool:
    return kind != "schema" or name == "report"
