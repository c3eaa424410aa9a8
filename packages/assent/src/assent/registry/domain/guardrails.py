"""Guardrails of a version: what may not be asked of it, and what may not be answered.

{"name", "on": "request|answer", "kind": "regex|pii|json_schema|webhook", "action": "block|flag"} and by kind
"pattern", "kinds" (all by default), "schema" (of an answer in JSON), or "url", "secret" ("env:NAME": where
gateways find what requests are signed with), "timeout_s" and "fail" (what counts when no answer comes:
"closed" lets nothing pass, "open" lets all pass). A hit is observed; `block` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from assent.kernel.addresses import checked_url
from assent.kernel.errors import Invalid, Reason
from assent.prompts.domain import Mistakes

MAX_GUARDRAILS = 20
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_COMMON = frozenset({"name", "on", "kind", "action"})
_SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,199}\Z")
_LEAST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 0.05, 10
_OWN: dict[str, tuple[str, ...]] = {
    "regex": ("pattern",),
    "pii": ("kinds",),
    "json_schema": ("schema",),
    "webhook": ("url", "secret", "timeout_s", "fail"),
}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"webhook": {"timeout_s": 1, "fail": "closed"}}


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
    kind = str(raw.get("kind"))
    one = {"action": "block", **_DEFAULTS.get(kind, {}), **raw}
    own = _OWN.get(kind)
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
    problems = {key: told[key] for key in wrong if wrong[key]}
    if own is not None:
        problems |= {key: problem for key in own if (problem := _PROBLEMS[key](one))}
        unknown = sorted(one.keys() - _COMMON - {*own}, key=str)
        mistakes.extend(Reason(f"{where}.{key}", f"{where} has no field {key!r}") for key in unknown)
    mistakes.extend(Reason(f"{where}.{key}", f"{where}.{key} {problem}") for key, problem in problems.items())
    return one


def _pattern_problem(one: Mapping[str, Any]) -> str | None:
    return None if isinstance(one.get("pattern"), str) and one["pattern"] else "must be a pattern"


def _kinds_problem(one: Mapping[str, Any]) -> str | None:
    value = one.get("kinds")
    known = value is None or (isinstance(value, list) and value and all(isinstance(k, str) for k in value))
    return None if known else "must be a list of kinds of personal data"


def _schema_problem(one: Mapping[str, Any]) -> str | None:
    if one.get("on") != "answer":
        return "can be held by answers only"
    return None if isinstance(one.get("schema"), Mapping) else "must be a JSON schema"


def _url_problem(one: Mapping[str, Any]) -> str | None:
    url = one.get("url")
    if not isinstance(url, str):
        return "must be the address that is asked"
    try:
        checked_url(url, http=True)  # whether plain http will do is said by who runs the gateway
    except Invalid as error:
        return f"cannot be used: {error.message}"
    return None


def _secret_problem(one: Mapping[str, Any]) -> str | None:
    known = isinstance(one.get("secret"), str) and _SECRET.match(one["secret"])
    return None if known else "must be env:NAME, where gateways find what requests are signed with"


def _timeout_problem(one: Mapping[str, Any]) -> str | None:
    value = one["timeout_s"]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and _LEAST_TIMEOUT_S <= value <= _LONGEST_TIMEOUT_S:
        return None
    return f"must be {_LEAST_TIMEOUT_S:g} to {_LONGEST_TIMEOUT_S} seconds"


def _fail_problem(one: Mapping[str, Any]) -> str | None:
    return None if one["fail"] in {"open", "closed"} else "must be open or closed"


_PROBLEMS: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "pattern": _pattern_problem,
    "kinds": _kinds_problem,
    "schema": _schema_problem,
    "url": _url_problem,
    "secret": _secret_problem,
    "timeout_s": _timeout_problem,
    "fail": _fail_problem,
}
