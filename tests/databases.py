"""Databases for tests: the schema is brought up once a process; between tests its tables are emptied."""

import functools
import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from assent.installation import prepare
from assent.kernel.db import connect
from assent.kernel.settings import load
from assent.migrations import config

POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")
BOTH = [
    "sqlite",
    pytest.param(
        "postgres", marks=pytest.mark.skipif(not POSTGRES, reason="ASSENT_TEST_POSTGRES names no server")
    ),
]
"""The parameters of a fixture that gives a database of each kind."""

_KEPT = ("alembic_version", "dbos_migrations")
_made: list[str] = []
_free: list[str] = []


@contextmanager
def empty_postgres(prefix="assent_test"):
    """A database of its own without any table on the test server, dropped at the end."""
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    try:
        yield _create(name)
    finally:
        _drop(name)


@contextmanager
def prepared(kind, folder):
    """The URL of a database of a kind with the schema of this release and not a row; SQLite's is in `folder`."""
    if kind == "sqlite":
        shutil.copyfile(_template(), folder / "assent.db")
        yield f"sqlite:///{folder / 'assent.db'}"
        return
    url = _free.pop() if _free else _prepared_postgres()
    yield url
    _empty(url)
    _free.append(url)


def drop_all():
    """Drop what `prepared` made, on the test server and on disk; at the end of a process."""
    while _made:
        _drop(_made.pop())
    _free.clear()
    if _template.cache_info().currsize:
        shutil.rmtree(_template().parent)
        _template.cache_clear()


@contextmanager
def before_revision(url, ending):
    """An engine on an empty database, brought up to before the revision whose file ends so; and that revision."""
    revisions = ScriptDirectory.from_config(config()).walk_revisions()
    (revision,) = [one for one in revisions if one.path.endswith(ending)]
    command.upgrade(config(url), str(revision.down_revision))
    engine = connect(url)
    try:
        yield engine, revision.revision
    finally:
        engine.dispose()


@functools.cache
def _template():
    settings = load(data_dir=Path(tempfile.mkdtemp(prefix="assent-template-")), database_url="")
    prepare(settings)
    return settings.data_dir / "assent.db"


def _prepared_postgres():
    name = f"assent_prepared_{uuid.uuid4().hex[:12]}"
    url = _create(name)
    _made.append(name)
    prepare(load(data_dir=_template().parent, database_url=url))
    return url


def _empty(url):
    """Take every row out and begin every sequence anew; whoever is still connected is sent away."""
    engine = connect(url, pool_size=1)
    with engine.begin() as conn:
        conn.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))  # no trigger, no foreign key
        for table in conn.execute(
            sa.text("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgenabled = 'D'")
        ).scalars():
            conn.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        tables = conn.execute(
            sa.text(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> ALL(:kept)"
            ),
            {"kept": list(_KEPT)},
        ).scalars()
        conn.exec_driver_sql(";".join(f"DELETE FROM {table}" for table in tables))
        conn.execute(
            sa.text(
                "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)"
                " FROM pg_sequences"
            )
        )
    engine.dispose()


def _create(name):
    _run_apart(f"CREATE DATABASE {name}")
    return sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)


def _drop(name):
    _run_apart(f"DROP DATABASE {name} WITH (FORCE)")


def _run_apart(statement):
    admin = connect(POSTGRES, pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text(statement))
    admin.dispose()
