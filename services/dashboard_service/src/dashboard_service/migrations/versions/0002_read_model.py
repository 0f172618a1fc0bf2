"""Rollups by hour, day and month, from rows of cases and failures, in generations that a rebuild replaces.

What was counted before goes: it holds no rows to correct it by. `radrelay dashboard rebuild` counts it again.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SCHEMA = "dashboard"
_URGENCIES = "('stat', 'urgent', 'routine')"
# No check says that counts are not below zero: a row that takes away is checked before it meets the one it takes from.
_ROLLUPS = {
    "case_rollups": (
        ("modality", "model_digest", "model_label", "urgency"),
        (
            *("cases", "positives", "agreed", "disagreed", "unsure"),
            *("positives_agreed", "positives_disagreed", "positives_unsure"),
        ),
    ),
    "probability_rollups": (("bin",), ("cases", "positives")),
    "turnaround_rollups": (("priority", "bin"), ("cases",)),
    "failure_rollups": (("reason",), ("failures",)),
}
_OPENED = (*_ROLLUPS, "cases", "failures")


def upgrade() -> None:
    for table in ("failure_rollups", "case_rollups"):
        op.drop_table(table, schema=_SCHEMA)
    _create_generations()
    _create_cases()
    _create_failures()
    for table, (places, counts) in _ROLLUPS.items():
        _create_rollups(table, places, counts)
    for table in _OPENED:
        enable_row_security(
            _SCHEMA, table, by_owner=True, app="SELECT, INSERT, UPDATE, DELETE", system="SELECT, DELETE"
        )


def downgrade() -> None:
    for table in (*_OPENED, "generations"):
        op.drop_table(table, schema=_SCHEMA)
    op.execute(f"DROP SEQUENCE {_SCHEMA}.generation_numbers")
    _create_former_rollups()


def _create_generations() -> None:
    op.create_table(
        "generations",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False, comment="IANA name; its days are those of the rollups"),
        sa.PrimaryKeyConstraint("tenant", "generation", name=op.f("pk_generations")),
        sa.CheckConstraint("state IN ('active', 'building')", name=op.f("ck_generations_state")),
        schema=_SCHEMA,
    )
    op.create_index(
        op.f("uq_generations_tenant_state"), "generations", ["tenant", "state"], unique=True, schema=_SCHEMA
    )
    enable_row_security(_SCHEMA, "generations", by_owner=False, app="SELECT, INSERT, UPDATE, DELETE", system="SELECT")

    # Never the same twice, so that a rebuild that was overtaken by another one finds out.
    op.execute(f"CREATE SEQUENCE {_SCHEMA}.generation_numbers START 2")
    op.execute(f"GRANT USAGE ON SEQUENCE {_SCHEMA}.generation_numbers TO {_SCHEMA}_app")


def _create_cases() -> None:
    op.create_table(
        "cases",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("report", sa.Uuid, nullable=False, comment="Fingerprint of the report"),
        sa.Column("image", sa.Uuid, nullable=False, comment="Fingerprint of the image"),
        sa.Column("owner_id", sa.Text),
        sa.Column("received_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("modality", sa.Text),
        sa.Column("model_digest", sa.Text),
        sa.Column("model_label", sa.Text),
        sa.Column("urgency", sa.Text),
        sa.Column("priority", sa.Text),
        sa.Column("positive", sa.Boolean),
        sa.Column("confidence", sa.Numeric),
        sa.Column("probability_bin", sa.SmallInteger),
        sa.Column("turnaround_bin", sa.SmallInteger),
        sa.Column("review_version", sa.Integer, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("erased", sa.Boolean, nullable=False),
        sa.Column("erased_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("tenant", "generation", "report", name=op.f("pk_cases")),
        sa.CheckConstraint(f"urgency IN {_URGENCIES}", name=op.f("ck_cases_urgency")),
        sa.CheckConstraint(f"priority IN {_URGENCIES}", name=op.f("ck_cases_priority")),
        sa.CheckConstraint("verdict IN ('agree', 'disagree', 'unsure')", name=op.f("ck_cases_verdict")),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name=op.f("ck_cases_confidence")),
        sa.CheckConstraint("erased = (erased_at IS NOT NULL)", name=op.f("ck_cases_erased_at")),
        # Of what is erased nothing stays but what a late repeat of its events is known by.
        sa.CheckConstraint(
            "CASE WHEN erased THEN num_nonnulls(owner_id, received_at, created_at, modality, model_digest, model_label,"
            " urgency, priority, positive, confidence, probability_bin, turnaround_bin, verdict) = 0"
            " ELSE num_nulls(owner_id, received_at, created_at, modality, model_digest, model_label,"
            " urgency, positive, confidence, probability_bin, turnaround_bin) = 0 END",
            name=op.f("ck_cases_erased"),
        ),
        schema=_SCHEMA,
    )
    op.create_index(
        op.f("ix_cases_tenant_generation_image"), "cases", ["tenant", "generation", "image"], schema=_SCHEMA
    )


def _create_failures() -> None:
    op.create_table(
        "failures",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("image", sa.Uuid, nullable=False, comment="Fingerprint of the image"),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("received_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("submission", sa.BigInteger, nullable=False),
        sa.Column("failed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "generation", "image", name=op.f("pk_failures")),
        schema=_SCHEMA,
    )


def _create_rollups(table: str, places: tuple[str, ...], counts: tuple[str, ...]) -> None:
    sums = [sa.Column("confidence_sum", sa.Numeric, nullable=False)] if table == "case_rollups" else []
    op.create_table(
        table,
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("grain", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False, comment="Empty for the whole tenant"),
        sa.Column("start", sa.TIMESTAMP, nullable=False, comment="In the time zone of the generation"),
        *(sa.Column(name, sa.SmallInteger if name == "bin" else sa.Text, nullable=False) for name in places),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in counts),
        *sums,
        sa.PrimaryKeyConstraint(
            "tenant", "generation", "grain", "owner_id", "start", *places, name=op.f(f"pk_{table}")
        ),
        sa.CheckConstraint("grain IN ('hour', 'day', 'month')", name=op.f(f"ck_{table}_grain")),
        schema=_SCHEMA,
    )


def _create_former_rollups() -> None:
    """The empty tables of revision 0001."""

    def key() -> list[sa.Column[Any]]:
        day = sa.Column("day", sa.Date, nullable=False, comment="UTC day on which the images were received")
        return [*(sa.Column(name, sa.Text, nullable=False) for name in ("tenant", "owner_id")), day]

    places = ("modality", "model_digest", "model_label", "urgency")
    op.create_table(
        "case_rollups",
        *key(),
        *(sa.Column(name, sa.Text, nullable=False) for name in places),
        sa.Column("cases", sa.BigInteger, nullable=False),
        sa.Column("positives", sa.BigInteger, nullable=False),
        sa.Column("confidence_sum", sa.Numeric, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner_id", "day", *places, name=op.f("pk_case_rollups")),
        sa.CheckConstraint(f"urgency IN {_URGENCIES}", name=op.f("ck_case_rollups_urgency")),
        sa.CheckConstraint("positives BETWEEN 0 AND cases", name=op.f("ck_case_rollups_positives")),
        sa.CheckConstraint("confidence_sum BETWEEN 0 AND cases", name=op.f("ck_case_rollups_confidence_sum")),
        schema=_SCHEMA,
    )
    op.create_table(
        "failure_rollups",
        *key(),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner_id", "day", "reason", name=op.f("pk_failure_rollups")),
        sa.CheckConstraint("failures > 0", name=op.f("ck_failure_rollups_failures")),
        schema=_SCHEMA,
    )
    for table in ("case_rollups", "failure_rollups"):
        enable_row_security(_SCHEMA, table, by_owner=True, app="SELECT, INSERT, UPDATE")
