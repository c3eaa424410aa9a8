"""Inference spans of applications that use neither gateway nor SDK, as observations.

Such a call has no decision of ours: it belongs to no rollout, so it is shown and alerted on, and judges
nobody.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from assent.kernel.canonical import digest, digest_bytes
from assent.kernel.errors import TooLarge
from assent.kernel.tx import Reader
from assent.monitoring.domain.conventions import INFERENCES, convention_of
from assent.monitoring.service.batch import ANCIENT_S, FUTURE_S, MAX_ROWS, Batch, Call, Rejection
from assent.monitoring.service.spans import Span

VARIANT, REASON = "external", "otlp"
FAILED = "error"
_TRACE, _SPAN = re.compile(r"(?!0{32})[0-9a-f]{32}\Z"), re.compile(r"(?!0{16})[0-9a-f]{16}\Z")
_NS = 1e9
_OK, _UNKNOWN = 200, 0


class Sender(NamedTuple):
    """Who sends spans: project, account, and the environment of spans that name none."""

    project: str
    account: str
    environment: str | None


class _Unfit(Exception):
    """A span that is not taken; the text says why."""


def batch_of(reader: Reader, spans: Sequence[Span], sender: Sender, body: bytes) -> Batch:
    """Turn the inference spans of a request into a batch; a request is one batch, a span one call.

    Raises: TooLarge.
    """
    inferences = [one for one in spans if _operation(one) in INFERENCES]
    if len(inferences) > MAX_ROWS:
        raise TooLarge(
            f"The request has {len(inferences):,} inference spans; at most {MAX_ROWS:,} are taken at once.",
            remedy="Let the exporter send smaller batches.",
        )
    present = reader.now().timestamp()
    calls, indexes, times, rejections = [], [], [], []
    for index, span in enumerate(inferences):
        try:
            at = _time(span, present)
            calls.append(_call(span, sender))
        except (_Unfit, msgspec.ValidationError) as error:
            rejections.append(Rejection(index, str(error)))
            continue
        indexes.append(index)
        times.append(at)
    name = digest_bytes(f"{sender.project}\n".encode() + body).removeprefix("sha256:")
    head = (f"otlp:{name}", f"otlp:{sender.account}", sender.project, 0)
    return Batch(*head, calls, indexes, times, rejections=rejections)


def _operation(span: Span) -> Any:
    return span.attributes.get(convention_of(span.attributes).operation)


def _time(span: Span, present: float) -> float:
    if not (_TRACE.match(span.trace) and _SPAN.match(span.id)):
        raise _Unfit("trace and span need ids of 16 and 8 bytes that are not zero")
    if span.end_ns < span.start_ns:
        raise _Unfit("it ends before it begins")
    at = span.start_ns / _NS
    if not present - ANCIENT_S <= at <= present + FUTURE_S:
        raise _Unfit(f"it begins {present - at:.0f} s ago; at most {ANCIENT_S / 86_400:.0f} days are taken")
    return at


def _call(span: Span, sender: Sender) -> Call:
    """Read a span. Raises: msgspec.ValidationError, _Unfit."""
    names, given = convention_of(span.attributes), span.attributes
    model = given.get(names.request_model) or given.get(names.response_model)
    environment = given.get(names.environment) or sender.environment
    if model is None or environment is None:
        missing = names.request_model if model is None else names.environment
        raise _Unfit(f"the attribute {missing} is missing")
    reasons = given.get(names.finish_reasons)
    answered = given.get(names.response_model)
    error = given.get(names.error) or (FAILED if span.failed else None)
    values: dict[str, Any] = {
        "kind": "call",
        "at": _moment(span.start_ns),
        "environment": environment,
        "route": model,
        "variant": VARIANT,
        "version": digest({"provider": str(given.get(names.provider)), "model": str(answered or model)}),
        "serial": 0,
        "rule": None,
        "reason": REASON,
        "rollout": None,
        "unit": span.trace,
        "sticky": False,
        "stream": _optional(given, names.stream) or False,
        "completion_id": f"{span.trace}:{span.id}",
        "status": _OK if error is None else _UNKNOWN,
        "error_class": error,
        "latency_s": (span.end_ns - span.start_ns) / _NS,
        "ttft_s": _optional(given, names.first_chunk),
        "tokens_in": given.get(names.tokens_in),
        "tokens_out": given.get(names.tokens_out),
        "finish_reason": reasons[0] if isinstance(reasons, tuple) and reasons else None,
        "response_model": answered,
        "as_approved": None,
        "application": sender.account,
        "operation": _operation(span),
    }
    call = msgspec.convert(values, Call)
    if any("\0" in value for value in values.values() if isinstance(value, str)):
        raise _Unfit("a text holds a NUL character")
    return call


def _optional(given: Mapping[str, Any], name: str | None) -> Any:
    return None if name is None else given.get(name)


def _moment(ns: int) -> datetime:
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
