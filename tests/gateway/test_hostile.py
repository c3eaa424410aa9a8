"""Peers that break the rules: clients on a bare socket, upstreams that fail or talk rubbish."""

import json
import socket
import ssl
from contextlib import ExitStack

import openai
import pytest
from plane import KEY, QUICK, STREAM_HEAD, Upstream, chunk, chunked, completion, events, http, until

from tests.certificates import self_signed

BODY = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]}).encode()
START = f"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n".encode()
WHOLE = START + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
STREAMED = json.dumps(json.loads(BODY) | {"stream": True}).encode()
WHOLE_STREAMED = START + b"Content-Length: %d\r\n\r\n" % len(STREAMED) + STREAMED


def read_all(connection):
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def read_until(connection, wanted):
    received = b""
    while wanted not in received:
        part = connection.recv(65536)
        assert part, f"closed after {received!r}"
        received += part


def read_answer(connection):
    """Read one answer with a declared length, and not a byte of what follows it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _received(connection, 1, head)
    head = head.removesuffix(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    body = b""
    while len(body) < length:
        body += _received(connection, length - len(body), head)
    return head, body


def _received(connection, most, before):
    part = connection.recv(most)
    assert part, f"closed after {before!r}"
    return part


def send(live, raw):
    """Send bytes, read until the gateway closes, and give (status, error code)."""
    with live.gateway.socket() as connection:
        connection.sendall(raw)
        received = read_all(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize(
    "raw",
    [
        START.replace(b"\r\n", b"\n") + b"Content-Length: 1\n\nx",
        START + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        START + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: identity\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n",
        START + b"Content-Length: +1\r\n\r\nx",
        START + b"Content-Length : 1\r\n\r\nx",
        START + b"X: a\r\n folded\r\n\r\n",
        START + b"X: a\x00b\r\n\r\n",
        START + b"Host: other\r\n\r\n",
        START + b"Authorization: Bearer other\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n\r\n",
        START.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/3.0\r\nHost: g\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: g\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: g\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"rubbish\r\n\r\n",
    ],
)
def test_a_request_that_is_not_strict_http_is_refused_and_the_connection_closed(live, raw):
    status, _ = send(live, raw)
    assert status in {400, 404, 405}
    assert live.upstream.asked == []


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: g\r\n\r\n", 414),
        (b"GET /" + b"a" * 900_000, 414),
        (START + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (START + b"X: " + b"a" * 900_000, 431),
        (START + b"".join(b"X-%d: 1\r\n" % n for n in range(101)) + b"\r\n", 431),
        (START + b"Content-Length: 9000000\r\n\r\n" + b"x" * 300_000, 413),
        (START + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (
            START + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 9,
            413,
        ),
        (START + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417),
        (START + b"Content-Length: 5\r\n\r\nabc", 408),
        (START + b"X: y\r\n", 408),
        (START, 408),
    ],
    ids=lambda value: str(value)[-12:],
)
def test_limits_hold(live, raw, status):
    assert send(live, raw)[0] == status
    assert live.upstream.asked == []


def test_a_silent_client_is_closed(live):
    with live.gateway.socket() as connection:
        assert connection.recv(1) == b""


def test_a_slow_client_may_send_byte_by_byte_within_its_time(live):
    with live.gateway.socket() as connection:
        for position in range(len(WHOLE)):
            connection.send(WHOLE[position : position + 1])
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 200 OK")


def test_a_chunked_request_is_taken_and_sent_on_with_a_length(live):
    half = len(BODY) // 2
    with live.gateway.socket() as connection:
        connection.sendall(START + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.sendall(
            b"%x;ext=1\r\n%b\r\n%x\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n"
            % (half, BODY[:half], len(BODY) - half, BODY[half:])
        )
        head, _ = read_answer(connection)
    assert head.startswith(b"HTTP/1.1 200 OK")
    (asked,) = live.upstream.asked
    assert asked.header("content-length") == str(len(asked.raw))
    assert asked.header("transfer-encoding") is None
    assert asked.header("trailer") is None


def test_expect_100_continue_is_met_before_the_body(live):
    with live.gateway.socket() as connection:
        connection.sendall(START + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 200 OK")
    assert live.upstream.asked[0].header("expect") is None


def test_a_wrong_key_is_refused_before_the_body(live):
    with live.gateway.socket() as connection:
        connection.sendall(
            START.replace(KEY.encode(), b"wrong") + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 401")


def test_connections_are_kept_and_pipelined_requests_answered_in_order(live):
    def echo(transport, asked):
        transport.write(http(completion(asked.body["messages"][0]["content"])))

    live.upstream.answer = echo
    with live.gateway.socket() as connection:
        connection.sendall(
            b"".join(WHOLE.replace(b"Hi?", b"%03d" % n) for n in range(10))
            + b"GET /healthz HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"
        )
        received = read_all(connection)
    positions = [received.index(b'"%03d"' % n) for n in range(10)]
    assert positions == sorted(positions)
    assert received.endswith(b'{"status":"ok"}')
    assert live.upstream.n_connections == 1


def test_a_head_that_is_known_does_not_blind_the_gateway(live):
    """A repeated head takes a short cut; what comes after it, and what was decided before it, still counts."""
    with live.gateway.socket() as connection:
        for content in (b"one", b"two"):
            connection.sendall(WHOLE.replace(b"Hi?", content))
            assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
        connection.sendall(WHOLE[:-10])  # the same head, its body in two parts
        until(lambda: live.ready()["calls"] == 0)
        connection.sendall(WHOLE[-10:])
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
        connection.sendall(WHOLE + WHOLE.replace(b"Hi?", b"six"))  # the same head, more than its body
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
    contents = [asked.body["messages"][0]["content"] for asked in live.upstream.asked]
    assert contents == ["one", "two", "Hi?", "Hi?", "six"]
    live.publish(keys=[])
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE)
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 401")


def said(content):
    body = BODY.replace(b"Hi?", content)
    return START + b"Content-Length: %d\r\n\r\n" % len(body), body


def test_a_head_is_known_whatever_its_length_and_however_its_body_comes(live):
    """Clients send head and body apart, and bodies differ in length; the short cut reads them all alike."""
    with live.gateway.socket() as connection:
        for content in (b"first", b"of another length", b"x" * 100):
            head, body = said(content)
            connection.sendall(head)
            until(lambda: live.ready()["calls"] == 0)
            for byte in body[:3]:
                connection.sendall(bytes([byte]))
            connection.sendall(body[3:])
            assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
        head, body = said(b"before")
        connection.sendall(head + body[:5])
        until(lambda: live.ready()["calls"] == 0)
        connection.sendall(
            body[5:] + b"".join(said(b"behind"))
        )  # more than the body: the parser reads all of it
        for _ in range(2):
            assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
    contents = [asked.body["messages"][0]["content"] for asked in live.upstream.asked]
    assert contents == ["first", "of another length", "x" * 100, "before", "behind"]


@pytest.mark.parametrize(
    "length",
    [b"9000000", b"+7", b"7, 7", b"", b"7\r\nContent-Length: 7", b"7\r\nTransfer-Encoding: chunked"],
)
def test_a_known_head_makes_no_odd_length_pass(live, length):
    with live.gateway.socket() as connection:
        for _ in range(2):
            connection.sendall(WHOLE)
            assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
    expected = send(live, START + b"X-Other: 1\r\nContent-Length: " + length + b"\r\n\r\n")
    assert send(live, START + b"Content-Length: " + length + b"\r\n\r\n") == expected
    assert expected[0] in {400, 413}


def test_nothing_before_a_head_is_learnt_as_one(live):
    """Parsers pass over empty lines before a request; they are no head, whoever sends them."""
    with live.gateway.socket() as connection:
        connection.sendall(b"\r\n\r\n" + WHOLE[: -len(BODY)])
        until(lambda: live.ready()["calls"] == 0)
        connection.sendall(BODY)
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
    assert send(live, b"\r\n\r\n" + WHOLE.replace(KEY.encode(), b"wrong"))[0] == 401


def test_a_body_that_never_comes_behind_a_known_head_is_given_up(world):
    world.publish()
    world.start(limits=QUICK)
    with world.gateway.socket() as connection:
        connection.sendall(WHOLE)
        assert read_answer(connection)[0].startswith(b"HTTP/1.1 200")
        connection.sendall(WHOLE[:-1])
        assert read_all(connection).startswith(b"HTTP/1.1 408")


def test_heads_that_differ_each_time_are_not_kept_for_ever(live):
    with live.gateway.socket() as connection:
        for n in range(600):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: g\r\nX-Trace: %d\r\n\r\n" % n)
            assert read_answer(connection)[1] == b'{"status":"ok"}'


def test_a_bad_request_behind_a_good_one_is_answered_after_it(live):
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE + b"rubbish\r\n\r\n")
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 400" in received


def test_too_many_requests_ahead_are_refused(live):
    held = []
    live.upstream.answer = lambda transport, asked: held.append(transport)
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE * 60)
        until(lambda: held)
        live.upstream.answer = http(completion())
        live.upstream.do(held[0].write, http(completion()))
        assert b"HTTP/1.1 400" in read_all(connection)


def test_an_http_1_0_client_gets_an_answer_that_ends_with_the_connection(live):
    live.upstream.answer = STREAM_HEAD + chunked(*events(chunk("a"), "[DONE]"))
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED.replace(b"HTTP/1.1", b"HTTP/1.0"))
        received = read_all(connection)
    assert b"transfer-encoding" not in received
    assert received.endswith(b"data: [DONE]\n\n")


def test_more_clients_than_allowed_are_turned_away(world):
    world.publish()
    limits = {field: getattr(QUICK, field) for field in QUICK.__slots__} | {
        "n_connections": 4,
        "header_s": 30,
    }
    world.start(limits=type(QUICK)(**limits))
    with ExitStack() as stack:
        clients = [stack.enter_context(world.gateway.socket()) for _ in range(6)]
        for client in clients[-2:]:
            assert client.recv(1) == b""
        clients[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
        assert read_answer(clients[0])[1] == b'{"status":"ok"}'


def test_the_upstream_is_aborted_when_the_client_leaves(live):
    started = []

    def answer(transport, asked):
        transport.write(STREAM_HEAD + chunked(*events(chunk("a")), end=False))
        started.append(transport)

    live.upstream.answer = answer
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED)
        read_until(connection, b'"a"')
    until(lambda: live.upstream.n_lost == 1, "the abort")
    (call,) = live.calls()
    assert (call["status"], call["error_class"]) == (499, "client_gone")


def test_a_client_that_leaves_before_the_upstream_connects_is_no_trouble(live):
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = full.getsockname()
        for _ in range(4):  # a full queue leaves further connections waiting
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 -- the socket's own signature
            waiting.connect_ex(address)
        provider = live.payload()["providers"]["main"] | {"base_url": f"http://127.0.0.1:{address[1]}/v1"}
        live.publish(providers={"main": provider | {"connect_timeout_s": 5}})
        with live.gateway.socket() as connection:
            connection.sendall(WHOLE)
            until(lambda: live.ready()["calls"] == 1)
        assert live.calls()[0]["error_class"] == "client_gone"
        live.publish(providers={"main": provider | {"connect_timeout_s": 0.1}})
        answer = live.ask()
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")


def test_a_client_that_does_not_read_holds_the_upstream_and_is_cut(live):
    sent = []

    def flood(transport, asked):
        transport.write(STREAM_HEAD)
        part = chunked(*events(chunk("x" * 60_000)), end=False)
        for _ in range(400):
            transport.write(part)
        live.upstream.loop.call_later(0.3, lambda: sent.append(transport.get_write_buffer_size()))

    live.upstream.answer = flood
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED)
        until(lambda: sent)
        (call,) = live.calls()
    assert call["error_class"] == "client_stalled"
    assert sent[0] > 1_000_000  # the gateway did not take it all into memory


def test_a_slow_reader_gets_every_byte(live):
    parts = events(*(chunk(f"{n:06d}" * 2000) for n in range(200)), "[DONE]")
    live.upstream.answer = STREAM_HEAD + chunked(*parts)
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED)
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(4096)
    assert all(part in dechunk(received) for part in parts)


def test_a_slow_reader_does_not_hold_up_the_next_call_on_the_same_upstream_connection(live):
    live.upstream.answer = http(completion("x" * 6_000_000))
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE)
        until(lambda: live.upstream.asked)
        received = b""
        while len(received) < 6_000_000:  # it reads so slowly that the upstream is held meanwhile
            received += connection.recv(65_536)
    live.upstream.answer = http(completion())
    assert live.ask().status_code == 200
    assert live.upstream.n_connections == 1


def dechunk(received):
    body, out = received.partition(b"\r\n\r\n")[2], b""
    while body:
        size, _, body = body.partition(b"\r\n")
        n = int(size, 16)
        out, body = out + body[:n], body[n + 2 :]
    return out


def test_stream_bytes_pass_verbatim_whatever_their_cut(live):
    wanted = b": comment\n\nevent: x\ndata: {}\n\nid: 1\r\ndata: [1,\r\ndata: 2]\r\n\r\n" + b"".join(
        events(chunk("caf\u00e9 \u2603"), "[DONE]")
    )

    def drip(transport, asked):
        transport.write(STREAM_HEAD)
        for position in range(0, len(wanted), 3):
            transport.write(chunked(wanted[position : position + 3], end=False))
        transport.write(b"0\r\n\r\n")

    live.upstream.answer = drip
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost"))
        received = read_all(connection)
    assert dechunk(received) == wanted
    assert live.calls()[0]["completion_id"] == "chatcmpl-s"


def test_an_unfinished_event_at_the_end_still_reaches_the_client(live):
    live.upstream.answer = STREAM_HEAD + chunked(b"data: {}\n\ndata: cut")
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost"))
        assert dechunk(read_all(connection)) == b"data: {}\n\ndata: cut"


def test_an_error_within_a_stream_reaches_the_client(live):
    live.upstream.answer = STREAM_HEAD + chunked(*events(chunk("a"), {"error": {"message": "overloaded"}}))
    with (
        openai.OpenAI(base_url=live.gateway.url + "/v1", api_key=KEY, max_retries=0) as client,
        pytest.raises(openai.APIError, match="overloaded"),
    ):
        list(client.chat.completions.create(model="assistant", messages=[], stream=True))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"rubbish\r\n\r\n", "upstream_rubbish"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", "upstream_rubbish"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "upstream_rubbish"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n", "upstream_rubbish"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "upstream_rubbish",
        ),
        (http(b"<html>hello</html>", "200 OK", "content-type: text/html"), "upstream_rubbish"),
        (http(b"[]"), "upstream_rubbish"),
        (http(completion()) + http(completion()), "upstream_rubbish"),
        (http(b"", "302 Found", "location: http://127.0.0.1:1/"), "upstream_redirect"),
        (http(b"", "307 Temporary Redirect", "location: //elsewhere.example/v1"), "upstream_redirect"),
        (lambda transport, asked: transport.abort(), "upstream_cut"),
        (lambda transport, asked: transport.close(), "upstream_cut"),
        (
            lambda transport, asked: (transport.write(http(completion())[:-5]), transport.close()),
            "upstream_cut",
        ),
        (None, "upstream_timeout"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "upstream_timeout"),
        (http(completion())[:-5], "upstream_timeout"),
    ],
)
def test_an_upstream_that_fails_or_talks_rubbish_is_a_clear_error(live, answer, code):
    live.upstream.answer = answer
    received = live.ask()
    assert received.status_code == (504 if code == "upstream_timeout" else 502)
    assert received.json()["error"]["code"] == code
    assert received.headers["x-assent-version"] == "assistant@1.0.0"
    assert live.calls()[0]["error_class"] == code
    live.upstream.answer = http(completion())
    assert live.ask().status_code == 200


def test_an_upstream_that_is_down_is_a_502(live):
    provider = live.payload()["providers"]["main"] | {"base_url": "http://127.0.0.1:1/v1"}
    live.publish(providers={"main": provider})
    answer = live.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_down")


def test_a_stream_that_breaks_off_is_cut_for_the_client_too(live):
    def answer(transport, asked):
        transport.write(STREAM_HEAD + chunked(*events(chunk("a")), end=False))
        transport.close()

    live.upstream.answer = answer
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED)
        received = b""
        try:
            received = read_all(connection)
        except ConnectionResetError:
            received = received or b'"a"'
    assert b'"a"' in received
    assert not received.endswith(b"0\r\n\r\n")
    assert live.calls()[0]["error_class"] == "upstream_cut"


def test_a_stream_that_falls_silent_is_cut(live):
    live.upstream.answer = STREAM_HEAD + chunked(*events(chunk("a")), end=False)
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE_STREAMED)
        read_until(connection, b'"a"')
    assert live.calls()[0]["error_class"] in {"upstream_timeout", "client_gone"}


def test_an_answer_without_a_length_ends_with_the_upstreams_connection(live):
    body = json.dumps(completion()).encode()

    def answer(transport, asked):
        transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + body)
        transport.close()

    live.upstream.answer = answer
    assert live.ask().content == body


def test_interim_answers_are_passed_over(live):
    live.upstream.answer = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + http(completion())
    assert live.ask().status_code == 200


def test_a_compressed_answer_passes_unread(live):
    live.upstream.answer = http(b"\x1f\x8bnot really", "200 OK", "content-encoding: br")
    with live.gateway.socket() as connection:
        connection.sendall(WHOLE)
        head, body = read_answer(connection)
    assert b"content-encoding: br" in head
    assert body == b"\x1f\x8bnot really"


def test_an_answer_too_large_to_hold_passes_unjudged(live):
    big = completion("x" * 9_000_000)
    live.upstream.answer = http(big)
    assert live.ask().json() == big


def test_upstream_connections_are_kept_and_replaced_when_stale(live):
    for _ in range(3):
        assert live.ask().status_code == 200
    assert live.upstream.n_connections == 1
    live.upstream.close_connections()
    assert live.ask().status_code == 200
    assert live.upstream.n_connections == 2


def test_a_pooled_connection_that_closes_under_a_request_is_retried_once(live):
    live.ask()

    def close_then_answer(transport, asked):
        live.upstream.answer = http(completion())
        transport.close()

    live.upstream.answer = close_then_answer
    assert live.ask().status_code == 200
    assert len(live.upstream.asked) == 3
    live.upstream.answer = lambda transport, asked: transport.close()
    assert live.ask().status_code == 502
    assert len(live.upstream.asked) == 5


def speaking_tls(pem):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@pytest.mark.parametrize(
    ("name", "trusted", "status"),
    [("localhost", True, 200), ("localhost", False, 502), ("elsewhere", True, 502)],
)
def test_an_upstreams_certificate_is_verified(world, tmp_path, name, trusted, status):
    secure = Upstream()
    pem = self_signed(tmp_path / "server.pem", name)
    secure.start(speaking_tls(pem))
    provider = world.payload()["providers"]["main"] | {"base_url": f"https://localhost:{secure.port}/v1"}
    world.publish(providers={"main": provider})
    world.start(upstream_ca=pem if trusted else None)
    answer = world.ask()
    secure.stop()
    assert answer.status_code == status
    assert status == 200 or "TLS" in answer.json()["error"]["message"]
