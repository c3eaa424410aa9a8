"""Text of people inside Markdown: it shows as it was written and stays in its place."""

import json
import re
from typing import Any

from assent.cards.domain.form import is_plain

NOT_RECORDED = "not recorded"

_LINE_ENDS = re.compile(r"\s+")
_ACTIVE = re.compile(r"[\\`*\[\]~|]|(?<![^\W_])_|_(?![^\W_])|\$(?=\S)|<|&(?=#?\w+;)")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_OPENS_BLOCK = re.compile(r"([-+#>=]|\d{1,9}[.)](?=\s|$))")


def inline(text: str) -> str:
    """Write text so that Markdown shows it as it is within a line: after a label, or in a cell.

    Only what could be read as markup is escaped. Source: CommonMark 0.31.2, sections 2.4 and 6; GFM tables.
    """
    return _ACTIVE.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), one_line(text))


def visible(text: str) -> str:
    """Write text with a mark in the place of each character that hides or reorders what stands around it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if is_plain(one) else "\N{REPLACEMENT CHARACTER}" for one in text)


def one_line(text: str) -> str:
    """Write text on one line, its hidden characters marked."""
    return _LINE_ENDS.sub(" ", visible(text)).strip()


def opening(text: str) -> str:
    """Write text that begins a line or a list's item: it opens no heading, list, quotation or code.

    Source: CommonMark 0.31.2, sections 4 and 5.
    """
    line = inline(text)
    found = _OPENS_BLOCK.match(line)
    return line if found is None else f"{line[: found.end() - 1]}\\{line[found.end() - 1 :]}"


def plain(value: Any) -> str:
    """Write a JSON value as text; what is absent says so."""
    if value is None or value in ("", [], {}):
        return NOT_RECORDED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return visible(", ".join(value))
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))


def percent(share: str) -> str:
    """Write a share or a difference of two, decimal text in [-1, 1], as percent; other figures plainly."""
    value = float(share)
    return f"{value * 100:.1f}%" if abs(value) <= 1 else f"{value:.4g}"


def seconds(milliseconds: str) -> str:
    """Write milliseconds, decimal text, as seconds of three figures."""
    return f"{float(milliseconds) / 1000:.3g}s"
