"""Applications' keys have limits."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_key_limits",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("limits", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_identity_key_limits")),
        info={"kind": "governed"},
    )
