"""The load: closed loop at some in flight, open loop at a rate, and streams up to their first token."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from parts import KEY

MESSAGE = "Where is my parcel? " * 50
FIRST = b'"content":'


def request(*, template: bool = False, stream: bool = False) -> bytes:
    """Give the bytes of a call with about a kilobyte of text, as the openai client sends it."""
    body: dict[str, Any] = {
        "model": "assistant",
        "messages": [{"role": "user", "content": MESSAGE}],
        "user": "user-1234",
    }
    if template:
        body["assent"] = {"variables": {"name": "Ada"}}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    content = json.dumps(body).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {KEY}",
        "accept: application/json",
        "content-type: application/json",
        "user-agent: OpenAI/Python 3.54.0",
        "x-stainless-lang: python",
        "x-stainless-async: false",
        f"content-length: {len(content)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class Caller(asyncio.Protocol):
    """One connection; `call` sends a request and gives when its answer, or its first token, was there."""

    def __init__(self, asked: bytes, *, stream: bool = False) -> None:
        self.asked, self.stream = asked, stream
        self.buffer = b""
        self.first_at = 0.0
        self.waiting: asyncio.Future[float] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def call(self) -> asyncio.Future[float]:
        self.buffer, self.first_at = b"", 0.0
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(self.asked)
        return self.waiting

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.stream and not self.first_at and FIRST in self.buffer:
            self.first_at = time.perf_counter()
        if self.is_whole() and self.waiting is not None and not self.waiting.done():
            if not self.buffer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(self.buffer.decode())
            self.waiting.set_result(self.first_at or time.perf_counter())

    def is_whole(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.buffer[:end].lower() + b"\r\n"
        at = head.find(b"content-length: ")
        if at < 0:
            return self.buffer.endswith(b"0\r\n\r\n")
        return len(self.buffer) >= end + 4 + int(head[at + 16 : head.find(b"\r", at)])

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(exc or ConnectionError("the target closed the connection"))


async def connect(port: int, n: int, asked: bytes, *, stream: bool = False) -> list[Caller]:
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Caller(asked, stream=stream), "127.0.0.1", port)
        for _ in range(n)
    ]
    return [caller for _, caller in made]


async def closed(
    port: int, in_flight: int, n: int, seconds: float, asked: bytes
) -> tuple[float, list[float]]:
    """Keep so many under way until n are done or the time is over; give (seconds, latencies in seconds)."""
    callers, latencies, left = await connect(port, in_flight, asked), list[float](), n
    started = time.perf_counter()

    async def go_on(caller: Caller) -> None:
        nonlocal left
        while left > 0 and time.perf_counter() - started < seconds:
            left -= 1
            sent = time.perf_counter()
            latencies.append(await caller.call() - sent)
        caller.transport.close()

    await asyncio.gather(*(go_on(one) for one in callers))
    return time.perf_counter() - started, latencies


async def opened(port: int, rate: float, n: int, asked: bytes) -> list[float]:
    """Send at a steady rate whatever is under way; give latencies in seconds since each was due."""
    idle, latencies = await connect(port, 4, asked), list[float]()
    tasks = set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        caller = idle.pop() if idle else (await connect(port, 1, asked))[0]
        latencies.append(await caller.call() - due)
        idle.append(caller)

    begin = time.perf_counter() + 0.05
    for i in range(n):
        due = begin + i / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.add(asyncio.create_task(one(time.perf_counter())))
    await asyncio.gather(*tasks)
    for caller in idle:
        caller.transport.close()
    return latencies


async def first_tokens(port: int, n: int, asked: bytes) -> list[float]:
    """Give how long each of n streams, one after another, took to its first token, in seconds."""
    (caller,), latencies = await connect(port, 1, asked, stream=True), list[float]()
    for _ in range(n):
        sent = time.perf_counter()
        latencies.append(await caller.call() - sent)
    caller.transport.close()
    return latencies
