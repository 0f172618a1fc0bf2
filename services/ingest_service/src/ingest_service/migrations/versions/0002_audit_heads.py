"""The audit chain refuses every change by a trigger that always fires; what of it was published."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def upgrade() -> None:
    # For each statement: it refuses also where no row is seen, as by the owner, from whom row security hides them all.
    op.execute(f"DROP TRIGGER append_only ON {SCHEMA}.audit")
    op.execute(f"DROP TRIGGER append_only_truncate ON {SCHEMA}.audit")
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {SCHEMA}.audit"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_audit_change()"
    )
    # Also in a session that replays a replication stream.
    op.execute(f"ALTER TABLE {SCHEMA}.audit ENABLE ALWAYS TRIGGER append_only")
    # The worker sees of each tenant's chain how long it is, and nothing of what is in it.
    op.execute(f"GRANT SELECT (tenant, sequence) ON {SCHEMA}.audit TO {SCHEMA}_system")
    op.execute(f"CREATE POLICY audit_system ON {SCHEMA}.audit FOR SELECT TO {SCHEMA}_system USING (true)")
    op.create_table(
        "audit_head",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    enable_row_security(SCHEMA, "audit_head", by_owner=False, app="SELECT, INSERT, UPDATE", system="SELECT")


def downgrade() -> None:
    op.drop_table("audit_head", schema=SCHEMA)
    op.execute(f"DROP POLICY audit_system ON {SCHEMA}.audit")
    op.execute("REVOKE SELECT (tenant, sequence) ON ingest.audit FROM ingest_system")
    op.execute(f"DROP TRIGGER append_only ON {SCHEMA}.audit")
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {SCHEMA}.audit"
        f" FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_audit_change()"
    )
    op.execute(
        f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {SCHEMA}.audit"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_audit_change()"
    )
