"""Render the messages of a prompt document with a request's variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jsonschema import Draft202012Validator

from assent_client.calls.refusals import Refusal, listed

Render = Callable[[Mapping[str, Any]], str]
_SIMPLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_encode = msgspec.json.encode


def _environment() -> ImmutableSandboxedEnvironment:
    # Templates make text for a model, not HTML: escaping would change what was approved.
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )


ENVIRONMENT = _environment()


class Variables:
    """The declared variables of a prompt: which are required, their schemas and defaults."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        self._names = frozenset(declared)
        self._defaults = {name: d["default"] for name, d in declared.items() if "default" in d}
        self._required = [n for n, d in declared.items() if d.get("required", "default" not in d)]
        self._checks = {n: _check(d["schema"]) for n, d in declared.items() if d.get("schema")}

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Merge defaults with what the request gives.

        Raises: Refusal (422) that names every variable that is missing, unknown or out of its schema.
        """
        missing = [name for name in self._required if name not in given and name not in self._defaults]
        unknown = sorted(given.keys() - self._names)
        wrong = [name for name, fits in self._checks.items() if name in given and not fits(given[name])]
        if missing or unknown or wrong:
            raise _variables_refusal(missing, unknown, wrong)
        return {**dict.fromkeys(self._names), **self._defaults, **given}


class VariablesRefused(Refusal):
    """Variables are missing, unknown or out of their schema; `found` says which."""

    def __init__(self, code: str, found: str) -> None:
        self.found = found
        message = f'Template variables {found}. Send them as extra_body={{"assent": {{"variables": {{…}}}}}}.'
        super().__init__(422, code, message, "assent.variables")


def _variables_refusal(missing: list[str], unknown: list[str], wrong: list[str]) -> Refusal:
    groups = (("missing", missing), ("not declared by the prompt", unknown), ("out of their schema", wrong))
    found = "; ".join(f"{what}: {listed(names)}" for what, names in groups if names)
    code = "missing_variables" if missing else "invalid_variables"
    return VariablesRefused(code, found)


def _check(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    types = _TYPES.get(schema.get("type", "")) if schema.keys() == {"type"} else None
    if types is None:
        return Draft202012Validator(schema).is_valid
    if bool in types:
        return lambda value: isinstance(value, bool)
    return lambda value: isinstance(value, types) and not isinstance(value, bool)


class Messages:
    """A prompt's messages, compiled; rendered to JSON objects joined by commas."""

    def __init__(self, prompt: Mapping[str, Any] | None, *, as_blocks: bool = False) -> None:
        """Compile; raises ValueError that names the message and line of a fault.

        `as_blocks` gives the messages' texts as blocks, without roles.
        """
        document = prompt or {}
        compile_one = _compile_blocks if as_blocks else _compile
        self._variables = Variables(document.get("variables") or {})
        simple = document.get("syntax") == "simple"
        self._messages = [
            compile_one(message, number, simple=simple)
            for number, message in enumerate(document.get("messages") or (), 1)
        ]
        self._fixed: bytes | None = None
        if not document.get("variables"):
            self._fixed = self._render({})

    def render(self, given: Mapping[str, Any]) -> bytes:
        """Give the messages with these variables.

        Raises: Refusal (422).
        """
        if self._fixed is not None and not given:
            return self._fixed
        return self._render(self._variables.resolve(given))

    def _render(self, variables: Mapping[str, Any]) -> bytes:
        try:
            return b",".join(filter(None, (message(variables) for message in self._messages)))
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise Refusal(
                422, "template_failed", f"The prompt cannot be rendered: {error}", "assent.variables"
            ) from None


def _compile(
    message: Mapping[str, Any], number: int, *, simple: bool
) -> Callable[[Mapping[str, Any]], bytes]:
    content, name = message.get("content"), message.get("placeholder")
    if name is not None:  # the caller's messages; the variable's schema says which
        return lambda variables: b",".join(_encode(one) for one in variables[name] or ())
    if isinstance(content, str):
        render = _text(content, number, simple=simple)
        return lambda variables: _encode({**message, "content": render(variables)})
    if isinstance(content, list):
        parts = [_part(part, number, simple=simple) for part in content]
        return lambda variables: _encode({**message, "content": [part(variables) for part in parts]})
    fixed = _encode(message)
    return lambda variables: fixed  # noqa: ARG005 -- every message is called alike


def _compile_blocks(
    message: Mapping[str, Any], number: int, *, simple: bool
) -> Callable[[Mapping[str, Any]], bytes]:
    content = message.get("content")
    texts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in texts):
        raise ValueError(f"message {number} holds more than text, which cannot stand in `system`")
    parts = [_part({"type": "text", "text": part["text"]}, number, simple=simple) for part in texts]
    return lambda variables: b",".join(_encode(part(variables)) for part in parts)


def _part(part: Any, number: int, *, simple: bool) -> Callable[[Mapping[str, Any]], Any]:
    if not isinstance(part, dict) or not isinstance(part.get("text"), str):
        return lambda variables: part  # noqa: ARG005 -- every part is called alike
    render = _text(part["text"], number, simple=simple)
    return lambda variables: {**part, "text": render(variables)}


def _text(text: str, number: int, *, simple: bool) -> Render:
    if simple:
        return lambda variables: _SIMPLE.sub(lambda match: _plain(variables, match[1]), text)
    try:
        return ENVIRONMENT.from_string(text).render
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ValueError(f"message {number}, line {line}: {error}") from None


def _plain(variables: Mapping[str, Any], name: str) -> str:
    if name not in variables:
        raise LookupError(f"{name!r} is not declared")
    value = variables[name]
    return value if isinstance(value, str) else "" if value is None else _encode(value).decode()
