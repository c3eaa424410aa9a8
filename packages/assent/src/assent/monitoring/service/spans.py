"""Spans as OTLP carries them, in JSON or protobuf, each as one flat record.

Source: OTLP 1.x (opentelemetry-proto `trace.proto`, `common.proto`; the JSON mapping: ids in hexadecimal,
64-bit numbers as decimal strings, unknown fields ignored).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no types of its own
from msgspec import field
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from assent.kernel.errors import Invalid

ERROR = 2
"""The code of a span's status that says it failed."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span; `attributes` has those of its resource below its own, lists as tuples."""

    trace: str
    id: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: Mapping[str, Any]


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: str | int | None = None
    double_value: float | None = None
    array_value: "_Values | None" = None


class _Values(msgspec.Struct):
    values: list[_Value] = field(default_factory=list)


class _Attribute(msgspec.Struct):
    key: str
    value: _Value = field(default_factory=_Value)


class _Status(msgspec.Struct):
    code: int | str = 0


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    start_time_unix_nano: str | int = 0
    end_time_unix_nano: str | int = 0
    attributes: list[_Attribute] = field(default_factory=list)
    status: _Status = field(default_factory=_Status)


class _Scope(msgspec.Struct):
    spans: list[_Span] = field(default_factory=list)


class _Resource(msgspec.Struct):
    attributes: list[_Attribute] = field(default_factory=list)


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource = field(default_factory=_Resource)
    scope_spans: list[_Scope] = field(default_factory=list)


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] = field(default_factory=list)


_read_json = msgspec.json.Decoder(_Request).decode


def from_json(body: bytes) -> list[Span]:
    """Read a request in JSON. Raises: Invalid."""
    try:
        request = _read_json(body)
        return [span for one in request.resource_spans for span in _of_json(one)]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise _not_spans(error) from error


def _of_json(resource: _ResourceSpans) -> Iterator[Span]:
    below = _attributes(resource.resource.attributes)
    for span in (one for scope in resource.scope_spans for one in scope.spans):
        yield Span(
            span.trace_id.lower(),
            span.span_id.lower(),
            int(span.start_time_unix_nano),
            int(span.end_time_unix_nano),
            span.status.code in {ERROR, "STATUS_CODE_ERROR"},
            below | _attributes(span.attributes),
        )


def _attributes(of: Iterable[_Attribute]) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in of}


def _value(value: _Value) -> Any:
    if value.array_value is not None:
        return tuple(_value(one) for one in value.array_value.values)
    if value.int_value is not None:
        return int(value.int_value)
    given = (value.string_value, value.bool_value, value.double_value)
    return next((one for one in given if one is not None), None)


def from_protobuf(body: bytes) -> list[Span]:
    """Read a request in protobuf. Raises: Invalid."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise _not_spans(error) from error
    return [span for one in request.resource_spans for span in _of_protobuf(one)]


def _of_protobuf(resource: Any) -> Iterator[Span]:
    below = _decoded(resource.resource.attributes)
    for span in (one for scope in resource.scope_spans for one in scope.spans):
        yield Span(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code == ERROR,
            below | _decoded(span.attributes),
        )


def _decoded(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: _any_value(one.value) for one in attributes}


def _any_value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_any_value(one) for one in value.array_value.values)
    known = {"string_value", "bool_value", "int_value", "double_value"}
    return getattr(value, kind) if kind in known else None


def answer_in_protobuf(n_rejected: int, why: str) -> bytes:
    """Write the answer: how many spans were not taken, and why."""
    answer = ExportTraceServiceResponse()
    if n_rejected:
        answer.partial_success.rejected_spans = n_rejected
        answer.partial_success.error_message = why
    return bytes(answer.SerializeToString())


def answer_in_json(n_rejected: int, why: str) -> bytes:
    """Write the answer in JSON."""
    partial = {"rejectedSpans": str(n_rejected), "errorMessage": why}
    return msgspec.json.encode({"partialSuccess": partial} if n_rejected else {})


def _not_spans(error: Exception) -> Invalid:
    return Invalid(
        f"This is not a trace request of OTLP: {error}.",
        remedy="Send what an OTLP/HTTP exporter sends to /v1/traces, in JSON or protobuf.",
    )
