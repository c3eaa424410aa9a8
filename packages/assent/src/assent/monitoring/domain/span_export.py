"""Observed calls as spans of OpenTelemetry's GenAI conventions: names and figures, never contents."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import unquote

from assent.kernel.errors import Invalid
from assent.monitoring.domain.conventions import CONVENTIONS
from assent.monitoring.domain.kinds import has_failed

Value = str | bool | int | float | tuple[str, ...]
NAMES = CONVENTIONS["1.41"]
PROVIDERS = {"openai": "openai", "azure": "azure.ai.openai", "anthropic": "anthropic"}
"""What the conventions call our kinds of provider."""

_NS = 1_000_000_000
_TRACE_BYTES, _SPAN_BYTES = 16, 8


class Observed(NamedTuple):
    """A call as the raw ring keeps it; `at` is its end. Times are seconds, `n` is its place in the ring."""

    n: int
    completion: str
    at: float
    latency_s: float
    ttft_s: float | None
    tokens_in: int | None
    tokens_out: int | None
    project: str
    environment: str
    route: str
    variant: str
    version: str
    serial: int
    rule: str | None
    reason: str
    rollout: str | None
    stream: bool
    status: int
    error_class: str | None
    finish_reason: str | None
    response_model: str | None
    as_approved: bool | None
    guardrails: str | None
    unguarded: bool
    application: str
    operation: str


class Asked(NamedTuple):
    """What the registry says of a version: `ref` (name@number), and the kind of its provider."""

    ref: str | None = None
    kind: str | None = None


def ids(call: Observed) -> tuple[bytes, bytes]:
    """Give trace and span id (16 and 8 bytes): the same whenever the call is sent, so a copy can be told."""
    key = f"{call.project}\n{call.completion}\n{call.at!r}".encode()
    both = blake2b(key, digest_size=_TRACE_BYTES + _SPAN_BYTES).digest()
    return both[:_TRACE_BYTES], both[_TRACE_BYTES:]


def begin_and_end(call: Observed) -> tuple[int, int]:
    """Give begin and end in nanoseconds since 1970."""
    end = round(call.at * _NS)
    return max(0, end - round(call.latency_s * _NS)), end


def error_of(call: Observed) -> str | None:
    """Say how a call failed, None where it did not; that a caller hung up is no failure."""
    if not has_failed(call.status, call.error_class):
        return None
    return call.error_class or str(call.status)


def resource_of(project: str, environment: str) -> dict[str, Value]:
    """Give what all calls of a project's environment have in common."""
    return {"service.name": "assent", NAMES.environment: environment, "assent.project": project}


def attributes_of(call: Observed, asked: Asked) -> dict[str, Value]:
    """Give the attributes of a span; what is not known is left out."""
    given: dict[str | None, Value | None] = {
        NAMES.operation: call.operation,
        NAMES.provider: PROVIDERS.get(asked.kind or ""),
        NAMES.request_model: call.route,
        NAMES.response_model: call.response_model,
        NAMES.finish_reasons: (call.finish_reason,) if call.finish_reason else None,
        NAMES.tokens_in: call.tokens_in,
        NAMES.tokens_out: call.tokens_out,
        NAMES.stream: call.stream,
        NAMES.first_chunk: call.ttft_s,
        NAMES.error: error_of(call),
        "http.response.status_code": call.status,
        "assent.version": call.version,
        "assent.ref": asked.ref,
        "assent.variant": call.variant or None,
        "assent.rule": call.rule,
        "assent.reason": call.reason,
        "assent.rollout": call.rollout,
        "assent.serial": call.serial,
        "assent.as_approved": call.as_approved,
        "assent.guardrails": tuple(call.guardrails.split(",")) if call.guardrails else None,
        "assent.unguarded": call.unguarded or None,
        "assent.application": call.application,
    }
    return {name: value for name, value in given.items() if name is not None and value is not None}


def parse_headers(text: str) -> dict[str, str]:
    """Read headers as OTEL_EXPORTER_OTLP_HEADERS writes them: `name=value,name=value`, values in URL form.

    The text is not repeated in an error: it is a secret. Raises: Invalid.
    """
    found = dict(_headers(text))
    if not found:
        raise Invalid("ASSENT_OTLP_HEADERS leads to no header.", remedy="Write name=value,name=value.")
    return found


def _headers(text: str) -> Iterator[tuple[str, str]]:
    for number, one in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, mark, value = one.partition("=")
        name, value = name.strip().lower(), unquote(value.strip())
        is_name = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if not (mark and is_name and value.isascii() and value.isprintable()):
            raise Invalid(
                f"The header number {number} that ASSENT_OTLP_HEADERS leads to is none.",
                remedy="Write name=value,name=value; in values, %20 stands for a space and %2C for a comma.",
            )
        yield name, value


def is_hopeless(status: int | None) -> bool:
    """Tell whether a collector will never take these spans: it cannot read them, or they are too many."""
    return status in _HOPELESS


_HOPELESS = frozenset({400, 413, 422})
