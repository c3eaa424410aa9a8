"""Guardrails of a version: what may not be asked of it, and what may not be answered.

{"name", "on": "request|answer", "kind": "regex|pii|json_schema", "action": "block|flag"} and by kind
"pattern", "kinds" (all by default), or "schema" (of an answer in JSON). A hit is observed; `block` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assent.kernel.errors import Reason
from assent.prompts.domain import Mistakes

MAX_GUARDRAILS = 20
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_COMMON = frozenset({"name", "on", "kind", "action"})
_OWN = {"regex": "pattern", "pii": "kinds", "json_schema": "schema"}


def guardrails_of(raw: Any, mistakes: Mistakes) -> list[dict[str, Any]]:
    """Check guardrails and give them in one form."""
    if raw is None:
        return []
    if not isinstance(raw, list) or len(raw) > MAX_GUARDRAILS:
        mistakes.append(Reason("guardrails", f"guardrails must be a list of at most {MAX_GUARDRAILS}"))
        return []
    found = [_checked(f"guardrails[{at}]", one, mistakes) for at, one in enumerate(raw)]
    names = [one["name"] for one in found if "name" in one]
    if len(set(names)) < len(names):
        mistakes.append(Reason("guardrails", "guardrails must have names that differ"))
    return found


def _checked(where: str, raw: Any, mistakes: Mistakes) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        mistakes.append(Reason(where, f"{where} must be a mapping with name, on and kind"))
        return {}
    one = {"action": "block", **raw}
    own = _OWN.get(str(one.get("kind")))
    wrong = {
        "name": not (isinstance(one.get("name"), str) and _NAME.match(one["name"])),
        "on": one.get("on") not in {"request", "answer"},
        "kind": own is None,
        "action": one["action"] not in {"block", "flag"},
    }
    told = {
        "name": "must be 1 to 63 of a-z, 0-9 and -",
        "on": "must be request or answer",
        "kind": f"must be one of {', '.join(_OWN)}",
        "action": "must be block or flag",
    }
    mistakes.extend(Reason(f"{where}.{key}", f"{where}.{key} {told[key]}") for key in wrong if wrong[key])
    if own is not None:
        unknown = sorted(one.keys() - _COMMON - {own}, key=str)
        mistakes.extend(Reason(f"{where}.{key}", f"{where} has no field {key!r}") for key in unknown)
        problem = _problem(one, own)
        if problem is not None:
            mistakes.append(Reason(f"{where}.{own}", f"{where}.{own} {problem}"))
    return one


def _problem(one: Mapping[str, Any], own: str) -> str | None:
    value = one.get(own)
    if own == "pattern":
        return None if isinstance(value, str) and value else "must be a pattern"
    if own == "kinds":
        known = value is None or (
            isinstance(value, list) and value and all(isinstance(k, str) for k in value)
        )
        return None if known else "must be a list of kinds of personal data"
    if one.get("on") != "answer":
        return "can be held by answers only"
    return None if isinstance(value, Mapping) else "must be a JSON schema"
