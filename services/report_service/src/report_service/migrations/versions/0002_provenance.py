"""Reports say how their result was computed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reports", sa.Column("provenance", JSONB), schema="report")


def downgrade() -> None:
    op.drop_column("reports", "provenance", schema="report")
