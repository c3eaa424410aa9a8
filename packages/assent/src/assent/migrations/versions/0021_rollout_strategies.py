"""Rollouts end concluded, routes keep versions warm, drills have figures."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "delivery_drills",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("drilled_at", sa.String(27), nullable=False),
        sa.Column("drilled_by", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("measured_at", sa.String(27), nullable=True),
        sa.Column("slowest_ms", sa.Integer(), nullable=True),
        sa.Column("replicas", sa.Text(), nullable=True),
        sa.Column("silent", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_drills")),
        info={"kind": "governed"},
    )
    op.create_index(
        "ix_delivery_drills_name", "delivery_drills", ["project", "environment", "name"], unique=False
    )
    op.add_column("delivery_rollouts", sa.Column("winner", sa.String(length=10), nullable=True))
    op.add_column("delivery_routes", sa.Column("warm_until", sa.String(27), nullable=True))
    op.create_index(op.f("ix_delivery_routes_warm_until"), "delivery_routes", ["warm_until"], unique=False)
