"""Mirrored calls: the new version is asked as the old one was, and its answer is observed and thrown away.

A call is mirrored once the user's has ended, so it can neither slow nor fail it. What mirrored calls share is
bounded: beyond so many at once a worker mirrors none, and counts those.
"""

from __future__ import annotations

import asyncio
import logging
import re
from time import monotonic
from typing import Final

from assent.gateway.asking import judge_answer, judge_request, watch
from assent.gateway.exchange import Answer, exchange
from assent.gateway.recorder import Chosen, Recorder
from assent.gateway.settings import utc_now
from assent.gateway.shared import Shared
from assent.gateway.upstream import Failure
from assent_client.calls.choosing import SUCCESS, Ending, error_class_of, prepare
from assent_client.calls.guarding import blocked
from assent_client.calls.refusals import Refusal
from assent_client.calls.stream import EventWatch, Outcome

log = logging.getLogger(__name__)

_ONCE: Final = re.compile(rb"(?im)^idempotency-key:[^\r\n]*\r\n")
"""With the key of the user's call a provider would give the answer to that one."""


def mirror(shared: Shared, recorder: Recorder, chosen: Chosen, lines: bytes) -> None:
    """Begin to ask a version as a shadow; `lines` are the headers of the user's call."""
    if shared.n_mirrored >= shared.limits.n_mirrored or shared.is_draining:
        shared.n_not_mirrored += 1
        return
    shared.n_mirrored += 1
    shared.spawn(_mirrored(shared, recorder, chosen, _ONCE.sub(b"", lines)))


async def _mirrored(shared: Shared, recorder: Recorder, chosen: Chosen, lines: bytes) -> None:
    began, outcome = monotonic(), Outcome()
    status, error_class, ttft_s = 200, None, None
    try:
        async with asyncio.timeout(shared.limits.mirrored_s):
            answer = await _ask(shared, chosen, lines)
            status = answer.status
            ttft_s = answer.first_at - began if answer.first_at is not None and chosen.ask.stream else None
            if status in SUCCESS:
                await _judge(shared, chosen, outcome, answer)
            else:
                error_class = f"upstream_{status}"
    except Refusal as refusal:
        status = refusal.status
        error_class = error_class_of(refusal)
    except Failure as failure:
        status, error_class = 502, failure.kind
    except TimeoutError:
        status, error_class = 504, "upstream_timeout"
    finally:
        shared.n_mirrored -= 1
        recorder.call(chosen, outcome, Ending(status, error_class, monotonic() - began, ttft_s))


async def _ask(shared: Shared, chosen: Chosen, lines: bytes) -> Answer:
    """Ask the version, unless its guardrails stop the request. Raises: Refusal, Failure."""
    prepare(chosen, utc_now)
    if chosen.version.guards.before:
        await judge_request(shared.hooks, chosen)
    length = b"content-length: %d\r\n\r\n" % len(chosen.body)
    request = b"".join((chosen.start, lines, length, chosen.body))
    pool = shared.pool(chosen.upstream.endpoint)
    return await exchange(pool, request, shared.limits.held_response_bytes)


async def _judge(shared: Shared, chosen: Chosen, outcome: Outcome, answer: Answer) -> None:
    """Read a whole answer and let the guardrails look at it. Raises: Refusal, Failure."""
    is_stream = any(
        lower == b"content-type" and value.lower().startswith(b"text/event-stream")
        for lower, _, value in answer.headers
    )
    dialect, guards = chosen.dialect, chosen.version.guards
    if is_stream:
        EventWatch(outcome, dialect.read_event, drop_usage=False).feed(answer.body)
    elif not dialect.read(outcome, answer.body):
        raise Failure("upstream_rubbish", "it answered 200 with something that is no completion")
    if guards:
        hit = guards.answered(answer.body, is_stream=is_stream)
        chosen.note(hit)
        if (refusal := blocked(hit)) is not None:
            raise refusal
    if guards.after:
        await judge_answer(shared.hooks, chosen, answer.body, is_stream=is_stream)
    if guards.watching:
        await watch(shared.hooks, chosen, answer.body, is_stream=is_stream)
