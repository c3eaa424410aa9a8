"""The example's converter: what it reads, what it never gives away, and the published shares."""

import json
from pathlib import Path

import pytest

from assent.evaluation.domain.cases import Answer
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.scorers import compile_suite
from assent.providers.replay import Player, read_recordings
from examples.gsm8k import recordings as gsm8k

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"
with_data = pytest.mark.skipif(not (FOLDER / gsm8k.FILE).exists(), reason="../shared/data/gsm8k is not here")


@pytest.fixture(scope="module")
def questions():
    return gsm8k.read_questions(FOLDER)


@with_data
def test_the_scorer_reproduces_the_published_shares_and_agrees_with_every_published_verdict(questions):
    document = gsm8k.suite("sha256:" + "0" * 64, 0.02)
    bench = compile_suite(
        parse_suite({k: v for k, v in document.items() if k != "name"}, project="p", name="gsm8k")
    )
    rows = parse_dataset(list(gsm8k.dataset_rows(questions))).rows
    published = [json.loads(line) for line in (FOLDER / gsm8k.FILE).read_text(encoding="utf-8").splitlines()]
    for field, model in gsm8k.MODELS.items():
        right = [
            bench.score(row, Answer(question.completions[model]), "key")[1][0].value == 1.0
            for row, question in zip(rows, questions, strict=True)
        ]
        assert round(sum(right) / len(right), 4) == gsm8k.SHARES[model]
        assert right == [line[field]["is_correct"] for line in published]
        assert right == [gsm8k.is_right(question, question.completions[model]) for question in questions]


@with_data
def test_every_question_is_answered_by_every_model_as_recorded(questions, tmp_path):
    path = tmp_path / "recordings.jsonl"
    assert gsm8k.write_lines(path, gsm8k.recordings(questions)) == 4 * 1319
    player = Player(read_recordings([path]))
    for question in questions[::50]:
        for model, completion in question.completions.items():
            asked = {"model": model, "messages": [{"role": "user", "content": question.text}]}
            answer = json.loads(player.complete(json.dumps(asked).encode()).body)
            assert answer["choices"][0]["message"]["content"] == completion


def a_line(**changes):
    solutions = {
        field: {"is_correct": True, "solution": f"So\nA: {n}"} for n, field in enumerate(gsm8k.MODELS)
    }
    return json.dumps({"question": "How many?", "ground_truth": "Count.\nA: 1,450", **solutions, **changes})


def write(folder, *lines):
    (folder / gsm8k.FILE).write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_what_its_publishers_thought_of_an_answer_is_never_given_away(tmp_path):
    questions = gsm8k.read_questions(write(tmp_path, a_line()))
    given = json.dumps([repr(questions), *gsm8k.dataset_rows(questions), *gsm8k.recordings(questions)])
    assert "is_correct" not in given
    assert "rue" not in given
    assert "ground" not in given
    assert [row["target"] for row in gsm8k.dataset_rows(questions)] == ["1,450"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([a_line(), "{"], ":2: this is no line"),
        ([a_line(ground_truth="A: many")], ":1: the reference solution ends with no number"),
        ([a_line(ground_truth="1")], ":1: the reference"),
        ([a_line(**{"6b_finetuning": {}})], ":1: this is no line"),
        (["[]"], ":1: this is no line"),
        ([a_line(), a_line()], "each question once"),
        ([], "each question once"),
    ],
)
def test_another_file_is_refused_with_its_line(tmp_path, lines, said):
    with pytest.raises(gsm8k.NotTheData, match=said):
        gsm8k.read_questions(write(tmp_path, *lines))


@pytest.mark.parametrize(
    ("completion", "is_right"),
    [
        ("A: 1450", True),
        ("A: $1,450.00", True),
        ("A: 2\nA: 1450", True),
        ("A: 1450\nA: 2", False),
        ("1450", False),
    ],
)
def test_a_user_finds_the_last_number_after_the_a(tmp_path, completion, is_right):
    (question,) = gsm8k.read_questions(write(tmp_path, a_line()))
    assert gsm8k.is_right(question, completion) is is_right


def test_the_command_writes_both_files_or_says_what_is_missing(tmp_path, capsys):
    write(tmp_path, a_line())
    assert gsm8k.main(tmp_path, tmp_path / "out") == 0
    assert capsys.readouterr().out == f"1 questions and 4 recordings of 4 models in {tmp_path / 'out'}\n"
    assert len((tmp_path / "out" / "recordings.jsonl").read_text().splitlines()) == 4
    assert gsm8k.main(tmp_path / "none", tmp_path / "out") == 1
    assert "none/example_model_solutions.jsonl" in capsys.readouterr().err
