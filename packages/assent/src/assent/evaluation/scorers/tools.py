"""The scorer of tool calls: which tools were asked for, and with which arguments."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assent.evaluation.domain.cases import ToolCall
from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, Unscorable

MAX_CALLS = 100
_NO_JSON = object()


def tool_call(config: Fields) -> Scorer:
    """Score 1 where the calls are those of the target {"tools": [{"name", "arguments": {…}}]} and no others.

    `ordered`: in that order. `arguments`: exact, subset (further ones are fine), or ignored.
    """
    ordered = config.flag("ordered", default=False)
    how = config.one_of("arguments", "exact", ("exact", "subset", "ignored"))

    def score(case: Case) -> float:
        wanted = _wanted(case.target)
        made = case.tool_calls
        if len(made) != len(wanted) or len(made) > MAX_CALLS:
            return 0.0
        if ordered:
            return float(all(_fits(one, call, how) for one, call in zip(wanted, made, strict=True)))
        return float(_matches(wanted, list(made), how))

    return score


def _wanted(target: Any) -> Sequence[Mapping[str, Any]]:
    listed = target.get("tools") if isinstance(target, Mapping) else None
    known = isinstance(listed, list) and len(listed) <= MAX_CALLS
    if not known or not all(
        isinstance(one, Mapping)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("arguments", {}), Mapping)
        for one in listed or ()
    ):
        raise Unscorable('the case\'s target is not {"tools": [{"name": …, "arguments": {…}}]}')
    return listed or ()


def _matches(wanted: Sequence[Mapping[str, Any]], made: Sequence[ToolCall], how: str) -> bool:
    """Find a call for each wanted one, no call twice (Kuhn's augmenting paths)."""
    taken: dict[int, int] = {}

    def place(number: int, seen: set[int]) -> bool:
        for at, call in enumerate(made):
            if at not in seen and _fits(wanted[number], call, how):
                seen.add(at)
                if at not in taken or place(taken[at], seen):
                    taken[at] = number
                    return True
        return False

    return all(place(number, set()) for number in range(len(wanted)))


def _fits(wanted: Mapping[str, Any], call: ToolCall, how: str) -> bool:
    if call.name != wanted["name"]:
        return False
    if how == "ignored":
        return True
    arguments = wanted.get("arguments", {})
    given = _read(call.arguments)
    if not isinstance(given, dict) or (how == "exact" and given.keys() != arguments.keys()):
        return False
    return all(name in given and same_json(value, given[name]) for name, value in arguments.items())


def _read(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return _NO_JSON


def same_json(one: Any, other: Any) -> bool:
    """Compare as JSON: 1 is 1.0, true is not 1, members in any order."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
