"""The engine against a real HTTP server that fails in every way that servers do."""

import asyncio
import json
import random
import runpy
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assent.evaluation.domain.cases import answer_key, run_digest
from assent.evaluation.domain.target import Target
from assent.evaluation.engine import Ask, Engine, Pace
from assent.evaluation.journal import Journal, read_records
from assent.evaluation.scorers import compile_suite
from assent.evaluation.throttle import Throttle
from assent.evaluation.upstream import parse_retry_after

SUBJECT = "sha256:" + "5" * 64
FAST = Pace(
    backoff_s=0.005, max_backoff_s=0.02, patience_s=10.0, give_up_s=0.4, give_up_first_s=0.4, progress_s=0.02
)


def asks_of(rows, side="candidate"):
    return [Ask(side, row, 0, answer_key(SUBJECT, SUBJECT, row.key, 0)) for row in rows]


def run(target, suite, rows, path, pace=FAST, until=None):
    """Run to the end, or until a condition on the progress holds; gives the last progress and all records."""

    async def go():
        engine = Engine({"candidate": target}, compile_suite(suite).score, suite.limits, pace)
        with Journal(path, {"run": "r"}) as journal:
            steps = engine.run(asks_of(rows), journal)
            async for last in steps:
                if until is not None and until(last):
                    break
            await steps.aclose()
            return last, dict(journal.records)

    return asyncio.run(asyncio.wait_for(go(), 30))


def test_every_case_is_asked_once_and_judged(upstream, target, make_suite, make_rows, tmp_path):
    last, records = run(target, make_suite(), make_rows(120), tmp_path / "j")
    assert (last.n_done, last.n_planned, last.outcomes) == (120, 120, {"scored": 120})
    assert set(upstream.questions.values()) == {1}
    assert all(r.score("correct") == 1.0 and r.attempts == 1 and r.latency_ms > 0 for r in records.values())
    request, headers = upstream.requests[0]
    assert request["model"] == "m-1"
    assert request["temperature"] == 0
    assert request["stream"] is False
    assert headers["authorization"] == "Bearer secret"
    assert last.n_tokens == 120 * 8


def test_the_versions_model_and_messages_win_over_its_parameters(upstream, make_suite, make_rows, tmp_path):
    sneaky = Target(
        upstream.url,
        None,
        "m-1",
        {"model": "other", "stream": True},
        lambda row: [{"role": "user", "content": row.input}],
    )
    run(sneaky, make_suite(), make_rows(1), tmp_path / "j")
    request, headers = upstream.requests[0]
    assert (request["model"], request["stream"]) == ("m-1", False)
    assert "authorization" not in headers


def test_thirty_percent_of_errors_do_not_end_the_run(upstream, target, make_suite, make_rows, tmp_path):
    dice = random.Random(4)
    good = upstream.answer
    upstream.answer = lambda q, n: upstream.Reply(b"oops", 500) if dice.random() < 0.3 else good(q, n)
    suite = make_suite(limits={"attempts": 12})
    last, records = run(target, suite, make_rows(300), tmp_path / "j")
    assert last.outcomes == {"scored": 300}
    assert max(r.attempts for r in records.values()) > 1


def test_a_cap_on_the_servers_side_is_found_and_no_case_is_failed_for_it(
    upstream, target, make_suite, make_rows, tmp_path
):
    good = upstream.answer

    def answer(question, nth):
        if upstream.in_flight > 8:
            return upstream.Reply(b"slow down", 429, {"retry-after": "0.01"})
        reply = good(question, nth)
        reply.delay_s = 0.005
        return reply

    upstream.answer = answer
    suite = make_suite(limits={"in_flight": 50, "attempts": 1})
    last, _ = run(target, suite, make_rows(300), tmp_path / "j")
    assert last.outcomes == {"scored": 300}
    assert last.n_requests > 300
    assert last.window < 50


def test_a_burst_of_429_is_waited_out(upstream, target, make_suite, make_rows, tmp_path):
    good, began = upstream.answer, time.monotonic()

    def answer(question, nth):
        if time.monotonic() - began < 0.3:
            return upstream.Reply(b"", 429)
        return good(question, nth)

    upstream.answer = answer
    last, _ = run(target, make_suite(limits={"attempts": 2}), make_rows(60), tmp_path / "j")
    assert last.outcomes == {"scored": 60}


def test_what_a_server_will_never_answer_is_an_error_at_once(
    upstream, target, make_suite, make_rows, tmp_path
):
    good = upstream.answer
    upstream.answer = lambda q, n: (
        upstream.Reply(b'{"error":"recording_not_found"}', 404) if q.endswith("xx") else good(q, n)
    )
    rows = make_rows(20)
    last, records = run(target, make_suite(), rows, tmp_path / "j")
    assert last.outcomes == {"scored": 2, "error": 18}
    failed = [r for r in records.values() if r.outcome == "error"]
    assert {r.attempts for r in failed} == {1}
    assert "HTTP 404" in failed[0].error
    assert failed[0].score("correct") is None


@pytest.mark.parametrize(
    "case",
    [
        ({"body": b"<html>"}, "not a chat completion"),
        ({"body": b'{"choices":[]}'}, "no choices"),
        ({"body": b'{"choices":[{"message":{"content":null}}]}'}, "no text"),
        ({"body": b'{"choices":[{"message":{"content":7}}]}'}, "not a chat completion"),
        ({"body": b"[" * 5000}, "not a chat completion"),
        ({"body": b"x" * 200_000}, "larger than"),
        ({"body": b"{}", "headers": {"content-encoding": "gzip"}}, "compressed"),
        ({"body": b"{}", "status": 302, "headers": {"location": "http://127.0.0.1:1/"}}, "HTTP 302"),
        ({"body": b'{"choices": "cut', "cut_after": 5}, "ended within the answer"),
        ({"body": b"", "status": 500}, "HTTP 500"),
        ({"body": b"{}", "delay_s": 0.5}, "no answer within 0.1 s"),
    ],
)
def test_rubbish_is_an_error_that_says_what_it_was(case, upstream, target, make_suite, make_rows, tmp_path):
    reply, error = case
    good = upstream.answer
    upstream.answer = lambda q, n: upstream.Reply(**reply) if q.endswith("x") else good(q, n)
    suite = make_suite(limits={"answer_bytes": 1000, "attempts": 2, "timeout_s": 0.1})
    last, records = run(target, suite, make_rows(2), tmp_path / "j")
    assert last.outcomes == {"scored": 1, "error": 1}
    assert error in next(r.error for r in records.values() if r.outcome == "error")


def test_an_answer_longer_than_the_suite_takes_is_an_error(upstream, target, make_suite, make_rows, tmp_path):
    upstream.answer = lambda q, n: upstream.Reply(upstream.completion("é" * 60))
    _, records = run(target, make_suite(limits={"answer_bytes": 100}), make_rows(1), tmp_path / "j")
    assert "120 bytes" in next(iter(records.values())).error


def test_a_refusal_by_the_protocol_is_a_refusal(upstream, target, make_suite, make_rows, tmp_path):
    upstream.answer = lambda q, n: upstream.Reply(upstream.completion(None, refusal="I will not."))
    last, records = run(target, make_suite(), make_rows(3), tmp_path / "j")
    assert last.outcomes == {"refused": 3}
    assert {r.score("correct") for r in records.values()} == {0.0}
    assert {r.score("refused") for r in records.values()} == {1.0}


def test_a_wrong_key_stops_the_run_and_it_can_go_on_later(upstream, target, make_suite, make_rows, tmp_path):
    good = upstream.answer
    upstream.answer = lambda q, n: upstream.Reply(b"bad key", 401)
    last, records = run(target, make_suite(), make_rows(50), tmp_path / "j")
    assert "refuses our key" in last.stopped
    assert last.resumable
    assert records == {}
    upstream.answer = good
    last, _ = run(target, make_suite(), make_rows(50), tmp_path / "j")
    assert last.outcomes == {"scored": 50}


def test_an_upstream_that_is_down_stops_the_run_and_fails_no_case(make_suite, make_rows, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        nobody = Target(url, None, "m", {}, lambda row: [{"role": "user", "content": row.input}])
        last, records = run(nobody, make_suite(limits={"attempts": 20}), make_rows(200), tmp_path / "j")
    assert "gave no answer" in last.stopped
    assert last.resumable
    assert len(records) < 20


@pytest.mark.parametrize("budget", ["requests", "tokens", "seconds"])
def test_a_budget_ends_the_run_with_cases_left(budget, upstream, target, make_suite, make_rows, tmp_path):
    good = upstream.answer

    def answer(question, nth):
        reply = good(question, nth)
        reply.delay_s = 0.02
        return reply

    upstream.answer = answer
    amount = {"requests": 20, "tokens": 100, "seconds": 1}[budget]
    suite = make_suite(limits={"in_flight": 4, budget: amount})
    last, _ = run(target, suite, make_rows(600), tmp_path / "j")
    assert budget in last.stopped
    assert not last.resumable
    assert 0 < last.n_done < 600


def test_a_prompt_that_cannot_be_filled_in_is_an_error_of_that_case(
    upstream, make_suite, make_rows, tmp_path
):
    def render(row):
        if row.id == "q1":
            raise KeyError("name")
        return [{"role": "user", "content": row.input}]

    last, records = run(
        Target(upstream.url, None, "m", {}, render), make_suite(), make_rows(3), tmp_path / "j"
    )
    assert last.outcomes == {"scored": 2, "error": 1}
    assert "cannot be filled in" in next(r.error for r in records.values() if r.outcome == "error")


def test_leaving_early_keeps_what_was_answered_and_asks_only_the_rest(
    upstream, target, make_suite, make_rows, tmp_path
):
    good = upstream.answer

    def slow(question, nth):
        reply = good(question, nth)
        reply.delay_s = 0.01
        return reply

    upstream.answer = slow
    rows = make_rows(200)
    first, kept = run(
        target, make_suite(limits={"in_flight": 10}), rows, tmp_path / "j", until=lambda p: p.n_done > 40
    )
    assert first.n_done < 200
    last, records = run(target, make_suite(limits={"in_flight": 10}), rows, tmp_path / "j")
    assert last.outcomes == {"scored": 200}
    asked_twice = sum(n - 1 for n in upstream.questions.values())
    assert asked_twice <= 10
    assert all(records[at] == record for at, record in kept.items())


def test_a_defect_in_a_scorer_is_not_swallowed(upstream, target, make_suite, make_rows, tmp_path):
    async def go():
        def broken(row, answer, key):
            raise ZeroDivisionError

        engine = Engine({"candidate": target}, broken, make_suite().limits, FAST)
        with Journal(tmp_path / "j", {"run": "r"}) as journal:
            async for _ in engine.run(asks_of(make_rows(3)), journal):
                pass

    with pytest.raises(ZeroDivisionError):
        asyncio.run(go())


def test_after_sigkill_no_case_is_lost_or_stands_twice(upstream, tmp_path):
    good, n, dice = upstream.answer, 250, random.Random(11)

    def slow(question, nth):
        reply = good(question, nth)
        reply.delay_s = 0.01
        return reply

    upstream.answer = slow
    script = Path(__file__).parent / "killable_run.py"
    journal = tmp_path / "killed.jsonl"

    def start(path):
        return subprocess.Popen(
            [sys.executable, str(script), upstream.url, str(path), str(n)], stdout=subprocess.PIPE
        )

    kills = 0
    while kills < 2:
        process = start(journal)
        mark = sum(upstream.questions.values()) + dice.randrange(40, 110)
        deadline = time.monotonic() + 60
        while sum(upstream.questions.values()) < mark and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.communicate()
        kills += 1
    process = start(journal)
    assert process.communicate(timeout=60)[0] == f"{n}\n".encode()
    killed = read_records(journal.read_bytes())[1]
    assert Counter(r.answer_key for r in killed).most_common(1)[0][1] == 1
    assert len(killed) == n
    assert sum(upstream.questions.values()) <= n + kills * 20
    undisturbed = tmp_path / "whole.jsonl"
    asyncio.run(runpy.run_path(str(script))["main"](upstream.url, str(undisturbed), n))
    assert run_digest(killed) == run_digest(read_records(undisturbed.read_bytes())[1])


def test_the_window_doubles_until_overload_then_halves_once_a_round():
    async def go():
        throttle = Throttle(50)
        assert throttle.window == 10
        for _ in range(10):
            throttle.went_well()
        assert throttle.window == 20
        async with throttle.slot() as first, throttle.slot() as second:
            throttle.overloaded(first)
            throttle.overloaded(second)
        assert throttle.window == 10
        for _ in range(10):
            throttle.went_well()
        assert 10 <= throttle.window <= 11
        async with throttle.slot() as later:
            throttle.overloaded(later)
        assert throttle.window == 5

    asyncio.run(go())


def test_who_waits_longest_gets_the_next_slot_and_the_cancelled_give_theirs_back():
    async def go():
        throttle = Throttle(1)
        order = []

        async def take(name, times=1):
            for _ in range(times):
                async with throttle.slot():
                    order.append(name)
                    await asyncio.sleep(0.005)

        first = asyncio.create_task(take("a", 3))
        await asyncio.sleep(0)
        await asyncio.gather(first, take("b"), take("c"))
        assert order[:3] == ["a", "b", "c"]
        async with throttle.slot():
            waiting = asyncio.create_task(take("d"))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert throttle.in_flight == 0
        await take("e")
        assert order[-1] == "e"

    asyncio.run(go())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2.0), ("0.5", 0.5), ("-3", 0.0), ("9999", 120.0), ("nan", 0.0), ("inf", 120.0), ("", 0.0), ("soon", 0.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0), ("Tue, 24 Nov 2020 12:00:30 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms_and_bounded(text, seconds):
    assert parse_retry_after(text, datetime(2026, 11, 24, 12, tzinfo=UTC)) == seconds


def test_the_journal_is_json_that_others_can_read(upstream, target, make_suite, make_rows, tmp_path):
    run(target, make_suite(), make_rows(2), tmp_path / "j")
    lines = (tmp_path / "j").read_text().splitlines()
    assert json.loads(lines[0].split(" ", 1)[1]) == {"journal": 1, "run": "r"}
    assert json.loads(lines[1].split(" ", 1)[1])["outcome"] == "scored"
