"""The number of an image within its series."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instance", sa.Column("instance_number", sa.Integer), schema="ingest")


def downgrade() -> None:
    op.drop_column("instance", "instance_number", schema="ingest")
