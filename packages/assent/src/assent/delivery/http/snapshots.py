"""Routes of snapshots: fetch, stream, acknowledge.

The stream is server-sent events: `event: snapshot`, `id: <epoch>.<serial>`, `data:` the whole envelope in
one line; a comment every 15 s keeps it open. A slow client skips to the newest snapshot: nothing queues up.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from assent.delivery import service
from assent.delivery.http.wire import Wire
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import Forbidden
from assent.web.api import Call, requires
from assent.web.openapi import gives, takes_known

router = APIRouter(prefix="/environments/{environment}")

EVENTS = "text/event-stream"
KNOWN = takes_known("The ETag of the snapshot that the caller has.")
KEEP_ALIVE_S = 15.0
STREAM_MOST_S = 3600.0
"""A stream ends after this, so that the caller's permission is looked at again."""

_feeds = threading.Lock()

AudienceQuery = Annotated[
    service.Audience | None,
    Query(
        description="Who will use it: `gateway` (with keys and providers) or `sdk`; by default by the role."
    ),
]
Takes = Annotated[
    str, Header(alias="assent-takes", max_length=200, description="`sampling`: the caller knows of it.")
]


class Acknowledgement(Wire):
    """Which snapshot a gateway serves now."""

    gateway: str = pydantic.Field(min_length=1, max_length=100)
    epoch: int = pydantic.Field(service.EPOCH, ge=0, lt=2**31)
    serial: int = pydantic.Field(ge=0, lt=2**31)


def feed_of(app: FastAPI, call: Call) -> service.Feed:
    """Give the feed of this process; made at its first use."""
    with _feeds:
        feed: service.Feed | None = getattr(app.state, "delivery_feed", None)
        if feed is None:
            feed = app.state.delivery_feed = service.Feed(call.runtime)
        return feed


def _scope(call: Call, environment: str, audience: service.Audience | None, takes: str) -> service.Scope:
    """Say which snapshot is meant; application keys go to gateways only. Raises: Forbidden."""
    with call.read() as reader:
        is_gateway = identity.authorised(reader, call.actor, Permission.SNAPSHOT_ACKNOWLEDGE, call.project)
    if audience == "gateway" and not is_gateway:
        raise Forbidden(
            "Only a gateway may have the gateways' snapshot.",
            remedy="Use a service account of the role gateway.",
        )
    given = audience or ("gateway" if is_gateway else "sdk")
    return service.Scope(call.project, environment, given, "sampling" in takes.split(","))


@router.get("/snapshot", responses=gives("application/json"), openapi_extra=KNOWN)
def get_snapshot(
    environment: str,
    request: Request,
    call: Annotated[Call, requires(Permission.SNAPSHOT_READ)],
    audience: AudienceQuery = None,
    takes: Takes = "",
) -> Response:
    """Give the signed snapshot in force; 304 where the caller has it."""
    issue = feed_of(request.app, call).current(_scope(call, environment, audience, takes))
    headers = {
        "etag": f'"{issue.etag}"',
        "cache-control": "private, no-cache",
        "assent-serial": str(issue.serial),
    }
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or issue.etag in [
        tag.strip().removeprefix("W/").strip('"') for tag in known.split(",")
    ]:
        return Response(status_code=304, headers=headers)
    return Response(issue.envelope, media_type="application/json", headers=headers)


@router.get("/snapshot/stream", response_class=StreamingResponse, responses=gives(EVENTS))
async def stream_snapshots(
    environment: str,
    request: Request,
    call: Annotated[Call, requires(Permission.SNAPSHOT_READ)],
    audience: AudienceQuery = None,
    takes: Takes = "",
) -> StreamingResponse:
    """Stream the snapshot in force and each one after it."""
    feed = feed_of(request.app, call)
    scope = await run_in_threadpool(_scope, call, environment, audience, takes)
    first = await run_in_threadpool(feed.current, scope)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_frames(feed, scope, first), media_type=EVENTS, headers=headers)


@router.post("/snapshot/acks", status_code=204)
def acknowledge(
    environment: str,
    body: Acknowledgement,
    call: Annotated[Call, requires(Permission.SNAPSHOT_ACKNOWLEDGE)],
) -> None:
    """Say which snapshot a replica serves."""
    with call.begin() as tx:
        service.acknowledge(tx, (call.project, environment), body.gateway, (body.epoch, body.serial))


@router.get("/snapshot/acks")
def list_acknowledgements(
    environment: str, call: Annotated[Call, requires(Permission.ROLLOUT_READ)]
) -> dict[str, Any]:
    """List which snapshot each replica serves."""
    with call.read() as reader:
        return {"items": service.list_acknowledgements(reader, call.project, environment), "next": None}


class Slot:
    """Room for one snapshot: a newer one takes the place of one that was not read."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._issue: service.Issue | None = None

    def put(self, issue: service.Issue) -> None:
        """Put from any thread; a loop that has ended listens to nobody."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, issue)

    def _put(self, issue: service.Issue) -> None:
        self._issue = issue
        self._filled.set()

    async def take(self, most_s: float) -> service.Issue | None:
        """Wait for a snapshot; None where none came in time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._filled.wait(), most_s)
        self._filled.clear()
        issue, self._issue = self._issue, None
        return issue


async def _frames(feed: service.Feed, scope: service.Scope, first: service.Issue) -> AsyncIterator[bytes]:
    slot = Slot()
    end = feed.subscribe(scope, slot.put)
    until = time.monotonic() + STREAM_MOST_S
    try:
        # What came between the first read and the subscription is read here.
        newest = await run_in_threadpool(feed.current, scope)
        sent = newest if newest.serial >= first.serial else first
        yield _frame(sent)
        while time.monotonic() < until:
            issue = await slot.take(KEEP_ALIVE_S)
            if issue is None:
                yield b": still here\n\n"
            elif issue.etag != sent.etag:
                sent = issue
                yield _frame(issue)
    finally:
        end()


def _frame(issue: service.Issue) -> bytes:
    return b"event: snapshot\nid: %d.%d\ndata: %b\n\n" % (service.EPOCH, issue.serial, issue.envelope)
