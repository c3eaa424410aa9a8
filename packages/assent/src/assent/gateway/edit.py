"""Turn a client's chat request into the one that the approved version makes.

The request is cut at its top-level keys; values that pass are the client's own bytes. Objects that
name a key twice are read as their last value says, here and upstream alike, because they are written
out again with each key once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from assent.gateway.problems import Refusal, listed
from assent.gateway.prompting import Messages

# What changes how a model answers. The approval covers these, so a client sets them only where the
# version says so; everything else (metadata, user, fields not invented yet) passes.
GOVERNED: Final = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "n", "best_of",
        "stop", "seed", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias",
        "logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "parallel_tool_calls",
        "functions", "function_call", "reasoning_effort", "reasoning", "verbosity", "modalities", "audio",
        "prediction", "web_search_options", "service_tier",
    }
)  # fmt: skip
_OURS: Final = frozenset({"model", "messages", "assent", "stream_options"})
_GUIDES: Final = frozenset({"system", "developer"})
_ROLES: Final = frozenset({"user", "assistant", "tool", "function"}) | _GUIDES
_NULL = b"null"

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_any = msgspec.json.Decoder().decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `assent` key of a request; it never goes upstream."""

    variables: dict[str, Any] = {}
    unit: str | None = None
    context: dict[str, Any] = {}


class _Role(msgspec.Struct, frozen=True, gc=False):
    role: str


_decode_roles = msgspec.json.Decoder(list[_Role]).decode
_decode_extras = msgspec.json.Decoder(Extras).decode
_NO_EXTRAS = Extras()


class Ask:
    """A client's request, cut at its top-level keys."""

    __slots__ = ("extras", "fields", "model", "stream", "wants_usage")

    def __init__(self, body: bytes) -> None:
        """Read; raises Refusal (400)."""
        try:
            if not body.isascii():
                body.decode()
            self.fields = fields = {key: bytes(raw) for key, raw in _decode_fields(body).items()}
            self.model = _decode_text(fields["model"])
            self.stream = fields.get("stream") == b"true"
            self.extras = _decode_extras(fields["assent"]) if "assent" in fields else _NO_EXTRAS
        except KeyError:
            raise _malformed("the model is missing", "model") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(str(error)) from None
        self.wants_usage = False

    def text(self, key: str) -> str | None:
        """Give the value of a key where it is a text that is not empty."""
        raw = self.fields.get(key)
        value = None if raw is None else _decode_any(raw)
        return value if isinstance(value, str) and value else None


def _malformed(why: str, param: str | None = None) -> Refusal:
    return Refusal(400, "invalid_request", f"The request is not a chat completion request: {why}.", param)


class Editor:
    """What one model version sets, allows and refuses in a request."""

    def __init__(self, document: Mapping[str, Any], prompt: Mapping[str, Any] | None) -> None:
        """Compile; raises ValueError for a document that cannot be followed."""
        source = prompt or {}
        self._messages = Messages(prompt)
        self._model = _encode(document["upstream_model"])
        self._client_system = document.get("client_system", "refuse")
        if self._client_system not in {"refuse", "append", "ignore"}:
            raise ValueError(f"client_system {self._client_system!r} is not refuse, append or ignore")
        pinned = {**(source.get("parameters") or {})}
        pinned |= {key: source[key] for key in ("tools", "response_format") if source.get(key)}
        pinned |= document.get("parameters") or {}
        self._open: Mapping[str, Mapping[str, Any]] = document.get("open_parameters") or {}
        self._defaults = {k: _pair(k, _encode(v)) for k, v in pinned.items() if k in self._open}
        self._fixed = frozenset(pinned.keys() - self._open.keys())
        fixed = b"".join(_pair(key, _encode(pinned[key])) for key in pinned if key in self._fixed)
        self._skip = _OURS | self._fixed
        self._start = b'{"model":' + self._model + fixed + b',"messages":['

    def edit(self, ask: Ask) -> bytes:
        """Give the upstream request's body.

        Raises: Refusal (400, 422).
        """
        out = [self._start, self._merged(ask), b"]"]
        closed = []
        for key, raw in ask.fields.items():
            if key in self._skip:
                continue
            if key in self._open:
                self._check_open(key, raw)
            elif key in GOVERNED and raw != _NULL:
                closed.append(key)
            out.append(_pair(key, raw))
        if closed:
            raise Refusal(
                422,
                "parameter_not_open",
                f"The approved version does not leave these to the caller: {listed(closed)}. "
                "Leave them out, or have a version approved that opens them.",
                closed[0],
            )
        out.extend(pair for key, pair in self._defaults.items() if key not in ask.fields)
        if ask.stream:
            out.append(_usage_forced(ask))
        elif "stream_options" in ask.fields:
            out.append(_pair("stream_options", ask.fields["stream_options"]))
        out.append(b"}")
        return b"".join(out)

    def _check_open(self, key: str, raw: bytes) -> None:
        bounds, value = self._open[key], _decode_any(raw)
        if value is None or _within(bounds, value):
            return
        allowed = listed(f"{name} {_encode(bound).decode()}" for name, bound in bounds.items())
        raise Refusal(
            422,
            "parameter_out_of_range",
            f"{key} is outside what the approved version allows ({allowed}).",
            key,
        )

    def _merged(self, ask: Ask) -> bytes:
        own = self._messages.render(ask.extras.variables)
        theirs = self._theirs(ask.fields.get("messages"))
        return own + b"," + theirs if own and theirs else own or theirs

    def _theirs(self, raw: bytes | None) -> bytes:
        """Give the client's messages, by the version's rule for system and developer messages."""
        if raw is None:
            raise _malformed("the messages are missing", "messages")
        text = raw
        try:
            roles = [message.role for message in _decode_roles(text)]
            if text.count(b"role") != len(roles) or b"\\u" in text:
                # A key given twice, or spelt with escapes, could mean one role here and another upstream.
                text = b"[" + b",".join(map(_once, _decode_objects(text))) + b"]"
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _malformed(f"{error}", "messages") from None
        if not _ROLES.issuperset(roles):
            raise _malformed(f"unknown role {listed(sorted(set(roles) - _ROLES))}", "messages")
        if self._client_system == "append" or _GUIDES.isdisjoint(roles):
            return text[1:-1].strip()
        if self._client_system == "refuse":
            raise Refusal(
                422,
                "system_message_refused",
                "The approved version brings its own system message and takes none from the caller. "
                "Leave out messages with the role system or developer.",
                "messages",
            )
        items = zip(_decode_items(text), roles, strict=True)
        return b",".join(item for item, role in items if role not in _GUIDES)


def _within(bounds: Mapping[str, Any], value: Any) -> bool:
    if "values" in bounds and not any(type(v) is type(value) and v == value for v in bounds["values"]):
        return False
    if "min" not in bounds and "max" not in bounds:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(bounds.get("min", value) <= value <= bounds.get("max", value))


def _pair(key: str, raw: bytes | msgspec.Raw) -> bytes:
    return b"".join((b",", _encode(key), b":", raw))


def _once(fields: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{" + b",".join(_encode(key) + b":" + bytes(raw) for key, raw in fields.items()) + b"}"


def _usage_forced(ask: Ask) -> bytes:
    """Ask upstream for the usage chunk, and remember whether the client asked for it too."""
    raw = ask.fields.get("stream_options", _NULL)
    if raw == _NULL:
        return b',"stream_options":{"include_usage":true}'
    try:
        options = _decode_fields(raw)
    except msgspec.MsgspecError as error:
        raise _malformed(str(error), "stream_options") from None
    ask.wants_usage = bytes(options.get("include_usage", _NULL)) == b"true"
    rest = b"".join(_pair(key, value) for key, value in options.items() if key != "include_usage")
    return b',"stream_options":{"include_usage":true' + rest + b"}"
