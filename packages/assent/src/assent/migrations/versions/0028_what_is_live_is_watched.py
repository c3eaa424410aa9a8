"""what is live is watched."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "monitoring_live_blocks",
        sa.Column("watch", sa.String(length=64), nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scores", sa.Text(), nullable=False),
        sa.Column("total", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("watch", "block", name=op.f("pk_monitoring_live_blocks")),
        info={"kind": "operational"},
    )
    op.create_table(
        "monitoring_live_watches",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=71), nullable=False),
        sa.Column("alert", sa.String(length=64), nullable=False),
        sa.Column("window_s", sa.Integer(), nullable=False),
        sa.Column("block_s", sa.Integer(), nullable=False),
        sa.Column("arl_days", sa.Integer(), nullable=False),
        sa.Column("hold_s", sa.Integer(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("slow_above_s", sa.String(length=40), nullable=True),
        sa.Column("started_at", sa.String(27), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_live_watches")),
        info={"kind": "governed"},
    )
    op.create_index(
        op.f("ix_monitoring_live_watches_alert"), "monitoring_live_watches", ["alert"], unique=False
    )
    op.create_index(
        op.f("ix_monitoring_live_watches_ended_at"), "monitoring_live_watches", ["ended_at"], unique=False
    )
    op.create_index(
        op.f("ix_monitoring_live_watches_project"), "monitoring_live_watches", ["project"], unique=False
    )
    op.create_table(
        "monitoring_regressions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("watch", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=71), nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.String(27), nullable=False),
        sa.Column("found_at", sa.String(27), nullable=False),
        sa.Column("total", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.String(length=20), nullable=False),
        sa.Column("low", sa.String(length=20), nullable=False),
        sa.Column("high", sa.String(length=20), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_regressions")),
        info={"kind": "governed"},
    )
    op.create_index(
        op.f("ix_monitoring_regressions_watch"), "monitoring_regressions", ["watch"], unique=False
    )
    op.create_table(
        "monitoring_seals",
        sa.Column("watch", sa.String(length=64), nullable=False),
        sa.Column("first_block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_block", sa.BigInteger(), nullable=False),
        sa.Column("n_blocks", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("watch", "first_block", name=op.f("pk_monitoring_seals")),
        info={"kind": "governed"},
    )
