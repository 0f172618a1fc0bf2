"""Reviews of reports: every version is kept, and a report's row says what the last one says."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from radrelay_shared.database.migrations import enable_row_security

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_SCHEMA = "report"


def upgrade() -> None:
    _create_reviews()
    _make_append_only()


def downgrade() -> None:
    op.drop_table("reviews", schema=_SCHEMA)
    op.execute("DROP FUNCTION report.refuse_review_change()")


def _create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("report_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("region", JSONB),
        sa.Column("reviewed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "report_id", "version", name=op.f("pk_reviews")),
        sa.ForeignKeyConstraint(
            ["tenant", "report_id"],
            ["report.reports.tenant", "report.reports.report_id"],
            name=op.f("fk_reviews_tenant_report_id_reports"),
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_reviews_version")),
        sa.CheckConstraint("verdict IN ('agree', 'disagree', 'unsure')", name=op.f("ck_reviews_verdict")),
        sa.CheckConstraint(
            "label IN ('finding_present', 'finding_absent', 'other_finding', 'not_assessable')",
            name=op.f("ck_reviews_label"),
        ),
        sa.CheckConstraint("char_length(note) <= 4000", name=op.f("ck_reviews_note")),
        schema=_SCHEMA,
    )
    enable_row_security(_SCHEMA, "reviews", by_owner=True, app="SELECT, INSERT")


def _make_append_only() -> None:
    op.execute(
        "CREATE FUNCTION report.refuse_review_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'versions of a review are never changed'; END $$"
    )
    # For each statement: it refuses also where no row is seen, as by the owner, from whom row security hides them all.
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON report.reviews"
        " FOR EACH STATEMENT EXECUTE FUNCTION report.refuse_review_change()"
    )
    op.execute("ALTER TABLE report.reviews ENABLE ALWAYS TRIGGER append_only")
