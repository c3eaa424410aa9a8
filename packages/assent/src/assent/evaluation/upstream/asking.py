"""One question to an OpenAI-compatible endpoint, and every way in which it can go wrong."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from assent.evaluation.domain.cases import Answer, ToolCall
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.target import Messages, Target
from assent.evaluation.upstream.connection import Broken, Endpoint, TooLong

MAX_RETRY_AFTER_S = 120.0
_TOO_MANY, _UNAVAILABLE = 429, 503
_TRANSIENT = {408, 409, 425, 500, 502, 503, 504, 520, 522, 524, 529}
_OVERLOAD = {408, 502, 503, 504, 529}
_DENIED = {401, 403}
_OK = 200
_SHOWN = 300


class Failure(Exception):
    """An attempt that gave no answer.

    `again`: another attempt may help. `overload`: ask for less at once. `busy`: the server itself said so;
    such attempts are not counted.
    `denied`: no question will ever be answered.
    """

    def __init__(
        self,
        message: str,
        *,
        again: bool,
        overload: bool = False,
        busy: bool = False,
        denied: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.again = again
        self.overload = overload
        self.busy = busy
        self.denied = denied
        self.retry_after_s = retry_after_s


class _Function(msgspec.Struct):
    name: str
    arguments: Any = ""


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_decoder = msgspec.json.Decoder(_Completion)
_encoder = msgspec.json.Encoder()


class Upstream:
    """A connection pool to one target."""

    def __init__(self, target: Target, *, timeout_s: float, answer_bytes: int) -> None:
        self._target = target
        self._answer_bytes = answer_bytes
        # A byte of an answer takes up to six in JSON (\\u00e9); the rest of the document is small.
        self._body_bytes = 6 * answer_bytes + 65_536
        self._timeout_s = timeout_s
        headers = {"content-type": "application/json", "accept": "application/json"}
        if target.api_key is not None:
            headers["authorization"] = f"Bearer {target.api_key}"
        url = target.base_url.rstrip("/") + "/chat/completions"
        self._endpoint = Endpoint(url, headers, limit=self._body_bytes)

    async def close(self) -> None:
        """Close all connections."""
        await self._endpoint.close()

    def body(self, row: Row) -> bytes:
        """Write the request for a case: what the version fixes cannot be overridden by the case."""
        return self.body_of(self._target.render(row))

    def body_of(self, messages: Messages) -> bytes:
        """Write the request that puts these messages."""
        return _encoder.encode(
            {
                **self._target.parameters,
                "model": self._target.upstream_model,
                "messages": list(messages),
                "stream": False,
            }
        )

    async def ask(self, body: bytes) -> Answer:
        """Ask once. Raises: Failure."""
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._endpoint.post(body)
        except TimeoutError:
            raise Failure(f"no answer within {self._timeout_s:g} s", again=True, overload=True) from None
        except TooLong:
            raise Failure(f"the answer is larger than {self._body_bytes:,} bytes", again=False) from None
        except (Broken, OSError) as error:
            raise Failure(f"{error}"[:_SHOWN], again=True, overload=True) from error
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise Failure("the answer is compressed, which was not asked for", again=False)
        if reply.status != _OK:
            raise _refusal(reply.status, reply.headers, reply.body)
        return self._answer(reply.body)

    def _answer(self, content: bytes) -> Answer:
        try:
            completion = _decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Failure(f"the answer is not a chat completion: {error}"[:_SHOWN], again=True) from error
        if not completion.choices:
            raise Failure("the answer has no choices", again=True)
        choice, usage = completion.choices[0], completion.usage or _Usage()
        text = choice.message.content if choice.message.content is not None else choice.message.refusal
        functions = [call.function for call in choice.message.tool_calls or () if call.function is not None]
        if text is None and not functions:
            raise Failure("the answer has no text", again=False)
        text = text or ""
        calls = tuple(ToolCall(one.name, _text(one.arguments)) for one in functions)
        said = text + "".join(call.name + call.arguments for call in calls)
        n_bytes = len(said.encode("utf-8", "surrogatepass"))
        if n_bytes > self._answer_bytes:
            raise Failure(
                f"the answer has {n_bytes:,} bytes, the suite takes {self._answer_bytes:,}", again=False
            )
        return Answer(
            text,
            refused=choice.message.refusal is not None or choice.finish_reason == "content_filter",
            finish=(choice.finish_reason or "")[:40],
            n_prompt_tokens=usage.prompt_tokens,
            n_completion_tokens=usage.completion_tokens,
            n_cached_tokens=(usage.prompt_tokens_details or _Details()).cached_tokens,
            tool_calls=calls,
        )


def _text(arguments: Any) -> str:
    """Give what the model wrote; some servers parse it, against the protocol."""
    return arguments if isinstance(arguments, str) else _encoder.encode(arguments).decode()


def _refusal(status: int, headers: Mapping[str, str], content: bytes) -> Failure:
    text = content[:_SHOWN].decode("utf-8", "replace")
    retry_after_s = parse_retry_after(headers.get("retry-after", ""), datetime.now(UTC))
    busy = status == _TOO_MANY or (status == _UNAVAILABLE and retry_after_s > 0)
    return Failure(
        f"HTTP {status}: {text}",
        again=busy or status in _TRANSIENT,
        overload=busy or status in _OVERLOAD,
        busy=busy,
        denied=status in _DENIED,
        retry_after_s=retry_after_s,
    )


def parse_retry_after(text: str, now: datetime) -> float:
    """Give seconds to wait, 0 to MAX_RETRY_AFTER_S, of a number or an HTTP date; 0 for anything else."""
    try:
        wait_s = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        wait_s = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) if wait_s == wait_s else 0.0  # noqa: PLR0124 -- NaN is not itself
