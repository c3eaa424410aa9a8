"""The bench of scorers: what a scorer sees, and that none can crash or hold up a run."""

import asyncio
import contextlib
import json
import threading
import time

import pytest

from assent.evaluation.domain.cases import Answer, ToolCall
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import SCORER_KINDS, RefusalRule, ScorerSpec
from assent.evaluation.engine import Ask, Engine
from assent.evaluation.journal import Journal, read_records
from assent.evaluation.scorers import KINDS, Bench, Compiled, watchdog
from assent.evaluation.scorers.base import Case
from assent.evaluation.scorers.watchdog import OutOfTime, Watchdog
from assent.evaluation.upstream import Upstream


def bench(scorer, limit_s=0.2):
    compiled = Compiled(ScorerSpec("own", "exact", {}), "rule", scorer)
    return Bench((compiled,), RefusalRule(), (), limit_s)


def judged(scorer, answer="said", **row):
    case = parse_dataset([{"id": "1", "input": "asked", **row}]).rows[0]
    answer = answer if isinstance(answer, Answer) else Answer(answer)
    outcome, scores = bench(scorer).score(case, answer, "key")
    return outcome.value, scores[0].value, scores[0].note


def test_each_kind_that_a_suite_may_name_is_compiled_by_something():
    assert set(KINDS) == set(SCORER_KINDS)


def test_a_scorer_sees_the_whole_case():
    seen = []

    def look(case):
        seen.append(case)
        return 1.0

    calls = (ToolCall("refund", '{"order": 7}'),)
    row = {"target": "t", "choices": ["a", "b"], "tags": ["x"], "metadata": {"m": 1}}
    assert judged(look, Answer("said", tool_calls=calls), **row) == ("scored", 1.0, "")
    assert seen == [Case("said", "t", "asked", ("a", "b"), calls, ("x",), {"m": 1})]


def fails(_case):
    raise KeyError("colour")


def hangs(_case):
    while True:
        pass


def hangs_and_swallows(_case):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.001)


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        (fails, "the scorer failed: KeyError: 'colour'"),
        (lambda case: case.choices[0], "the scorer failed: IndexError: tuple index out of range"),
        (lambda _case: 2.0, "the scorer gave 2, which is not from 0 to 1"),
        (lambda _case: float("nan"), "the scorer gave nan, which is not from 0 to 1"),
        (hangs, "the scorer took longer than 0.2 s"),
        (hangs_and_swallows, "the scorer took longer than 0.2 s"),
    ],
)
def test_a_scorer_that_fails_or_hangs_leaves_the_case_unscorable_with_its_words(scorer, words):
    began = time.monotonic()
    assert judged(scorer) == ("unscorable", None, words)
    assert time.monotonic() - began < 5


async def all_of(steps):
    return [step async for step in steps]


def test_a_run_goes_on_beside_a_scorer_that_hangs_on_one_case(
    upstream, target, make_rows, make_suite, tmp_path
):
    rows = make_rows(5)

    def hangs_once(case):
        if case.question == rows[2].input:
            hangs(case)
        return 1.0

    asks = [Ask("candidate", row, 0, f"key {row.id}") for row in rows]
    engine = Engine({"candidate": target}, bench(hangs_once).score, make_suite().limits)
    with Journal(tmp_path / "run.jsonl", {"run": "run_1"}) as journal:
        last = asyncio.run(all_of(engine.run(asks, journal)))[-1]
        records = read_records(journal.content())[1]
    assert last.n_done == 5
    assert sorted(record.outcome.value for record in records) == ["scored"] * 4 + ["unscorable"]


def test_what_ends_just_in_time_is_never_interrupted_afterwards():
    dog = Watchdog()
    n_done = n_late = 0
    for number in range(60):
        try:
            dog.run(lambda pause=0.03 + number / 2000: time.sleep(pause), 0.02)
            n_done += 1
        except OutOfTime:
            n_late += 1
        for _ in range(1000):  # an interrupt that was still on its way would come here
            pass
    assert n_done + n_late == 60


def test_an_error_of_the_scorer_is_passed_on_when_it_comes_in_time():
    with pytest.raises(ValueError, match="no"):
        Watchdog().run(lambda: (_ for _ in ()).throw(ValueError("no")), 5.0)


def test_tool_calls_are_read_and_proven(upstream, target):
    row = parse_dataset([{"id": "1", "input": "q"}]).rows[0]
    calls = [
        {"id": "c", "type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}},
        {"id": "d", "type": "function", "function": {"name": "close", "arguments": {"order": 7}}},
        {"id": "e", "type": "custom"},
    ]
    upstream.answer = lambda _question, _nth: upstream.Reply(upstream.completion(None, tool_calls=calls))

    async def ask():
        asking = Upstream(target, timeout_s=5, answer_bytes=1000)
        try:
            return await asking.ask(asking.body(row))
        finally:
            await asking.close()

    answer = asyncio.run(ask())
    assert answer.tool_calls == (
        ToolCall("refund", '{"order": 7}'),
        ToolCall("close", json.dumps({"order": 7}, separators=(",", ":"))),
    )
    assert answer.text == ""
    other = Answer("", tool_calls=(ToolCall("refund", '{"order": 8}'), answer.tool_calls[1]))
    assert len({answer.digest(), other.digest(), Answer("").digest()}) == 3


def test_who_was_found_late_waits_for_the_interrupt_a_bounded_time(monkeypatch):
    monkeypatch.setattr(watchdog, "_SETTLE_S", 0.05)
    began = time.monotonic()
    Watchdog()._settle(threading.get_ident())  # noqa: SLF001 -- the moment between finding and interrupting
    assert 0.05 <= time.monotonic() - began < 2
