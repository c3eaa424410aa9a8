"""calls are sent as spans."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "monitoring_span_export",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("target", sa.String(length=600), nullable=False),
        sa.Column("next_n", sa.BigInteger(), nullable=False),
        sa.Column("n_sent", sa.BigInteger(), nullable=False),
        sa.Column("n_refused", sa.BigInteger(), nullable=False),
        sa.Column("n_dropped", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=False),
        sa.Column("sent_at", sa.String(length=27), nullable=True),
        sa.Column("n_failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.String(length=27), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_span_export")),
    )
