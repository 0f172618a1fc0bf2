"""Reports are erased, only by services and only as noted.

What was asked for, what is left to remove and what may not come back is kept.
"""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

_SCHEMA = "report"
_ERASED = ("reports", "reviews")
_EMPTIED = {
    "instances": "reports c WHERE c.tenant = instances.tenant AND c.owner_id = instances.owner_id"
    " AND c.instance_id = instances.instance_id",
    "series": "instances c WHERE c.tenant = series.tenant AND c.series_id = series.series_id",
    "studies": "series c WHERE c.tenant = studies.tenant AND c.study_id = studies.study_id",
}
"""What holds a row, by table: with the last report of an image that image goes, and so on upwards."""
_REFUSE = "RAISE EXCEPTION 'versions of a review are never changed'"


def upgrade() -> None:
    _create_erasures()
    _create_marks_and_leftovers()
    for table in _ERASED:
        op.execute(f"GRANT DELETE ON report.{table} TO report_app")
        # Beside the policy that keeps to the tenant: whatever the program says, no caller of the API deletes, and no
        # consumer what is not noted as erased.
        op.execute(
            f"CREATE POLICY {table}_erasing ON report.{table} AS RESTRICTIVE FOR DELETE TO report_app"
            " USING (current_setting('radrelay.role', true) = 'service' AND EXISTS (SELECT FROM"
            f" report.erasure_leftovers l WHERE l.tenant = {table}.tenant AND l.report_id = {table}.report_id))"
        )
    for table, held_by in _EMPTIED.items():
        # UPDATE of what the policies keep as it is: without it a row cannot be locked.
        op.execute(f"GRANT DELETE, UPDATE (tenant) ON report.{table} TO report_app")
        op.execute(
            f"CREATE POLICY {table}_erasing ON report.{table} AS RESTRICTIVE FOR DELETE TO report_app USING"
            f" (current_setting('radrelay.role', true) = 'service' AND NOT EXISTS (SELECT FROM report.{held_by}))"
        )
    _replace_review_trigger(
        "IF TG_OP = 'DELETE' AND current_setting('radrelay.role', true) = 'service' THEN RETURN NULL; END IF; "
    )
    op.create_index(op.f("ix_reports_tenant_instance_id"), "reports", ["tenant", "instance_id"], schema=_SCHEMA)


def downgrade() -> None:
    op.drop_index(op.f("ix_reports_tenant_instance_id"), "reports", schema=_SCHEMA)
    _replace_review_trigger("")
    for table in _EMPTIED:
        op.execute(f"DROP POLICY {table}_erasing ON report.{table}")
        op.execute(f"REVOKE DELETE, UPDATE (tenant) ON report.{table} FROM report_app")
    for table in _ERASED:
        op.execute(f"DROP POLICY {table}_erasing ON report.{table}")
        op.execute(f"REVOKE DELETE ON report.{table} FROM report_app")
    for name in ("erasure_leftovers", "erased_marks", "erasures"):
        op.drop_table(name, schema=_SCHEMA)


def _replace_review_trigger(exception: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION report.refuse_review_change() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {exception}{_REFUSE}; END $$"
    )


def _create_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("erasure_id", sa.Uuid, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("study_instance_uid", sa.Text),
        sa.Column("instance_id", sa.Uuid),
        sa.Column("reports", sa.Integer, nullable=False),
        sa.Column("done_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("tenant", "erasure_id", name=op.f("pk_erasures")),
        sa.CheckConstraint(
            "num_nonnulls(study_instance_uid, instance_id) = (done_at IS NULL)::integer",
            name=op.f("ck_erasures_target_until_done"),
        ),
        schema=_SCHEMA,
    )
    op.execute("CREATE INDEX ix_erasures_open ON report.erasures (requested_at) WHERE done_at IS NULL")
    enable_row_security(_SCHEMA, "erasures", by_owner=False, app="SELECT, INSERT, UPDATE", system="SELECT")


def _create_marks_and_leftovers() -> None:
    op.create_table(
        "erased_marks",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("erased_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_erased_marks")),
        schema=_SCHEMA,
    )
    op.execute("CREATE INDEX ix_erased_marks_passing ON report.erased_marks (erased_at) WHERE kind <> 'report'")
    enable_row_security(_SCHEMA, "erased_marks", by_owner=False, app="SELECT, INSERT, UPDATE", system="SELECT, DELETE")
    op.create_table(
        "erasure_leftovers",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("report_id", sa.Uuid, nullable=False),
        sa.Column("erasure_id", sa.Uuid),
        sa.Column("instance_id", sa.Uuid, nullable=False),
        sa.Column("erased_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "report_id", name=op.f("pk_erasure_leftovers")),
        schema=_SCHEMA,
    )
    op.create_index(op.f("ix_erasure_leftovers_erased_at"), "erasure_leftovers", ["erased_at"], schema=_SCHEMA)
    enable_row_security(_SCHEMA, "erasure_leftovers", by_owner=False, app="SELECT, INSERT", system="SELECT, DELETE")
