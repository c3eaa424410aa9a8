"""The other forms of request: responses, embeddings, and Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from assent_client.calls import forms
from assent_client.calls.edit import GOVERNED, Ask, Editor, malformed
from assent_client.calls.prompting import Messages
from assent_client.calls.refusals import Refusal

_encode = msgspec.json.encode
_NULL: Final = b"null"
_ELSEWHERE: Final = "previous_response_id"
_decode_any = msgspec.json.Decoder().decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Item(msgspec.Struct):
    type: str | None = None


_decode_kinds = msgspec.json.Decoder(list[_Item]).decode


class ResponsesEditor(Editor):
    """`/v1/responses`: what guides the model stands in `instructions` and in items.

    What an earlier answer or a stored prompt would bring in is governed: no approval has seen it.
    """

    GOVERNED: ClassVar[frozenset[str]] = GOVERNED | {
        "max_output_tokens", "max_tool_calls", "text", "truncation", "prompt", _ELSEWHERE, "conversation",
        "background", "context_management",
    }  # fmt: skip
    OURS: ClassVar[frozenset[str]] = frozenset({"model", "input", "instructions", "assent"})
    ROLES: ClassVar[frozenset[str | None]] = frozenset({"user", "assistant", "system", "developer", None})
    _key = "input"

    def _compile_prompt(self, prompt: Mapping[str, Any]) -> None:
        self._messages = Messages(forms.prompt_for_responses(prompt))

    def _pinned(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return forms.for_responses(parameters)

    def _opened(self, bounds: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        return forms.opened_for_responses(bounds)

    def _content(self, ask: Ask) -> bytes:
        own = self._messages.render(ask.extras.variables)
        instructions = self._instructions(ask.fields.get("instructions", _NULL))
        theirs = self._input(ask.fields.get("input"))
        start = b""
        if instructions and own:
            own += b',{"role":"developer","content":' + instructions + b"}"
        elif instructions:
            start = b',"instructions":' + instructions
        merged = b",".join(part for part in (own, theirs) if part)
        return start + b',"input":[' + merged + b"]"

    def _instructions(self, raw: bytes) -> bytes:
        if raw in {_NULL, b'""'}:
            return b""
        if not isinstance(_decode_any(raw), str):
            raise malformed("instructions must be a text", "instructions")
        self._turns.guided()
        return raw if self._turns.rule == "append" else b""

    def _input(self, raw: bytes | None) -> bytes:
        if raw is not None and raw[:1] == b'"':
            return b'{"role":"user","content":' + raw + b"}"
        theirs = self._turns.read(raw)
        kinds = {item.type for item in _decode_kinds(raw or b"[]")}
        if "item_reference" in kinds and _ELSEWHERE not in self._open:
            raise Refusal(
                422,
                "parameter_not_open",
                f"Items that stand elsewhere (item_reference) need {_ELSEWHERE} to be open; "
                "send the items themselves.",
                "input",
            )
        return theirs

    def _tail(self, ask: Ask) -> bytes:  # noqa: ARG002 -- every form's signature
        return b""


class EmbeddingsEditor(Editor):
    """`/v1/embeddings`: no prompt, no messages."""

    GOVERNED: ClassVar[frozenset[str]] = GOVERNED | {"dimensions"}
    OURS: ClassVar[frozenset[str]] = frozenset({"model", "assent"})
    _key = "input"

    def _compile_prompt(self, prompt: Mapping[str, Any]) -> None:
        if prompt.get("messages"):
            raise ValueError("it has a prompt, which an embedding cannot carry")

    def _content(self, ask: Ask) -> bytes:
        if "input" not in ask.fields:
            raise malformed("the input is missing", "input")
        return b""

    def _tail(self, ask: Ask) -> bytes:  # noqa: ARG002 -- every form's signature
        return b""


class MessagesEditor(Editor):
    """Anthropic's `/v1/messages`: what guides the model stands in `system`.

    The form demands `max_tokens` of its callers, so it is theirs where the version says nothing of it.
    """

    GOVERNED: ClassVar[frozenset[str]] = (GOVERNED - {"max_tokens"}) | {
        "stop_sequences", "thinking", "mcp_servers", "container", "output_config", "output_format",
        "context_management",
    }  # fmt: skip
    OURS: ClassVar[frozenset[str]] = frozenset({"model", "messages", "system", "assent"})
    ROLES: ClassVar[frozenset[str | None]] = frozenset({"user", "assistant", "system"})

    def _compile_prompt(self, prompt: Mapping[str, Any]) -> None:
        guides, turns = forms.prompts_for_messages(prompt)
        self._messages = Messages(turns)
        self._system = Messages(guides, as_blocks=True)

    def _pinned(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return forms.for_messages(parameters)

    def _opened(self, bounds: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        return forms.opened_for_messages(bounds)

    def _content(self, ask: Ask) -> bytes:
        own = self._system.render(ask.extras.variables)
        theirs = self._theirs(ask.fields.get("system", _NULL))
        system = b",".join(part for part in (own, theirs) if part)
        turns = self._messages.render(ask.extras.variables)
        asked = self._turns.read(ask.fields.get("messages"))
        merged = b",".join(part for part in (turns, asked) if part)
        head = b',"system":[' + system + b"]" if system else b""
        return head + b',"messages":[' + merged + b"]"

    def _theirs(self, raw: bytes) -> bytes:
        """Give the client's `system` as blocks, where the version lets it stand."""
        if raw in {_NULL, b'""', b"[]"}:
            return b""
        self._turns.guided()
        if self._turns.rule == "ignore":
            return b""
        if raw[:1] == b'"':
            return b'{"type":"text","text":' + raw + b"}"
        try:
            return b",".join(bytes(block) for block in _decode_items(raw))
        except msgspec.MsgspecError as error:
            raise malformed(str(error), "system") from None

    def _tail(self, ask: Ask) -> bytes:  # noqa: ARG002 -- every form's signature
        return b""
