"""units know their first call."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("monitoring_units") as units:
        units.add_column(sa.Column("application", sa.String(200), nullable=True))
        units.add_column(sa.Column("language", sa.String(16), nullable=True))
