"""What many calls have in common stands once: rows of calls are a third as wide."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

SHARED: tuple[tuple[str, Any, bool], ...] = (
    ("series", sa.BigInteger(), False),
    ("serial", sa.BigInteger(), False),
    ("rule", sa.String(200), True),
    ("reason", sa.String(64), False),
    ("rollout", sa.String(64), True),
    ("sticky", sa.Boolean(), False),
    ("stream", sa.Boolean(), False),
    ("status", sa.Integer(), False),
    ("error_class", sa.String(200), True),
    ("finish_reason", sa.String(200), True),
    ("response_model", sa.String(200), True),
    ("as_approved", sa.Boolean(), True),
    ("application", sa.String(200), False),
    ("guardrails", sa.String(200), True),
    ("language", sa.String(16), True),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "monitoring_facets",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, kind, nullable=nullable) for name, kind, nullable in SHARED),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_facets")),
    )
    op.create_index("ix_monitoring_facets_seen_at", "monitoring_facets", ["seen_at"])
    op.add_column("monitoring_calls", sa.Column("facet", sa.BigInteger(), nullable=True))
    names = ", ".join(name for name, _, _ in SHARED)
    # Ranks are small numbers; those that are given from now on are hashes of 63 bits, and never meet them.
    op.execute(
        f"UPDATE monitoring_calls SET facet = ranked.facet FROM (SELECT n, dense_rank() OVER "  # noqa: S608 -- names of our own columns
        f"(ORDER BY {names}) AS facet FROM monitoring_calls) AS ranked WHERE ranked.n = monitoring_calls.n"
    )
    op.execute(
        f"INSERT INTO monitoring_facets (id, {names}, seen_at) "  # noqa: S608 -- names of our own columns
        f"SELECT facet, {names}, max(at) FROM monitoring_calls GROUP BY facet, {names}"
    )
    with op.batch_alter_table("monitoring_calls") as batch:
        batch.alter_column("facet", existing_type=sa.BigInteger(), nullable=False)
        for name, _, _ in SHARED:
            batch.drop_column(name)
