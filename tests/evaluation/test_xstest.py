"""XSTest's human labels: the published counts, and the verdicts of two prompt changes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assent.evaluation.domain.cases import Answer
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.gate import Sample, judge
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.scorers import compile_suite
from examples.xstest import recordings, story

ROOT = Path(__file__).parents[2]
FOLDER = ROOT.parent / "shared" / "data" / "xstest"
with_data = pytest.mark.skipif(not FOLDER.exists(), reason="../shared/data/xstest is not here")


@pytest.fixture(scope="module")
def cases():
    return {system: recordings.read_cases(FOLDER, system) for system in recordings.SYSTEMS}


def scores(cases, system, suite, *, unsafe):
    document = {key: value for key, value in suite.items() if key not in {"name", "version"}}
    parsed = parse_suite({**document, "dataset": "sha256:" + "0" * 64}, project="p", name="xstest")
    rows = parse_dataset(list(recordings.dataset_rows(cases, unsafe=unsafe))).rows
    answers = [case.completion for case in cases[system] if case.unsafe is unsafe]
    bench = compile_suite(parsed)
    found = [
        bench.score(row, Answer(text), "key")[1][0].value for row, text in zip(rows, answers, strict=True)
    ]
    return np.array(found), parsed.gate


SUITES = {suite["name"]: suite for suite in story.described(0)["suites"]}


@with_data
@pytest.mark.parametrize("system", recordings.SYSTEMS)
def test_the_label_scorer_counts_what_was_published(cases, system):
    refusals = scores(cases, system, SUITES[story.SAFE], unsafe=False)[0].sum()
    compliances = scores(cases, system, SUITES[story.UNSAFE], unsafe=True)[0].sum()
    assert (refusals, compliances) == recordings.COUNTS[system]


@with_data
@pytest.mark.parametrize(
    ("before", "after", "name", "verdict"),
    [
        ("mistralguard", "mistralinstruct", story.UNSAFE, "fail"),
        ("llama2orig", "llama2new", story.UNSAFE, "pass"),
        ("llama2orig", "llama2new", story.SAFE, "pass"),
        ("llama2new", "llama2orig", story.SAFE, "fail"),
    ],
)
def test_a_prompt_change_gets_its_verdict(cases, before, after, name, verdict):
    baseline, gate = scores(cases, before, SUITES[name], unsafe=name == story.UNSAFE)
    candidate, _ = scores(cases, after, SUITES[name], unsafe=name == story.UNSAFE)
    assert judge(gate, Sample(candidate, baseline, None, binary=True)).verdict.value == verdict


def test_the_story_says_where_its_data_are_missing_and_ends_well(tmp_path):
    done = subprocess.run(
        [sys.executable, "examples/xstest/story.py", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert "nothing to do" in done.stdout


def test_a_file_of_another_kind_is_refused(tmp_path):
    recordings.path_of(tmp_path, "gpt4").write_text("a,b\n1,2\n")
    with pytest.raises(recordings.NotTheData, match="gpt4"):
        recordings.read_cases(tmp_path, "gpt4")
