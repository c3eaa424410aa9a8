"""What a model's name looks like: forms by provider, read from dated data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

MAX_NAME = 200
_PATHS = re.compile(r"/(?:models?|foundation-model)/([A-Za-z0-9.:@_-]+?)(?::[a-zA-Z]+|/[a-zA-Z-]+)?\Z")
"""A model within an address: …/models/gemini-1.5-pro:generateContent, …/model/anthropic.…/invoke."""


@dataclass(frozen=True, slots=True)
class Name:
    """A model's name: whose it is, and whether it pins a snapshot. `context`: alone it proves nothing."""

    text: str
    provider: str
    is_snapshot: bool
    context: bool = False


@dataclass(frozen=True, slots=True)
class _Form:
    provider: str
    pattern: re.Pattern[str]
    context: bool


@cache
def catalogue() -> Mapping[str, Any]:
    """Read the data."""
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath("models.json").read_text("utf-8"))
    return found


@cache
def _forms() -> tuple[_Form, ...]:
    forms = []
    for provider in catalogue()["providers"]:
        for form in provider["forms"]:
            version = f"(?P<version>{form['version']})" if "version" in form else "(?P<version>(?!))"
            many = "" if form.get("only_version") else "?"
            pattern = re.compile(f"(?:{form['name']}){version}{many}\\Z")
            forms.append(_Form(provider["name"], pattern, bool(form.get("context"))))
    return tuple(forms)


@cache
def recognise(text: str) -> Name | None:
    """Tell whether a whole text is the name of a model, with or without its provider before it."""
    if not 1 < len(text) <= MAX_NAME or not text.isascii():
        return None
    address = _PATHS.search(text) if "://" in text or text.startswith("/") else None
    lowered = (address[1] if address else text).lower()
    for prefix in sorted(catalogue()["prefixes"], key=len, reverse=True):
        if lowered.startswith(prefix):
            lowered = lowered.removeprefix(prefix)
            break
    for form in _forms():
        if match := form.pattern.match(lowered):
            context = form.context and lowered == text.lower()
            return Name(
                text, form.provider, match["version"] is not None or lowered.startswith("ft:"), context
            )
    return None
