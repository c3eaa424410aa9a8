"""Limits of applications' keys: 429 in time, in both shapes of error, never more than the limit together."""

from datetime import UTC, datetime, timedelta

import pytest
from plane import KEY, STREAM_HEAD, USAGE, chunk, chunked, events, until

from assent.gateway.book import Book
from assent.gateway.quotas import Quotas
from assent_client.calls.refusals import Refusal
from assent_client.snapshot import KeyLimits

NOON = datetime(2027, 3, 1, 12, 0, 20, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self):
        return self.now

    def on(self, **more):
        self.now += timedelta(**more)


@pytest.fixture
def clock():
    return Clock()


def limited(world, clock, **limits):
    world.publish(limits={"app-1": limits})
    world.start(now=clock)
    return world


def test_calls_beyond_the_minute_are_refused_with_the_time_to_come_back(world, clock):
    limited(world, clock, requests_per_minute=2)
    assert [world.ask().status_code for _ in range(3)] == [200, 200, 429]
    refused = world.ask()
    assert refused.headers["retry-after"] == "40"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    headers = {"x-api-key": KEY}
    body = {"model": "assistant", "max_tokens": 1, "messages": []}
    anthropic = world.http.post(world.gateway.url + "/v1/messages", json=body, headers=headers)
    assert (anthropic.status_code, anthropic.headers["retry-after"]) == (429, "40")
    assert anthropic.json()["error"]["type"] == "rate_limit_error"
    assert len(world.upstream.asked) == 2
    clock.on(seconds=40)
    assert world.ask().status_code == 200


def test_tokens_are_counted_when_they_are_known_in_streams_too(world, clock):
    limited(world, clock, tokens_per_minute=16)
    world.upstream.answer = STREAM_HEAD + chunked(
        *events(chunk("x"), chunk(choices=[], usage=USAGE), "[DONE]")
    )
    codes = []
    for n in range(1, 5):
        codes.append(world.ask(stream=True).status_code)
        world.calls(min(n, 3))
    assert codes == [200, 200, 200, 429]  # 7 tokens a call: the third is let in with 2 left
    clock.on(minutes=1)
    assert world.ask(stream=True).status_code == 200


def test_a_daily_budget_survives_a_restart_and_ends_with_the_day(world, clock):
    limited(world, clock, tokens_per_day=10)
    assert world.ask().status_code == 200
    world.calls()
    assert world.ask().json()["error"]["code"] == "budget_exhausted"
    world.gateway.stop()
    world.start(now=clock)
    refused = world.ask()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, str(12 * 3600 - 20))
    clock.on(hours=12)
    assert world.ask().status_code == 200


def test_other_keys_and_new_limits_are_not_touched(world, clock):
    limited(world, clock, requests_per_minute=1)
    assert [world.ask().status_code for _ in range(2)] == [200, 429]
    world.publish(limits={"another": {"requests_per_minute": 1}})
    assert [world.ask().status_code for _ in range(3)] == [200, 200, 200]
    world.publish(limits={"app-1": {"requests_per_minute": 3}})
    assert [world.ask().status_code for _ in range(3)] == [200, 200, 429]


def admitted(quotas, limits, n):
    found = 0
    for _ in range(n):
        try:
            quotas.admit("k", limits)
        except Refusal:
            continue
        found += 1
    return found


def test_workers_together_never_exceed_a_limit_and_one_alone_may_use_nearly_all_of_it(tmp_path, clock):
    limits = KeyLimits(requests_per_minute=1000)
    workers = [Quotas(Book(tmp_path / "q"), 4, 1.0, clock) for _ in range(4)]
    assert admitted(workers[0], limits, 400) == 400
    assert sum(admitted(worker, limits, 1000) for worker in workers) == 600
    clock.on(minutes=1)
    assert admitted(workers[3], limits, 2000) == 1000


def test_a_share_of_the_limit_is_what_this_gateway_gives(tmp_path, clock):
    half = Quotas(Book(tmp_path / "q"), 1, 0.5, clock)
    assert admitted(half, KeyLimits(requests_per_minute=10), 10) == 5
    assert admitted(Quotas(Book(tmp_path / "r"), 1, 0.01, clock), KeyLimits(requests_per_minute=10), 10) == 1


def test_a_book_that_a_crash_cut_short_begins_anew(tmp_path, clock):
    (tmp_path / "q").write_bytes(b'{"k requests_per_mi')
    assert admitted(Quotas(Book(tmp_path / "q"), 1, 1.0, clock), KeyLimits(requests_per_minute=3), 5) == 3


def test_what_was_spent_beyond_a_lease_is_taken_from_the_next(tmp_path, clock):
    limits = KeyLimits(tokens_per_minute=800)
    quotas = Quotas(Book(tmp_path / "q"), 1, 1.0, clock)
    quotas.admit("k", limits)
    quotas.spend("k", limits, 750)
    quotas.admit("k", limits)
    quotas.spend("k", limits, 60)
    with pytest.raises(Refusal) as refusal:
        quotas.admit("k", limits)
    assert refusal.value.retry_after_s == 40
    until(lambda: (tmp_path / "q").stat().st_size > 0)
