"""A prompt's document: what an author writes, checked and written out in one form.

{"kind":"prompt","project","name","format":"text|chat","syntax":"jinja|simple","messages":[{"role","content"}],
"variables":{name:{"schema":{…},"required":bool,"default":…}},"tools":[…],"response_format":…,"parameters":{…}}
A message may be {"placeholder": name, "required": bool}: a list of messages that the caller gives. What
`fragments` put into it stands there in full; `fragments` and `source` then say what it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from assent.kernel.errors import Invalid, Reason

MAX_DOCUMENT_BYTES = 1_000_000
MAX_MESSAGES = 200
MAX_VARIABLES = 200
MAX_TOOLS = 200
MAX_TAGS = 32
ROLES = ("system", "developer", "user", "assistant", "tool")
SYNTAXES = ("jinja", "simple")
FORMATS = ("text", "chat")
TAG = re.compile(r"[a-z0-9][a-z0-9._:-]{0,62}\Z")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
RESERVED = frozenset(
    {"loop", "self", "super", "true", "false", "none", "True", "False", "None"}
    | {"and", "or", "not", "in", "is", "if", "else", "elif", "for", "set"}
)
"""Words that a template cannot read as a variable."""
_FUNCTION = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_FIELDS = frozenset(
    {"kind", "project", "name", "format", "syntax", "text", "messages", "variables", "tools"}
    | {"response_format", "parameters", "tags", "description"}
)
_PLACEHOLDER_FIELDS = frozenset({"placeholder", "required"})
PLACEHOLDER_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "maxItems": 200,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"enum": ["user", "assistant", "tool"]},
            "content": {"type": ["string", "array", "null"]},
        },
    },
}
"""What a caller may put in the place of a placeholder: never a system or developer message."""
_MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
_VARIABLE_FIELDS = frozenset({"schema", "required", "default", "description"})
_NOT_PARAMETERS = frozenset({"model", "messages", "stream", "stream_options", "tools", "response_format"})

Mistakes = list[Reason]


def parse_prompt(raw: Mapping[str, Any], *, project: str, name: str) -> dict[str, Any]:
    """Check what an author wrote and give the document. Raises: Invalid with every mistake."""
    mistakes: Mistakes = []
    for key in sorted(raw.keys() - _FIELDS, key=str):
        _add(
            mistakes, str(key), f"there is no field {str(key)[:80]!r}; there are {', '.join(sorted(_FIELDS))}"
        )
    for key, own in (("kind", "prompt"), ("project", project), ("name", name)):
        if raw.get(key, own) != own:
            _add(mistakes, key, f"{key} must be {own!r}")
    kind = "chat" if raw.get("messages") is not None else "text"
    messages = _messages(raw, mistakes)
    document: dict[str, Any] = {
        "kind": "prompt",
        "project": project,
        "name": name,
        "format": _one_of(raw.get("format", kind), FORMATS, "format", mistakes),
        "syntax": _one_of(raw.get("syntax", "jinja"), SYNTAXES, "syntax", mistakes),
        "messages": messages,
        "variables": {**_variables(raw.get("variables"), mistakes), **_placed(messages, raw, mistakes)},
        "tools": _tools(raw.get("tools"), mistakes),
        "response_format": _response_format(raw.get("response_format"), mistakes),
        "parameters": _parameters(raw.get("parameters"), mistakes),
    }
    if kind == "text" and document["format"] == "chat":
        _add(mistakes, "format", "a chat prompt has messages: give them, or leave `format` out")
    if document["format"] == "text" and (len(messages) > 1 or placeholders_of(document)):
        _add(mistakes, "format", "a text prompt has one message: write `format: chat`, or leave `format` out")
    if tags := tags_of(raw.get("tags"), mistakes):
        document["tags"] = tags
    if description := _text_or_none(raw.get("description"), "description", mistakes):
        document["description"] = description
    refuse(mistakes, "prompt", name)
    return document


def refuse(mistakes: Mistakes, noun: str, name: str) -> None:
    """Raise Invalid that names every mistake, if there is one."""
    if not mistakes:
        return
    told = mistakes[0].message if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    raise Invalid(f"The {noun} {name} cannot be registered: {told}.", reasons=mistakes)


def tags_of(value: Any, mistakes: Mistakes) -> list[str]:
    """Read tags: sorted, each once."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(tag, str) and TAG.match(tag) for tag in value):
        _add(mistakes, "tags", "tags must be a list of texts of a-z, 0-9 and . _ : -")
        return []
    if len(value) > MAX_TAGS:
        _add(mistakes, "tags", f"there are {len(value)} tags; {MAX_TAGS} are allowed")
    return sorted(set(value))


def texts_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the templates of a document with their places, such as `messages[1].content`."""
    for index, message in enumerate(document.get("messages") or ()):
        content = message.get("content")
        if isinstance(content, str):
            yield f"messages[{index}].content", content
        elif isinstance(content, list):
            for number, part in enumerate(content):
                if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                    yield f"messages[{index}].content[{number}].text", part["text"]


def placeholders_of(document: Mapping[str, Any]) -> list[str]:
    """List the names of the places where a caller's messages go."""
    return [one["placeholder"] for one in document.get("messages") or () if "placeholder" in one]


def _add(mistakes: Mistakes, where: str, message: str, remedy: str = "") -> None:
    mistakes.append(Reason(where, message, remedy))


def _one_of(value: Any, allowed: tuple[str, ...], where: str, mistakes: Mistakes) -> str:
    if value in allowed:
        return str(value)
    _add(mistakes, where, f"{where} must be one of {', '.join(allowed)}")
    return allowed[0]


def _text_or_none(value: Any, where: str, mistakes: Mistakes) -> str | None:
    if value is None or isinstance(value, str):
        return value
    _add(mistakes, where, f"{where} must be text")
    return None


def _messages(raw: Mapping[str, Any], mistakes: Mistakes) -> list[dict[str, Any]]:
    text, messages = raw.get("text"), raw.get("messages")
    if messages is None:
        if isinstance(text, str) and text.strip():
            return [{"role": "system", "content": text}]
        if raw.get("format") == "text" or text is not None:
            _add(mistakes, "text", "text must be the prompt's text")
        else:
            _add(mistakes, "messages", "give `text`, or `messages` with role and content")
        return []
    if text is not None:
        _add(mistakes, "text", "give `text` or `messages`, not both")
    if not isinstance(messages, list) or not messages or len(messages) > MAX_MESSAGES:
        _add(mistakes, "messages", f"messages must be a list of 1 to {MAX_MESSAGES} messages")
        return []
    return [_message(one, f"messages[{index}]", mistakes) for index, one in enumerate(messages)]


def _message(value: Any, where: str, mistakes: Mistakes) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        _add(mistakes, where, f"{where} must be a mapping with role and content")
        return {}
    if "placeholder" in value:
        return _placeholder(value, where, mistakes)
    for key in sorted(value.keys() - _MESSAGE_FIELDS, key=str):
        _add(mistakes, f"{where}.{key}", f"{where} has no field {str(key)[:80]!r}")
    _one_of(value.get("role"), ROLES, f"{where}.role", mistakes)
    content = value.get("content")
    parts = isinstance(content, list) and content and all(_is_part(part) for part in content)
    calls = content is None and value.get("tool_calls")
    if not (isinstance(content, str) or parts or calls):
        _add(mistakes, f"{where}.content", f"{where}.content must be text, or a list of parts with a type")
    return dict(value)


def _placeholder(value: Mapping[str, Any], where: str, mistakes: Mistakes) -> dict[str, Any]:
    name, required = value["placeholder"], value.get("required", True)
    for key in sorted(value.keys() - _PLACEHOLDER_FIELDS, key=str):
        _add(mistakes, f"{where}.{key}", f"{where} is a placeholder and has no field {str(key)[:80]!r}")
    if not isinstance(name, str) or not VARIABLE.match(name) or name in RESERVED:
        _add(mistakes, f"{where}.placeholder", f"{str(name)[:80]!r} cannot be the name of a placeholder")
        return {}
    if not isinstance(required, bool):
        _add(mistakes, f"{where}.required", f"{where}.required must be true or false")
    return {"placeholder": name, "required": required}


def _placed(
    messages: list[dict[str, Any]], raw: Mapping[str, Any], mistakes: Mistakes
) -> dict[str, dict[str, Any]]:
    """Declare the variable of each placeholder; an author need not, and cannot declare it otherwise."""
    written, found = raw.get("variables"), dict[str, dict[str, Any]]()
    for index, message in enumerate(messages):
        name = message.get("placeholder")
        if name is None:
            continue
        declared: dict[str, Any] = {"schema": PLACEHOLDER_SCHEMA, "required": message["required"]}
        if message["required"] is False:
            declared["default"] = []
        if name in found:
            _add(mistakes, f"messages[{index}]", f"there are two placeholders called {name}")
        if isinstance(written, Mapping) and written.get(name, declared) != declared:
            text = f"variables.{name} is a placeholder's, which declares it: leave it out"
            _add(mistakes, f"variables.{name}", text)
        found[name] = declared
    return found


def _is_part(part: Any) -> bool:
    return (
        isinstance(part, Mapping)
        and isinstance(part.get("type"), str)
        and (part["type"] != "text" or isinstance(part.get("text"), str))
    )


def _variables(value: Any, mistakes: Mistakes) -> dict[str, dict[str, Any]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_VARIABLES:
        _add(mistakes, "variables", f"variables must be a mapping of at most {MAX_VARIABLES} names")
        return {}
    found = {}
    for name, declared in value.items():
        where = f"variables.{name}"
        if not isinstance(name, str) or not VARIABLE.match(name) or name in RESERVED:
            _add(mistakes, where[:100], f"{str(name)[:80]!r} cannot be the name of a variable")
        else:
            found[name] = _variable(declared, where, mistakes)
    return found


def _variable(declared: Any, where: str, mistakes: Mistakes) -> dict[str, Any]:
    if declared is None:
        declared = {}
    if not isinstance(declared, Mapping):
        _add(mistakes, where, f"{where} must be a mapping of {', '.join(sorted(_VARIABLE_FIELDS))}")
        return {"schema": {}, "required": True}
    for key in sorted(declared.keys() - _VARIABLE_FIELDS, key=str):
        _add(mistakes, f"{where}.{key}", f"{where} has no field {str(key)[:80]!r}; write {key!r} in `schema`")
    schema, required = declared.get("schema", {}), declared.get("required", "default" not in declared)
    if not isinstance(schema, Mapping):
        _add(mistakes, f"{where}.schema", f"{where}.schema must be a JSON Schema, a mapping")
    if not isinstance(required, bool):
        _add(mistakes, f"{where}.required", f"{where}.required must be true or false")
    if required is True and "default" in declared:
        _add(mistakes, where, f"{where} is required, so its default would never be used: drop one of the two")
    kept = {key: declared[key] for key in ("default", "description") if key in declared}
    return {"schema": schema, "required": required, **kept}


def _tools(value: Any, mistakes: Mistakes) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_TOOLS:
        _add(mistakes, "tools", f"tools must be a list of at most {MAX_TOOLS} tools")
        return []
    seen = set[str]()
    for index, tool in enumerate(value):
        where, name = f"tools[{index}]", tool_name(tool)
        if name is None:
            _add(mistakes, where, f'{where} must read {{"type": "function", "function": {{"name": …}}}}')
        elif name in seen:
            _add(mistakes, where, f"{where}: there are two tools called {name}")
        else:
            seen.add(name)
    return list(value)


def tool_name(tool: Any) -> str | None:
    """Give the name of a tool; None for what is no tool."""
    function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
    if not isinstance(function, Mapping) or not isinstance(function.get("parameters", {}), Mapping):
        return None
    name = function.get("name")
    return name if isinstance(name, str) and _FUNCTION.match(name) else None


def _response_format(value: Any, mistakes: Mistakes) -> dict[str, Any] | None:
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind in {"text", "json_object"}:
        return dict(value)
    if kind == "json_schema" and response_schema({"response_format": value}) is not None:
        return dict(value)
    need = 'the type text, json_object, or json_schema with {"json_schema": {"schema": …}}'
    _add(mistakes, "response_format", f"response_format must have {need}")
    return None


def response_schema(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Give the JSON Schema of the answers, where the prompt asks for one."""
    shape = document.get("response_format")
    named = shape.get("json_schema") if isinstance(shape, Mapping) else None
    schema = named.get("schema") if isinstance(named, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def _parameters(value: Any, mistakes: Mistakes) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _add(mistakes, "parameters", "parameters must be a mapping")
        return {}
    for key in sorted(value.keys() & _NOT_PARAMETERS):
        _add(mistakes, f"parameters.{key}", f"{key} is not a parameter: it has its own place")
    return dict(value)
