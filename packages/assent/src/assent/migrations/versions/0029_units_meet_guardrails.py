"""units meet guardrails."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("monitoring_units") as units:
        for name in ("n_guarded", "n_hits"):
            units.add_column(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
