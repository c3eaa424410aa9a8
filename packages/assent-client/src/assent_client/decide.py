"""Decide who gets which variant: a pure function of route, unit and context.

A route is JSON:

    {"key": "support", "kind": "model", "variants": {"stable": "sha256:…", "canary": "sha256:…"},
     "split": [{"variant": "canary", "start": 0, "end": 50000},
               {"variant": "stable", "start": 50000, "end": 1000000}],
     "rules": [{"id": "staff", "variant": "canary",
                "when": [{"attribute": "organisation", "op": "in", "value": ["acme"]}]}],
     "unit": "conversation", "algo": "b2b64-v1", "salt": "…", "off": "stable", "enabled": true,
     "rollout": null, "generation": 1}

Rules are read in order and the first whose conditions all hold decides; else the split decides by the
unit's bucket. A range that grows keeps every bucket it had, so a canary that grows keeps its units.
A flag (`"kind": "flag"`) has JSON values for variants, and may have `"prerequisites": [{"flag": "billing",
"variants": ["on"]}]`: unless each of these flags gives one of its variants, the off variant is given.
A route may have `"shadow": {"variant": "canary", "end": 100000}`: of so many units in a million, calls are
mirrored; and `"pins": [{"variant": "ending", "start": 0, "end": 50000, "salt": "…", "before": 1772532000000,
"until": …}]`: where no rule decides, units of these buckets whose ids say that they began before that time
(ms) stay on that variant. What conditions there are, and how they refer to segments and other flags, says
`assent_client.rules`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from assent_client.conversations import begun_ms
from assent_client.rules import Context, Match, Peer, Scope, compile_prerequisite, compile_when, flags_named

BUCKETS: Final = 1_000_000
ALGORITHM: Final = "b2b64-v1"
KINDS: Final = frozenset({"model", "prompt", "flag"})
MAX_CHAIN: Final = 10
"""Flags that may stand behind each other as prerequisites."""

MAX_RULES: Final = 200
_MAX_SALT_BYTES = blake2b.MAX_KEY_SIZE
_ROUTE_KEYS = frozenset(
    {
        "key", "kind", "variants", "split", "rules", "unit", "algo", "salt", "off", "enabled", "rollout",
        "generation",
    }
)  # fmt: skip
_OPTIONAL_KEYS = frozenset({"prerequisites", "shadow", "pins"})
_PIN_KEYS = frozenset({"variant", "start", "end", "salt", "before", "until"})
_LONGEST_MS: Final = 30 * 86_400_000
"""A conversation that is said to have begun earlier than this before a pin is not believed to go on."""
_ALONE: Final = Scope()


class RouteError(ValueError):
    """Say everything that is wrong with the route `key`; `problems` holds one sentence for each."""

    def __init__(self, key: str, problems: Sequence[str]) -> None:
        super().__init__(f"the route {key} cannot be used: " + "; ".join(problems))
        self.key = key
        self.problems = tuple(problems)


class Decision(NamedTuple):
    """What a unit gets, and why.

    `value` is the digest of a version, or a flag's JSON value; `rule` the id of the rule that decided;
    `reason` is disabled | prerequisite | rule | rule_split | pinned | static | split; with `prerequisite`,
    `rule` names the flag that did not give what is asked of it. `bucket` is None where none was needed.
    """

    variant: str | None
    value: Any
    rule: str | None
    reason: str
    bucket: int | None


Decide = Callable[[str, Context], Decision]


def bucket(salt: str, unit: str) -> int:
    """Place a unit in [0, 1,000,000) by `b2b64-v1`.

    blake2b (key = salt, 8 bytes) of the unit's UTF-8, read as a big-endian integer and scaled by
    multiplication. Lone surrogates are hashed as they are, so that any string has a bucket.
    """
    digest = blake2b(_encode(unit), key=_encode(salt), digest_size=8).digest()
    return int.from_bytes(digest, "big") * BUCKETS >> 64


def is_mirrored(route: Mapping[str, Any], unit: str) -> bool:
    """Tell whether a unit's calls are mirrored by a route that has a shadow; whatever its variant is."""
    return bucket(route["salt"], f"shadow/{unit}") < int(route["shadow"]["end"])


def compile_route(route: Mapping[str, Any], scope: Scope = _ALONE) -> Decide:
    """Turn a route into the function that decides for a unit and its context.

    Raises: RouteError that lists every problem.
    """
    reader = _RouteReader(route, scope)
    decide = reader.compile()
    if reader.problems or decide is None:
        raise RouteError(str(route.get("key")), reader.problems)
    return decide


def compile_routes(
    routes: Mapping[str, Mapping[str, Any]], segments: Mapping[str, Any] | None = None
) -> dict[str, Decide]:
    """Turn the routes of an environment into functions; they may refer to its flags and segments.

    Raises: RouteError, for a cycle of prerequisites too.
    """
    compiled: dict[str, Decide] = {}
    scope = Scope(segments=segments or {})
    peers: dict[str, Peer] = {}
    for name in in_order(routes):
        route = routes[name]
        unit = route.get("unit")
        its = Scope(unit if isinstance(unit, str) else "", scope.segments, peers, scope.compiled)
        compiled[name] = compile_route(route, its)
        if route["kind"] == "flag":
            peers[name] = Peer(_variant_of(compiled[name]), its.unit)
    return {name: compiled[name] for name in routes}


def in_order(routes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """List names so that each comes after the flags that it names.

    Raises: RouteError for a cycle, or a chain of more than 10.
    """
    order: list[str] = []
    heights: dict[str, int] = {}

    def place(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            circle = " → ".join((*above[above.index(name) :], name))
            raise RouteError(name, [f"its prerequisites go round in a circle: {circle}"])
        if len(above) > MAX_CHAIN:
            raise RouteError(above[0], [f"more than {MAX_CHAIN} prerequisites stand behind each other"])
        if name not in heights:
            named = [one for one in flags_named(routes[name]) if one in routes]
            heights[name] = max((1 + place(one, (*above, name)) for one in named), default=0)
            order.append(name)
        if heights[name] > MAX_CHAIN:
            raise RouteError(name, [f"more than {MAX_CHAIN} prerequisites stand behind each other"])
        return heights[name]

    for name in routes:
        place(name, ())
    return order


class _RouteReader:
    """Read one route, collecting every problem on the way."""

    def __init__(self, route: Mapping[str, Any], scope: Scope) -> None:
        self.route = route
        self.scope = scope
        self.problems: list[str] = []
        variants = route.get("variants")
        self.variants: Mapping[str, Any] = variants if isinstance(variants, Mapping) else {}

    def compile(self) -> Decide | None:
        route = self.route
        self._check_form()
        self._check_shadow()
        self._check_pins()
        if self.problems:
            return None
        off = Decision(route["off"], self.variants.get(route["off"]), None, "disabled", None)
        rules = [self._rule(number, rule) for number, rule in enumerate(route["rules"], 1)]
        default = self._split(route["split"], None, "the split")
        needs = self._prerequisites()
        if self.problems or default is None:
            return None
        if not route["enabled"]:
            return _always(off)
        pins = [self._pin(pin) for pin in route.get("pins", ())]
        decide = _with_rules([rule for rule in rules if rule is not None], _with_pins(pins, default))
        return _with_prerequisites(needs, off, decide)

    def _check_form(self) -> None:
        route, problem = self.route, self.problems.append
        missing, unknown = _ROUTE_KEYS - route.keys(), route.keys() - _ROUTE_KEYS - _OPTIONAL_KEYS
        if missing or unknown:
            problem(f"missing keys {sorted(missing)}, unknown keys {sorted(unknown)}")
            return
        if not self.variants:
            problem("variants is an object that is not empty")
            return
        if not isinstance(route["kind"], str) or route["kind"] not in KINDS:
            problem(f"the kind is one of {sorted(KINDS)}, not {route['kind']!r}")
        if route["algo"] != ALGORITHM:
            problem(f"the bucketing algorithm {route['algo']!r} is unknown; this version knows {ALGORITHM}")
        if not _is_salt(route["salt"]):
            problem(f"the salt is a text of 1 to {_MAX_SALT_BYTES} bytes")
        if route["off"] is not None and not self._is_variant(route["off"]):
            problem(f"the off variant {route['off']!r} is not among the variants")
        for name, kind in (("rules", list), ("split", list), ("enabled", bool)):
            if not isinstance(route[name], kind):
                problem(f"{name} is a {kind.__name__}")
        if isinstance(route["rules"], list) and len(route["rules"]) > MAX_RULES:
            problem(f"{len(route['rules'])} rules are too many; {MAX_RULES} at most")

    def _check_shadow(self) -> None:
        if "shadow" in self.route and not self._is_shadow(self.route["shadow"]):
            self.problems.append("the shadow is an object with a variant and an end from 1 to 1,000,000")

    def _check_pins(self) -> None:
        pins = self.route.get("pins", [])
        if not isinstance(pins, list) or not all(map(self._is_pin, pins)):
            self.problems.append("the pins are objects with variant, start, end, salt, before and until")

    def _is_pin(self, pin: Any) -> bool:
        if not isinstance(pin, Mapping) or pin.keys() != _PIN_KEYS or not self._is_variant(pin["variant"]):
            return False
        is_range = _is_range(pin["start"], pin["end"]) and pin["start"] >= 0 and pin["end"] <= BUCKETS
        return is_range and _is_salt(pin["salt"]) and type(pin["before"]) is int and type(pin["until"]) is int

    def _pin(self, pin: Mapping[str, Any]) -> _Pin:
        name = pin["variant"]
        return _Pin(name, self.variants[name], pin["salt"], pin["start"], pin["end"], pin["before"])

    def _is_shadow(self, shadow: Any) -> bool:
        if not isinstance(shadow, Mapping) or shadow.keys() != {"variant", "end"}:
            return False
        return (
            self._is_variant(shadow["variant"]) and _is_range(0, shadow["end"]) and shadow["end"] <= BUCKETS
        )

    def _is_variant(self, name: Any) -> bool:
        return isinstance(name, str) and name in self.variants

    def _rule(self, number: int, rule: Any) -> tuple[Match, Decide] | None:
        where = f"rule {number}"
        if not isinstance(rule, Mapping) or not isinstance(rule.get("id"), str):
            self.problems.append(f"{where} is an object with an id")
            return None
        if rule.keys() not in ({"id", "when", "variant"}, {"id", "when", "split"}):
            self.problems.append(f"{where} has id, when, and either variant or split")
            return None
        matches = self._conditions(where, rule["when"])
        branch = self._rule_branch(where, rule)
        return (matches, branch) if matches and branch else None

    def _rule_branch(self, where: str, rule: Mapping[str, Any]) -> Decide | None:
        if "split" in rule:
            return self._split(rule["split"], rule["id"], f"the split of {where}")
        name = rule["variant"]
        if not self._is_variant(name):
            self.problems.append(f"{where} names the variant {name!r}, which does not exist")
            return None
        fixed = Decision(name, self.variants[name], rule["id"], "rule", None)
        return _always(fixed)

    def _conditions(self, where: str, when: Any) -> Match | None:
        try:
            return compile_when(when, self.scope)
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            return None

    def _prerequisites(self) -> list[tuple[str, Match]]:
        found: list[tuple[str, Match]] = []
        entries = self.route.get("prerequisites", [])
        for number, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
            if not isinstance(entry, Mapping) or entry.keys() != {"flag", "variants"}:
                self.problems.append(f"prerequisite {number} is an object with flag and variants")
                continue
            try:
                found.append((entry["flag"], compile_prerequisite(entry, self.scope)))
            except ValueError as error:
                self.problems.append(f"prerequisite {number}: {error}")
        return found

    def _split(self, ranges: Any, rule: str | None, where: str) -> Decide | None:
        problem = self._split_problem(ranges)
        if problem is not None:
            self.problems.append(f"{where} {problem}")
            return None
        names = [entry["variant"] for entry in ranges]
        if len(set(names)) == 1:
            reason = "static" if rule is None else "rule"
            fixed = Decision(names[0], self.variants[names[0]], rule, reason, None)
            return _always(fixed)
        ends = [entry["end"] for entry in ranges]
        reason = "split" if rule is None else "rule_split"
        choices = [(name, self.variants[name], rule, reason) for name in names]
        return _by_bucket(self.route["salt"], ends, choices)

    def _split_problem(self, ranges: Any) -> str | None:
        if not isinstance(ranges, list) or not ranges:
            return "is a list of ranges that is not empty"
        position = 0
        for entry in ranges:
            if not isinstance(entry, Mapping) or entry.keys() != {"variant", "start", "end"}:
                return "has ranges with variant, start and end"
            if not self._is_variant(entry["variant"]):
                return f"names the variant {entry['variant']!r}, which does not exist"
            start, end = entry["start"], entry["end"]
            if not _is_range(start, end) or start != position:
                return f"leaves a gap, overlaps or is out of order at bucket {position}"
            position = end
        return None if position == BUCKETS else f"ends at {position}, not at {BUCKETS}"


def _is_salt(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(_encode(value)) <= _MAX_SALT_BYTES


def _is_range(start: Any, end: Any) -> bool:
    return type(start) is int and type(end) is int and start < end


class _Pin(NamedTuple):
    variant: str
    value: Any
    salt: str
    start: int
    end: int
    before: int


def _with_pins(pins: list[_Pin], default: Decide) -> Decide:
    if not pins:
        return default

    def decide(unit: str, context: Context) -> Decision:
        begun = begun_ms(unit)
        if begun is None:
            return default(unit, context)
        for pin in pins:
            if pin.before - _LONGEST_MS <= begun < pin.before:
                place = bucket(pin.salt, unit)
                if pin.start <= place < pin.end:
                    return Decision(pin.variant, pin.value, None, "pinned", place)
        return default(unit, context)

    return decide


def _with_rules(rules: list[tuple[Match, Decide]], default: Decide) -> Decide:
    if not rules:
        return default

    def decide(unit: str, context: Context) -> Decision:
        for matches, branch in rules:
            if matches(unit, context):
                return branch(unit, context)
        return default(unit, context)

    return decide


def _with_prerequisites(needs: list[tuple[str, Match]], off: Decision, decide: Decide) -> Decide:
    if not needs:
        return decide
    refused = [(given, off._replace(rule=flag, reason="prerequisite")) for flag, given in needs]

    def decide_after(unit: str, context: Context) -> Decision:
        for given, refusal in refused:
            if not given(unit, context):
                return refusal
        return decide(unit, context)

    return decide_after


def _variant_of(decide: Decide) -> Callable[[str, Context], str | None]:
    return lambda unit, context: decide(unit, context).variant


def _always(decision: Decision) -> Decide:
    return lambda unit, context: decision  # noqa: ARG005 -- every decision has one signature


def _by_bucket(salt: str, ends: list[int], choices: list[tuple[str, Any, str | None, str]]) -> Decide:
    # A copy of the keyed state and a bare tuple.__new__ take a third off the time of one decision; names for
    # the parts of a choice, rather than a star, a twentieth.
    copy = blake2b(key=_encode(salt), digest_size=8).copy
    from_bytes, new = int.from_bytes, tuple.__new__

    def branch(unit: str, context: Context) -> Decision:  # noqa: ARG001 -- every decision has one signature
        state = copy()
        state.update(unit.encode("utf-8", "surrogatepass"))
        place = from_bytes(state.digest(), "big") * BUCKETS >> 64
        name, value, rule, reason = choices[bisect_right(ends, place)]
        return new(Decision, (name, value, rule, reason, place))

    return branch


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
