"""The rules of text: what may not stand in a source file."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.house_rules import ROOT, Module, modules

REASONED = re.compile(r"#\s*noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* -- \S")
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def silent_exceptions(root: Path = ROOT) -> list[str]:
    """Each `noqa` names its rule and gives its reason."""
    return [
        f"{module.name}:{line}: noqa without a reason"
        for module, line, text in _comments(root)
        if "noqa" in text and not REASONED.search(text)
    ]


def late_work(root: Path = ROOT) -> list[str]:
    """Nothing is left for later in the sources."""
    return [
        f"{module.name}:{line}: left for later"
        for module, line, text in _comments(root)
        if LATER.search(text)
    ]


def _comments(root: Path) -> Iterator[tuple[Module, int, str]]:
    for module in modules(root):
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type == tokenize.COMMENT:
                yield module, token.start[0], token.string
