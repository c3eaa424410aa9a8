"""The scorer of answers that must be JSON of a schema."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import SchemaError
from jsonschema.validators import extend
from referencing import Registry

from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, Unscorable
from assent.evaluation.scorers.patterns import TIME_LIMIT_S, Pattern
from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid


class _Deadline:
    at = 0.0


def _timed(keyword: Callable[..., Any], deadline: _Deadline) -> Callable[..., Any]:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        if time.monotonic() > deadline.at:
            raise Unscorable(f"the JSON schema took longer than {TIME_LIMIT_S} s on this answer")
        return keyword(validator, value, instance, schema)

    return check


def _schema_pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Any:
    if isinstance(instance, str) and not Pattern(pattern).found(instance):
        yield jsonschema.ValidationError(f"does not match {pattern!r}")


def _schema_unique(_validator: Any, wanted: bool, instance: Any, _schema: Any) -> Any:  # noqa: FBT001 -- jsonschema's signature
    # jsonschema compares each with each where items do not sort; a long answer would take minutes.
    if wanted and isinstance(instance, list) and len({canonical(one) for one in instance}) < len(instance):
        yield jsonschema.ValidationError("has equal items")


def json_schema(config: Fields) -> Scorer:
    """Score 1 where the answer is JSON that the schema admits; `fenced`: it may stand in a code block."""
    schema = config.raw("schema")
    fenced = Pattern(r"(?s)```(?:json)?\s*\n(.*?)```") if config.flag("fenced", default=False) else None
    if not isinstance(schema, Mapping):
        config.wrong("schema", "is missing or not a mapping")
        return lambda _case: 0.0
    for place in _schema_faults(schema):
        config.wrong("schema", place)
    deadline = _Deadline()
    base = jsonschema.Draft202012Validator
    keywords = {name: _timed(check, deadline) for name, check in base.VALIDATORS.items()}
    own = {"pattern": _timed(_schema_pattern, deadline), "uniqueItems": _timed(_schema_unique, deadline)}
    # An empty registry: a schema never makes the worker fetch an address.
    validator = extend(base, keywords | own)(  # type: ignore[no-untyped-call]  # it ships no types
        dict(schema), registry=Registry()
    )

    def score(case: Case) -> float:
        text = case.answer if fenced is None else fenced.pick(case.answer, last=True) or case.answer
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return 0.0
        deadline.at = time.monotonic() + TIME_LIMIT_S
        try:
            return float(validator.is_valid(value))
        except (RecursionError, Invalid) as error:
            raise Unscorable(f"the JSON schema could not be applied: {error}") from error

    return score


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _schema_faults(schema: Mapping[str, Any]) -> list[str]:
    faults = []
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        faults.append(f"is not a JSON schema: {getattr(error, 'message', error)}")
        return faults
    waiting: list[Any] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            faults += [
                f"refers to {value[name]!r}; only references within it (#/…) are followed"
                for name in ("$ref", "$dynamicRef")
                if isinstance(value.get(name), str) and not value[name].startswith("#")
            ]
            faults += ["patternProperties is not supported"] if "patternProperties" in value else []
            faults += _pattern_faults(value.get("pattern"))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return faults


def _pattern_faults(pattern: Any) -> list[str]:
    if not isinstance(pattern, str):
        return []
    try:
        Pattern(pattern)
    except Invalid as error:
        return [error.message]
    return []
