"""Rollups and inbox, each under forced row security."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import create_inbox, enable_row_security

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SCHEMA = "dashboard"


def upgrade() -> None:
    op.create_table(
        "case_rollups",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False, comment="UTC day on which the images were received"),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("model_digest", sa.Text, nullable=False),
        sa.Column("model_label", sa.Text, nullable=False),
        sa.Column("urgency", sa.Text, nullable=False),
        sa.Column("cases", sa.BigInteger, nullable=False),
        sa.Column("positives", sa.BigInteger, nullable=False),
        sa.Column("confidence_sum", sa.Numeric, nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant",
            "owner_id",
            "day",
            "modality",
            "model_digest",
            "model_label",
            "urgency",
            name=op.f("pk_case_rollups"),
        ),
        sa.CheckConstraint("urgency IN ('stat', 'urgent', 'routine')", name=op.f("ck_case_rollups_urgency")),
        sa.CheckConstraint("positives BETWEEN 0 AND cases", name=op.f("ck_case_rollups_positives")),
        sa.CheckConstraint("confidence_sum BETWEEN 0 AND cases", name=op.f("ck_case_rollups_confidence_sum")),
        schema=_SCHEMA,
    )
    enable_row_security(_SCHEMA, "case_rollups", by_owner=True, app="SELECT, INSERT, UPDATE")
    op.create_table(
        "failure_rollups",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False, comment="UTC day on which the images were received"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner_id", "day", "reason", name=op.f("pk_failure_rollups")),
        sa.CheckConstraint("failures > 0", name=op.f("ck_failure_rollups_failures")),
        schema=_SCHEMA,
    )
    enable_row_security(_SCHEMA, "failure_rollups", by_owner=True, app="SELECT, INSERT, UPDATE")
    create_inbox(_SCHEMA)


def downgrade() -> None:
    for table in ("inbox", "failure_rollups", "case_rollups"):
        op.drop_table(table, schema=_SCHEMA)
