"""Rows of one's own: a line per result, and at most one line of totals to prove them by.

{"sample":"q17","metric":"correct","value":1,"task":"support"?,"repeat":0?,"cluster":"…"?,"outcome":"scored"?}
{"totals":[{"metric":"correct","task":"support"?,"mean":0.8,"n":20}]}
A value that is null or absent is unscorable, or the error that `outcome` says; it is never 0.
"""

from collections.abc import Mapping
from typing import Any

from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.fields import Fields, Mistakes
from assent.evaluation.domain.imported import Imported, ImportedRow, Total
from assent.evaluation.imports.bounded import items, json_lines, mapping, number
from assent.kernel.errors import Invalid

VERSION = 1
TASK = "task"
_LEFT_OUT = (Outcome.UNSCORABLE, Outcome.ERROR)


def read(content: bytes, where: str) -> Imported:
    """Read rows. Raises: Invalid with every mistake and its line."""
    rows: list[ImportedRow] = []
    totals: list[Total] = []
    mistakes = Mistakes()
    for place, line in json_lines(content, where):
        if "totals" in line:
            totals += _totals(line["totals"], place)
        else:
            rows.append(_row(line, place, mistakes))
    mistakes.check(f"The file {where}")
    return Imported(format="jsonl", tool="jsonl", rows=tuple(rows), totals=tuple(totals))


def _row(line: Mapping[str, Any], place: str, mistakes: Mistakes) -> ImportedRow:
    fields = Fields(line, place, mistakes)
    value: Any = fields.take(
        "value", None, lambda v: v is None or number(v) is not None, "a finite number, true, false or null"
    )
    told = fields.one_of("outcome", "", [outcome.value for outcome in Outcome])
    outcome = Outcome(told) if told else Outcome.UNSCORABLE if value is None else Outcome.SCORED
    if (value is None) is not (outcome in _LEFT_OUT):
        fields.wrong("outcome", f"{outcome} does not go with the value {value!r}")
    cluster = None if fields.raw("cluster") is None else fields.text("cluster", max_length=200)
    row = ImportedRow(
        task=fields.text("task", TASK, max_length=200),
        sample=fields.text("sample", "?", required=True, max_length=200),
        repeat=fields.whole("repeat", 0, 0, 10_000),
        metric=fields.text("metric", "?", required=True, max_length=200),
        outcome=outcome,
        value=number(value),
        cluster=cluster,
    )
    fields.close()
    return row


def _totals(stated: Any, place: str) -> list[Total]:
    found = []
    for one in items(stated, f"{place} totals"):
        said = mapping(one, f"{place} totals")
        for what in ("mean", "stderr", "n", "error"):
            value = number(said.get(what))
            if value is None and said.get(what) is not None:
                raise Invalid(f"{place} totals: {what} must be a finite number.")
            if value is not None:
                found.append(Total(str(said.get("task", TASK)), str(said.get("metric")), what, value))
    return found
