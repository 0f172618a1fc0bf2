"""Reports hold the heatmap and how the image looked to the model; their pictures are drawn when they are asked for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEYS = ("preview_key", "overlay_key", "cam_key")


def upgrade() -> None:
    op.add_column("reports", sa.Column("picture", JSONB), schema="report")
    op.add_column("reports", sa.Column("heatmap_npy", sa.LargeBinary), schema="report")
    for name in _KEYS:
        op.drop_column("reports", name, schema="report")


def downgrade() -> None:
    for name in _KEYS:
        # Nothing lies under these keys, and the code of that revision answers so.
        column = sa.Column(name, sa.Text, nullable=False, server_default="none")
        op.add_column("reports", column, schema="report")
        op.alter_column("reports", name, server_default=None, schema="report")
    op.drop_column("reports", "heatmap_npy", schema="report")
    op.drop_column("reports", "picture", schema="report")
