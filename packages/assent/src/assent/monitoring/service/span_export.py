"""Observed calls go out as OTLP/HTTP spans, to the collector that the operator names.

Each call is sent at least once, under ids that follow from it. A collector that is away is asked again; what
the ring no longer keeps by then is counted as dropped. Calls that came in as spans are not sent: whoever sent
them has them.

Source: OTLP 1.x (opentelemetry-proto `docs/specification.md`: retryable statuses, partial success).
"""

import gzip
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no types of its own
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from assent.kernel.errors import Invalid
from assent.kernel.references import read_reference
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Reader, Tx
from assent.monitoring.domain import span_export as shape
from assent.monitoring.domain.span_export import Asked, Observed, Value
from assent.monitoring.service.otlp import REASON
from assent.monitoring.store import span_export as store
from assent.notifications.domain.retries import MAX_REST_S, Outcome, delay_s
from assent.notifications.service import Outside, outside_of
from assent.notifications.service.outside import post
from assent.providers import service as providers
from assent.registry import service as registry

PAGE = 1_000
"""Calls of one request: about a megabyte before it is packed."""

SETTLE_S = 60.0
PATH = "/v1/traces"
MAX_ERROR = 500
_CHANCES = 1_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """The next calls to send, packed; `first` and `next` are places in the ring."""

    first: int
    next: int
    n_spans: int
    body: bytes


def follow(tx: Tx, url: str) -> None:
    """Begin to send to a collector what comes from now on, go on to another one, or (empty) stop."""
    found = store.find(tx.conn, lock=True)
    if not url:
        store.stop(tx.conn)
    elif found is None:
        store.start(tx.conn, url, tx.now())
    else:
        store.put(tx.conn, target=url, n_failures=0, retry_at=None)


def follows(reader: Reader, url: str) -> bool:
    """Tell whether what is sent is sent to this collector."""
    found = store.find(reader.conn)
    return (found.target if found else "") == url


def due(reader: Reader) -> Page | None:
    """Give the next calls; None where there are none, or the collector is left alone for a while."""
    found = store.find(reader.conn)
    if found is None or (found.retry_at is not None and found.retry_at > reader.now()):
        return None
    end = store.settled(reader.conn, found.next_n, reader.now().timestamp() - SETTLE_S)
    calls = store.page(reader.conn, found.next_n, end, PAGE)
    behind = calls[-1].n + 1 if len(calls) == PAGE else end
    if behind == found.next_n:
        return None
    ours = [call for call in calls if call.reason != REASON]
    return Page(found.next_n, behind, len(ours), _packed(reader, ours) if ours else b"")


def _packed(reader: Reader, calls: list[Observed]) -> bytes:
    request = ExportTraceServiceRequest()
    asked: dict[tuple[str, str], Asked] = {}
    for place, alike in groupby(sorted(calls, key=_place), key=_place):
        resource = request.resource_spans.add()
        resource.resource.attributes.extend(_written(shape.resource_of(*place)))
        scope = resource.scope_spans.add()
        scope.scope.name = "assent"
        for call in alike:
            key = (call.project, call.version)
            if key not in asked:
                asked[key] = _asked(reader, *key)
            _add(scope.spans.add(), call, asked[key])
    return gzip.compress(request.SerializeToString(), mtime=0)


def _place(call: Observed) -> tuple[str, str]:
    return call.project, call.environment


def _asked(reader: Reader, project: str, version: str) -> Asked:
    found = registry.find_by_digest(reader, project, version)
    if found is None:
        return Asked()
    provider = providers.find_provider(reader, project, found.provider)
    return Asked(found.ref, None if provider is None else provider.kind)


def _add(span: Any, call: Observed, asked: Asked) -> None:
    span.trace_id, span.span_id = shape.ids(call)
    span.name = f"{call.operation} {call.route}"
    span.kind = Span.SPAN_KIND_CLIENT
    span.start_time_unix_nano, span.end_time_unix_nano = shape.begin_and_end(call)
    span.attributes.extend(_written(shape.attributes_of(call, asked)))
    if shape.error_of(call) is not None:
        span.status.code = Status.STATUS_CODE_ERROR


def _written(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any_value(value)) for name, value in attributes.items()]


def _any_value(value: Value) -> AnyValue:
    if isinstance(value, tuple):
        written = AnyValue()
        written.array_value.values.extend(_any_value(one) for one in value)
        return written
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(double_value=value) if isinstance(value, float) else AnyValue(string_value=value)


def outside_to(runtime: Runtime) -> Outside:
    """Give what calls the collector: its host alone is let through too, since the operator named it."""
    outside, url = outside_of(runtime), urlsplit(runtime.settings.otlp_url)
    named = {
        "hook_http": url.scheme == "http",
        "hook_allow": (*runtime.settings.hook_allow, str(url.hostname)),
    }
    return replace(outside, settings=runtime.settings.model_copy(update=named))


def send(outside: Outside, page: Page) -> Outcome:
    """Send a page once; whatever goes wrong is an outcome."""
    settings = outside.settings
    if not page.n_spans:
        return Outcome(ok=True)
    try:
        headers = _headers(settings.otlp_headers)
    except Invalid as error:
        return Outcome(ok=False, error=error.message)
    headers |= {
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
        "user-agent": "Assent",
    }
    return post(outside, settings.otlp_url.rstrip("/") + PATH, page.body, headers)


def _headers(reference: str) -> dict[str, str]:
    if not reference:
        return {}
    text = read_reference(reference, "Set ASSENT_OTLP_HEADERS to env:NAME or file:/path.", "workers")
    return shape.parse_headers(text)


def settle(tx: Tx, page: Page, outcome: Outcome) -> bool:
    """Keep how a page went; gives whether the next one may follow.

    Where somebody else has settled this page meanwhile, nothing is kept.
    """
    found = store.find(tx.conn, lock=True)
    if found is None or found.next_n != page.first:
        return False
    if not outcome.ok and not shape.is_hopeless(outcome.status):
        store.put(tx.conn, **_rested(found.n_failures + 1, outcome, tx.now()))
        return False
    n_refused, error = (page.n_spans, outcome.error) if not outcome.ok else _partial(outcome.body)
    store.put(
        tx.conn,
        next_n=page.next,
        n_sent=found.n_sent + page.n_spans - n_refused,
        n_refused=found.n_refused + n_refused,
        sent_at=tx.now() if page.n_spans else found.sent_at,
        n_failures=0,
        retry_at=None,
        error=error if page.n_spans else found.error,
    )
    return True


def _rested(n_failures: int, outcome: Outcome, now: datetime) -> dict[str, Any]:
    chance = secrets.randbelow(_CHANCES) / _CHANCES
    wait_s = max(min(delay_s(n_failures, chance), MAX_REST_S), outcome.retry_after_s or 0.0)
    error = (outcome.error or "")[:MAX_ERROR]
    return {"n_failures": n_failures, "retry_at": now + timedelta(seconds=wait_s), "error": error}


def _partial(answer: bytes) -> tuple[int, str | None]:
    """Read how many spans a collector did not take, and why."""
    try:
        said = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return 0, "The collector took the spans; its answer is no OTLP in protobuf."
    why = "".join(one if one.isprintable() else " " for one in said.error_message)
    n = max(0, said.rejected_spans)
    return n, f"The collector did not take {n} spans: {why}"[:MAX_ERROR] if n or why else None


def drop(tx: Tx, before_s: float) -> int:
    """Pass over what came before a time (seconds), as the ring lets it go; give how many were not sent."""
    found = store.find(tx.conn, lock=True)
    passed = None if found is None else store.pass_over(tx.conn, found.next_n, before_s)
    if found is None or passed is None:
        return 0
    behind, n = passed
    store.put(tx.conn, next_n=behind, n_dropped=found.n_dropped + n)
    return n


def document(reader: Reader) -> dict[str, Any] | None:
    """Write how the sending goes; None where no calls are sent."""
    found = store.find(reader.conn)
    if found is None:
        return None
    since = store.waiting_since(reader.conn, found.next_n)
    behind = 0.0 if since is None else max(0.0, reader.now().timestamp() - since)
    return {
        "target": found.target,
        "started_at": found.started_at,
        "sent_at": found.sent_at,
        "behind_s": round(behind, 1),
        "n_sent": found.n_sent,
        "n_refused": found.n_refused,
        "n_dropped": found.n_dropped,
        "n_failures": found.n_failures,
        "retry_at": found.retry_at,
        "error": found.error,
    }
