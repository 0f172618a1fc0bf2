"""Images are erased, by services only; which of them a pseudonym is for, so that it goes with the last."""

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "ingest"
_NOTED = (
    "EXISTS (SELECT FROM ingest.erasure_leftover l WHERE l.tenant = {0}.tenant AND l.instance_id = {0}.instance_id)"
)
_UNUSED = (
    "NOT EXISTS (SELECT FROM ingest.pseudonym_image i WHERE i.tenant = {0}.tenant AND i.pseudonym = {0}.pseudonym)"
)
_ERASED = {"instance": _NOTED, "batch_file": _NOTED, "pseudonym": _UNUSED}


def upgrade() -> None:
    op.create_table(
        "pseudonym_image",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("instance_id", sa.Uuid, primary_key=True),
        sa.Column("pseudonym", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "pseudonym"],
            ["ingest.pseudonym.tenant", "ingest.pseudonym.pseudonym"],
            name=op.f("fk_pseudonym_image_tenant_pseudonym_pseudonym"),
        ),
        schema=SCHEMA,
    )
    op.create_index(
        op.f("ix_pseudonym_image_tenant_pseudonym"), "pseudonym_image", ["tenant", "pseudonym"], schema=SCHEMA
    )
    enable_row_security(SCHEMA, "pseudonym_image", by_owner=False, app="SELECT, INSERT, DELETE")
    op.create_table(
        "erasure_leftover",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("instance_id", sa.Uuid, primary_key=True),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_erasure_leftover_erased_at"), "erasure_leftover", ["erased_at"], schema=SCHEMA)
    enable_row_security(
        SCHEMA, "erasure_leftover", by_owner=False, app="SELECT, INSERT, UPDATE, DELETE", system="SELECT"
    )
    op.create_index(
        op.f("ix_instance_tenant_study_instance_uid"), "instance", ["tenant", "study_instance_uid"], schema=SCHEMA
    )
    for table, condition in _ERASED.items():
        op.execute(f"GRANT DELETE ON ingest.{table} TO ingest_app")
        # Beside the policy that keeps to the tenant: whatever the program says, no caller of the API deletes, and no
        # consumer what is not noted as erased, or a mapping that an image needs.
        op.execute(
            f"CREATE POLICY {table}_erasing ON ingest.{table} AS RESTRICTIVE FOR DELETE TO ingest_app"
            f" USING (current_setting('radrelay.role', true) = 'service' AND {condition.format(table)})"
        )


def downgrade() -> None:
    for table in _ERASED:
        op.execute(f"DROP POLICY {table}_erasing ON ingest.{table}")
        op.execute(f"REVOKE DELETE ON ingest.{table} FROM ingest_app")
    op.drop_index(op.f("ix_instance_tenant_study_instance_uid"), "instance", schema=SCHEMA)
    for table in ("erasure_leftover", "pseudonym_image"):
        op.drop_table(table, schema=SCHEMA)
