"""incidents are opened by people too."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Apply."""
    known: tuple[tuple[str, sa.String | sa.BigInteger], ...] = (
        ("rollout", sa.String(64)),
        ("route", sa.String(200)),
        ("subject", sa.String(71)),
        ("guard", sa.String(32)),
        ("total", sa.String(64)),
        ("threshold", sa.String(64)),
        ("last_block", sa.BigInteger()),
    )
    added = (
        ("title", sa.String(71)),
        ("severity", sa.String(10)),
        ("alert", sa.String(63)),
        ("opened_by", sa.String(64)),
        ("mitigated_at", sa.String(27)),
        ("mitigated_by", sa.String(64)),
    )
    with op.batch_alter_table("monitoring_incidents") as batch:
        for name, kind in added:
            batch.add_column(sa.Column(name, kind, nullable=True))
        for name, present in known:
            batch.alter_column(name, existing_type=present, nullable=True)
    # Until now only guards opened incidents, each together with the rollback that ended the harm.
    op.execute(
        "UPDATE monitoring_incidents SET opened_by = 'system:assent', mitigated_by = 'system:assent', "
        "mitigated_at = opened_at"
    )
