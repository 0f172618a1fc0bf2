"""Series are found by their Series Instance UID alone: the worklist can be asked for those of one."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SCHEMA = "report"


def upgrade() -> None:
    op.create_index("ix_series_uid", "series", ["tenant", "series_instance_uid"], schema=_SCHEMA)


def downgrade() -> None:
    op.drop_index("ix_series_uid", "series", schema=_SCHEMA)
