"""Real models' recorded answers: the published shares come out of the scorer, which never sees `is_correct`."""

import json
from pathlib import Path

import pytest

from assent.evaluation.domain.cases import Answer
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.scorers import compile_suite

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k" / "example_model_solutions.jsonl"
PUBLISHED = {
    "6b_finetuning": 0.2168,
    "6b_verification": 0.3904,
    "175b_finetuning": 0.3472,
    "175b_verification": 0.5625,
}


@pytest.mark.skipif(not GSM8K.exists(), reason="../shared/data/gsm8k is not here")
@pytest.mark.parametrize(("model", "share"), PUBLISHED.items())
def test_the_number_after_the_a_gives_the_published_share(model, share):
    lines = [json.loads(line) for line in GSM8K.read_text().splitlines()]
    rows = [
        {"id": str(i), "input": line["question"], "target": line["ground_truth"].rsplit("A: ", 1)[1]}
        for i, line in enumerate(lines)
    ]
    scorer = {"kind": "numeric", "name": "correct", "pattern": r"A: (-?\$?[\d,]*\.?\d+)"}
    raw = {
        "dataset": "sha256:" + "0" * 64,
        "scorers": [scorer],
        "gate": {"metric": "correct", "margin": 0.02},
    }
    bench = compile_suite(parse_suite(raw, project="p", name="gsm8k"))
    scored = [
        bench.score(row, Answer(line[model]["solution"]), "key")[1][0].value
        for row, line in zip(parse_dataset(rows).rows, lines, strict=True)
    ]
    assert round(sum(scored) / len(scored), 4) == share
    assert [value == 1.0 for value in scored] == [line[model]["is_correct"] for line in lines]
