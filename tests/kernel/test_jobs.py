"""What may be declared as a job or a tick."""

import pytest

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


def test_a_job_that_nobody_declared_is_not_enqueued():
    with pytest.raises(LookupError, match=r"no job is called 'shelf\.none'"):
        jobs.DbosPort("sqlite://").enqueue(None, "shelf.none", {})
