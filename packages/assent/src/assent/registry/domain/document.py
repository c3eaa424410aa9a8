"""A model's document: what an author writes, checked and written out in one form.

{"kind":"model","project","name","provider","upstream_model","prompt":digest|null,"parameters":{…},
"open_parameters":{"temperature":{"min","max"}},"client_system":"refuse|append|ignore","tier"; where given
"guardrails":[…],"fallback":[digest…],"base_model","owner","licence","intended_use":{…},"datasets":[…],"artifacts":[…],"code":{…},"built_from":[digest…]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assent.kernel.canonical import is_digest
from assent.kernel.errors import Reason
from assent.prompts.domain import Mistakes, refuse, tags_of
from assent.registry.domain.guardrails import guardrails_of

TIERS = ("minimal", "limited", "high", "prohibited")
UNSTATED_TIER = "high"
"""A version whose author states no tier is treated with care."""
CLIENT_SYSTEM = ("refuse", "append", "ignore")
MAX_ITEMS = 1000
MAX_HOPS = 5
MAX_TEXT = 300
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_TEXTS = ("base_model", "owner", "licence", "description")
_FIELDS = frozenset(
    {"kind", "project", "name", "provider", "upstream_model", "prompt", "parameters", "open_parameters"}
    | {"client_system", "tier", "intended_use", "datasets", "artifacts", "code", "built_from", "tags"}
    | {"response_models", "guardrails", "fallback", *_TEXTS}
)
_NOT_PARAMETERS = frozenset({"model", "messages", "stream", "stream_options", "assent"})
_BOUNDS = frozenset({"min", "max", "values"})


def parse_model(raw: Mapping[str, Any], *, project: str, name: str) -> dict[str, Any]:
    """Check what an author wrote and give the document; prompt and sources are digests by now.

    Raises: Invalid with every mistake.
    """
    mistakes: Mistakes = []
    for key in sorted(raw.keys() - _FIELDS, key=str):
        known = ", ".join(sorted(_FIELDS))
        _add(mistakes, str(key)[:100], f"there is no field {str(key)[:80]!r}; there are {known}")
    for key, own in (("kind", "model"), ("project", project), ("name", name)):
        if raw.get(key, own) != own:
            _add(mistakes, key, f"{key} must be {own!r}")
    given = {key: value for key, value in raw.items() if value is not None}
    document = {
        "kind": "model",
        "project": project,
        "name": name,
        "provider": _required_text(given, "provider", mistakes),
        "upstream_model": _required_text(given, "upstream_model", mistakes),
        "prompt": _prompt(given, mistakes),
        "parameters": _parameters(given, mistakes),
        "open_parameters": _open_parameters(given, mistakes),
        "client_system": _one_of(given, "client_system", CLIENT_SYSTEM, mistakes),
        "tier": _one_of({"tier": UNSTATED_TIER, **given}, "tier", TIERS, mistakes),
    }
    optional = {
        **{key: _text(given, key, mistakes) for key in _TEXTS},
        "intended_use": _intended_use(given, mistakes),
        "datasets": _datasets(given, mistakes),
        "artifacts": _artifacts(given, mistakes),
        "code": _code(given, mistakes),
        "built_from": _digests(given, "built_from", mistakes),
        "response_models": _texts(given, "response_models", mistakes),
        "guardrails": guardrails_of(given.get("guardrails"), mistakes),
        "fallback": _fallback(given, mistakes),
        "tags": tags_of(given.get("tags"), mistakes),
    }
    _check_bounds(document, mistakes)
    refuse(mistakes, "model", name)
    return {**document, **{key: value for key, value in optional.items() if value}}


def trained_on(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the digests of the datasets that went into a version."""
    return tuple(sorted({one["digest"] for one in document.get("datasets", ()) if one.get("digest")}))


def _add(mistakes: Mistakes, where: str, message: str) -> None:
    mistakes.append(Reason(where, message))


def _one_of(raw: Mapping[str, Any], key: str, allowed: tuple[str, ...], mistakes: Mistakes) -> str:
    value = raw.get(key, allowed[0])
    if value in allowed:
        return str(value)
    _add(mistakes, key, f"{key} must be one of {', '.join(allowed)}")
    return allowed[0]


def _text(raw: Mapping[str, Any], key: str, mistakes: Mistakes) -> str | None:
    value = raw.get(key)
    if value is None:
        return None
    long = MAX_TEXT if key != "description" else MAX_TEXT * MAX_TEXT
    if not isinstance(value, str) or not value.strip() or len(value) > long:
        _add(mistakes, key, f"{key} must be text of 1 to {long} characters")
        return None
    return value


def _required_text(raw: Mapping[str, Any], key: str, mistakes: Mistakes) -> str:
    if key not in raw:
        _add(mistakes, key, f"the field {key} is missing")
    return _text(raw, key, mistakes) or ""


def _prompt(raw: Mapping[str, Any], mistakes: Mistakes) -> str | None:
    prompt = raw.get("prompt")
    if prompt is not None and not is_digest(prompt):
        _add(mistakes, "prompt", "prompt must be NAME@VERSION of a registered prompt, or its digest")
        return None
    return prompt


def _parameters(raw: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    value = raw.get("parameters", {})
    if not isinstance(value, Mapping):
        _add(mistakes, "parameters", "parameters must be a mapping")
        return {}
    for key in sorted(value.keys() & _NOT_PARAMETERS):
        _add(mistakes, f"parameters.{key}", f"{key} is not a parameter: Assent sets it")
    return dict(value)


def _open_parameters(raw: Mapping[str, Any], mistakes: Mistakes) -> dict[str, dict[str, Any]]:
    value = raw.get("open_parameters", {})
    if not isinstance(value, Mapping):
        _add(mistakes, "open_parameters", "open_parameters must be a mapping of names to min, max or values")
        return {}
    found = {}
    for key, bounds in value.items():
        where, own = f"open_parameters.{key}", {} if bounds is None else bounds
        if key in _NOT_PARAMETERS:
            _add(mistakes, where, f"{key} is not a parameter: Assent sets it")
        elif not isinstance(own, Mapping) or own.keys() - _BOUNDS or not _are_bounds(own):
            _add(
                mistakes, where, f"{where} may hold numbers `min` and `max` (min ≤ max), and a list `values`"
            )
        else:
            found[key] = dict(own)
    return found


def _are_bounds(bounds: Mapping[str, Any]) -> bool:
    ends = [bounds[end] for end in ("min", "max") if end in bounds]
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
    values = bounds.get("values", [None])
    return numbers and ends == sorted(ends) and isinstance(values, list) and bool(values)


def _check_bounds(document: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Check that what is pinned and open, a default, is a value that a caller could give."""
    for key, bounds in document["open_parameters"].items():
        if key in document["parameters"] and not _within(bounds, document["parameters"][key]):
            _add(mistakes, f"parameters.{key}", f"parameters.{key} is outside of open_parameters.{key}")


def _within(bounds: Mapping[str, Any], value: Any) -> bool:
    if "values" in bounds and value not in bounds["values"]:
        return False
    if "min" not in bounds and "max" not in bounds:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(bounds.get("min", value) <= value <= bounds.get("max", value))


def _listed(raw: Mapping[str, Any], key: str, mistakes: Mistakes) -> list[Any]:
    value = raw.get(key, [])
    if isinstance(value, list) and len(value) <= MAX_ITEMS:
        return value
    _add(mistakes, key, f"{key} must be a list of at most {MAX_ITEMS}")
    return []


def _texts(raw: Mapping[str, Any], key: str, mistakes: Mistakes) -> list[str]:
    found = _listed(raw, key, mistakes)
    if not all(isinstance(one, str) and 0 < len(one) <= MAX_TEXT for one in found):
        _add(mistakes, key, f"{key} must be a list of texts")
    return found


def _digests(raw: Mapping[str, Any], key: str, mistakes: Mistakes) -> list[str]:
    found = _listed(raw, key, mistakes)
    if all(is_digest(one) for one in found):
        return sorted(set(found))
    _add(mistakes, key, f"{key} must be a list of NAME@VERSION of registered models, or their digests")
    return []


def _fallback(raw: Mapping[str, Any], mistakes: Mistakes) -> list[str]:
    """Read the versions that answer, in this order, when the upstream of this one does not."""
    found = _listed(raw, "fallback", mistakes)
    if all(is_digest(one) for one in found) and len(set(found)) == len(found) <= MAX_HOPS:
        return found
    text = f"fallback must be a list of at most {MAX_HOPS} different NAME@VERSION of registered models"
    _add(mistakes, "fallback", text)
    return []


def _intended_use(raw: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    value = raw.get("intended_use", {})
    if isinstance(value, str):
        return {"summary": value} if value.strip() else {}
    if not isinstance(value, Mapping):
        _add(mistakes, "intended_use", "intended_use must be text, or a mapping such as summary, users")
        return {}
    return dict(value)


def _datasets(raw: Mapping[str, Any], mistakes: Mistakes) -> list[dict[str, Any]]:
    found = []
    for index, value in enumerate(_listed(raw, "datasets", mistakes)):
        where, one = f"datasets[{index}]", {"name": value} if isinstance(value, str) else value
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str) or not one["name"].strip():
            _add(mistakes, where, f"{where} must be a name, or a mapping with name, and digest where known")
        elif "digest" in one and not is_digest(one["digest"]):
            _add(mistakes, where, f"{where}.digest must read sha256:<64 hex digits>")
        else:
            found.append(dict(one))
    return found


def _artifacts(raw: Mapping[str, Any], mistakes: Mistakes) -> list[dict[str, Any]]:
    found = []
    for index, one in enumerate(_listed(raw, "artifacts", mistakes)):
        where = f"artifacts[{index}]"
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str) or not one["name"].strip():
            _add(mistakes, where, f"{where} must be a mapping with name and digest")
        elif not is_digest(one.get("digest")):
            _add(mistakes, where, f"{where}.digest must read sha256:<64 hex digits>")
        else:
            found.append(dict(one))
    return found


def _code(raw: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    value = raw.get("code", {})
    if not isinstance(value, Mapping):
        _add(mistakes, "code", "code must be a mapping with repository and commit")
        return {}
    if value and not (isinstance(value.get("commit"), str) and _COMMIT.match(value["commit"])):
        _add(mistakes, "code.commit", "code.commit must be 7 to 64 hex digits")
    return dict(value)
