"""GSM8K's published model solutions as a data set and as recordings for `assent provider replay`.

    python examples/gsm8k/recordings.py FOLDER OUT

reads FOLDER/example_model_solutions.jsonl and writes OUT/questions.jsonl and OUT/recordings.jsonl.
Whether its publishers called a solution correct (`is_correct`) is dropped when a line is read: no scorer,
and nothing else that this module gives, ever sees it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

FILE = "example_model_solutions.jsonl"

MODELS: Mapping[str, str] = {
    "6b_finetuning": "gsm8k-6b-finetuning",
    "6b_verification": "gsm8k-6b-verification",
    "175b_finetuning": "gsm8k-175b-finetuning",
    "175b_verification": "gsm8k-175b-verification",
}
"""The upstream model that answers for each field of the file."""

SHARES: Mapping[str, float] = {
    "gsm8k-6b-finetuning": 0.2168,
    "gsm8k-6b-verification": 0.3904,
    "gsm8k-175b-finetuning": 0.3472,
    "gsm8k-175b-verification": 0.5625,
}
"""Right answers as a share of all 1,319, as published, to four places."""

ANSWER = r"A: (-?\$?[\d,]*\.?\d+)"
"""The number that a solution ends with."""


class NotTheData(Exception):
    """The folder does not hold the published file; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question, its reference number as written, and what each model answered."""

    text: str
    target: str
    completions: Mapping[str, str]


def read_questions(folder: Path) -> list[Question]:
    """Read the published solutions. Raises: NotTheData, FileNotFoundError."""
    path = folder / FILE
    with path.open(encoding="utf-8") as file:
        questions = [_question(line, f"{path}:{number}") for number, line in enumerate(file, 1)]
    if len({question.text for question in questions}) != len(questions) or not questions:
        raise NotTheData(f"{path} must hold each question once.")
    return questions


def _question(line: str, place: str) -> Question:
    try:
        row = json.loads(line)
        completions = {model: str(row[field]["solution"]) for field, model in MODELS.items()}
        _, found, target = row["ground_truth"].rpartition("A: ")
        if not found or number(target) is None:
            raise NotTheData(f"{place}: the reference solution ends with no number after 'A: '.")
        return Question(row["question"], target.strip(), completions)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotTheData(f"{place}: this is no line of GSM8K's model solutions: {error!r}.") from error


def dataset_rows(questions: Sequence[Question]) -> Iterator[dict[str, Any]]:
    """Give the rows of a data set: the question, and the number that a right answer ends with."""
    for place, question in enumerate(questions, 1):
        yield {"id": f"gsm8k-{place:04d}", "input": question.text, "target": question.target}


def recordings(questions: Iterable[Question]) -> Iterator[dict[str, str]]:
    """Give the lines of a file for `assent provider replay`."""
    for question in questions:
        for model, completion in question.completions.items():
            yield {"model": model, "prompt": question.text, "completion": completion}


def suite(dataset: str, margin: float) -> dict[str, Any]:
    """Give a suite's document: not worse than what is live by `margin` or more, at alpha .05."""
    return {
        "name": "gsm8k",
        "kind": "regression",
        "dataset": dataset,
        "scorers": [{"name": "correct", "kind": "numeric", "pattern": ANSWER}],
        "gate": {"metric": "correct", "rule": "non_inferior", "margin": margin, "alpha": 0.05},
    }


def number(text: str) -> Fraction | None:
    """Read a number as people write it: 1,450,000 or $2.50. None where there is none."""
    plain = text.strip().replace(",", "").replace("$", "")
    return Fraction(plain) if re.fullmatch(r"-?\d*\.?\d+", plain) else None


def is_right(question: Question, completion: str) -> bool:
    """Tell whether a user who knows the answer finds it in a completion; for simulated users."""
    found = re.findall(ANSWER, completion)
    return bool(found) and number(found[-1]) == number(question.target)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSONL; give the number of lines."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, row in enumerate(rows, 1):  # noqa: B007 -- the count is the result
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return count


def main(folder: Path, out: Path) -> int:
    """Write both files."""
    try:
        questions = read_questions(folder)
        out.mkdir(parents=True, exist_ok=True)
        n_rows = write_lines(out / "questions.jsonl", dataset_rows(questions))
        n_recordings = write_lines(out / "recordings.jsonl", recordings(questions))
    except (NotTheData, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{n_rows} questions and {n_recordings} recordings of {len(MODELS)} models in {out}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: recordings.py FOLDER OUT")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
