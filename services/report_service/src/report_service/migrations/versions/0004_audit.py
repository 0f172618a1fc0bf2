"""The audit chain of who read what, and what of it was published."""

import sqlalchemy as sa

from radrelay_shared.database.migrations import create_audit_chain, drop_audit_chain

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_audit_chain("report", sa.Column("report_id", sa.Uuid))


def downgrade() -> None:
    drop_audit_chain("report")
