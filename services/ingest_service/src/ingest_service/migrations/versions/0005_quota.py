"""What each tenant and each user stored on each day."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def upgrade() -> None:
    op.create_table(
        "tenant_usage",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "user_usage",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("owner_id", sa.Text, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        schema=SCHEMA,
    )
    # Whoever stores counts towards the tenant's sum, whoever added to it before.
    enable_row_security(SCHEMA, "tenant_usage", by_owner=False, app="SELECT, INSERT, UPDATE")
    enable_row_security(SCHEMA, "user_usage", by_owner=True, app="SELECT, INSERT, UPDATE")


def downgrade() -> None:
    op.drop_table("user_usage", schema=SCHEMA)
    op.drop_table("tenant_usage", schema=SCHEMA)
