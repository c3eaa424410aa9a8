"""Feature flags where an application branches: a value on any doubt, and the exposure recorded once.

if client.feature_enabled("gpt4", user="ada"):
    use_gpt4()

limit = client.flag("upload-limit", 10, user="ada", organisation="acme")
limit.value, limit.reason                  # 50, "rule"
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from assent_client.decide import Decision
from assent_client.snapshot import Snapshot

__all__ = ["Flag", "Flags", "Unit"]

Unit = str | int

REMEMBERED: Final = 32_768
"""Exposures, one for each flag and unit, that a process remembers at least so as not to record them again."""

_NO_CONTEXT: Final[Mapping[str, Any]] = {}
_IN_CONTEXT: Final[Any] = object()
"""Stands for the unit that the context has under the name that the flag's units go by."""

# `dict | list` would be built anew, and Flag(…) takes a call in Python, in each decision.
_NESTED: Final = (dict, list)
_new: Final = tuple.__new__


class Flag(NamedTuple):
    """What a flag gives, and why.

    `reason` is that of the decision (static | split | rule | rule_split | disabled | prerequisite), or, where
    `value` is the default, unavailable | not_found | no_unit | invalid_unit | invalid_context |
    type_mismatch; then `message` says more.
    """

    value: Any
    variant: str | None
    reason: str
    rule: str | None = None
    message: str | None = None

    @property
    def is_default(self) -> bool:
        """Tell whether the value is the caller's default."""
        return self.message is not None


class Flags:
    """Flags of the snapshot in use; `expose` is called when a unit first gets a variant of a flag."""

    def __init__(
        self, current: Callable[[], Snapshot | None], expose: Callable[[str, Decision, str], None]
    ) -> None:
        self._current = current
        self._expose = expose
        self._recent: dict[tuple[str, str], str | None] = {}
        self._older: dict[tuple[str, str], str | None] = {}
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Forget the parent's lock, and what it recorded: a child is a process of its own."""
        self._lock = threading.Lock()
        self._recent, self._older = {}, {}

    def get(
        self, name: str, default: Any, user: Unit | None, organisation: Unit | None, context: Any = None
    ) -> Flag:
        """Decide for who is named, whatever the context says of them; None is not known."""
        if context is not None and not _is_object(context):
            return _doubt(default, "invalid_context", "the context is not an object with texts for keys")
        attributes = {} if context is None else {**context}
        if user is not None:
            attributes["user"] = user
        if organisation is not None:
            attributes["organisation"] = organisation
        return self.evaluate(name, default, _IN_CONTEXT, attributes)

    def evaluate(  # noqa: C901 -- one straight line for each doubt; parts of it would cost a third more
        self, name: str, default: Any, unit: Unit | None, context: Mapping[str, Any] = _NO_CONTEXT
    ) -> Flag:
        """Decide for a unit, whatever it is called in the flag; None is an unknown one."""
        snapshot = self._current()
        if snapshot is None:
            return _doubt(default, "unavailable", "there is no snapshot yet")
        payload = snapshot.payload
        route = payload.routes.get(name)
        if route is None or route["kind"] != "flag" or name in payload.gone:
            return _doubt(default, "not_found", f"there is no flag {name!r} in {payload.environment}")
        if unit is _IN_CONTEXT:
            unit = context.get(route["unit"])
        if unit is None:
            if route["enabled"] and (route["rules"] or route.get("prerequisites") or len(route["split"]) > 1):
                return _doubt(default, "no_unit", f"{name} asks for a {route['unit']}, and none is known")
            unit = ""
        elif type(unit) is int:
            unit = str(unit)
        elif not isinstance(unit, str):
            return _doubt(default, "invalid_unit", f"a {route['unit']} is a text, not {type(unit).__name__}")
        variant, value, rule, reason, _ = decision = snapshot.routes[name](unit, context)
        if variant is None:
            return _doubt(default, reason, f"{name} has no off variant")
        if type(value) is not type(default) and not _fits(value, default):
            words = f"{name} gives {type(value).__name__}, not {type(default).__name__}"
            return _doubt(default, "type_mismatch", words)
        if self._recent.get(key := (name, unit)) != variant:
            self._record(key, decision)
        if isinstance(value, _NESTED):
            value = copy.deepcopy(value)  # the snapshot's own value stays as it was signed
        return _new(Flag, (value, variant, reason, rule, None))

    def expose_once(self, name: str, unit: str, decision: Decision) -> None:
        """Record that a unit got a variant, unless this process has recorded it before."""
        if self._recent.get((name, unit)) != decision.variant:
            self._record((name, unit), decision)

    def _record(self, key: tuple[str, str], decision: Decision) -> None:
        """Remember an exposure in the younger of two generations, and record it if neither knew it.

        Reading the younger one needs no lock, which one list in order of use would.
        """
        with self._lock:
            known = self._recent.get(key, self._older.get(key))
            if len(self._recent) >= REMEMBERED:
                self._recent, self._older = {}, self._recent
            self._recent[key] = decision.variant
        if known != decision.variant:
            self._expose(key[0], decision, key[1])


def _is_object(context: Any) -> bool:
    if not isinstance(context, Mapping):
        return False
    for key in context:  # noqa: SIM110 -- a generator in all() costs twice as much
        if not isinstance(key, str):
            return False
    return True


def _doubt(default: Any, reason: str, message: str) -> Flag:
    return Flag(default, None, reason, None, message)


def _fits(value: Any, default: Any) -> bool:
    """Tell whether a value has the type of the default; None takes any, a float whole numbers too."""
    if default is None:
        return True
    if isinstance(default, float):
        return type(value) is int
    if isinstance(default, Mapping):
        return isinstance(value, dict)
    return isinstance(default, tuple) and isinstance(value, list)
