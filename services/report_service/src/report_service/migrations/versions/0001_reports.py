"""Reports, outbox and inbox, each under forced row security."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import create_inbox, create_outbox, enable_row_security

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SCHEMA = "report"
_WORKLIST = ("urgency", "received_at", "report_id")


def upgrade() -> None:
    _create_reports()
    create_outbox(_SCHEMA)
    create_inbox(_SCHEMA)


def downgrade() -> None:
    for table in ("inbox", "outbox", "reports"):
        op.drop_table(table, schema=_SCHEMA)


def _create_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("report_id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("instance_id", sa.Uuid, nullable=False),
        sa.Column("batch_id", sa.Uuid, nullable=False),
        sa.Column("sop_instance_uid", sa.Text, nullable=False),
        sa.Column("sop_class_uid", sa.Text, nullable=False),
        sa.Column("study_instance_uid", sa.Text, nullable=False),
        sa.Column("series_instance_uid", sa.Text, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("body_part", sa.Text),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("model_digest", sa.Text, nullable=False),
        sa.Column("model_label", sa.Text, nullable=False),
        sa.Column("model_intended_use", sa.Text, nullable=False),
        sa.Column("finding", sa.Text, nullable=False),
        sa.Column("positive", sa.Boolean, nullable=False),
        sa.Column("probability_raw", sa.Double, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("urgency", sa.SmallInteger, nullable=False, comment="0 stat, 1 urgent, 2 routine"),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("preview_key", sa.Text, nullable=False),
        sa.Column("overlay_key", sa.Text, nullable=False),
        sa.Column("cam_key", sa.Text, nullable=False),
        sa.Column("received_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "report_id", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "tenant",
            "owner_id",
            "instance_id",
            "model_digest",
            name=op.f("uq_reports_tenant_owner_id_instance_id_model_digest"),
        ),
        # NaN is greater than every number in PostgreSQL, so these refuse it too.
        sa.CheckConstraint("probability_raw BETWEEN 0 AND 1", name=op.f("ck_reports_probability_raw")),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_reports_probability")),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name=op.f("ck_reports_confidence")),
        sa.CheckConstraint("urgency BETWEEN 0 AND 2", name=op.f("ck_reports_urgency")),
        schema=_SCHEMA,
    )
    for leading in (("tenant", "owner_id"), ("tenant",), ("tenant", "batch_id")):
        columns = [*leading, *_WORKLIST]
        op.create_index(op.f(f"ix_reports_{'_'.join(columns)}"), "reports", columns, schema=_SCHEMA)
    enable_row_security(_SCHEMA, "reports", by_owner=True, app="SELECT, INSERT")
