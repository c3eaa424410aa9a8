"""The small HTTP client against raw bytes: framing, kept connections, TLS, and servers that speak no HTTP."""

import asyncio
import ssl

import pytest

from assent.evaluation.upstream.connection import Broken, Endpoint, Reply, TooLong
from assent.kernel.errors import Invalid
from tests.certificates import self_signed


def talk(*scripts, posts=1, limit=1000):
    """Serve one script (chunks of bytes, None = close) per connection; give the replies or errors of the posts."""
    seen = []

    async def go():
        waiting = list(scripts)

        handlers = set()

        async def serve(reader, writer):
            handlers.add(asyncio.current_task())
            script = waiting.pop(0)
            try:
                for part in script:
                    if part is None:
                        break
                    seen.append(await reader.readuntil(b"body"))
                    for piece in part if isinstance(part, list) else [part]:
                        writer.write(piece)
                        await writer.drain()
                        await asyncio.sleep(0)
                else:
                    await reader.read()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        endpoint = Endpoint(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1?a=b", {"x-key": "k"}, limit=limit
        )
        replies = []
        for _ in range(posts):
            try:
                async with asyncio.timeout(5):
                    replies.append(await endpoint.post(b"body"))
            except (Broken, TooLong) as error:
                replies.append(error)
            await asyncio.sleep(0.01)
        await endpoint.close()
        server.close()
        async with asyncio.timeout(5):
            await server.wait_closed()
            await asyncio.gather(*handlers)
        return replies

    return asyncio.run(go()), seen


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        [OK[i : i + 1] for i in range(len(OK))],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
    ],
)
def test_an_answer_is_read_in_every_framing(answer):
    replies, seen = talk([answer])
    assert (replies[0].status, replies[0].body) == (200, b"hi")
    assert seen[0].startswith(b"POST /v1?a=b HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\nx-key: k\r\ncontent-length: 4\r\n\r\nbody" in seen[0]


def test_without_a_length_the_end_of_the_connection_ends_the_answer():
    assert talk([b"HTTP/1.0 200 OK\r\n\r\nhi", None])[0] == [Reply(200, {}, b"hi")]


def test_a_connection_is_kept_and_used_again():
    replies, seen = talk([OK, OK, OK], posts=3)
    assert [r.body for r in replies] == [b"hi"] * 3
    assert len(seen) == 3


def test_a_kept_connection_that_the_server_closed_is_replaced_silently():
    replies, _ = talk([OK, None], [OK], posts=2)
    assert [r.body for r in replies] == [b"hi", b"hi"]


def test_connection_close_is_honoured():
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"
    assert [r.body for r in talk([closing], [OK], posts=2)[0]] == [b"hi", b"hi"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([b"220 smtp ready\r\n"], "not HTTP"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi"], "not HTTP"),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000], "headers are longer"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi", None], "ended within the answer"),
        ([b"", None], "ended within the answer"),
        ([b"HTTP/1.1 200 OK\r\nx: y", None], "ended within the answer"),
    ],
)
def test_what_is_no_answer_is_broken(script, message):
    (error,), _ = talk(script)
    assert isinstance(error, Broken)
    assert message in str(error)


def test_an_answer_over_the_limit_is_dropped_as_it_comes():
    (error,), _ = talk([b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 5000])
    assert isinstance(error, TooLong)


def test_what_is_said_between_two_questions_ends_the_connection():
    replies, _ = talk([[OK, b"HTTP/1.1 408 Request"]], [OK], posts=2)
    assert [r.body for r in replies] == [b"hi", b"hi"]


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one():
    replies, _ = talk([OK + OK.replace(b"hi", b"no")], [OK], posts=2)
    assert [r.body for r in replies if isinstance(r, Reply)][-1:] == [b"hi"]


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "127.0.0.1:80", "http://h:99999/", "http://h/a b", "http://h/\r\nx"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(Invalid):
        Endpoint(url, {}, limit=10)


def test_a_key_cannot_smuggle_a_header():
    with pytest.raises(Invalid, match="authorization"):
        Endpoint("http://127.0.0.1/", {"authorization": "Bearer a\r\nhost: evil"}, limit=10)


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_spoken_and_the_certificate_checked(trusted, tmp_path, monkeypatch):
    pem = self_signed(tmp_path / "server.pem")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))

    async def go():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)

        async def serve(reader, writer):
            await reader.readuntil(b"body")
            writer.write(OK)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        endpoint = Endpoint(f"https://localhost:{server.sockets[0].getsockname()[1]}/", {}, limit=10)
        try:
            async with asyncio.timeout(5):
                return (await endpoint.post(b"body")).body
        finally:
            await endpoint.close()
            server.close()

    if trusted:
        assert asyncio.run(go()) == b"hi"
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            asyncio.run(go())
