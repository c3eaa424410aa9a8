"""approvals hold for less."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Apply."""
    op.add_column("approvals_votes", sa.Column("max_share", sa.String(length=40), nullable=True))
    op.add_column("approvals_votes", sa.Column("until", sa.String(27), nullable=True))
