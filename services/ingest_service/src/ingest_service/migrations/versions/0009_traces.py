"""Which trace an image, and a resumable upload, came in."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = "ingest"
_TABLES = ("instance", "resumable_upload")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("traceparent", sa.Text), schema=SCHEMA)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "traceparent", schema=SCHEMA)
