"""What may be declared as a job or a tick."""

import threading
import time
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from assent.kernel import jobs


@pytest.fixture
def declared(monkeypatch):
    """Let what a test declares be forgotten with it."""
    monkeypatch.setattr(jobs, "_jobs", {})
    monkeypatch.setattr(jobs, "_ticks", {})


def test_a_second_job_or_tick_of_a_name_is_refused(declared):
    jobs.tick("shelf.watch", every_s=1)(print)
    for declare in (jobs.tick("shelf.watch", every_s=2), jobs.job("shelf.watch")):
        with pytest.raises(ValueError, match=r"two jobs are called shelf\.watch"):
            declare(print)


@pytest.mark.parametrize("every_s", [0, -1, 60])
def test_a_tick_runs_at_least_once_a_minute(declared, every_s):
    with pytest.raises(ValueError, match="runs every 1 to 59 seconds"):
        jobs.tick("shelf.watch", every_s=every_s)


def test_any_sqlite_tells_milliseconds_as_dbos_asks_for_them():
    asked = sa.text("SELECT unixepoch('subsec') * 1000")
    engine = sa.create_engine("sqlite://")
    with engine.connect() as conn:
        told = conn.execute(asked).scalar_one()
    engine.dispose()
    assert abs(told - time.time() * 1000) < 60_000


def test_a_job_that_nobody_declared_is_not_enqueued():
    with pytest.raises(LookupError, match=r"no job is called 'shelf\.none'"):
        jobs.DbosPort("sqlite://").enqueue(None, "shelf.none", {})


def test_ticks_are_due_in_the_seconds_that_their_period_divides(declared):
    for every_s in (1, 2, 30):
        jobs.tick(f"shelf.every_{every_s}", every_s=every_s)(print)
    seconds = [len(jobs.due_ticks(datetime.fromtimestamp(second, UTC))) for second in range(60)]
    assert (sum(seconds), seconds[:3], seconds[30]) == (60 + 30 + 2, [3, 1, 2], 3)


def test_a_tick_that_still_runs_is_left_alone_and_one_that_fails_comes_again(declared, caplog):
    began, may_end, runs = threading.Event(), threading.Event(), []

    def slow(_runtime):
        runs.append(1)
        began.set()
        may_end.wait(10)
        raise OSError("the disk is full")

    jobs.tick("shelf.slow", every_s=1)(slow)
    first = threading.Thread(target=jobs.run_tick, args=(None, "shelf.slow"))
    first.start()
    assert began.wait(10)
    jobs.run_tick(None, "shelf.slow")
    assert len(runs) == 1
    may_end.set()
    first.join(10)
    assert "the tick shelf.slow failed" in caplog.text
    jobs.run_tick(None, "shelf.slow")
    assert len(runs) == 2
