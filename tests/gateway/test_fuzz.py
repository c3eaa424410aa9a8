"""The parser's seam under mutated bytes: however they are cut, the same requests are served, and no other.

`ASSENT_FUZZ=200000 pytest -n 0 -s tests/gateway/test_fuzz.py` runs longer and prints what was seen; the seed is
fixed, so a failure comes again.
"""

import asyncio
import os
import random
import re
import ssl
from collections import Counter

import h11

from assent.gateway import Limits
from assent.gateway.inbound import ClientConnection
from assent.gateway.shared import Shared

N = int(os.environ.get("ASSENT_FUZZ", "1500"))
BODY = b'{"model":"a","messages":[{"role":"user","content":"Hi?"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer one\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = (
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n" + BODY[:9] + b"\r\n%x\r\n" % (len(BODY) - 9) + BODY[9:]
)
CHUNKED += b"\r\n0\r\n\r\n"
OTHER = WHOLE.replace(b"Bearer one", b"Bearer two").replace(b"Hi?", b"Yo!")
SEEDS = (
    WHOLE,
    CHUNKED,
    WHOLE + OTHER,
    CHUNKED + OTHER,
    b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + WHOLE,
)
TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\r\n ", b"0\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: +5\r\n",
    b"content-length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Host: y\r\n", b"Upgrade: h2c\r\n",
    b"HTTP/1.0", b"HTTP/2.0", b";x=y", b"\x80\xff", b"0x", b"fffffffffffffffff", b"GET / HTTP/1.1\r\n\r\n", b"Authorization: Bearer two\r\n",
)  # fmt: skip


class Wire:
    """A transport that keeps what is written."""

    def __init__(self):
        self.written = b""
        self.is_open = True

    def write(self, content):
        self.written += content

    def close(self):
        self.is_open = False

    abort = write_eof = close

    def set_write_buffer_limits(self, high):
        """What is written is kept at once."""

    def can_write_eof(self):
        return True

    def pause_reading(self):
        """Reading is up to the test."""

    resume_reading = pause_reading


class Keeper:
    """A service that keeps what it is given."""

    def __init__(self):
        self.served = []

    def admit(self, request):
        """Admit everybody."""

    def serve(self, client, request):
        self.served.append(
            (request.method, request.path, b"".join(request.body), request.authorization, request.lines)
        )
        client.respond(request, 200, b"{}")


async def played(pieces, shared=None):
    """Give what is served of the pieces, and the statuses that are answered."""
    keeper, wire = Keeper(), Wire()
    connection = ClientConnection(shared or Shared(Limits(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)), keeper)
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.is_open:
            break
        connection.data_received(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    connection.connection_lost(None)
    statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", wire.written)
    return keeper.served, [status for status in statuses if status != b"100"]


def mutated(chance):
    content = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 4)):
        at, end = sorted((chance.randrange(len(content) + 1), chance.randrange(len(content) + 1)))
        what = chance.randrange(5)
        if what == 0 and at < len(content):
            content[at] = chance.randrange(256)
        elif what == 1:
            content[at:at] = chance.choice(TOKENS)
        elif what == 2:
            del content[at : min(end, at + 20)]
        elif what == 3:
            content[at:at] = content[at:end]
        else:
            lines = [at for at in range(len(content)) if content[at : at + 2] == b"\r\n"]
            if lines:
                line = chance.choice(lines) + 2
                content[line:line] = chance.choice(TOKENS)
        content = content or bytearray(b"x")
    return bytes(content[:20_000])


def by_h11(content):
    """Give (method, target, body) of the requests that another strict parser finds, until it refuses."""
    connection, found = h11.Connection(h11.SERVER), []
    try:
        connection.receive_data(content)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                found.append((head.method, head.target.partition(b"?")[0], body))
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return found
                connection.start_next_cycle()
            else:
                return found
    except h11.ProtocolError:
        return found


async def fuzz(n):
    chance, seen = random.Random(20261126), Counter()
    learnt = Shared(Limits(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    for seed in (WHOLE, OTHER):
        await played([seed], learnt)
    for _ in range(n):
        content = mutated(chance)
        whole = await played([content])
        cuts = sorted(chance.randrange(len(content)) for _ in range(chance.randint(1, 6)))
        pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True) if a < b]
        assert await played(pieces) == whole, content
        if chance.random() < 0.05:
            assert await played([content[at : at + 1] for at in range(len(content))]) == whole, content
        assert await played([content], learnt) == whole, content
        assert await played(pieces, learnt) == whole, content
        both = zip([one[:3] for one in whole[0]], by_h11(content), strict=False)
        assert all(ours == theirs for ours, theirs in both), content
        seen["mutations"] += 1
        seen["requests served"] += len(whole[0])
        seen["refused"] += any(status != b"200" for status in whole[1])
    return seen


def test_mutated_bytes_mean_the_same_however_they_are_cut_and_to_another_parser():
    seen = asyncio.run(fuzz(N))
    print(dict(seen))  # noqa: T201 -- the figures of a long run
    assert seen["requests served"] > N / 10
    assert seen["refused"] > N / 10
