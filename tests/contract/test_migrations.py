"""The schema is the sum of its migrations, on both databases."""

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from assent.kernel.db import connect, metadata
from assent.migrations import upgrade

NOT_TABLES_OF_OURS = ("dbos", "registry_texts_fts")
"""The job engine's, and the index of words that each database keeps in its own way."""
TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT DISTINCT tgname FROM pg_trigger WHERE NOT tgisinternal",
}


def _migrated(any_database, tmp_path):
    url = any_database or f"sqlite:///{tmp_path / 'migrated.db'}"
    upgrade(url)
    return connect(url)


def test_the_migrations_make_the_tables_that_the_code_declares(any_database, tmp_path):
    engine = _migrated(any_database, tmp_path)
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        differences = [
            d
            for d in compare_metadata(context, metadata)
            if not any(one in str(d) for one in NOT_TABLES_OF_OURS)
        ]
    engine.dispose()
    assert differences == []


def test_the_migrations_make_the_triggers_that_the_code_declares(any_database, tmp_path):
    engine = _migrated(any_database, tmp_path)
    with engine.connect() as conn:
        migrated = set(conn.execute(sa.text(TRIGGERS[conn.dialect.name])).scalars())
    with engine.begin() as conn:
        for table in reversed(metadata.sorted_tables):
            table.drop(conn)
    with engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
        metadata.create_all(conn)
    with engine.connect() as conn:
        declared = set(conn.execute(sa.text(TRIGGERS[conn.dialect.name])).scalars())
    engine.dispose()
    assert migrated == declared
    assert migrated


def test_a_second_upgrade_changes_nothing(any_database, tmp_path):
    engine = _migrated(any_database, tmp_path)
    upgrade(any_database or f"sqlite:///{tmp_path / 'migrated.db'}")
    engine.dispose()
