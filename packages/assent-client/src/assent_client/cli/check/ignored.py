"""Which files a .gitignore leaves out. Source: gitignore(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a file: what it matches below its folder."""

    base: str
    pattern: re.Pattern[str]
    keeps: bool
    folders_only: bool


def read_rules(folder: Path, base: str) -> list[Rule]:
    """Read the rules of a folder's .gitignore; `base` is its path below the root, ending in / or empty."""
    try:
        with (folder / ".gitignore").open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return [rule for line in text.splitlines() if (rule := _rule(line, base))]


def is_ignored(path: str, rules: list[Rule], *, is_folder: bool) -> bool:
    """Tell whether the last rule that matches a path leaves it out."""
    for rule in reversed(rules):
        if rule.folders_only and not is_folder:
            continue
        if path.startswith(rule.base) and rule.pattern.match(path[len(rule.base) :]):
            return not rule.keeps
    return False


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Make a pattern of a path with *, ** and ?."""
    return re.compile(_body(glob) + r"\Z")


def _rule(line: str, base: str) -> Rule | None:
    text = line.rstrip("\n\r")
    text = text if text.endswith("\\ ") else text.rstrip(" ")
    if not text or text.startswith("#"):
        return None
    keeps = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.rstrip("/").removeprefix("\\")
    anchored = "/" in text
    try:
        pattern = re.compile(("" if anchored else r"(?:.*/)?") + _body(text.lstrip("/")) + r"\Z")
    except re.error:
        return None
    return Rule(base, pattern, keeps, folders_only)


_PARTS = re.compile(r"(\*\*/|/\*\*\Z|\*+|\?|\[!?[^\]/]+\])")


def _body(glob: str) -> str:
    named = {"**/": r"(?:[^/]+/)*", "/**": r"/.+", "?": "[^/]"}
    made = []
    for part in _PARTS.split(glob):
        if part in named:
            made.append(named[part])
        elif part.startswith("*") and not part.strip("*"):
            made.append("[^/]*")
        elif part.startswith("[") and part.endswith("]"):
            made.append(_set(part[1:-1]))
        else:
            made.append(re.escape(part))
    return "".join(made)


def _set(body: str) -> str:
    sign = "^" if body.startswith("!") else ""
    return f"[{sign}{re.escape(body.removeprefix('!'))}]".replace(r"\-", "-")
