"""Spans of applications without gateway or SDK, as OpenTelemetry's own messages carry them."""

import gzip
import json

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from assent.kernel.errors import Invalid, TooLarge
from assent.monitoring import service
from assent.monitoring.domain.conventions import CONVENTIONS, INFERENCES
from assent.monitoring.service import otlp, spans

GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x-2026",
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.request.stream": True,
    "gen_ai.response.time_to_first_chunk": 0.25,
}
RESOURCE = {"service.name": "shop", "deployment.environment.name": "production"}
PUBLISHED = {
    "1.36": {
        "gen_ai.operation.name", "gen_ai.system", "gen_ai.request.model", "gen_ai.response.model",
        "gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
        "error.type", "deployment.environment.name",
    },
    "1.41": {
        "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model",
        "gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
        "error.type", "gen_ai.request.stream", "gen_ai.response.time_to_first_chunk",
        "deployment.environment.name",
    },
}  # fmt: skip
"""As the tables of spans in the conventions print them at the tags of these versions."""


def put(value, into):
    match value:
        case bool():
            into.bool_value = value
        case str():
            into.string_value = value
        case int():
            into.int_value = value
        case float():
            into.double_value = value
        case tuple():
            for one in value:
                put(one, into.array_value.values.add())


class Trace:
    """An exporter's request in the making."""

    def __init__(self, now_s, resource=RESOURCE):
        self.request = ExportTraceServiceRequest()
        self.now_ns = int(now_s * 1e9)
        self.n = 0
        self.resource = self.request.resource_spans.add()
        for key, value in resource.items():
            put(value, self.resource.resource.attributes.add(key=key).value)
        self.scope = self.resource.scope_spans.add()

    def span(self, attributes=GENAI, *, took_s=1.5, ago_s=10, **fields):
        self.n += 1
        start = self.now_ns - int(ago_s * 1e9)
        given = {"trace_id": b"\1" * 16, "span_id": self.n.to_bytes(8, "big")} | fields
        one = self.scope.spans.add(
            start_time_unix_nano=start, end_time_unix_nano=start + int(took_s * 1e9), **given
        )
        for key, value in attributes.items():
            put(value, one.attributes.add(key=key).value)
        return self

    def body(self):
        return self.request.SerializeToString()


def attribute(key, value):
    names = {bool: "boolValue", str: "stringValue", int: "intValue", float: "doubleValue"}
    if isinstance(value, tuple):
        return {
            "key": key,
            "value": {"arrayValue": {"values": [attribute("", one)["value"] for one in value]}},
        }
    return {"key": key, "value": {names[type(value)]: str(value) if type(value) is int else value}}


def as_json(request):
    """Write a request in the JSON mapping of OTLP, by hand: protobuf's own would write ids in base64."""
    (resource,) = request.resource_spans
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [attribute(*pair) for pair in RESOURCE.items()]},
                    "scopeSpans": [
                        {
                            "scope": {"name": "by hand"},
                            "spans": [
                                {
                                    "traceId": one.trace_id.hex().upper(),
                                    "spanId": one.span_id.hex(),
                                    "startTimeUnixNano": str(one.start_time_unix_nano),
                                    "endTimeUnixNano": str(one.end_time_unix_nano),
                                    "kind": 3,
                                    "attributes": [attribute(*pair) for pair in GENAI.items()],
                                    "status": {"code": one.status.code},
                                }
                                for one in resource.scope_spans[0].spans
                            ],
                        }
                    ],
                }
            ]
        }
    ).encode()


def take(desk, body, read=spans.from_protobuf, environment=None):
    sender = otlp.Sender("acme", "svc_shop", environment)
    batch = desk.read(otlp.batch_of, read(body), sender, body)
    with desk.writing() as tx:
        return service.take(tx, batch, body)


def trace(desk, **arguments):
    return Trace(desk.clock.now().timestamp(), **arguments)


def test_the_names_are_those_that_the_conventions_publish():
    for version, names in PUBLISHED.items():
        table = CONVENTIONS[version]
        assert {getattr(table, field) for field in table.__slots__} - {None} == names


def test_json_and_protobuf_carry_the_same_spans(running):
    one = trace(running).span().span(status=Status(code=2))
    assert spans.from_json(as_json(one.request)) == spans.from_protobuf(one.body())


def test_an_inference_is_a_call_of_the_model_that_was_asked_for(running):
    assert take(running, trace(running).span().body())["n_accepted"] == 1
    (call,), (facet,) = running.rows("calls"), running.rows("facets")
    assert (call.latency_s, call.ttft_s, call.tokens_in, call.tokens_out) == (1.5, 0.25, 20, 7)
    assert call.completion == f"{'01' * 16}:{1:016x}"
    assert call.at == running.clock.now().timestamp() - 10
    assert (facet.application, facet.response_model, facet.stream) == ("svc_shop", "gpt-x-2026", True)
    assert (facet.status, facet.error_class, facet.finish_reason) == (200, None, "stop")
    (figures,) = running.read(service.live.by_version, "acme", last_s=60)
    assert (figures["route"], figures["environment"], figures["n_calls"]) == ("gpt-x", "production", 1)


def test_a_call_is_kept_with_its_operation(running):
    take(running, trace(running).span().span({**GENAI, "gen_ai.operation.name": "embeddings"}).body())
    assert {facet.operation for facet in running.rows("facets")} == {"chat", "embeddings"}


def test_spans_decide_no_rollout(running):
    take(
        running,
        trace(running).span({**GENAI, "gen_ai.request.model": "assistant", "assent.rollout": "ro_1"}).body(),
    )
    assert running.rows("units") == []
    (facet,) = running.rows("facets")
    assert (facet.rollout, facet.reason) == (None, "otlp")


def test_a_span_counts_once_in_one_request_and_in_many(running):
    one = trace(running).span()
    body = one.body()
    assert take(running, body) == take(running, body)
    both = one.span().body()
    assert (take(running, both)["n_duplicates"], len(running.rows("calls"))) == (1, 2)


def test_older_conventions_are_read_too(running):
    old = {name: value for name, value in GENAI.items() if name != "gen_ai.provider.name"}
    take(running, trace(running).span({**old, "gen_ai.system": "openai"}).body())
    (call,) = running.rows("calls")
    assert (call.tokens_in, call.ttft_s) == (20, None)


@pytest.mark.parametrize(
    ("attributes", "fields", "error"),
    [
        ({"error.type": "timeout"}, {}, "timeout"),
        ({}, {"status": Status(code=2)}, "error"),
        ({"error.type": "429"}, {"status": Status(code=2)}, "429"),
    ],
)
def test_a_span_that_failed_is_an_error(running, attributes, fields, error):
    take(running, trace(running).span({**GENAI, **attributes}, **fields).body())
    (facet,) = running.rows("facets")
    assert facet.error_class == error
    assert running.read(service.live.by_version, "acme", last_s=60)[0]["errors"]["rate"] == 1.0


def test_what_is_no_inference_is_left_alone(running):
    receipt = take(
        running,
        trace(running)
        .span({"http.request.method": "GET"})
        .span({**GENAI, "gen_ai.operation.name": "execute_tool"})
        .body(),
    )
    assert (receipt["n_accepted"], receipt["n_rejected"]) == (0, 0)
    assert "execute_tool" not in INFERENCES


@pytest.mark.parametrize(
    ("attributes", "fields", "why"),
    [
        ({}, {"trace_id": b"\0" * 16}, "ids of 16 and 8 bytes"),
        ({}, {"span_id": b"\1" * 7}, "ids of 16 and 8 bytes"),
        ({}, {"took_s": -1}, "ends before it begins"),
        ({}, {"ago_s": 8 * 86_400}, "begins 691200 s ago"),
        ({}, {"ago_s": -3600}, "begins -3600 s ago"),
        ({"gen_ai.usage.input_tokens": -1}, {}, "tokens_in"),
        ({"gen_ai.usage.input_tokens": "many"}, {}, "tokens_in"),
        ({"gen_ai.request.model": "m" * 201}, {}, "route"),
        ({"gen_ai.request.model": "m\0"}, {}, "NUL"),
        ({"gen_ai.request.stream": "yes"}, {}, "stream"),
    ],
)
def test_a_bad_span_costs_only_itself(running, attributes, fields, why):
    receipt = take(running, trace(running).span().span({**GENAI, **attributes}, **fields).body())
    assert (receipt["n_accepted"], receipt["n_rejected"]) == (1, 1)
    assert why in receipt["rejections"][0]["reason"]


def test_a_model_and_an_environment_are_needed(running):
    bare = trace(running, resource={}).span({"gen_ai.operation.name": "chat"}).span()
    reasons = [one["reason"] for one in take(running, bare.body())["rejections"]]
    assert [reason.split()[2] for reason in reasons] == [
        "gen_ai.request.model",
        "deployment.environment.name",
    ]
    again = trace(running, resource={}).span({**GENAI, "more": ()}).body()
    assert take(running, again, environment="staging")["n_accepted"] == 1


def test_too_many_spans_are_refused(running, monkeypatch):
    monkeypatch.setattr(otlp, "MAX_ROWS", 1)
    with pytest.raises(TooLarge, match="2 inference spans"):
        take(running, trace(running).span().span().body())


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"x"}]}]}]}', b"\xff"],
)
def test_what_is_no_request_is_refused(body):
    with pytest.raises(Invalid, match="not a trace request"):
        spans.from_json(body)


def test_what_is_no_protobuf_is_refused():
    with pytest.raises(Invalid, match="not a trace request"):
        spans.from_protobuf(b"\xff\xff")


def post(served, content, who="gateway", **headers):
    return httpx.post(
        f"{served.url}/v1/projects/acme/otlp/v1/traces",
        content=content,
        headers={"authorization": f"Bearer {served.tokens[who]}", **headers},
    )


def test_an_exporter_is_answered_in_its_own_form(served):
    one = trace(served.desk).span().span(took_s=-1)
    answer = post(
        served,
        gzip.compress(one.body()),
        **{"content-type": "application/x-protobuf", "content-encoding": "gzip"},
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (partial.rejected_spans, partial.error_message) == (1, "span 1: it ends before it begins")
    good = trace(served.desk).span(span_id=b"\7" * 8)
    assert post(served, good.body(), **{"content-type": "application/x-protobuf"}).content == b""
    assert (
        post(
            served,
            as_json(trace(served.desk).span(span_id=b"\6" * 8).request),
            **{"content-type": "application/json"},
        ).json()
        == {}
    )
    assert (
        post(served, as_json(one.request), **{"content-type": "application/json"}).json()["partialSuccess"][
            "rejectedSpans"
        ]
        == "1"
    )
    assert len(served.desk.rows("calls")) == 3


def test_who_may_not_observe_sends_no_spans(served):
    assert post(served, b"{}", who="auditor").status_code == 403
    assert served.desk.rows("batches") == []


def test_packed_bodies_are_bounded_and_whole(served):
    bomb = gzip.compress(b" " * 17_000_000)
    packed = gzip.compress(b"{}")
    found = [
        post(served, body, **{"content-encoding": coding}).status_code
        for body, coding in [
            (bomb, "gzip"),
            (packed[:-4], "gzip"),
            (packed * 2, "gzip"),
            (b"{}", "gzip"),
            (b"{}", "br"),
            (packed, "gzip"),
        ]
    ]
    assert found == [413, 422, 422, 422, 422, 200]
