"""Conditions on a context's attributes, compiled to predicates.

A condition is `{"attribute": "organisation", "op": "in", "value": ["acme"]}`. An attribute that is
absent or null satisfies no condition, the negative ones included: what is not known decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from operator import ge, gt, le, lt
from typing import Any, Final

from assent_client.patterns import compile_pattern

MAX_VERSION: Final = 128
"""Characters of a semantic version; longer ones satisfy nothing."""

Predicate = Callable[[Any], bool]
_HASH_BYTES: Final = 16
# As tuples: isinstance would build `str | int | float` anew in each decision.
_SCALARS: Final = (str, int, float)
_NUMBERS: Final = (int, float)
_MANY: Final = (list, tuple, set, frozenset)
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def compile_condition(operation: Any, value: Any) -> Predicate:
    """Turn one condition into a predicate on the attribute's value.

    Raises: ValueError for an unknown operation or a value it cannot use.
    """
    maker = OPERATIONS.get(operation) if isinstance(operation, str) else None
    if maker is None:
        raise ValueError(f"no operation is called {operation!r}; there are {', '.join(sorted(OPERATIONS))}")
    return maker(value)


def _typed(value: Any) -> tuple[str, Any]:
    """Keep true apart from 1: JSON does, Python's equality does not."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, _NUMBERS):
        return ("number", value)
    if isinstance(value, str):
        return ("text", value)
    raise ValueError(f"{value!r} is not a text, number or boolean")


def _same(value: Any, wanted: tuple[str, Any]) -> bool:
    return isinstance(value, _SCALARS) and _typed(value) == wanted


def _is_in(value: Any, members: frozenset[tuple[str, Any]]) -> bool:
    if isinstance(value, _MANY):
        return any(_is_in(item, members) for item in value if isinstance(item, _SCALARS))
    return isinstance(value, _SCALARS) and _typed(value) in members


def _members(value: Any) -> frozenset[tuple[str, Any]]:
    if not isinstance(value, list) or not value:
        raise ValueError("a list of values that is not empty is needed")
    return frozenset(map(_typed, value))


def _in(value: Any) -> Predicate:
    members, listed = _members(value), frozenset(value)
    return lambda attribute: attribute in listed if type(attribute) is str else _is_in(attribute, members)


def _not_in(value: Any) -> Predicate:
    is_in = _in(value)
    return lambda attribute: not is_in(attribute)


def _equals(value: Any) -> Predicate:
    wanted = _typed(value)
    return lambda attribute: attribute == value if type(attribute) is str else _same(attribute, wanted)


def _not_equals(value: Any) -> Predicate:
    equals = _equals(value)
    return lambda attribute: not equals(attribute)


def hash_member(key: str, text: str) -> str:
    """Hash one entry of a list whose entries must not be read: blake2b with a key, 16 bytes, in hex."""
    encoded = text.encode("utf-8", "surrogatepass")
    return blake2b(encoded, key=bytes.fromhex(key), digest_size=_HASH_BYTES).hexdigest()


def _hashed(value: Any) -> tuple[str, frozenset[str]]:
    if not isinstance(value, Mapping) or value.keys() != {"key", "hashes"}:
        raise ValueError("an object with key and hashes is needed")
    key, hashes = value["key"], value["hashes"]
    if not isinstance(hashes, list) or not hashes or not all(isinstance(one, str) for one in hashes):
        raise ValueError("hashes is a list of texts that is not empty")
    if not isinstance(key, str) or not re.fullmatch(r"(?:[0-9a-f]{2}){16,64}", key):
        raise ValueError("key has 16 to 64 bytes in hex")
    return key, frozenset(hashes)


def _is_hashed(value: Any, key: str, hashes: frozenset[str]) -> bool:
    if isinstance(value, _MANY):
        return any(isinstance(item, str) and hash_member(key, item) in hashes for item in value)
    return isinstance(value, str) and hash_member(key, value) in hashes


def _in_hashed(value: Any) -> Predicate:
    key, hashes = _hashed(value)
    return lambda attribute: _is_hashed(attribute, key, hashes)


def _not_in_hashed(value: Any) -> Predicate:
    key, hashes = _hashed(value)
    return lambda attribute: not _is_hashed(attribute, key, hashes)


def _matches(value: Any) -> Predicate:
    if not isinstance(value, str):
        raise ValueError("a pattern is a text")  # noqa: TRY004 -- all faults of a document are one kind of error
    test = compile_pattern(value)
    return lambda attribute: isinstance(attribute, str) and test(attribute)


def _prefix(value: Any) -> Predicate:
    return _affix(value, str.startswith)


def _suffix(value: Any) -> Predicate:
    return _affix(value, str.endswith)


def _affix(value: Any, test: Callable[[str, tuple[str, ...]], bool]) -> Predicate:
    affixes = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if not affixes or not all(isinstance(affix, str) and affix for affix in affixes):
        raise ValueError("a text, or a list of texts, is needed")
    return lambda attribute: isinstance(attribute, str) and test(attribute, affixes)


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Compare by a key that both sides are read to; what cannot be read satisfies nothing."""

    compare: Callable[[Any, Any], bool]
    read: Callable[[Any], Any]
    form: str

    def __call__(self, value: Any) -> Predicate:
        bound = self.read(value)
        if bound is None:
            raise ValueError(f"{value!r} is not {self.form}")
        return partial(self._test, bound)

    def _test(self, bound: Any, attribute: Any) -> bool:
        read = self.read(attribute)
        return read is not None and self.compare(read, bound)


def _number(value: Any) -> float | int | None:
    return None if isinstance(value, bool) or not isinstance(value, _NUMBERS) else value


def _moment(value: Any) -> datetime | None:
    """Read RFC 3339; a date alone is its midnight in UTC, a time without a zone is nothing."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        is_date = isinstance(value, str) and "T" not in value and " " not in value and ":" not in value
        return moment.replace(tzinfo=UTC) if is_date else None
    return moment


def semver_key(text: Any) -> tuple[Any, ...] | None:
    """Give a key that sorts as Semantic Versioning 2.0 does, or None for what is no version.

    Source: semver.org, item 11: numbers below texts, a pre-release below its release, build ignored.
    """
    match = _SEMVER.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_VERSION else None
    if match is None:
        return None
    major, minor, patch, pre = match.groups()
    identifiers = tuple((0, int(i), "") if i.isdigit() else (1, 0, i) for i in pre.split(".")) if pre else ()
    return (int(major), int(minor), int(patch), not pre, identifiers)


def _same_version(left: Any, right: Any) -> bool:
    return bool(left == right)


_FORMS: Final = (("", _number, "a number"), ("semver_", semver_key, "a semantic version"))
OPERATIONS: Final[Mapping[str, Callable[[Any], Predicate]]] = {
    "in": _in,
    "not_in": _not_in,
    "equals": _equals,
    "not_equals": _not_equals,
    "in_hashed": _in_hashed,
    "not_in_hashed": _not_in_hashed,
    "matches": _matches,
    "prefix": _prefix,
    "suffix": _suffix,
    "semver_eq": _Ordered(_same_version, semver_key, "a semantic version"),
    **{
        f"{prefix}{test.__name__}": _Ordered(test, read, form)
        for prefix, read, form in _FORMS
        for test in (lt, le, gt, ge)
    },
    "before": _Ordered(lt, _moment, "a date with a time zone"),
    "after": _Ordered(ge, _moment, "a date with a time zone"),
}
