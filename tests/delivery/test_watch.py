import threading
import time

import pytest
import sqlalchemy as sa

from assent.delivery.service.watch import announce, watch_of
from assent.kernel.db import connect, is_sqlite


@pytest.fixture
def engines(any_database, tmp_path):
    """Two processes' engines on one database."""
    url = any_database or f"sqlite:///{tmp_path / 'watched.db'}"
    one, other = connect(url), connect(url)
    with one.connect() as conn, conn.execution_options(assent_writes=True).begin():
        conn.execute(sa.text("CREATE TABLE t (n INTEGER)"))
    yield one, other
    one.dispose()
    other.dispose()


@pytest.fixture
def watch(engines):
    opened = watch_of(engines[0])
    yield opened
    opened.close()


def write(engine):
    with engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
        conn.execute(sa.text("INSERT INTO t VALUES (1)"))
        announce(conn)


def test_a_commit_of_another_process_is_seen_within_a_moment(engines, watch):
    write(engines[1])
    began = time.monotonic()
    assert watch.wait(threading.Event(), 10)
    assert time.monotonic() - began < 5


def test_without_a_commit_the_wait_ends_at_its_time(watch):
    assert not watch.wait(threading.Event(), 0.06)


def test_what_is_not_committed_is_not_seen(engines, watch):
    with engines[1].connect() as conn, conn.execution_options(assent_writes=True).begin() as began:
        conn.execute(sa.text("INSERT INTO t VALUES (1)"))
        announce(conn)
        assert not watch.wait(threading.Event(), 0.06)
        began.rollback()
    assert not watch.wait(threading.Event(), 0.06)


def test_a_signal_of_this_process_ends_the_wait(watch):
    wake = threading.Event()
    wake.set()
    assert watch.wait(wake, 10)


def test_the_watch_leaves_the_pool_as_it_was(engines):
    for _ in range(30):
        watch_of(engines[0]).close()
    with engines[0].connect() as conn:
        assert conn.execute(sa.text("SELECT 1")).scalar() == 1
    assert is_sqlite(engines[0]) or engines[0].pool.checkedout() == 0
