"""Search of versions: the newest figures of a digest, and the words of documents."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

SQLITE = (
    """CREATE TRIGGER registry_texts_no_update BEFORE UPDATE ON registry_texts
    BEGIN SELECT RAISE(ABORT, 'a registered version never changes'); END""",
    """CREATE VIRTUAL TABLE registry_texts_fts USING fts5(
    text, content='registry_texts', content_rowid='seq', tokenize='unicode61 remove_diacritics 0')""",
    """CREATE TRIGGER registry_texts_added AFTER INSERT ON registry_texts BEGIN
    INSERT INTO registry_texts_fts(rowid, text) VALUES (new.seq, new.text); END""",
    """CREATE TRIGGER registry_texts_erased AFTER DELETE ON registry_texts BEGIN
    INSERT INTO registry_texts_fts(registry_texts_fts, rowid, text)
    VALUES ('delete', old.seq, old.text); END""",
)
POSTGRES = (
    """CREATE TRIGGER registry_texts_unchanging BEFORE UPDATE ON registry_texts
    FOR EACH STATEMENT EXECUTE FUNCTION kernel_refuse_change()""",
    """CREATE INDEX registry_texts_fts ON registry_texts
    USING gin (to_tsvector('simple'::regconfig, text))""",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "evidence_metrics",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=71), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("claim", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "subject", "name", name=op.f("pk_evidence_metrics")),
    )
    op.create_index(
        "ix_evidence_metrics_value", "evidence_metrics", ["project", "name", "value", "subject"], unique=False
    )
    op.create_table(
        "registry_texts",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_registry_texts")),
        sa.UniqueConstraint("version", name=op.f("uq_registry_texts_version")),
    )
    for column in ("name", "owner", "base_model"):
        name = f"ix_registry_versions_{column}"
        op.create_index(name, "registry_versions", ["project", column, "id"], unique=False)
    op.create_index("ix_registry_states_status", "registry_states", ["project", "status"], unique=False)
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES:
        op.execute(statement)
