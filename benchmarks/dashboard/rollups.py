"""The rollups that so many reports leave, written by SQL: figures are read from these alone, however many there were.

The reports themselves are not made: their rows are read when one of them changes, and never by a request.
"""

from datetime import date, timedelta
from typing import Final

from sqlalchemy import text

from radrelay_shared.database import Database, Scope

OWNERS: Final = 25
MODALITIES: Final = ("CT", "DX", "MG", "MR")
_PRIORITIES: Final = ("stat", "urgent", "routine")
_DIGEST: Final = "sha256:" + "5e" * 32

# Reports are spread evenly over owners, days, hours of the working day, modalities and urgencies by their number, so
# that each cell holds what is left to it: with few reports most cells are not there, as in a small hospital.
_SPREAD: Final = """
CREATE TEMPORARY TABLE spread ON COMMIT DROP AS
SELECT 'dr-' || owner AS owner_id, day, hour, modality, urgency, cases
FROM (
    SELECT owner, day, hour, modality, urgency,
        CAST(:reports AS bigint) / CAST(:cells AS bigint)
        + CASE WHEN (number * 7919) % :cells < :reports % :cells THEN 1 ELSE 0 END AS cases
    FROM (
        SELECT owner, CAST(:first AS date) + day AS day, 8 + hour AS hour, modality, urgency,
            row_number() OVER (ORDER BY owner, day, hour, modality, urgency) - 1 AS number
        FROM generate_series(1, CAST(:owners AS integer)) owner, generate_series(0, CAST(:days AS integer) - 1) day,
            generate_series(0, 9) hour,
            unnest(CAST(:modalities AS text[])) modality, unnest(ARRAY['stat', 'urgent', 'routine']) urgency
    ) numbered
) counted WHERE cases > 0
"""
_PLACES: Final = """
SELECT s.*, whose.owner, span.grain, date_trunc(span.grain, s.day + s.hour * interval '1 hour') AS start
FROM spread s CROSS JOIN LATERAL (VALUES (s.owner_id), ('')) AS whose (owner)
CROSS JOIN (VALUES ('hour'), ('day'), ('month')) AS span (grain)
"""
_CASES: Final = f"""
INSERT INTO dashboard.case_rollups
SELECT :tenant, 1, grain, owner, start, modality, '{_DIGEST}', 'made up', urgency, sum(cases), sum(cases) / 3,
    sum(cases) / 10, sum(cases) / 50, sum(cases) / 100, sum(cases) / 30, sum(cases) / 150, 0, sum(cases) * 0.8
FROM ({_PLACES}) placed GROUP BY grain, owner, start, modality, urgency
"""  # noqa: S608  # of constants of this file
_PROBABILITIES: Final = f"""
INSERT INTO dashboard.probability_rollups
SELECT :tenant, 1, grain, owner, start, bin, cases, CASE WHEN bin >= 10 THEN cases ELSE 0 END
FROM (
    SELECT grain, owner, start, bin, sum(cases) / 20 + CASE WHEN bin < sum(cases) % 20 THEN 1 ELSE 0 END AS cases
    FROM ({_PLACES}) placed, generate_series(0, 19) bin
    WHERE grain <> 'hour' GROUP BY grain, owner, start, bin
) counted WHERE cases > 0
"""  # noqa: S608  # of constants of this file


async def write_rollups(database: Database, tenant: str, reports: int, *, days: int, last: date) -> int:
    """Give a tenant the rollups of so many reports of the days up to `last`; return how many rows these are."""
    cells = OWNERS * days * 10 * len(MODALITIES) * len(_PRIORITIES)
    first = last - timedelta(days=days - 1)
    spread = {"reports": reports, "cells": cells, "first": first, "owners": OWNERS, "days": days}
    async with database.transaction(Scope.service(tenant)) as session:
        await session.execute(
            text("INSERT INTO dashboard.generations VALUES (:tenant, 1, 'active', 'UTC')"), {"tenant": tenant}
        )
        await session.execute(text(_SPREAD), {**spread, "modalities": list(MODALITIES)})
        rows = 0
        for statement in (_CASES, _PROBABILITIES):
            written = await session.execute(text(statement), {"tenant": tenant})
            rows += written.rowcount  # type: ignore[attr-defined]  # INSERT gives a cursor result
    return rows
