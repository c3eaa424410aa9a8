"""answers are sampled."""

import sqlalchemy as sa
from alembic import op

from assent.kernel.db import Utc

revision = "0032"
down_revision = "0031"

NAME, ID, KEY, DIGEST = (
    sa.String(length=63),
    sa.String(length=64),
    sa.String(length=200),
    sa.String(length=71),
)
PLACE = ["project", "environment", "route"]


def upgrade() -> None:
    """Apply."""
    _samplings()
    _samples()
    op.create_table(
        "monitoring_judges",
        *_place(),
        sa.Column("n_failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.Double(), nullable=True),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("answered_at", sa.Double(), nullable=True),
        sa.Column("why", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint(*PLACE, name=op.f("pk_monitoring_judges")),
    )
    op.create_table(
        "monitoring_openings",
        sa.Column("event", ID, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("sample", sa.String(length=32), nullable=False),
        sa.Column("opened_at", Utc(), nullable=False),
        sa.Column("opened_by", ID, nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_monitoring_openings")),
    )
    op.create_index("ix_monitoring_openings_sample", "monitoring_openings", ["project", "sample"])
    with op.batch_alter_table("monitoring_units") as units:
        units.add_column(sa.Column("n_judged", sa.BigInteger(), server_default="0", nullable=False))
        units.add_column(sa.Column("judged_badness", sa.Double(), server_default="0", nullable=False))


def _place() -> list[sa.Column[str]]:
    types = (NAME, NAME, KEY)
    return [sa.Column(name, kind, nullable=False) for name, kind in zip(PLACE, types, strict=True)]


def _samplings() -> None:
    op.create_table(
        "delivery_samplings",
        sa.Column("project", NAME, nullable=False),
        sa.Column("environment", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("judge", NAME, nullable=False),
        sa.Column("share", sa.String(length=10), nullable=False),
        sa.Column("per_day", sa.Integer(), nullable=False),
        sa.Column("keep_days", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("salt", ID, nullable=False),
        sa.Column("key", sa.String(length=44), nullable=False),
        sa.Column("set_at", Utc(), nullable=False),
        sa.Column("set_by", ID, nullable=False),
        sa.PrimaryKeyConstraint("project", "environment", "name", name=op.f("pk_delivery_samplings")),
    )


def _samples() -> None:
    op.create_table(
        "monitoring_samples",
        sa.Column("id", sa.String(length=32), nullable=False),
        *_place(),
        sa.Column("variant", KEY, nullable=False),
        sa.Column("version", DIGEST, nullable=False),
        sa.Column("rule", KEY, nullable=True),
        sa.Column("reason", ID, nullable=False),
        sa.Column("rollout", ID, nullable=True),
        sa.Column("unit", ID, nullable=False),
        sa.Column("completion", KEY, nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("n_redacted", sa.BigInteger(), nullable=False),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("judged_at", sa.Double(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("passport", ID, nullable=True),
        sa.Column("in_window", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_samples")),
    )
    op.create_index("ix_monitoring_samples_due", "monitoring_samples", [*PLACE, "state", "next_at"])
    op.create_index("ix_monitoring_samples_at", "monitoring_samples", ["at"])
    op.create_table(
        "monitoring_contents",
        sa.Column("sample", sa.String(length=32), nullable=False),
        *_place(),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sample", name=op.f("pk_monitoring_contents")),
    )
    op.create_index("ix_monitoring_contents_at", "monitoring_contents", [*PLACE, "at"])
