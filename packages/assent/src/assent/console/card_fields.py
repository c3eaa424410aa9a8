"""The form of a card in a browser: one field for each question, and lists one item a line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.cards.domain import FIELDS, PERFORMANCE, declared_at
from assent.web.forms import Form

COLUMNS = ("label", "metric", "suite", "value", "source")
SPARE_ROWS = 2
MAX_ROWS = 100
ITEM, INSIDE = "- ", "  "


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the form with what stands in it; `older` names the card that the text comes from."""

    section: int
    path: str
    name: str
    asks: str
    is_list: bool
    text: str
    missing: bool
    older: str
    mistake: str


def texts_of(declared: Mapping[str, Any]) -> dict[str, str]:
    """Write what is declared as the texts of the form's fields."""
    found = {}
    for one in FIELDS:
        value = declared_at(declared, one.path)
        if value is not None:
            found[one.path] = lines_of(value) if isinstance(value, list) else value
    for i, row in enumerate(declared.get(PERFORMANCE) or ()):
        found |= {f"{PERFORMANCE}.{i}.{column}": row[column] for column in COLUMNS if column in row}
    return found


def declared_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """Read the fields' texts as the form that the service checks."""
    raw: dict[str, Any] = {}
    for one in FIELDS:
        text = texts.get(one.path, "")
        group, _, key = one.path.rpartition(".")
        into = raw.setdefault(group, {}) if group else raw
        into[key] = items_of(text) if one.is_list else text
    rows = ({c: texts.get(f"{PERFORMANCE}.{i}.{c}", "") for c in COLUMNS} for i in range(MAX_ROWS))
    raw[PERFORMANCE] = [row for row in rows if any(text.strip() for text in row.values())]
    return raw


def typed(form: Form) -> dict[str, str]:
    """Give what was typed, as it was typed."""
    return {name: text.replace("\r\n", "\n") for name, text in form.fields.items()}


def lines_of(items: Sequence[str]) -> str:
    """Write a list one item a line; where an item has several, each begins with `- ` as in Markdown."""
    if not any("\n" in item or item.startswith(ITEM) for item in items):
        return "\n".join(items)
    return "\n".join(ITEM + item.replace("\n", f"\n{INSIDE}") for item in items)


def items_of(text: str) -> list[str]:
    """Read a list back."""
    lines = text.split("\n")
    if not lines[0].startswith(ITEM):
        return [line.strip() for line in lines if line.strip()]
    items: list[str] = []
    for line in lines:
        if line.startswith(ITEM) or not items:
            items.append(line.removeprefix(ITEM))
        else:
            items[-1] += f"\n{line.removeprefix(INSIDE)}"
    return [item.strip() for item in items if item.strip()]


def n_rows(texts: Mapping[str, str]) -> int:
    """Say how many rows of metrics the form shows: those that are filled, and some more."""
    filled = [i for i in range(MAX_ROWS) if any(texts.get(f"{PERFORMANCE}.{i}.{c}") for c in COLUMNS)]
    return min(MAX_ROWS, max(filled, default=-1) + 1 + SPARE_ROWS)
