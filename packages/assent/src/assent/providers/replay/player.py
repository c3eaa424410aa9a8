"""What is answered: OpenAI's chat completions from recordings, with the faults that a drill asks for."""

import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from assent.kernel.ids import new_id
from assent.providers.replay.recordings import Recordings

BYTES_PER_TOKEN = 4
DONE = b"data: [DONE]\n\n"
_WORDS = re.compile(r"\S*\s+|\S+")


class Part(msgspec.Struct):
    """A part of a message's content."""

    type: str
    text: str = ""


class Message(msgspec.Struct):
    """A message as clients send it; what is not named here is let pass."""

    role: str
    content: str | list[Part] | None = None

    def text(self) -> str | None:
        """Give the content where it is text and nothing else."""
        if isinstance(self.content, list):
            is_text = all(part.type == "text" for part in self.content)
            return "".join(part.text for part in self.content) if is_text else None
        return self.content


class StreamOptions(msgspec.Struct):
    """What a client asks of a stream."""

    include_usage: bool | None = None


class Asked(msgspec.Struct):
    """A request for a chat completion."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """How the upstream behaves. A stream waits before its first event.

    `latency_s` ± `jitter_s`, evenly; `error_rate`, a share in [0,1], of the completions asked for fails with
    500. The same seed gives the same sequence of waits and errors, in the order in which requests arrive.
    """

    latency_s: float = 0.02
    jitter_s: float = 0.0
    error_rate: float = 0.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its events if it is a stream, its one body if not."""

    status: int
    body: bytes = b""
    events: Sequence[bytes] = ()
    wait_s: float = 0.0
    model: str = "-"


class Failure(Exception):
    """No completion: why, in the shape that OpenAI's clients read."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def body(self) -> bytes:
        """Give the JSON form."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004 -- the 5xx class
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": error})


@dataclass(slots=True)
class Player:
    """Answers requests from recordings."""

    recordings: Recordings
    drill: Drill = field(default_factory=Drill)
    _decoder: msgspec.json.Decoder[Asked] = field(default_factory=lambda: msgspec.json.Decoder(Asked))
    _chance: random.Random = field(init=False)
    _started_at: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        self._chance = random.Random(self.drill.seed)  # noqa: S311 -- faults for a drill, no secret

    def complete(self, body: bytes) -> Answer:
        """Answer a request for a chat completion; a drawn fault comes before the look-up."""
        drill = self.drill
        wait_s = drill.latency_s
        if drill.jitter_s:
            wait_s = max(0.0, wait_s + self._chance.uniform(-drill.jitter_s, drill.jitter_s))
        is_fault = drill.error_rate > 0 and self._chance.random() < drill.error_rate
        model = "-"
        try:
            asked = self._asked(body)
            model = asked.model
            completion = self._recorded(asked, is_fault=is_fault)
        except Failure as failure:
            return Answer(failure.status, failure.body, wait_s=wait_s, model=model)
        if asked.stream:
            return Answer(200, events=list(_events(asked, completion)), wait_s=wait_s, model=model)
        return Answer(200, _completion(asked, completion), wait_s=wait_s, model=model)

    def models(self) -> Answer:
        """List the models that have recordings."""
        found = [
            {"id": name, "object": "model", "created": self._started_at, "owned_by": "recordings"}
            for name in sorted(self.recordings.by_model)
        ]
        return Answer(200, msgspec.json.encode({"object": "list", "data": found}))

    def model(self, name: str) -> Answer:
        """Show one model."""
        if name not in self.recordings.by_model:
            return refused(404, "model_not_found", f"There are no recordings of {name!r}.", "model")
        found = {"id": name, "object": "model", "created": self._started_at, "owned_by": "recordings"}
        return Answer(200, msgspec.json.encode(found))

    def _asked(self, body: bytes) -> Asked:
        try:
            asked = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Failure(400, "invalid_request", f"This is no request for a completion: {error}.") from error
        if asked.n not in {None, 1}:
            raise Failure(
                400, "invalid_request", "One completion is recorded for a prompt; ask with n=1.", "n"
            )
        return asked

    def _recorded(self, asked: Asked, *, is_fault: bool) -> str:
        if is_fault:
            raise Failure(500, "drill_error", "This error was asked for with --error-rate.")
        prompts = self.recordings.by_model.get(asked.model)
        if prompts is None:
            known = ", ".join(sorted(self.recordings.by_model)[:10])
            message = f"There are no recordings of the model {asked.model!r}; there are some of {known}."
            raise Failure(404, "recording_not_found", message, "model")
        prompt = next((m.text() for m in reversed(asked.messages) if m.role == "user"), None)
        completion = None if prompt is None else prompts.get(prompt)
        if completion is None:
            message = f"Nothing is recorded of {asked.model!r} for this last user message; it must be equal."
            raise Failure(404, "recording_not_found", message, "messages")
        return completion


def refused(status: int, code: str, message: str, param: str | None = None) -> Answer:
    """Answer with an error."""
    return Answer(status, Failure(status, code, message, param).body)


def n_tokens(text: str) -> int:
    """Estimate tokens: one for four bytes of UTF-8, begun ones counted. Recordings hold no counts."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _usage(asked: Asked, completion: str) -> dict[str, int]:
    n_prompt = sum(n_tokens(message.text() or "") for message in asked.messages)
    n_completion = n_tokens(completion)
    return {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_completion,
        "total_tokens": n_prompt + n_completion,
    }


def _head(asked: Asked, kind: str) -> dict[str, Any]:
    identity = f"chatcmpl-{new_id('replay')}"
    return {"id": identity, "object": kind, "created": int(time.time()), "model": asked.model}


def _completion(asked: Asked, completion: str) -> bytes:
    message = {"role": "assistant", "content": completion, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = _head(asked, "chat.completion")
    return msgspec.json.encode({**head, "choices": [choice], "usage": _usage(asked, completion)})


def _events(asked: Asked, completion: str) -> Iterator[bytes]:
    """Give a stream's events: the role, a word each, the end, the usage if asked for, and [DONE]."""
    head = msgspec.json.encode(_head(asked, "chat.completion.chunk"))[:-1]
    with_usage = asked.stream_options is not None and asked.stream_options.include_usage
    start = b"data: " + head + b',"choices":[{"index":0,"delta":'
    usage = b',"usage":null' if with_usage else b""
    rest = b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
    yield start + b'{"role":"assistant","content":""}' + rest
    for piece in _pieces(completion):
        yield start + b'{"content":' + piece + b"}" + rest
    yield start + b'{},"logprobs":null,"finish_reason":"stop"}]' + usage + b"}\n\n"
    if with_usage:
        counted = msgspec.json.encode(_usage(asked, completion))
        yield b"data: " + head + b',"choices":[],"usage":' + counted + b"}\n\n"
    yield DONE


@lru_cache(maxsize=4096)
def _pieces(completion: str) -> tuple[bytes, ...]:
    """Cut a completion into words, each as JSON text; together they are the completion."""
    return tuple(msgspec.json.encode(word) for word in _WORDS.findall(completion))
