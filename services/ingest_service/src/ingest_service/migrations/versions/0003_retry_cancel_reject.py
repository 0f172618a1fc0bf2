"""Images that are sent again or cancelled, remembered answers, and rejected files that are kept."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "ingest"
_TIME = sa.DateTime(timezone=True)
_STATUS_KNOWN = "status_known"


def upgrade() -> None:
    op.add_column("instance", sa.Column("submission", sa.Integer, nullable=False, server_default="1"), schema=SCHEMA)
    _allow_statuses("'queued', 'processing', 'reported', 'failed', 'cancelled'")
    op.add_column("batch_file", sa.Column("cancelled_at", _TIME), schema=SCHEMA)
    _create_remembered_answer()
    _create_rejected_file()


def downgrade() -> None:
    op.drop_table("rejected_file", schema=SCHEMA)
    op.drop_table("remembered_answer", schema=SCHEMA)
    op.drop_column("batch_file", "cancelled_at", schema=SCHEMA)
    # Row security is forced on the owner of the table too, who has no policy.
    op.execute("ALTER TABLE ingest.instance NO FORCE ROW LEVEL SECURITY")
    # What the older code has for an image that ended without a report.
    op.execute("UPDATE ingest.instance SET status = 'failed', reason = 'cancelled' WHERE status = 'cancelled'")
    op.execute("ALTER TABLE ingest.instance FORCE ROW LEVEL SECURITY")
    _allow_statuses("'queued', 'processing', 'reported', 'failed'")
    op.drop_column("instance", "submission", schema=SCHEMA)


def _create_remembered_answer() -> None:
    op.create_table(
        "remembered_answer",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("owner_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("work_id", sa.Uuid, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("claimed_at", _TIME, nullable=False),
        sa.Column("answer", sa.Text),
        schema=SCHEMA,
    )
    op.create_index("ix_remembered_answer_created_at", "remembered_answer", ["created_at"], schema=SCHEMA)
    enable_row_security(
        SCHEMA, "remembered_answer", by_owner=True, app="SELECT, INSERT, UPDATE, DELETE", system="SELECT, DELETE"
    )


def _create_rejected_file() -> None:
    op.create_table(
        "rejected_file",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("rejected_id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("batch_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("rejected_at", _TIME, nullable=False),
        sa.Column("kept_until", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"], name="fk_rejected_file_batch"
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_rejected_file_tenant_rejected_at", "rejected_file", ["tenant", "rejected_at"], schema=SCHEMA)
    op.create_index("ix_rejected_file_kept_until", "rejected_file", ["kept_until"], schema=SCHEMA)
    enable_row_security(SCHEMA, "rejected_file", by_owner=True, app="SELECT, INSERT, UPDATE", system="SELECT, DELETE")


def _allow_statuses(statuses: str) -> None:
    op.drop_constraint(_STATUS_KNOWN, "instance", schema=SCHEMA, type_="check")
    op.create_check_constraint(_STATUS_KNOWN, "instance", f"status IN ({statuses})", schema=SCHEMA)
