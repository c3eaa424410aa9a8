"""Prompts have a status and parts."""

import json

import sqlalchemy as sa
from alembic import op

from assent.kernel.guards import guards

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "prompts_parts",
        sa.Column("whole", sa.String(length=71), nullable=False),
        sa.Column("part", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("whole", "part", name=op.f("pk_prompts_parts")),
        info={"kind": "governed", "guarded": ("UPDATE", "DELETE")},
    )
    op.create_index(op.f("ix_prompts_parts_part"), "prompts_parts", ["part"], unique=False)
    op.create_table(
        "prompts_states",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.Column("because", sa.String(length=100), nullable=False),
        sa.Column("successor", sa.String(length=71), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_prompts_states")),
        info={"kind": "governed"},
    )
    for statement in guards("prompts_parts", op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)
    _begin_as_drafts()


def _begin_as_drafts() -> None:
    """Give what was registered before the row that its event gives now."""
    conn = op.get_bind()
    registered = sa.text("SELECT entry FROM ledger_leaves WHERE type = 'prompts.version.registered'")
    drafted = sa.text(
        "INSERT INTO prompts_states (digest, project, status, since, because) "
        "VALUES (:digest, :project, 'draft', :since, :because)"
    )
    for content in conn.execute(registered).scalars().all():
        entry = json.loads(bytes(content))
        row = {"digest": entry["data"]["digest"], "project": entry["data"]["project"]}
        conn.execute(drafted, {**row, "since": entry["at"], "because": entry["id"]})
