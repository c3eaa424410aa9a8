"""Units and blocks hold what an A/B test compares beside badness."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Apply."""
    op.add_column("monitoring_blocks", sa.Column("amounts", sa.Text(), nullable=True))
    op.add_column("monitoring_units", sa.Column("latency_s", sa.Double(), server_default="0", nullable=False))
    op.add_column(
        "monitoring_units", sa.Column("tokens_in", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column(
        "monitoring_units", sa.Column("tokens_out", sa.BigInteger(), server_default="0", nullable=False)
    )
