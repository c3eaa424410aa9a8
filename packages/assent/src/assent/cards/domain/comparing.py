"""A card as a tree of headings, labels and texts, so that two cards can be compared word by word."""

from collections.abc import Sequence
from typing import Any

from assent.cards.domain.document import Document
from assent.cards.domain.parts import Block, Facts, Grid, Items, parts_of


def tree_of(document: Document) -> dict[str, dict[str, Any]]:
    """Give all that stands in a card's digest: by heading, then by label. Live sections are left out."""
    return {
        part.section.heading: _labelled(part.blocks)
        for part in parts_of(document, {})
        if not part.section.live
    }


def _labelled(blocks: Sequence[Block]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for block in blocks:
        if isinstance(block, Facts):
            _facts(found, block)
        elif isinstance(block, Items):
            found[_free(found, block.label or "Items")] = "\n".join(block.items)
        elif isinstance(block, Grid):
            for row in block.rows:
                cells = dict(zip(block.head[1:], row[1:], strict=True))
                found[_free(found, row[0])] = cells
        else:
            found[_free(found, "Text")] = block.text
    return found


def _facts(found: dict[str, Any], block: Facts) -> None:
    """Put facts side by side; those about one suite of several go under its name."""
    label, value = block.pairs[0]
    if "suite" in label.lower():
        found[_free(found, f"{label} {value}")] = dict(block.pairs[1:])
    else:
        for name, text in block.pairs:
            found[_free(found, name)] = text


def _free(found: dict[str, Any], label: str) -> str:
    name, n = label, 1
    while name in found:
        n += 1
        name = f"{label} ({n})"
    return name
