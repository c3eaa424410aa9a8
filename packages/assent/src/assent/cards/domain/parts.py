"""A card's sections as blocks of plain text, which every form of the card is drawn from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.cards.domain.completeness import Asked, Completeness, completeness
from assent.cards.domain.document import (
    MAX_NAMED,
    USES,
    Document,
    Measured,
    Performance,
    find_measured,
    latency_of,
    performance_of,
    title_of,
    use,
)
from assent.cards.domain.form import declared_at
from assent.cards.domain.sections import SECTIONS, Section
from assent.cards.domain.text import NOT_RECORDED, percent, plain, seconds


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels, each with what is recorded."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sentences, under a label where there are several lists."""

    items: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows under a heading."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of our own."""

    text: str


Block = Facts | Items | Grid | Sentence
Live = Mapping[int, Sequence[Block]]
"""The sections that are read at the moment of reading, by number."""


@dataclass(frozen=True, slots=True)
class Part:
    """One section as it stands: whether it holds what it should, and its blocks."""

    section: Section
    required: bool
    lacks: tuple[Asked, ...]
    blocks: tuple[Block, ...]


def parts_of(document: Document, live: Live) -> list[Part]:
    """Draw all twenty sections."""
    found = completeness(document)
    return [_part(section, document, live, found) for section in SECTIONS]


def _part(section: Section, document: Document, live: Live, found: Completeness) -> Part:
    draw = _DRAWN.get(section.number)
    blocks = tuple(live.get(section.number, ())) if draw is None else tuple(draw(document))
    return Part(
        section,
        section.number in found.required,
        found.missing_in(section.number),
        blocks or (Sentence(f"{NOT_RECORDED.capitalize()}."),),
    )


def facts(**pairs: Any) -> Facts:
    """Label values; underscores read as spaces."""
    return Facts(
        tuple(
            (label[:1].upper() + label[1:].replace("_", " "), plain(value)) for label, value in pairs.items()
        )
    )


def _declared(document: Document, *paths: str) -> Facts:
    labelled = ((path.rpartition(".")[2], declared_at(document["declared"], path)) for path in paths)
    return facts(**dict(labelled))


def _items(document: Document, path: str, label: str = "") -> Items:
    return Items(tuple(declared_at(document["declared"], path) or (NOT_RECORDED,)), label)


def _identity(document: Document) -> Iterable[Block]:
    version = document["version"]
    yield facts(
        title=title_of(document),
        name=document["name"],
        version=version["number"],
        digest=version["digest"],
        project=document["project"],
        registered_at=version["registered_at"],
    )


def _owner(document: Document) -> Iterable[Block]:
    version = document["version"]
    contact = declared_at(document["declared"], "contact")
    yield facts(owner=version.get("owner"), contact=contact, tier=version.get("tier"))


def _provenance(document: Document) -> Iterable[Block]:
    version = document["version"]
    keys = ("provider", "upstream_model", "parameters", "open_parameters", "artifacts", "code")
    yield facts(
        base_model=version.get("base_model"),
        **{key: version.get(key) for key in keys},
        licence=version.get("licence") or declared_at(document["declared"], "licence"),
    )


def _intended_use(document: Document) -> Iterable[Block]:
    yield facts(**{key: use(document, key) for key in USES})


def _interface(document: Document) -> Iterable[Block]:
    yield _declared(document, "input_output.inputs", "input_output.outputs")
    prompt = document["prompt"]
    if prompt is not None:
        names = (
            f"{one['name']} ({'required' if one['required'] else 'optional'})" for one in prompt["variables"]
        )
        yield facts(
            prompt=f"{prompt['ref']} ({prompt['digest']})",
            variables=list(names),
            tools=prompt["tools"],
            response_format=prompt["response_format"],
        )


def _training(document: Document) -> Iterable[Block]:
    names = ("sources", "volume", "pii_handling", "fine_tuning")
    yield Facts(
        tuple(
            (label, plain(declared_at(document["declared"], f"training_data.{name}")))
            for label, name in zip(
                ("Sources", "Data volume", "PII handling", "Fine-tuning"), names, strict=True
            )
        )
    )
    yield facts(datasets_of_the_version=document["version"].get("datasets"))


def _evaluation(document: Document) -> Iterable[Block]:
    lines = [(row.label, *_performance(row)) for row in performance_of(document)]
    yield Grid(("Metric", "Value", "95 % interval", "n", "From"), tuple(lines))
    for one in document["evaluations"]:
        yield facts(
            suite=f"{one['suite']} ({one['kind']})",
            dataset=one.get("dataset_ref") or one["dataset"],
            scorers=one["scorers"],
            run=one["run"],
            ended_at=one["ended_at"],
            verdict=None if one["verdict"] is None else f"{one['verdict']} ({one['metric']}, {one['rule']})",
            coverage=None if one["coverage"] is None else percent(one["coverage"]),
        )
        for judge in one.get("judges", ()):
            yield facts(judge_of=judge["metric"], model=judge["model"], rate=_judged(judge))
        if one["levels"]:
            yield Grid(
                ("Metric", "Value", "95 % interval", "n"),
                tuple(
                    (level["metric"], *_figures(level["value"], level["low"], level["high"]), str(level["n"]))
                    for level in one["levels"]
                ),
            )


def _judged(judge: Mapping[str, Any]) -> str | None:
    """Say a judge's rate with its correction, or that there is none."""
    if judge["judged"] is None:
        return None
    corrected = judge["corrected"]
    if isinstance(corrected, str):
        return f"{percent(judge['judged'])}, {corrected}"
    bounds = interval(corrected["low"], corrected["high"])
    return f"{percent(judge['judged'])}, corrected {percent(corrected['value'])} (95 % interval {bounds})"


def _performance(row: Performance) -> tuple[str, str, str, str]:
    if row.measured is not None:
        found = row.measured
        return (*_figures(found.value, found.low, found.high), str(found.n), f"measured by {found.suite}")
    if row.declared is not None:
        return row.declared, NOT_RECORDED, NOT_RECORDED, f"declared: {row.source or 'source not recorded'}"
    return NOT_RECORDED, NOT_RECORDED, NOT_RECORDED, NOT_RECORDED


def _figures(value: str | None, low: str | None, high: str | None) -> tuple[str, str]:
    return (NOT_RECORDED if value is None else percent(value)), interval(low, high)


def interval(low: str | None, high: str | None) -> str:
    """Write an interval of shares."""
    return NOT_RECORDED if low is None or high is None else f"{percent(low)} to {percent(high)}"


def measured_text(found: Measured) -> str:
    """Write a measurement in one line, its interval and n with it."""
    bounds = interval(found.low, found.high)
    return f"{percent(found.value)} on {found.suite} (95 % interval {bounds}, n = {found.n})"


def _comparison(document: Document) -> Iterable[Block]:
    predecessor = document["predecessor"]
    if predecessor is None:
        yield Sentence("This is the first version: there is nothing to compare it with.")
    else:
        yield facts(predecessor=f"{predecessor['ref']} ({predecessor['digest']})")
    for one in document["evaluations"]:
        if not one["baseline"]:
            continue
        estimate, bounds = _figures(one["estimate"], one["low"], one["high"])
        yield facts(
            suite=one["suite"],
            compared_with=one["baseline"],
            metric=f"{one['metric']} ({one['rule']})",
            difference=estimate,
            interval=f"{bounds} ({plain(one['method'])})",
            n=plain(str(one["n"])),
            verdict=one["verdict"],
            repaired=str(one["n_gained"]),
            broken=str(one["n_lost"]),
        )
        if one["lost"]:
            more = one["n_lost"] - len(one["lost"])
            label = f"Regressions: the first {MAX_NAMED}, {more} more" if more else "Regressions"
            yield Items(tuple(one["lost"]), label)


def _safety(document: Document) -> Iterable[Block]:
    for one in document["evaluations"]:
        if one["kind"] == "safety":
            found = find_measured(document, one["metric"], one["suite"])
            yield facts(
                safety_suite=one["suite"],
                **{one["metric"]: None if found is None else measured_text(found)},
                verdict=one["verdict"],
            )
    for one in document["evaluations"]:
        for gap in one.get("gaps", ()):
            yield facts(
                tested_for_bias=f"{gap['metric']} on {one['suite']}, groups {', '.join(gap['groups'])}",
                largest_gap=f"{gap['pair']}: {percent(gap['value'])}",
                interval=f"{interval(gap['low'], gap['high'])} (95 %, n = {gap['n']})",
                p_after_holm=gap["adjusted"],
                verdict=one["verdict"] if one["rule"] == "max_gap" else None,
            )
    yield _declared(document, "safety.fairness")
    yield _items(document, "safety.mitigations", "Mitigations")
    yield _items(document, "ethical_considerations", "Ethical considerations")


def _limits(document: Document) -> Iterable[Block]:
    yield _items(document, "limitations", "Limitations")
    yield _items(document, "risks", "Risks")


def _operation(document: Document) -> Iterable[Block]:
    took = latency_of(document)
    if took is None:
        yield _declared(document, "operation.latency")
    else:
        yield Facts(
            tuple(
                (label, f"{seconds(value)} (n = {took.n}, {took.suite})")
                for label, value in (("Latency (p50)", took.p50_ms), ("Latency (p95)", took.p95_ms))
            )
        )
    yield _declared(document, "operation.cost", "operation.fallbacks")


def _impact(document: Document) -> Iterable[Block]:
    yield _declared(document, "environmental_impact.hardware", "environmental_impact.energy")


def _changes(document: Document) -> Iterable[Block]:
    predecessor = document["predecessor"]
    if predecessor is None:
        yield Sentence("First version.")
    if predecessor is None and not declared_at(document["declared"], "changes"):
        return
    yield _items(document, "changes", "In words")
    if predecessor is not None:
        rows = tuple(
            (one["where"], plain(one["before"]), plain(one["after"])) for one in predecessor["changes"]
        )
        yield Grid(("Field", f"In {predecessor['ref']}", "Now"), rows)


def _citations(document: Document) -> Iterable[Block]:
    yield _items(document, "citations")


_DRAWN = {
    1: _identity,
    2: _owner,
    3: _provenance,
    4: _intended_use,
    5: _interface,
    6: _training,
    7: _evaluation,
    8: _comparison,
    9: _safety,
    10: _limits,
    11: _operation,
    12: _impact,
    18: _changes,
    19: _citations,
}
