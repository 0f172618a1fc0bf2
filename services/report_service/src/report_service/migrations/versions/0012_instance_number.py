"""The number of an image within its series."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("instance_number", sa.Integer), schema="report")


def downgrade() -> None:
    op.drop_column("instances", "instance_number", schema="report")
