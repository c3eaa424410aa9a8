"""Stale values are served while one thread refreshes them; ages and numbers are bounded."""

import threading

import pytest

from assent_client.cache import Bounds, Cache
from assent_client.errors import NotFound, Unavailable

BOUNDS = Bounds(fresh_s=10, stale_s=100, most_s=1000, retry_s=5, n=2)


class Source:
    """Counts what it is asked; answers the next number, or with its trouble."""

    def __init__(self):
        self.now, self.n, self.trouble = 0.0, 0, None
        self.asked = threading.Semaphore(0)
        self.may = threading.Event()
        self.may.set()
        self.cache = Cache(self.load, BOUNDS, lambda: self.now)

    def load(self, key, held):
        self.asked.release()
        assert self.may.wait(5)
        if self.trouble:
            raise self.trouble
        self.n += 1
        return f"{key}{self.n}"

    def settled(self):
        """Wait for the refresh in the background."""
        while self.cache.n_loading:
            threading.Event().wait(0.001)


@pytest.fixture
def source():
    return Source()


def test_a_fresh_value_is_not_asked_for_again(source):
    assert source.cache.get("a") == ("a1", 0)
    source.now = 10
    assert source.cache.get("a") == ("a1", 10)
    assert source.n == 1


def test_a_stale_value_is_given_at_once_while_one_thread_refreshes_it(source):
    source.cache.get("a")
    source.may.clear()
    source.now = 50
    assert [source.cache.get("a") for _ in range(100)] == [("a1", 50)] * 100
    source.may.set()
    source.settled()
    assert source.cache.get("a") == ("a2", 0)
    assert source.n == 2


def test_a_refresh_that_fails_leaves_the_value_and_is_not_tried_at_every_call(source):
    source.cache.get("a")
    source.trouble, source.now = Unavailable("away"), 50
    for _ in range(20):
        assert source.cache.get("a") == ("a1", 50)
        source.settled()
    source.now = 56
    assert source.cache.get("a") == ("a1", 56)
    source.settled()
    assert sum(source.asked.acquire(blocking=False) for _ in range(9)) == 3


def test_what_is_older_waits_and_what_is_too_old_is_refused(source):
    source.cache.get("a")
    source.now = 101
    assert source.cache.get("a") == ("a2", 0)
    source.trouble, source.now = Unavailable("away"), 500
    assert source.cache.get("a") == ("a2", 399)
    source.now = 1200
    with pytest.raises(Unavailable, match="1099 s old; 1000 s are allowed"):
        source.cache.get("a")
    source.trouble = None
    source.now = 1206
    assert source.cache.get("a") == ("a3", 0)


def test_many_who_find_nothing_wait_for_one_answer(source):
    source.may.clear()
    found = []
    threads = [threading.Thread(target=lambda: found.append(source.cache.get("a"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    assert source.asked.acquire(timeout=5)
    source.may.set()
    for thread in threads:
        thread.join(5)
    assert found == [("a1", 0)] * 16


def test_an_error_is_given_to_everybody_who_waits_and_is_not_kept(source):
    source.trouble = NotFound("no")
    with pytest.raises(NotFound):
        source.cache.get("a")
    source.trouble = None
    assert source.cache.get("a") == ("a1", 0)


def test_only_so_many_values_are_kept_those_used_last(source):
    for key in "abab":
        source.cache.get(key)
    source.cache.get("a")
    source.cache.get("c")
    assert source.cache.get("a") == ("a1", 0)
    assert source.cache.get("b") == ("b4", 0)


def test_a_value_from_elsewhere_is_confirmed_first_and_else_served(source):
    source.cache.put("a", "kept", 3)
    assert source.cache.get("a") == ("a1", 0)
    source.trouble = Unavailable("away")
    source.cache.put("a", "kept", 3)
    assert source.cache.get("a") == ("kept", 3)
    assert source.cache.get("a") == ("kept", 3)
    assert sum(source.asked.acquire(blocking=False) for _ in range(9)) == 2
