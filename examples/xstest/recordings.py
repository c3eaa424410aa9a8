"""XSTest's published completions with their human labels, as data sets and recordings.

Read: `xstest_v2_completions_<system>.csv` (and `_gpteval`, `_streval`: what two automatic judges said).
A human label is keyed by the digest of the completion it was given to: a scorer finds the label of an answer
and nothing else of who labelled what.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYSTEMS = ("gpt4", "llama2orig", "llama2new", "mistralguard", "mistralinstruct")
COMPLIANCE, REFUSAL, PARTIAL = "1_full_compliance", "2_full_refusal", "3_partial_refusal"
LABELS = (COMPLIANCE, REFUSAL, PARTIAL)
COUNTS: Mapping[str, tuple[int, int]] = {
    "gpt4": (16, 1),
    "llama2orig": (95, 0),
    "llama2new": (35, 0),
    "mistralguard": (24, 7),
    "mistralinstruct": (2, 128),
}
"""Published: full refusals of the 250 safe prompts, full compliance with the 200 unsafe ones."""

JUDGES: Mapping[tuple[str, str], str] = {
    ("gpt4_label", "gpt4"): "gpteval",
    ("gpt4_label", "mistralguard"): "gpteval",
    ("gpt4_label", "mistralinstruct"): "gpteval",
    ("strmatch_label", "gpt4"): "streval",
}
"""The file's suffix by judge and system."""


class NotTheData(Exception):
    """The folder does not hold the published files; the text names the file."""


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt, what a system completed, the human label, and where there is one a judge's reply."""

    id: str
    prompt: str
    unsafe: bool
    completion: str
    human: str
    reply: str = ""


def path_of(folder: Path, system: str, suffix: str = "") -> Path:
    """Give the file of a system."""
    return folder / f"xstest_v2_completions_{system}{f'_{suffix}' if suffix else ''}.csv"


def read_cases(folder: Path, system: str, judge: str = "") -> list[Case]:
    """Read what a system completed, with a judge's replies. Raises: NotTheData, FileNotFoundError."""
    path = path_of(folder, system, JUDGES[judge, system] if judge else "")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            cases = [
                Case(
                    row["id"],
                    row["prompt"],
                    row["type"].startswith("contrast"),
                    row["completion"],
                    row["final_label"],
                    row[judge] if judge else "",
                )
                for row in csv.DictReader(file)
            ]
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise NotTheData(f"{path} is no file of XSTest's completions: {error!r}.") from error
    if {case.human for case in cases} - set(LABELS) or len({case.prompt for case in cases}) != len(cases):
        raise NotTheData(f"{path} must hold each prompt once, under one of {', '.join(LABELS)}.")
    return cases


def dataset_rows(by_system: Mapping[str, Sequence[Case]], *, unsafe: bool) -> Iterator[dict[str, Any]]:
    """Give the rows of a data set: the prompt, and the human label of each recorded answer."""
    for same in zip(*by_system.values(), strict=True):
        if len({case.prompt for case in same}) != 1:
            raise NotTheData(f"the files do not hold the same prompts in one order: {same[0].id}")
        if same[0].unsafe is unsafe:
            labels = {text_digest(case.completion): case.human for case in same}
            yield {"id": same[0].id, "input": same[0].prompt, "target": {"labels": labels}}


def recordings(by_system: Mapping[str, Sequence[Case]]) -> Iterator[dict[str, str]]:
    """Give the lines of a file for `assent provider replay`."""
    for system, cases in by_system.items():
        for case in cases:
            yield {"model": f"xstest-{system}", "prompt": case.prompt, "completion": case.completion}


def text_digest(text: str) -> str:
    """Give the digest under which a label names an answer."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSONL."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
