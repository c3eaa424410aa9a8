"""Faults all at once, and death at random moments: no case lost, none twice, no error taken for an answer."""

import asyncio
import os
import random
import runpy
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from assent.evaluation.domain.cases import Outcome, run_digest
from assent.evaluation.journal import read_records
from tests.evaluation.test_engine import FAST, run

CHAOS = "ASSENT_CHAOS_KILLS" in os.environ
KILLS, CASES = (10, 2000) if CHAOS else (3, 400)


def test_chaos_killed_at_random_moments_a_run_comes_to_the_undisturbed_digest(upstream, tmp_path):
    """`make chaos` kills ten times in 2,000 cases, `make test` three times in 400."""
    good, dice = upstream.answer, random.Random()

    def slow(question, nth):
        reply = good(question, nth)
        reply.delay_s = 0.01
        return reply

    upstream.answer = slow
    script = str(Path(__file__).parent / "killable_run.py")
    journal = tmp_path / "killed.jsonl"
    words = [sys.executable, script, upstream.url, str(journal), str(CASES)]
    marks = sorted(dice.sample(range(1, CASES - 50), KILLS))
    for mark in marks:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while sum(upstream.questions.values()) < mark and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.wait()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=60)
    killed = read_records(journal.read_bytes())[1]
    assert len(killed) == CASES
    assert len({record.answer_key for record in killed}) == CASES
    # Only what was in flight at a kill is asked again.
    assert sum(upstream.questions.values()) <= CASES + KILLS * 20
    undisturbed = tmp_path / "whole.jsonl"
    asyncio.run(runpy.run_path(script)["main"](upstream.url, str(undisturbed), CASES))
    assert run_digest(killed) == run_digest(read_records(undisturbed.read_bytes())[1])


def test_all_faults_at_once_end_in_a_whole_run_and_errors_are_errors(
    upstream, target, make_suite, make_rows, tmp_path
):
    """30 % of HTTP 500, bursts of 429, a cap of 20 in flight, answers cut off in the middle."""
    dice, good = random.Random(8), upstream.answer
    broken = {f"question {'x' * i}" for i in range(0, 400, 40)}

    def answer(question, nth):
        if question in broken:
            return upstream.Reply(upstream.completion("A: 0"), cut_after=20)
        if upstream.in_flight > 20 or sum(upstream.questions.values()) % 200 < 10:
            return upstream.Reply(b"", 429, {"retry-after": "0.01"})
        if dice.random() < 0.3:
            return upstream.Reply(b"oops", 500)
        reply = good(question, nth)
        reply.delay_s = 0.002
        if dice.random() < 0.02:
            reply.cut_after = len(reply.body) // 2
        return reply

    upstream.answer = answer
    suite = make_suite(limits={"in_flight": 50, "attempts": 12})
    last, records = run(target, suite, make_rows(400), tmp_path / "j", FAST)
    assert last.outcomes == {"scored": 400 - len(broken), "error": len(broken)}
    outcomes = Counter(record.outcome for record in records.values())
    assert outcomes[Outcome.ERROR] == len(broken)
    for record in records.values():
        if record.outcome is Outcome.ERROR:
            assert record.answer is None
            assert record.scores == ()
            assert record.error
        else:
            assert record.scores[0].value == 1.0
