"""Schemas of variables: checked at registration, applied to what a caller gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from assent.kernel.errors import Invalid, Reason
from assent.prompts.domain import response_schema

MAX_DEPTH = 40


def examine(document: Mapping[str, Any]) -> list[Reason]:
    """List what is wrong with the schemas of a document, and the defaults that do not fit theirs."""
    mistakes: list[Reason] = []
    for where, schema in _schemas(document):
        if problem := _problem(schema):
            mistakes.append(Reason(where, f"{where} is no JSON Schema: {problem}"))
    if mistakes:
        return mistakes
    for name, declared in (document.get("variables") or {}).items():
        if "default" in declared and (wrong := _misfit(declared["schema"], declared["default"])):
            where = f"variables.{name}.default"
            mistakes.append(Reason(where, f"{where} does not fit its schema: {wrong}"))
    return mistakes


def _schemas(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, declared in (document.get("variables") or {}).items():
        yield f"variables.{name}.schema", declared["schema"]
    for index, tool in enumerate(document.get("tools") or ()):
        yield f"tools[{index}].function.parameters", tool["function"].get("parameters") or {}
    shape = response_schema(document)
    if shape is not None:
        yield "response_format.json_schema.schema", shape


def _problem(schema: Any) -> str | None:
    """Say what is wrong; references may not leave the document, for nothing is ever fetched."""
    stack = [(schema, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_DEPTH:
            return f"it is nested more than {MAX_DEPTH} deep"
        if isinstance(value, Mapping):
            for key in ("$ref", "$dynamicRef"):
                if isinstance(value.get(key), str) and not value[key].startswith("#"):
                    return f"{key} leads outside: {value[key][:100]!r}"
            stack += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            stack += [(item, depth + 1) for item in value]
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return error.message[:300]
    return None


def _misfit(schema: Mapping[str, Any], value: Any) -> str | None:
    """Say why a value does not fit; a schema that cannot be applied fits nothing."""
    try:
        error = next(Draft202012Validator(schema).iter_errors(value), None)
    except Exception as unusable:  # noqa: BLE001 -- a dangling or circular reference raises what the library likes
        return f"the schema cannot be applied ({type(unusable).__name__})"
    return None if error is None else error.message[:300]


def filled(declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Add defaults to what a caller gives; what is optional and absent is None.

    Raises: Invalid with every variable that is missing, unknown or out of its schema.
    """
    reasons = [
        Reason(name, f"{name} is missing", f"Give a value for {name}.")
        for name, one in declared.items()
        if one.get("required", "default" not in one) and name not in given and "default" not in one
    ]
    known = ", ".join(sorted(declared)) or "none"
    reasons += [
        Reason(str(name)[:64], f"{str(name)[:64]} is not declared; the prompt's variables: {known}")
        for name in sorted(given.keys() - declared.keys(), key=str)
    ]
    for name in declared.keys() & given.keys():
        if wrong := _misfit(declared[name].get("schema") or {}, given[name]):
            reasons.append(Reason(name, f"{name} does not fit its schema: {wrong}"))
    if reasons:
        told = "; ".join(reason.message for reason in reasons)
        raise Invalid(f"The variables do not fit the prompt: {told}.", reasons=reasons)
    defaults = {name: one.get("default") for name, one in declared.items()}
    return {**defaults, **given}
