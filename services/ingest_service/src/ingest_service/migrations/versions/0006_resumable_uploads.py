"""Uploads that may be resumed, and the parts of them that are stored."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "ingest"
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "resumable_upload",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("upload_id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("batch_id", sa.Uuid, nullable=False),
        sa.Column("metadata", sa.Text),
        sa.Column("length_bytes", sa.BigInteger, nullable=False),
        sa.Column("offset_bytes", sa.BigInteger, nullable=False),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("claim_id", sa.Uuid),
        sa.Column("claimed_until", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(
            ["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"], name="fk_resumable_upload_batch"
        ),
        sa.CheckConstraint("offset_bytes BETWEEN 0 AND length_bytes", name="offset_within"),
        schema=SCHEMA,
    )
    op.create_index("ix_resumable_upload_tenant_batch_id", "resumable_upload", ["tenant", "batch_id"], schema=SCHEMA)
    op.create_index("ix_resumable_upload_expires_at", "resumable_upload", ["expires_at"], schema=SCHEMA)
    op.create_index(
        "ix_resumable_upload_complete",
        "resumable_upload",
        ["changed_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("ended_at IS NULL AND offset_bytes = length_bytes"),
    )
    op.create_table(
        "upload_part",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("upload_id", sa.Uuid, primary_key=True),
        sa.Column("first_byte", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "upload_id"],
            ["ingest.resumable_upload.tenant", "ingest.resumable_upload.upload_id"],
            name="fk_upload_part_resumable_upload",
        ),
        schema=SCHEMA,
    )
    enable_row_security(
        SCHEMA, "resumable_upload", by_owner=True, app="SELECT, INSERT, UPDATE", system="SELECT, UPDATE, DELETE"
    )
    enable_row_security(SCHEMA, "upload_part", by_owner=True, app="SELECT, INSERT", system="SELECT, DELETE")


def downgrade() -> None:
    op.drop_table("upload_part", schema=SCHEMA)
    op.drop_table("resumable_upload", schema=SCHEMA)
