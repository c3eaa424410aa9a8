"""Write what a version fixes, in chat completions' words, in the words of other forms of request.

What a form cannot carry is an error and never left out: what is served is what was approved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Object = Mapping[str, Any]
_LENGTHS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_NEVER_IN_RESPONSES: Final = frozenset(
    {
        "n", "best_of", "stop", "seed", "frequency_penalty", "presence_penalty", "repetition_penalty",
        "logit_bias", "logprobs", "functions", "function_call", "modalities", "audio", "prediction",
        "web_search_options",
    }
)  # fmt: skip
_IN_MESSAGES: Final = frozenset(
    {
        "temperature", "top_p", "top_k", "thinking", "service_tier", "stop_sequences", "output_config",
        "output_format", "container", "mcp_servers", "context_management", "metadata",
    }
)  # fmt: skip
_GUIDES: Final = frozenset({"system", "developer"})


def for_responses(parameters: Object) -> dict[str, Any]:
    """Write parameters for `/v1/responses`. Raises: ValueError."""
    found: dict[str, Any] = {}
    for key, value in parameters.items():
        if key in _NEVER_IN_RESPONSES:
            raise ValueError(f"it fixes {key}, which the responses form cannot carry")
        if key in _LENGTHS:
            found["max_output_tokens"] = value
        elif key == "reasoning_effort":
            found["reasoning"] = {**found.get("reasoning", {}), "effort": value}
        elif key == "verbosity":
            found["text"] = {**found.get("text", {}), "verbosity": value}
        elif key == "response_format":
            found["text"] = {**found.get("text", {}), "format": _flat(value, "json_schema")}
        elif key == "tools":
            found["tools"] = [_flat(tool, "function") for tool in value]
        elif key == "tool_choice":
            found["tool_choice"] = _flat(value, "function") if isinstance(value, Mapping) else value
        else:
            found[key] = value
    return found


def _flat(value: Object, key: str) -> dict[str, Any]:
    """Lift what stands under `key` beside the type."""
    inner = value.get(key)
    if not isinstance(inner, Mapping):
        return dict(value)
    return {**{name: one for name, one in value.items() if name != key}, **inner}


def opened_for_responses(bounds: Mapping[str, Object]) -> dict[str, Object]:
    """Write what is open for `/v1/responses`; a bound on a part of an object opens nothing."""
    found = {("max_output_tokens" if key in _LENGTHS else key): bound for key, bound in bounds.items()}
    for key, whole in (("response_format", "text"), ("verbosity", "text"), ("reasoning_effort", "reasoning")):
        if found.get(key) == {}:
            found.setdefault(whole, {})
    return found


def for_messages(parameters: Object) -> dict[str, Any]:
    """Write parameters for `/v1/messages`. Raises: ValueError."""
    found: dict[str, Any] = {}
    for key, value in parameters.items():
        if key in _LENGTHS:
            found["max_tokens"] = value
        elif key == "stop":
            found["stop_sequences"] = [value] if isinstance(value, str) else value
        elif key == "tools":
            found["tools"] = [_anthropic_tool(tool) for tool in value]
        elif key == "tool_choice":
            found["tool_choice"] = _anthropic_choice(value)
        elif key in _IN_MESSAGES:
            found[key] = value
        else:
            raise ValueError(f"it fixes {key}, which the messages form cannot carry")
    return found


def opened_for_messages(bounds: Mapping[str, Object]) -> dict[str, Object]:
    """Write what is open for `/v1/messages`."""
    names = {**dict.fromkeys(_LENGTHS, "max_tokens"), "stop": "stop_sequences"}
    return {names.get(key, key): bound for key, bound in bounds.items()}


def _anthropic_tool(tool: Object) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return dict(tool)
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    described = {key: function[key] for key in ("name", "description") if key in function}
    return {**described, "input_schema": schema}


def _anthropic_choice(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        function = value.get("function")
        return {"type": "tool", "name": function["name"]} if isinstance(function, Mapping) else dict(value)
    return {"type": {"required": "any"}.get(value, value)}


def prompt_for_responses(prompt: Object) -> dict[str, Any]:
    """Write a prompt's messages as items. Raises: ValueError."""
    return {**prompt, "messages": [_item(n, message) for n, message in enumerate(_messages(prompt), 1)]}


def _item(number: int, message: Object) -> Object:
    if "placeholder" in message:
        return message
    _plain_turn(number, message, _GUIDES | {"user", "assistant"})
    kind = "output_text" if message["role"] == "assistant" else "input_text"

    def image(url: str, part: Object) -> dict[str, Any]:
        detail = {key: part["image_url"][key] for key in ("detail",) if key in part["image_url"]}
        return {"type": "input_image", "image_url": url, **detail}

    return {**message, "content": _parts(number, message["content"], kind, image)}


def prompts_for_messages(prompt: Object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a prompt into what goes to `system` and the turns. Raises: ValueError."""
    guides: list[Object] = []
    turns: list[Object] = []
    for number, message in enumerate(_messages(prompt), 1):
        if message.get("role") in _GUIDES:
            guides.append(message)
        elif "placeholder" in message:
            turns.append(message)
        else:
            _plain_turn(number, message, frozenset({"user", "assistant"}))
            turns.append({**message, "content": _parts(number, message["content"], "text", _anthropic_image)})
    return {**prompt, "messages": guides}, {**prompt, "messages": turns}


def _messages(prompt: Object) -> Sequence[Object]:
    return prompt.get("messages") or ()


def _plain_turn(number: int, message: Object, roles: frozenset[str]) -> None:
    if message.get("role") not in roles or message.get("tool_calls") or message.get("content") is None:
        raise ValueError(f"message {number} of its prompt has no like in this form of request")


def _parts(number: int, content: Any, kind: str, image: Callable[[str, Object], Object]) -> Any:
    if isinstance(content, str):
        return content
    found: list[Object] = []
    for part in content:
        if part.get("type") == "text":
            found.append({"type": kind, "text": part["text"]})
        elif part.get("type") == "image_url":
            found.append(image(part["image_url"]["url"], part))
        else:
            raise ValueError(f"message {number} of its prompt has a part {part.get('type')!r} without a like")
    return found


def _anthropic_image(url: str, _part: Object) -> dict[str, Any]:
    head, comma, content = url.partition(";base64,")
    if comma and head.startswith("data:"):
        return {"type": "image", "source": {"type": "base64", "media_type": head[5:], "data": content}}
    return {"type": "image", "source": {"type": "url", "url": url}}
