"""OFREP: any OpenFeature provider of that protocol is a client. Source: OFREP 0.3.0, openapi.yaml.

The base address of an environment is `/v1/projects/{project}/environments/{environment}`; providers put
`/ofrep/v1/…` behind it. Answers come from the signed snapshot that SDKs read, by the same engine.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse

from assent.delivery import service
from assent.delivery.http.snapshots import EVENTS, KEEP_ALIVE_S, STREAM_MOST_S, Slot, feed_of
from assent.identity.domain import Permission
from assent.kernel.errors import NotFound
from assent.web.api import Call, requires
from assent.web.openapi import PROBLEM, gives, takes_known

router = APIRouter(prefix="/environments/{environment}/ofrep/v1", tags=["ofrep"])

MAX_CONTEXT_BYTES = 65_536
Evaluating = Annotated[Call, requires(Permission.FLAG_EVALUATE)]
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["context"],
                    "properties": {"context": {"type": "object", "additionalProperties": True}},
                }
            }
        },
    },
}
KNOWN = takes_known("The ETag of the answer that the caller has.")
JSON = "application/json"
FAILURES = {
    **gives(JSON),
    **gives(JSON, status=400, says="The context cannot be used: `errorCode` says why."),
    **gives(JSON, status=429, says="Too many requests; Retry-After says for how many seconds."),
}
NO_FLAG = gives(JSON, PROBLEM, status=404, says="There is no such flag; as a problem: no such project.")


@router.post("/evaluate/flags/{key}", openapi_extra=BODY, responses=FAILURES | NO_FLAG)
async def evaluate_flag(environment: str, key: str, request: Request, call: Evaluating) -> Response:
    """Decide one flag for a context."""
    context = await _context(request)
    return await run_in_threadpool(_one, request.app, call, environment, key, context)


@router.post("/evaluate/flags", openapi_extra=BODY | KNOWN, responses=FAILURES)
async def evaluate_flags(environment: str, request: Request, call: Evaluating) -> Response:
    """Decide all flags of the environment for one context; 304 where the caller has the answer."""
    context = await _context(request)
    known = request.headers.get("if-none-match", "")
    return await run_in_threadpool(_all, request.app, call, environment, context, known)


@router.get("/event-stream", response_class=StreamingResponse, responses=gives(EVENTS))
async def stream_changes(environment: str, request: Request, call: Evaluating) -> StreamingResponse:
    """Tell of changes of the environment's flags: `refetchEvaluation`, as event-streams.yaml says."""
    feed = feed_of(request.app, call)
    scope = service.Scope(call.project, environment, "sdk")
    first = await run_in_threadpool(feed.current, scope)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(feed, scope, first), media_type=EVENTS, headers=headers)


Context = dict[str, Any] | tuple[str, str]
"""A context, or an error's code and details."""


async def _context(request: Request) -> Context:
    body = await request.body()
    if len(body) > MAX_CONTEXT_BYTES:
        return "INVALID_CONTEXT", f"The context has {len(body):,} bytes; {MAX_CONTEXT_BYTES:,} at most."
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        return "PARSE_ERROR", f"The body is not JSON: {error}"
    context = asked.get("context") if isinstance(asked, dict) else None
    if not isinstance(context, dict):
        return "INVALID_CONTEXT", "The body has no `context` that is an object."
    key = context.get("targetingKey")
    if not isinstance(key, str) or not key:
        return "TARGETING_KEY_MISSING", "The context has no `targetingKey` that is a text."
    return {"user": key, **context}


def _one(app: FastAPI, call: Call, environment: str, key: str, context: Context) -> Response:
    refused = _limited(app, call)
    if refused is not None:
        return refused
    try:
        flags = _flags(app, call, environment)
    except NotFound as error:
        return _failure(404, key, "FLAG_NOT_FOUND", error.message)
    if not isinstance(context, dict):
        return _failure(400, key, *context)
    if key not in flags.routes:
        return _failure(404, key, "FLAG_NOT_FOUND", f"{environment} has no flag {key!r}.")
    found = flags.evaluate(key, context)
    if "errorCode" in found:
        return JSONResponse(found, 400)
    counted_of(app).count(call, (environment, key, found["variant"]))
    return JSONResponse(found)


def _all(app: FastAPI, call: Call, environment: str, context: Context, known: str) -> Response:
    refused = _limited(app, call)
    if refused is not None:
        return refused
    flags = _flags(app, call, environment)
    if not isinstance(context, dict):
        return JSONResponse({"errorCode": context[0], "errorDetails": context[1]}, 400)
    etag = f'"{flags.etag_for(context)}"'
    if etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
        return Response(status_code=304, headers={"etag": etag})
    path = f"/v1/projects/{call.project}/environments/{environment}/ofrep/v1/event-stream"
    answer = {
        "flags": [flags.evaluate(key, context) for key in sorted(flags.routes)],
        "metadata": {"flagSetId": f"{call.project}/{environment}", "version": flags.etag},
        "eventStreams": [{"type": "sse", "endpoint": {"requestUri": path}}],
    }
    return JSONResponse(answer, headers={"etag": etag, "cache-control": "private, no-cache"})


def _flags(app: FastAPI, call: Call, environment: str) -> service.ServedFlags:
    scope = service.Scope(call.project, environment, "sdk")
    return service.served_flags(feed_of(app, call), scope)


def _limited(app: FastAPI, call: Call) -> Response | None:
    wait_s = _limits_of(app, call).wait_s(call.actor.id, time.monotonic())
    if not wait_s:
        return None
    headers = {"retry-after": str(max(1, round(wait_s)))}
    return JSONResponse(
        {"errorDetails": "Too many evaluations: ask again later, or evaluate in process."}, 429, headers
    )


def _failure(status: int, key: str, code: str, details: str) -> Response:
    return JSONResponse({"key": key, "errorCode": code, "errorDetails": details}, status)


def _limits_of(app: FastAPI, call: Call) -> service.RateLimit:
    limits: service.RateLimit | None = getattr(app.state, "ofrep_limits", None)
    if limits is None:
        limits = app.state.ofrep_limits = service.RateLimit(call.runtime.settings.ofrep_per_s)
    return limits


def counted_of(app: FastAPI) -> service.Counted:
    """Give the counts of this process; made at their first use."""
    counted: service.Counted | None = getattr(app.state, "ofrep_counted", None)
    if counted is None:
        counted = app.state.ofrep_counted = service.Counted()
    return counted


async def _events(feed: service.Feed, scope: service.Scope, first: service.Issue) -> AsyncIterator[bytes]:
    slot = Slot()
    end = feed.subscribe(scope, slot.put)
    until = time.monotonic() + STREAM_MOST_S
    known = (await asyncio.to_thread(service.flags_in, first)).etag
    try:
        # What came between the first read and the subscription is read here.
        slot.put(await asyncio.to_thread(feed.current, scope))
        yield b": listening\n\n"
        while time.monotonic() < until:
            issue = await slot.take(KEEP_ALIVE_S)
            if issue is None:
                yield b": still here\n\n"
                continue
            flags = await asyncio.to_thread(service.flags_in, issue)
            if flags.etag != known:
                known = flags.etag
                told = {
                    "type": "refetchEvaluation",
                    "etag": known,
                    "lastModified": int(issue.issued_at.timestamp()),
                }
                yield f"id: {known}\nevent: message\ndata: {json.dumps(told)}\n\n".encode()
    finally:
        end()
