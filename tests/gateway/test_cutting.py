"""A kill that cuts: calls under way of that name end at the swap, all others go on."""

import socket
import threading
import time
from contextlib import ExitStack

import httpx
import pytest
from forge import digest, model_document, route
from plane import STREAM_HEAD, chunk, chunked, completion, events, http, until

ROUTES = {name: route(digest(model_document()), key=name) for name in ("assistant", "other")}


class Caller:
    """A call in a thread of its own, and what came of it."""

    def __init__(self, world, **body):
        self.received = b""
        self.error = None
        self.status = None
        self.ended_at = None
        self._thread = threading.Thread(target=self._call, args=(world, body))
        self._thread.start()

    def _call(self, world, body):
        request = {"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]} | body
        try:
            with httpx.stream("POST", world.gateway.url + "/v1/chat/completions", json=request, verify=False,
                              headers={"authorization": "Bearer sk-app-1"}, timeout=8) as answer:  # fmt: skip
                self.status = answer.status_code
                for part in answer.iter_bytes():
                    self.received += part
        except httpx.HTTPError as error:
            self.error = error
        self.ended_at = time.monotonic()

    def end(self):
        self._thread.join(8)
        assert not self._thread.is_alive()
        return self


@pytest.fixture
def streaming(world):
    held = []

    def answer(transport, asked):
        transport.write(STREAM_HEAD + chunked(*events(chunk("a")), end=False))
        held.append(transport)

    world.upstream.answer = answer
    payload = world.payload(routes=ROUTES)
    payload["providers"]["main"] |= {"idle_timeout_s": 30, "first_token_timeout_s": 30}
    world.publish_payload(payload)
    world.start()
    world.held, world.shown = held, payload
    return world


def kill(world, **more):
    gone = {"assistant": {"status": 404, "reason": "it leaks", "successor": None, **more}}
    world.serial += 1
    routes = {"other": world.shown["routes"]["other"]}
    world.publish_payload(world.shown | {"serial": world.serial, "routes": routes, "gone": gone})


def test_streams_of_a_killed_name_are_cut_and_others_go_on(streaming):
    callers = [Caller(streaming, stream=True) for _ in range(3)]
    other = Caller(streaming, model="other", stream=True)
    until(lambda: len(streaming.held) == 4 and all(c.received for c in [*callers, other]), "four streams")
    kill(streaming, cut=True)
    for caller in callers:
        assert isinstance(caller.end().error, httpx.RemoteProtocolError)
        assert caller.received.startswith(b"data: ")
    for transport in streaming.held:
        streaming.upstream.do(transport.write, chunked(*events("[DONE]")))
    assert other.end().error is None
    assert other.received.endswith(b"data: [DONE]\n\n")
    rows = streaming.calls(4)
    assert sorted((row["route"], row["error_class"]) for row in rows) == [
        ("assistant", "killed"), ("assistant", "killed"), ("assistant", "killed"), ("other", None),
    ]  # fmt: skip
    until(lambda: streaming.ready()["calls"] == 0)


def test_a_kill_that_does_not_cut_lets_streams_end(streaming):
    caller = Caller(streaming, stream=True)
    until(lambda: caller.received)
    kill(streaming)
    streaming.upstream.do(streaming.held[0].write, chunked(*events("[DONE]")))
    assert caller.end().error is None
    assert streaming.ask().status_code == 404


def test_a_call_that_has_had_no_answer_yet_is_told_that_the_name_is_gone(streaming):
    asked = streaming.upstream.asked
    streaming.upstream.answer = None
    whole = Caller(streaming)
    until(lambda: len(asked) == 1)
    streaming.upstream.answer = lambda transport, _: transport.write(http(completion())[:-9])
    held_back = Caller(streaming)
    until(lambda: len(asked) == 2)
    kill(streaming, cut=True)
    for caller in (whole, held_back):
        assert (caller.end().status, b"it leaks" in caller.received) == (404, True)
    until(lambda: streaming.upstream.n_lost == 2, "the upstream let go")


def test_a_call_that_still_connects_is_cut_too(streaming):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as fillers:
        port = full.getsockname()[1]
        for _ in range(4):  # a queue that is full lets nobody in
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 -- the socket's own signature
            filler.connect_ex(("127.0.0.1", port))
        dead = {"base_url": f"http://127.0.0.1:{port}/v1", "connect_timeout_s": 30}
        streaming.serial += 1
        providers = {"main": streaming.shown["providers"]["main"] | dead}
        streaming.shown |= {"serial": streaming.serial, "providers": providers}
        streaming.publish_payload(streaming.shown)
        caller = Caller(streaming)
        until(lambda: streaming.ready()["calls"] == 1)
        kill(streaming, cut=True)
        assert (caller.end().status, b"it leaks" in caller.received) == (404, True)
