"""calls tell that they were unguarded."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("monitoring_rollups") as rollups:
        rollups.add_column(sa.Column("n_unguarded", sa.BigInteger(), server_default="0", nullable=False))
    with op.batch_alter_table("monitoring_facets") as facets:
        facets.add_column(sa.Column("unguarded", sa.Boolean(), server_default=sa.false(), nullable=False))
