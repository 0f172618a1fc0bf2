"""Very many reports, made by the database itself: to see how it finds some of them."""

from dataclasses import dataclass
from hashlib import md5
from typing import Final
from uuid import UUID

import asyncpg

OWNER: Final = "dr-0"
"""Has the first 20 of every 100 reports of each tenant."""
_SIZES = "CREATE TEMPORARY TABLE sizes AS SELECT {reports:d} AS reports, {tenants:d} AS tenants"
_MADE = """
CREATE TEMPORARY TABLE made AS
SELECT 't-' || n % tenants AS tenant, 'dr-' || nth / 20 % 5 AS owner_id, md5('report' || n)::uuid AS report_id,
    md5('instance' || n)::uuid AS instance_id, md5('batch' || n % tenants || '-' || nth / 200)::uuid AS batch_id,
    n % tenants || '.' || nth / 20 AS study, n % tenants || '.' || nth / 10 AS series,
    'sha256:' || lpad((nth % 2)::text, 64, '0') AS model, 'finding-' || nth / 2 % 2 AS finding,
    CASE WHEN nth % 1000 = 7 THEN 'MG' WHEN nth % 3 = 0 THEN 'MR' ELSE 'CT' END AS modality,
    nth % 7 = 0 AS positive, (nth % 10 + 3) / 6 AS urgency,
    CASE nth % 50 WHEN 0 THEN 'agree' WHEN 1 THEN 'disagree' ELSE 'unreviewed' END AS review_state,
    timestamptz '2026-03-14 09:30Z' + nth * interval '1 minute' AS received_at
FROM sizes, LATERAL (SELECT n, n / tenants AS nth FROM generate_series(0, reports - 1) AS n) AS numbered
"""
_REST = (
    """
INSERT INTO report.studies (tenant, study_id, owner_id, study_instance_uid, patient_hash, patient_due_at)
SELECT DISTINCT tenant, md5('study' || study)::uuid, owner_id, '1.2.' || study, sha256(study::bytea), NULL::timestamptz
FROM made
""",
    """
INSERT INTO report.series
SELECT DISTINCT tenant, md5('series' || series)::uuid, owner_id, md5('study' || study)::uuid, '1.3.' || series FROM made
""",
    """
INSERT INTO report.instances
SELECT tenant, owner_id, instance_id, md5('series' || series)::uuid, '1.4', '1.2', 'HEAD', tenant || '/a' FROM made
""",
    """
INSERT INTO report.kinds
SELECT DISTINCT tenant, md5(tenant || model || finding || modality || positive)::uuid, modality, finding, positive,
    model, 'model', '1', 'untrained', 'none' FROM made
""",
    """
INSERT INTO report.reports (tenant, report_id, owner_id, study_id, instance_id, batch_id, kind_id, probability_raw,
    probability, confidence, urgency, review_state, heatmap_npy, received_at, completed_at, created_at)
SELECT tenant, report_id, owner_id, md5('study' || study)::uuid, instance_id, batch_id,
    md5(tenant || model || finding || modality || positive)::uuid, 0.9, 0.9, 0.9, urgency, review_state,
    decode(repeat('00', 700), 'hex'), received_at, now(), now() FROM made
""",
)
# Keeping indexes in step and looking up foreign keys, row by row, takes several times as long as making the indexes
# once all rows are there.
_BEFORE = (
    "SET session_replication_role = replica",
    "SET synchronous_commit = off",
    "SET work_mem = '256MB'",
    "SET maintenance_work_mem = '512MB'",
    """
UPDATE pg_index SET indisready = false
WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'report'::regnamespace AND relkind = 'r')
""",
)
_AFTER = (
    "REINDEX SCHEMA report",
    "VACUUM ANALYZE report.studies, report.series, report.instances, report.kinds, report.reports",
)


@dataclass(frozen=True, slots=True)
class Population:
    """So many reports of so many tenants."""

    reports: int
    tenants: int

    def report_id(self, tenant: int, nth: int) -> UUID:
        """The identifier of a tenant's nth report, from 0."""
        text = f"report{nth * self.tenants + tenant}"
        return UUID(md5(text.encode(), usedforsecurity=False).hexdigest())

    @property
    def reports_a_tenant(self) -> int:
        """How many reports each tenant has, or one more."""
        return self.reports // self.tenants


async def fill(admin_url: str, population: Population) -> None:
    """Reports of tenants `t-0`, `t-1` and so on, each with owners `dr-0` to `dr-4`, in an otherwise empty database.

    A tenant has 24 kinds of results: two models and two findings, present or not, in three modalities, of which the
    last is rare. Its batches have 200 images, its studies 20. Reports lie in the order in which their images came,
    those of all tenants mixed. The caller is a superuser.
    """
    sizes = _SIZES.format(reports=population.reports, tenants=population.tenants)
    connection = await asyncpg.connect(admin_url)
    try:
        for statement in (*_BEFORE, sizes, _MADE, *_REST, *_AFTER):
            await connection.execute(statement)
    finally:
        await connection.close()
