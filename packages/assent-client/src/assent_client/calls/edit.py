"""Turn a client's request into the one that the approved version makes; here for chat completions.

The request is cut at its top-level keys; values that pass are the client's own bytes. Objects that
name a key twice are read as their last value says, here and upstream alike, because they are written
out again with each key once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from assent_client.calls.prompting import Messages
from assent_client.calls.refusals import Refusal, listed

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
_GUIDES: Final = frozenset({"system", "developer"})
_ROLES: Final[frozenset[str | None]] = frozenset({"user", "assistant", "tool", "function"}) | _GUIDES
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
    role: str | None = None


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
            raise malformed("the model is missing", "model") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(str(error)) from None
        self.wants_usage = False

    def text(self, key: str) -> str | None:
        """Give the value of a key where it is a text that is not empty."""
        raw = self.fields.get(key)
        value = None if raw is None else _decode_any(raw)
        return value if isinstance(value, str) and value else None

    def user_id(self) -> str | None:
        """Give `metadata.user_id`, where Anthropic's clients name the user."""
        raw = self.fields.get("metadata")
        value = _decode_any(raw) if raw is not None and b"user_id" in raw else None
        found = value.get("user_id") if isinstance(value, dict) else None
        return found if isinstance(found, str) and found else None


def malformed(why: str, param: str | None = None) -> Refusal:
    """Refuse a request that cannot be read."""
    return Refusal(400, "invalid_request", f"The request cannot be read: {why}.", param)


class Turns:
    """A client's messages, judged by the version's rule for those that guide the model."""

    def __init__(self, rule: str, key: str, roles: frozenset[str | None]) -> None:
        """Take the version's `client_system`, the request's key, and the roles that this form knows.

        Raises: ValueError.
        """
        if rule not in {"refuse", "append", "ignore"}:
            raise ValueError(f"client_system {rule!r} is not refuse, append or ignore")
        self.rule = rule
        self._key = key
        self._roles = roles

    def read(self, raw: bytes | None) -> bytes:
        """Give the messages that go on, joined by commas.

        Raises: Refusal (400, 422).
        """
        if raw is None:
            raise malformed(f"the {self._key} are missing", self._key)
        text = raw
        try:
            roles = [message.role for message in _decode_roles(text)]
            if text.count(b"role") != len(roles) or b"\\u" in text:
                # A key given twice, or spelt with escapes, could mean one role here and another upstream.
                text = b"[" + b",".join(map(_once, _decode_objects(text))) + b"]"
        except (msgspec.MsgspecError, RecursionError) as error:
            raise malformed(f"{error}", self._key) from None
        if not self._roles.issuperset(roles):
            unknown = sorted({str(role) for role in roles if role not in self._roles})
            raise malformed(f"unknown role {listed(unknown)}", self._key)
        if self.rule == "append" or _GUIDES.isdisjoint(roles):
            return text[1:-1].strip()
        self.guided()
        items = zip(_decode_items(text), roles, strict=True)
        return b",".join(item for item, role in items if role not in _GUIDES)

    def guided(self) -> None:
        """Refuse what guides the model where the version takes none. Raises: Refusal (422)."""
        if self.rule == "refuse":
            raise Refusal(
                422,
                "system_message_refused",
                "The approved version brings its own system message and takes none from the caller. "
                "Leave out system and developer messages and instructions.",
                self._key,
            )


class Editor:
    """What one model version sets, allows and refuses in a request; this is the form of chat completions."""

    GOVERNED: ClassVar[frozenset[str]] = GOVERNED
    OURS: ClassVar[frozenset[str]] = frozenset({"model", "messages", "assent", "stream_options"})
    ROLES: ClassVar[frozenset[str | None]] = _ROLES

    def __init__(self, document: Mapping[str, Any], prompt: Mapping[str, Any] | None) -> None:
        """Compile; raises ValueError for a document that cannot be followed."""
        self._compile_prompt(prompt or {})
        self._turns = Turns(document.get("client_system", "refuse"), self._key, self.ROLES)
        pinned = self._pinned(pinned_parameters(document, prompt or {}))
        self._open = self._opened(document.get("open_parameters") or {})
        self._defaults = {k: _pair(k, _encode(v)) for k, v in pinned.items() if k in self._open}
        self._fixed = frozenset(pinned.keys() - self._open.keys())
        fixed = b"".join(_pair(key, _encode(pinned[key])) for key in pinned if key in self._fixed)
        self._skip = self.OURS | self._fixed
        self._start = b'{"model":' + _encode(document["upstream_model"]) + fixed

    # what forms differ in

    _key = "messages"

    def _compile_prompt(self, prompt: Mapping[str, Any]) -> None:
        self._messages = Messages(prompt)

    def _pinned(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write what the version fixes in this form's words; raises ValueError for what has none."""
        return parameters

    def _opened(self, bounds: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        return bounds

    def _content(self, ask: Ask) -> bytes:
        """Give the version's messages and the client's, with their keys. Raises: Refusal (400, 422)."""
        own = self._messages.render(ask.extras.variables)
        theirs = self._turns.read(ask.fields.get("messages"))
        merged = own + b"," + theirs if own and theirs else own or theirs
        return b',"messages":[' + merged + b"]"

    def _tail(self, ask: Ask) -> bytes:
        if ask.stream:
            return _usage_forced(ask)
        options = ask.fields.get("stream_options")
        return b"" if options is None else _pair("stream_options", options)

    # what they share

    def edit(self, ask: Ask) -> bytes:
        """Give the upstream request's body.

        Raises: Refusal (400, 422).
        """
        out = [self._start, self._content(ask)]
        closed = []
        for key, raw in ask.fields.items():
            if key in self._skip:
                continue
            if key in self._open:
                self._check_open(key, raw)
            elif key in self.GOVERNED and raw != _NULL:
                closed.append(key)
            out += (b",", _encode(key), b":", raw)
        if closed:
            raise Refusal(
                422,
                "parameter_not_open",
                f"The approved version does not leave these to the caller: {listed(closed)}. "
                "Leave them out, or have a version approved that opens them.",
                closed[0],
            )
        out.extend(pair for key, pair in self._defaults.items() if key not in ask.fields)
        out.append(self._tail(ask))
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


def pinned_parameters(document: Mapping[str, Any], prompt: Mapping[str, Any]) -> dict[str, Any]:
    """Give what prompt and version fix, the version's word last."""
    pinned = {**(prompt.get("parameters") or {})}
    pinned |= {key: prompt[key] for key in ("tools", "response_format") if prompt.get(key)}
    return pinned | (document.get("parameters") or {})


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
        raise malformed(str(error), "stream_options") from None
    ask.wants_usage = bytes(options.get("include_usage", _NULL)) == b"true"
    rest = b"".join(_pair(key, value) for key, value in options.items() if key != "include_usage")
    return b',"stream_options":{"include_usage":true' + rest + b"}"
