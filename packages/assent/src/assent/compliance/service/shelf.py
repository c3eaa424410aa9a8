"""The dated files that come with the product: catalogues, and the questionnaire in use."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from assent.compliance.domain import Catalogue, Questionnaire, parse_catalogue, parse_questionnaire
from assent.kernel.canonical import digest
from assent.kernel.errors import NotFound

ORDER = ("owasp-aisvs", "eu-ai-act", "nist-ai-rmf", "nist-ai-600-1", "iso-42001")
"""The most testable first."""
QUESTIONNAIRE = "risk-tier-1"


@cache
def catalogues() -> tuple[Catalogue, ...]:
    """Give every catalogue."""
    return tuple(parse_catalogue(_read("catalogues", name)) for name in ORDER)


def find_catalogue(name: str) -> Catalogue:
    """Get a catalogue. Raises: NotFound."""
    for one in catalogues():
        if one.id == name:
            return one
    raise NotFound(f"There is no catalogue {name!r}.", remedy=f"There are {', '.join(ORDER)}.")


@cache
def questionnaire() -> Questionnaire:
    """Give the questionnaire in use."""
    return parse_questionnaire(_read("questionnaires", QUESTIONNAIRE))


@cache
def questionnaire_digest() -> str:
    """Give the digest of the questionnaire's content, which an answer names."""
    return digest(_read("questionnaires", QUESTIONNAIRE))


def _read(folder: str, name: str) -> dict[str, Any]:
    text = (files("assent.compliance") / folder / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
