"""suites are scheduled."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "evaluation_schedules",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("suite", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("suite_ref", sa.String(length=130), nullable=False),
        sa.Column("every_s", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.String(27), nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "suite", "name", "environment", name=op.f("pk_evaluation_schedules")
        ),
        info={"kind": "governed"},
    )
