"""An upstream that plays what the last user message names, such as `[[rate-limited]]`, to foreign clients."""

import gzip
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from plane import STREAM_HEAD, USAGE, Asked, Upstream, chunk, chunked, completion, events, http

Answer = bytes | Callable[[Any, Asked, "Scripted"], None]
ODD_STREAM = (
    b": keep-alive\n\n"
    b'event: odd\ndata: {"id":"chatcmpl-s","object":"chat.completion.chunk","created":1,"model":"upstream-1",'
    b'"choices":[{"index":0,"delta":{"content":"\\u00e9 \xf0\x9f\x8e\x89"},"finish_reason":null}],"new_field":{"a":[1]}}\n\n'
    b"data: [DONE]\n\n"
)
LIMITS = ("x-ratelimit-limit-requests: 60", "x-ratelimit-remaining-requests: 59", "x-request-id: req-7")


def error(status: str, code: str, kind: str, *lines: str) -> bytes:
    body = {"error": {"message": f"The upstream says {code}.", "type": kind, "param": None, "code": code}}
    return http(body, status, *lines)


def tool_calls(name: str = "look_up", arguments: str = '{"city":"Zürich","n":1}') -> list[dict[str, Any]]:
    return [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}]


def with_tools(**changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": tool_calls(**changes)}
    return completion(choices=[{"index": 0, "finish_reason": "tool_calls", "message": message}])


def delta(**fields: Any) -> dict[str, Any]:
    return chunk() | {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def streamed_tools() -> bytes:
    def part(**fields: Any) -> dict[str, Any]:
        return delta(tool_calls=[{"index": 0} | fields])

    first = part(id="call_1", type="function", function={"name": "look_up", "arguments": ""})
    rest = [part(function={"arguments": piece}) for piece in ('{"city":', '"Zürich","n":1}')]
    return STREAM_HEAD + chunked(*events(first, *rest, chunk(finish="tool_calls"), "[DONE]"))


def hello(*, stream: bool) -> bytes:
    if not stream:
        return http(completion(), "200 OK", *LIMITS)
    parts = [chunk("Hel"), chunk("lo."), chunk(finish="stop"), chunk(choices=[], usage=USAGE)]
    return STREAM_HEAD + chunked(*events(*parts, "[DONE]"))


def echo(transport: Any, asked: Asked, _: "Scripted") -> None:
    """Answer with what was asked, so that a client sees whether it is its own."""
    last = asked.body["messages"][-1]["content"]
    transport.write(http(completion(last if isinstance(last, str) else json.dumps(last))))


def once_limited(transport: Any, asked: Asked, script: "Scripted") -> None:
    """Refuse the first try with a time to come back, and answer the second."""
    script.n_limited += 1
    refused = error("429 Too Many Requests", "rate_limit_exceeded", "requests", "retry-after-ms: 20")
    transport.write(refused if script.n_limited % 2 else hello(stream=False))


def cut(transport: Any, asked: Asked, _: "Scripted") -> None:
    """Begin a stream and reset the connection."""
    transport.write(STREAM_HEAD + chunked(*events(chunk("Hel")), end=False))
    threading.Timer(0.05, lambda: transport.get_extra_info("socket") and transport.abort()).start()


def endless(transport: Any, asked: Asked, _: "Scripted") -> None:
    """Begin a stream that goes on only while somebody listens."""
    transport.write(STREAM_HEAD + chunked(*events(chunk("Hel")), end=False))


def silent(transport: Any, asked: Asked, _: "Scripted") -> None:
    """Never answer."""


BROKEN_STREAM = STREAM_HEAD + chunked(
    *events(chunk("Hel"), {"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}})
)
ZIPPED = gzip.compress(json.dumps(completion("zipped")).encode())
ANSWERS: dict[str, Answer] = {
    "echo": echo,
    "once-limited": once_limited,
    "cut": cut,
    "endless": endless,
    "silent": silent,
    "broken-stream": BROKEN_STREAM,
    "odd-stream": STREAM_HEAD + chunked(ODD_STREAM),
    "gzip": http(ZIPPED, "200 OK", "content-type: application/json", "content-encoding: gzip"),
    "rubbish": http(b"<html>busy</html>", "200 OK", "content-type: text/html"),
    "redirect": http(b"", "302 Found", "location: http://127.0.0.1:1/elsewhere"),
    "unknown-fields": http(completion(system_fingerprint="fp_1", citations=[{"url": "u"}])),
    "choices": http(
        completion(
            choices=[
                {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": f"{n}"},
                 "logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]}}
                for n in (0, 1)
            ]
        )
    ),
    "json": http(completion('{"city": "Zürich", "n": 1}')),
    "tools": http(with_tools()),
    "bad-request": error("400 Bad Request", "context_length_exceeded", "invalid_request_error"),
    "limited": error("429 Too Many Requests", "insufficient_quota", "insufficient_quota",
                     "retry-after: 7", "retry-after-ms: 6500", "x-ratelimit-remaining-tokens: 0"),
    "failing": error("500 Internal Server Error", "boom", "server_error"),
    "overloaded": error("503 Service Unavailable", "overloaded", "server_error", "retry-after: 3"),
    "denied": error("403 Forbidden", "country_not_supported", "invalid_request_error"),
}  # fmt: skip


RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "upstream-1",
    "output": [{"id": "m", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Hello.", "annotations": []}]}],
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10,
              "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip
EMBEDDINGS = {
    "object": "list", "model": "upstream-1", "usage": {"prompt_tokens": 4, "total_tokens": 4},
    "data": [{"object": "embedding", "index": 0, "embedding": "AAAAPwAAgL4="}],
}  # fmt: skip


def named(*parts: dict[str, Any], end: bool = True) -> bytes:
    events = (f"event: {part['type']}\ndata: {json.dumps(part)}\n\n".encode() for part in parts)
    return STREAM_HEAD + chunked(*events, end=end)


def response(*, stream: bool) -> bytes:
    if not stream:
        return http(RESPONSE)
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    deltas = [
        {"type": "response.output_text.delta", "delta": text, "sequence_number": n, **place}
        for n, text in enumerate(("Hel", "lo."), 1)
    ]
    begun = {"type": "response.created", "sequence_number": 0,
             "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}}  # fmt: skip
    return named(begun, *deltas, {"type": "response.completed", "sequence_number": 3, "response": RESPONSE})


MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-1", "stop_reason": "end_turn",
    "stop_sequence": None, "content": [{"type": "text", "text": "Hello."}],
    "usage": {"input_tokens": 7, "output_tokens": 3},
}  # fmt: skip
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"city": "Zürich", "n": 1}}
MESSAGES = {
    "unknown-fields": {**MESSAGE, "citations": [{"url": "u"}]},
    "tools": {**MESSAGE, "stop_reason": "tool_use", "content": [CALL]},
}


def message(name: str, asked: Asked) -> bytes:
    """Play Anthropic's form."""
    if name == "limited":
        body = {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many."}}
        return http(body, "429 Too Many Requests", "retry-after: 7")
    if name == "echo":
        return http({**MESSAGE, "content": [{"type": "text", "text": asked.body["messages"][-1]["content"]}]})
    begun = {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in ("Hel", "lo.")
    ]
    if name == "broken-stream":
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}
        return named(begun, start, deltas[0], error)
    if name == "endless":
        return named(begun, end=False)
    if asked.body.get("stream") is True:
        ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                 "usage": {"output_tokens": 3}}  # fmt: skip
        stop = {"type": "content_block_stop", "index": 0}
        return named(begun, {"type": "ping"}, start, *deltas, stop, ended, {"type": "message_stop"})
    lines = ("request-id: req-7", "anthropic-ratelimit-requests-remaining: 59")
    return http(MESSAGES.get(name, MESSAGE), "200 OK", *lines)


class Scripted:
    """The upstream's behaviour, and a port at which checks ask what it saw."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.n_limited = 0
        upstream.answer = self.answer
        script = self

        class Seen(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = script.upstream.asked[-1] if script.upstream.asked else Asked()
                body = json.dumps(
                    {"path": asked.path, "headers": asked.headers, "raw": asked.raw.decode(),
                     "n_asked": len(script.upstream.asked), "n_open": len(script.upstream.open),
                     "n_lost": script.upstream.n_lost}
                ).encode()  # fmt: skip
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.port = ThreadingHTTPServer(("127.0.0.1", 0), Seen)
        threading.Thread(target=self.port.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port.server_port}/"

    def stop(self) -> None:
        self.port.shutdown()
        self.port.server_close()

    def answer(self, transport: Any, asked: Asked) -> None:
        text = asked.raw.decode()
        name = text.rpartition("[[")[2].partition("]]")[0] if "[[" in text else "hello"
        stream = asked.body.get("stream") is True
        played = self.other_form(name, asked, stream=stream)
        if played is not None:
            transport.write(played)
            return
        answer: Answer = (
            streamed_tools() if name == "tools" and stream else ANSWERS.get(name) or hello(stream=stream)
        )
        if isinstance(answer, bytes):
            transport.write(answer)
        else:
            answer(transport, asked, self)

    def other_form(self, name: str, asked: Asked, *, stream: bool) -> bytes | None:
        if asked.path.endswith("/responses"):
            return response(stream=stream)
        if asked.path.endswith("/embeddings"):
            return http(EMBEDDINGS)
        return message(name, asked) if asked.path.endswith("/messages") else None
