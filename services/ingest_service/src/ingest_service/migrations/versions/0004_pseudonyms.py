"""Who is behind the pseudonyms of de-identified images, encrypted."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def upgrade() -> None:
    op.create_table(
        "pseudonym",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("pseudonym", sa.Text, primary_key=True),
        sa.Column("sealed_patient_id", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    enable_row_security(SCHEMA, "pseudonym", by_owner=False, app="SELECT, INSERT")


def downgrade() -> None:
    op.drop_table("pseudonym", schema=SCHEMA)
