"""calls tell their operation."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("monitoring_facets") as facets:
        facets.add_column(sa.Column("operation", sa.String(length=32), server_default="chat", nullable=False))
