"""The written forms of a card: Markdown of twenty sections, the short template, and plain values for JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from assent.cards.domain.document import (
    Document,
    Performance,
    latency_of,
    performance_of,
    short_number,
    title_of,
    use,
)
from assent.cards.domain.form import declared_at
from assent.cards.domain.parts import Block, Facts, Grid, Items, Part, measured_text
from assent.cards.domain.text import NOT_RECORDED, inline, opening, plain, seconds

LATENCY = "Latency (p95)"


@dataclass(frozen=True, slots=True)
class Edition:
    """Which card this is; `updated_on` is a date, `2026-03-03`."""

    id: str
    revision: int
    digest: str
    state: str
    updated_on: str


def full_markdown(document: Document, edition: Edition, parts: Sequence[Part]) -> str:
    """Write all sections."""
    return "\n".join(_full(document, edition, parts)) + "\n"


def _heading(document: Document) -> str:
    number = short_number(document["version"]["number"])
    return f"# Model Card: {inline(title_of(document))} v{inline(number)}"


def _full(document: Document, edition: Edition, parts: Sequence[Part]) -> Iterator[str]:
    yield _heading(document)
    yield ""
    yield f"{edition.state.capitalize()}; revision {edition.revision}, last updated {edition.updated_on}."
    for part in parts:
        yield ""
        yield f"## {part.section.heading}"
        yield ""
        yield f"Origin: {part.section.told}."
        if part.lacks:
            must = "Required and missing" if part.required else "Missing"
            yield ""
            yield f"**{must}**: {inline('; '.join(one.what for one in part.lacks))}."
        for block in part.blocks:
            yield ""
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Facts):
        yield from (f"- {opening(label)}: {inline(value)}" for label, value in block.pairs)
    elif isinstance(block, Items):
        if block.label:
            yield f"{opening(block.label)}:"
            yield ""
        yield from (f"- {opening(item)}" for item in block.items)
    elif isinstance(block, Grid):
        yield _row(block.head)
        yield f"|{' --- |' * len(block.head)}"
        yield from (_row(row) for row in block.rows)
    else:
        yield opening(block.text)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(inline(cell) for cell in cells)} |"


def brief_markdown(document: Document, edition: Edition) -> str:
    """Write the short template: its headings and labels, nothing more."""
    version = document["version"]
    lines = [
        _heading(document),
        *_group(
            "Model Overview",
            ("Name", document["name"]),
            ("Version", version["number"]),
            ("Base Model", version.get("base_model")),
            ("Last Updated", edition.updated_on),
            ("Owner", version.get("owner")),
        ),
        *_group(
            "Intended Use",
            ("Primary Use", use(document, "primary_use")),
            ("Users", use(document, "users")),
            ("Out of Scope", use(document, "out_of_scope")),
        ),
        *_group("Training Data", *_training(document)),
        *_group("Performance Metrics", *_performance(document)),
        *_list("Limitations & Risks", document, "limitations", "risks"),
        *_list("Ethical Considerations", document, "ethical_considerations"),
    ]
    return "\n".join(lines) + "\n"


def _group(heading: str, *pairs: tuple[str, Any]) -> list[str]:
    return ["", f"## {heading}", *(f"- {label}: {inline(plain(value))}" for label, value in pairs)]


def _list(heading: str, document: Document, *paths: str) -> list[str]:
    items = [item for path in paths for item in declared_at(document["declared"], path) or ()]
    return ["", f"## {heading}", *(f"- {opening(item)}" for item in items or (NOT_RECORDED,))]


def _training(document: Document) -> Iterator[tuple[str, Any]]:
    for label, key in (("Sources", "sources"), ("Data Volume", "volume"), ("PII Handling", "pii_handling")):
        yield label, declared_at(document["declared"], f"training_data.{key}")


def _performance(document: Document) -> Iterator[tuple[str, Any]]:
    rows = {row.label: row for row in performance_of(document)}
    for label in ("Accuracy", "Hallucination Rate"):
        yield label, _told(rows[label])
    took = latency_of(document)
    declared = _told(rows[LATENCY]) if LATENCY in rows else None
    if took is not None:
        yield LATENCY, f"{seconds(took.p95_ms)} on {took.suite} (n = {took.n})"
    else:
        yield LATENCY, declared or declared_at(document["declared"], "operation.latency")


def _told(row: Performance) -> str | None:
    return row.declared if row.measured is None else measured_text(row.measured)


def to_wire(part: Part) -> dict[str, Any]:
    """Write a section as plain values."""
    return {
        "number": part.section.number,
        "title": part.section.title,
        "origin": part.section.origin.value,
        "live": part.section.live,
        "told": part.section.told,
        "required": part.required,
        "complete": not part.lacks,
        "lacks": [one.what for one in part.lacks],
        "to_do": [{"what": one.what, "by": one.by} for one in part.lacks],
        "blocks": [_wire(block) for block in part.blocks],
    }


def _wire(block: Block) -> dict[str, Any]:
    if isinstance(block, Facts):
        return {"facts": [{"label": label, "value": value} for label, value in block.pairs]}
    if isinstance(block, Items):
        return {"items": list(block.items), "label": block.label}
    if isinstance(block, Grid):
        return {"head": list(block.head), "rows": [list(row) for row in block.rows]}
    return {"text": block.text}
