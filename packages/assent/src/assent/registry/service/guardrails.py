"""Check that the guardrails of a document can be followed: by patterns and schemas as gateways use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, SchemaError

from assent.kernel.errors import Reason
from assent.prompts.domain import Mistakes, refuse
from assent_client.patterns import compile_pattern
from assent_client.personal import PERSONAL


def check_guardrails(document: Mapping[str, Any]) -> None:
    """Try each guardrail of a checked document. Raises: Invalid with every mistake."""
    mistakes: Mistakes = []
    for at, one in enumerate(document.get("guardrails", ())):
        problem = _problem(one)
        if problem is not None:
            where = f"guardrails[{at}]"
            mistakes.append(Reason(where, f"{where} ({one['name']}) {problem}"))
    refuse(mistakes, "model", str(document["name"]))


def _problem(one: Mapping[str, Any]) -> str | None:
    if one["kind"] == "pii":
        unknown = sorted(set(one.get("kinds") or ()) - set(PERSONAL))
        return f"names {', '.join(unknown)}; known are {', '.join(PERSONAL)}" if unknown else None
    try:
        if one["kind"] == "regex":
            compile_pattern(f".*({one['pattern']}).*")
        elif one["kind"] == "json_schema":
            Draft202012Validator.check_schema(one["schema"])
    except ValueError as error:
        return f"has a pattern that cannot be used: {error}"
    except SchemaError as error:
        return f"has no JSON schema: {error.message}"
    return None
