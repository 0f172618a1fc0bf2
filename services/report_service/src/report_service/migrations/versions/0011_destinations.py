"""Destinations of tenants, what is on its way to them, and the destination that an audit record is about."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from radrelay_shared.database.migrations import enable_row_security

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SCHEMA = "report"


def upgrade() -> None:
    _create_destinations()
    _create_deliveries()
    op.add_column("audit", sa.Column("destination_id", sa.Uuid), schema=_SCHEMA)


def downgrade() -> None:
    op.drop_column("audit", "destination_id", schema=_SCHEMA)
    for name in ("deliveries", "destinations"):
        op.drop_table(name, schema=_SCHEMA)


def _create_destinations() -> None:
    op.create_table(
        "destinations",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("destination_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("topics", ARRAY(sa.Text), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("paused", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("changed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("rests_until", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("tenant", "destination_id", name=op.f("pk_destinations")),
        sa.CheckConstraint("kind IN ('webhook')", name=op.f("ck_destinations_kind")),
        sa.CheckConstraint("paused IN ('administrator', 'gone')", name=op.f("ck_destinations_paused")),
        schema=_SCHEMA,
    )
    enable_row_security(
        _SCHEMA,
        "destinations",
        by_owner=False,
        app="SELECT, INSERT, UPDATE, DELETE",
        # Who sends changes neither where to nor what is signed with.
        system="SELECT, UPDATE (version, paused, changed_at, failures, rests_until)",
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("destination_id", sa.Uuid, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("report_id", sa.Uuid),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_status", sa.SmallInteger),
        sa.Column("last_reason", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("due_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("settled_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("tenant", "destination_id", "event_id", name=op.f("pk_deliveries")),
        sa.ForeignKeyConstraint(
            ["tenant", "destination_id"],
            ["report.destinations.tenant", "report.destinations.destination_id"],
            name=op.f("fk_deliveries_tenant_destination_id_destinations"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name=op.f("ck_deliveries_state")),
        sa.CheckConstraint("(state = 'pending') = (settled_at IS NULL)", name=op.f("ck_deliveries_settled")),
        sa.CheckConstraint("(state = 'delivered') = (payload IS NULL)", name=op.f("ck_deliveries_payload")),
        schema=_SCHEMA,
    )
    for name, columns, where in (
        ("due", "tenant, destination_id, due_at", "state = 'pending'"),
        ("expiring", "expires_at", "state = 'pending'"),
        ("failed", "tenant, destination_id", "state = 'failed'"),
        ("settled", "settled_at", "settled_at IS NOT NULL"),
        ("delivered", "tenant, destination_id, settled_at", "state = 'delivered'"),
        ("report", "tenant, report_id", "report_id IS NOT NULL"),
    ):
        op.execute(f"CREATE INDEX ix_deliveries_{name} ON report.deliveries ({columns}) WHERE {where}")
    op.execute("CREATE INDEX ix_deliveries_newest ON report.deliveries (tenant, destination_id, created_at, event_id)")
    enable_row_security(
        _SCHEMA,
        "deliveries",
        by_owner=False,
        app="SELECT, INSERT, UPDATE, DELETE",
        system="SELECT, UPDATE (payload, state, attempts, last_status, last_reason, due_at, settled_at), DELETE",
    )
