"""Batches, their files, images, the audit chain, outbox and inbox."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import create_inbox, create_outbox, enable_row_security

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "ingest"
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_batch()
    _create_instance()
    _create_batch_file()
    _create_audit()
    enable_row_security(SCHEMA, "batch", by_owner=True, app="SELECT, INSERT, UPDATE", system="SELECT")
    enable_row_security(SCHEMA, "instance", by_owner=True, app="SELECT, INSERT, UPDATE", system="SELECT")
    enable_row_security(SCHEMA, "batch_file", by_owner=True, app="SELECT, INSERT, UPDATE", system="SELECT")
    # The chain is the tenant's: whoever appends to it needs its newest record, whoever wrote that.
    enable_row_security(SCHEMA, "audit", by_owner=False, app="SELECT, INSERT")
    create_outbox(SCHEMA)
    create_inbox(SCHEMA)


def downgrade() -> None:
    for table in ("inbox", "outbox", "audit", "batch_file", "instance", "batch"):
        op.drop_table(table, schema=SCHEMA)
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_audit_change()")


def _create_batch() -> None:
    op.create_table(
        "batch",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("batch_id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("closed_at", _TIME),
        schema=SCHEMA,
    )
    op.create_index("ix_batch_tenant_owner_id_created_at", "batch", ["tenant", "owner_id", "created_at"], schema=SCHEMA)
    op.create_index(
        "ix_batch_open", "batch", ["created_at"], schema=SCHEMA, postgresql_where=sa.text("closed_at IS NULL")
    )


def _create_instance() -> None:
    op.create_table(
        "instance",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("instance_id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("batch_id", sa.Uuid, nullable=False),
        sa.Column("sop_instance_uid", sa.Text, nullable=False),
        sa.Column("sop_class_uid", sa.Text, nullable=False),
        sa.Column("study_instance_uid", sa.Text, nullable=False),
        sa.Column("series_instance_uid", sa.Text, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("body_part", sa.Text),
        sa.Column("transfer_syntax_uid", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("columns", sa.Integer, nullable=False),
        sa.Column("frames", sa.Integer, nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_at", _TIME, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("report_id", sa.Uuid),
        sa.UniqueConstraint(
            "tenant", "owner_id", "sop_instance_uid", name="uq_instance_tenant_owner_id_sop_instance_uid"
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"], name="fk_instance_batch"
        ),
        sa.CheckConstraint("status IN ('queued', 'processing', 'reported', 'failed')", name="status_known"),
        sa.CheckConstraint("(status = 'failed') = (reason IS NOT NULL)", name="failure_has_reason"),
        sa.CheckConstraint("(status = 'reported') = (report_id IS NOT NULL)", name="reported_has_report"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_instance_unfinished",
        "instance",
        ["status_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("status IN ('queued', 'processing')"),
    )


def _create_batch_file() -> None:
    op.create_table(
        "batch_file",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("batch_id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("instance_id", sa.Uuid),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("received_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "batch_id"], ["ingest.batch.tenant", "ingest.batch.batch_id"], name="fk_batch_file_batch"
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "instance_id"],
            ["ingest.instance.tenant", "ingest.instance.instance_id"],
            name="fk_batch_file_instance",
        ),
        sa.CheckConstraint("(instance_id IS NULL) = (reason IS NOT NULL)", name="accepted_or_refused"),
        schema=SCHEMA,
    )
    op.create_index("ix_batch_file_tenant_instance_id", "batch_file", ["tenant", "instance_id"], schema=SCHEMA)


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("batch_id", sa.Uuid),
        sa.Column("instance_id", sa.Uuid),
        sa.Column("fingerprint", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("prev_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.execute(
        f"CREATE FUNCTION {SCHEMA}.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit chain is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {SCHEMA}.audit"
        f" FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_audit_change()"
    )
    op.execute(
        f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {SCHEMA}.audit"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_audit_change()"
    )
