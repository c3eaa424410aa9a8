"""Labels, and the history of their moves, which refuses changes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MOVES = "registry_label_moves"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "registry_label_moves",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("label", sa.String(length=63), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("before", sa.String(length=71), nullable=True),
        sa.Column("after", sa.String(length=71), nullable=True),
        sa.Column("rolled_back", sa.Boolean(), nullable=False),
        sa.Column("because", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.String(length=71), nullable=True),
        sa.Column("moved_at", sa.String(27), nullable=False),
        sa.Column("moved_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "kind", "name", "label", "generation", name=op.f("pk_registry_label_moves")
        ),
    )
    op.create_index("ix_registry_label_moves_after", "registry_label_moves", ["after"], unique=False)
    op.create_table(
        "registry_labels",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("label", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("moved_at", sa.String(27), nullable=False),
        sa.Column("moved_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "kind", "name", "label", name=op.f("pk_registry_labels")),
    )
    op.create_index("ix_registry_labels_digest", "registry_labels", ["digest", "label"], unique=False)
    _refuse_changes()


def _refuse_changes() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {MOVES}_no_{verb.lower()} BEFORE {verb} ON {MOVES} "
                "BEGIN SELECT RAISE(ABORT, 'a registered version never changes'); END"
            )
        return
    op.execute(
        f"CREATE TRIGGER {MOVES}_unchanging BEFORE UPDATE OR DELETE OR TRUNCATE ON {MOVES} "
        "FOR EACH STATEMENT EXECUTE FUNCTION kernel_refuse_change()"
    )
