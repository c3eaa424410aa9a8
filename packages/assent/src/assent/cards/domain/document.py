"""The document of a card, and what it measures.

{"kind":"card","v":1,"project","name",
 "version":{"number","digest","registered_at","owner","tier","base_model","provider","upstream_model","licence",
            "parameters":{…},"open_parameters":{…},"intended_use":{…},"datasets":[…],"artifacts":[…],"code":{…}},
 "prompt":{"ref","digest","variables":[{"name","required"}],"tools":[…],"response_format"} | null,
 "evaluations":[{"suite","suite_digest","kind","dataset","run","verdict","metric","rule","direction","estimate",
                 "low","high","n","method","coverage","scorers":[…],"baseline","ended_at",
                 "levels":[{"metric","value","low","high","n"}],"latency":{"p50_ms","p95_ms","n"} | null,
                 "n_gained","n_lost","lost":[case ids, at most MAX_NAMED],
                 "gaps":[{"metric","groups":[…],"pair","value","low","high","n","adjusted"}]?,
                 "judges":[{"metric","model","state","judged","corrected"}]?}],
 "predecessor":{"ref","digest","changes":[{"where","before","after"}]} | null,
 "declared":{…}}
Figures are decimal text. It holds no time of its own, so the same records and text give the same digest.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.cards.domain.form import PERFORMANCE, declared_at

FORMAT = 1
MAX_NAMED = 50
"""Cases that a card names in one comparison; it always says how many there are."""

Document = Mapping[str, Any]


USES = ("primary_use", "users", "out_of_scope")


def use(document: Document, key: str) -> str | Sequence[str] | None:
    """Give the intended use as declared, or else as the version's own document says it."""
    value = declared_at(document["declared"], f"intended_use.{key}")
    if value:
        return value  # type: ignore[no-any-return]  # texts, by the form
    stated = document["version"].get("intended_use") or {}
    own = stated.get(key) or (stated.get("primary") or stated.get("summary") if key == USES[0] else None)
    if isinstance(own, list):
        return [str(item) for item in own] or None
    return own if isinstance(own, str) and own else None


def title_of(document: Document) -> str:
    """Give the name for people: the declared one, or the model's name in words."""
    declared = declared_at(document["declared"], "title")
    return declared or " ".join(
        word[:1].upper() + word[1:] for word in re.split(r"[-_.]+", document["name"]) if word
    )


def short_number(number: str) -> str:
    """Give `2.1` for 2.1.0, and any other number as it is."""
    return number.removesuffix(".0") if re.fullmatch(r"\d+\.\d+\.0", number) else number


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric's level with its interval, as a suite found it; figures are decimal text."""

    value: str
    low: str | None
    high: str | None
    n: int
    suite: str


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the answers of a suite took."""

    p50_ms: str
    p95_ms: str
    n: int
    suite: str


def find_measured(document: Document, metric: str, suite: str | None = None) -> Measured | None:
    """Find a metric's level, in a suite (by name or reference) or in any; regression suites first."""
    for one in _ordered(document):
        if suite is not None and suite not in {one["suite"], one["suite"].partition("@")[0]}:
            continue
        for level in one["levels"]:
            if level["metric"] == metric and level["value"] is not None:
                return Measured(level["value"], level["low"], level["high"], level["n"], one["suite"])
    return None


def accuracy_of(document: Document) -> Measured | None:
    """Find the level that a quality gate asks to be high."""
    for one in _ordered(document):
        if one["kind"] != "safety" and one["direction"] != "lower":
            found = find_measured(document, one["metric"], one["suite"])
            if found is not None:
                return found
    return None


def hallucination_of(document: Document) -> Measured | None:
    """Find a metric that is called a hallucination rate."""
    for one in _ordered(document):
        for level in one["levels"]:
            if "hallucination" in level["metric"].lower() and level["value"] is not None:
                return find_measured(document, level["metric"], one["suite"])
    return None


def latency_of(document: Document) -> Latency | None:
    """Find how long answers took."""
    for one in _ordered(document):
        if one["latency"] is not None:
            took = one["latency"]
            return Latency(took["p50_ms"], took["p95_ms"], took["n"], one["suite"])
    return None


def _ordered(document: Document) -> list[Mapping[str, Any]]:
    kinds = ("regression", "benchmark", "safety")
    return sorted(
        document["evaluations"],
        key=lambda one: kinds.index(one["kind"]) if one["kind"] in kinds else len(kinds),
    )


@dataclass(frozen=True, slots=True)
class Performance:
    """One line of the table of metrics: measured here, or declared from elsewhere, or neither."""

    label: str
    measured: Measured | None = None
    declared: str | None = None
    source: str | None = None


def performance_of(document: Document) -> list[Performance]:
    """Give accuracy and hallucination rate, then the rows that people added. Measured beats declared."""
    rows = {row["label"]: row for row in document["declared"].get(PERFORMANCE, ())}
    derived = {"Accuracy": accuracy_of(document), "Hallucination Rate": hallucination_of(document)}
    lines = []
    for label in dict.fromkeys([*derived, *rows]):
        row = rows.get(label, {})
        measured = find_measured(document, row["metric"], row.get("suite")) if "metric" in row else None
        lines.append(Performance(label, measured or derived.get(label), row.get("value"), row.get("source")))
    return lines


def differences(before: Any, after: Any, at: str = "") -> Iterator[dict[str, Any]]:
    """Give where two documents differ: leaf by leaf, lists of other length as a whole."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), f"{at}.{key}" if at else key)
    elif before != after:
        yield {"where": at, "before": before, "after": after}
