"""OFREP: the protocol's own words, limits, changes by stream, and the real provider."""

import json
import threading

import httpx
import jsonschema
import pytest
import yaml

from assent.delivery import service as delivery
from assent.delivery.service import evaluating
from assent.flags import service
from assent.kernel.errors import Frozen
from tests.architecture.house_rules import ROOT
from tests.delivery.releases import PROJECT, until

SPECIFICATION = ROOT.parents[0] / "shared" / "reference" / "ofrep" / "openapi.yaml"


def has(attribute, op, value):
    return {"attribute": attribute, "op": op, "value": value}


@pytest.fixture
def ofrep(served):
    with httpx.Client(base_url=f"{served.base()}/ofrep/v1", headers=served.headers()) as client:
        yield client


def ask(ofrep, key, **context):
    return ofrep.post(f"/evaluate/flags/{key}", json={"context": context})


def test_one_flag_is_evaluated_with_its_reason(served, ofrep):
    acme = {"id": "acme", "when": [has("organisation", "in", ["acme"])], "variant": "on"}
    mixed = {"id": "half", "when": [has("organisation", "in", ["zeta"])], "split": {"on": 0.5}}
    served.flags.create(rules=[acme, mixed], split={"on": 0.3})
    served.flags.create("whole", split="on")
    served.flags.create("after", split="on", prerequisites=[{"flag": "new-search", "variants": ["on"]}])
    found = ask(ofrep, "new-search", targetingKey="ada", organisation="acme")
    assert (found.status_code, found.json()["value"], found.json()["variant"]) == (200, True, "on")
    assert found.json()["metadata"] == {"generation": 1, "assentReason": "rule", "rule": "acme"}
    reasons = [
        ask(ofrep, key, targetingKey="ada", organisation=name).json()["reason"]
        for key, name in (("new-search", "acme"), ("new-search", "zeta"), ("new-search", ""), ("whole", ""))
    ]
    assert reasons == ["TARGETING_MATCH", "SPLIT", "SPLIT", "STATIC"]
    served.flags.do(service.switch_off, served.flags.place(), "broken")
    off = ask(ofrep, "new-search", targetingKey="ada").json()
    assert (off["value"], off["reason"]) == (False, "DISABLED")
    assert ask(ofrep, "after", targetingKey="ada").json()["metadata"]["assentReason"] == "prerequisite"


def test_what_cannot_be_evaluated_is_told_in_the_protocol_s_words(served, ofrep):
    served.flags.create(unit="organisation", split={"on": 0.5})
    path = "/evaluate/flags/new-search"
    assert ask(ofrep, "gone", targetingKey="a").json()["errorCode"] == "FLAG_NOT_FOUND"
    codes = {
        "TARGETING_KEY_MISSING": [
            {"context": {}},
            {"context": {"targetingKey": 7}},
            {"context": {"targetingKey": "a"}},
        ],
        "INVALID_CONTEXT": [{}, [], {"context": []}, {"context": {"targetingKey": "a", "x": "y" * 70_000}}],
    }
    for code, bodies in codes.items():
        for body in bodies:
            found = ofrep.post(path, json=body)
            assert (found.status_code, found.json()["errorCode"], found.json()["key"]) == (
                400,
                code,
                "new-search",
            )
    for content in (b"{", b"\xff", b"[" * 50_000):
        assert ofrep.post(path, content=content).json()["errorCode"] == "PARSE_ERROR"
    assert ofrep.post("/evaluate/flags", content=b"{").json()["errorCode"] == "PARSE_ERROR"
    elsewhere = f"{served.base('nowhere')}/ofrep/v1/evaluate/flags/x"
    assert ofrep.post(elsewhere, json={"context": {"targetingKey": "a"}}).status_code == 404


def test_who_may_evaluate(served, ofrep):
    served.flags.create()
    for headers, status in ((None, 401), (served.headers("auditor"), 403)):
        with httpx.Client(headers=headers) as client:
            found = client.post(
                f"{served.base()}/ofrep/v1/evaluate/flags", json={"context": {"targetingKey": "a"}}
            )
            assert found.status_code == status


def test_all_flags_come_with_a_tag_that_changes_with_what_they_decide(served, ofrep):
    served.flags.create(split={"on": 0.5})
    served.flags.create("by-organisation", unit="organisation")
    body = {"context": {"targetingKey": "ada"}}
    first = ofrep.post("/evaluate/flags", json=body)
    assert first.json()["flags"][0]["errorCode"] == "TARGETING_KEY_MISSING"
    tag = {"if-none-match": first.headers["etag"]}
    assert ofrep.post("/evaluate/flags", json=body, headers=tag).status_code == 304
    assert (
        ofrep.post("/evaluate/flags", json={"context": {"targetingKey": "bob"}}, headers=tag).status_code
        == 200
    )
    served.flags.desk.clock.advance(1800)  # a snapshot is issued anew; what it decides is the same
    assert ofrep.post("/evaluate/flags", json=body, headers=tag).status_code == 304
    served.flags.change(split={"on": 0.6})
    assert ofrep.post("/evaluate/flags", json=body, headers=tag).status_code == 200


def test_answers_are_valid_against_the_specification(served, ofrep):
    if not SPECIFICATION.exists():
        pytest.skip("the specification is not beside the repository")
    served.flags.create(split={"on": 0.5})
    served.flags.create("number", variants={"a": 1.5, "b": 2}, off="b", split="a")
    served.flags.create("thing", variants={"a": {"x": 1}, "b": {}}, off="b", split={"a": 0.5})
    schemas = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
    # an answer with a value fits "no value" too, which JSON Schema's oneOf would count as two
    del schemas["components"]["schemas"]["evaluationSuccess"]["allOf"][1]
    bulk = ofrep.post("/evaluate/flags", json={"context": {"targetingKey": "ada"}}).json()
    for name, answer in (
        ("bulkEvaluationSuccess", bulk),
        ("serverEvaluationSuccess", bulk["flags"][0]),
        ("flagNotFound", ask(ofrep, "gone", targetingKey="a").json()),
        ("evaluationFailure", ask(ofrep, "number").json()),
    ):
        jsonschema.validate(answer, {**schemas, "$ref": f"#/components/schemas/{name}"})


def test_a_caller_who_asks_too_often_is_told_when_to_ask_again(served, ofrep):
    served.flags.create()
    served.app.state.ofrep_limits = delivery.RateLimit(0.5)
    found = [ask(ofrep, "new-search", targetingKey="a") for _ in range(3)]
    assert [one.status_code for one in found] == [200, 429, 429]
    assert found[1].headers["retry-after"] == "2"
    assert ofrep.post("/evaluate/flags", json={"context": {"targetingKey": "a"}}).status_code == 429


def test_a_limit_fills_up_again_and_forgets_strangers(monkeypatch):
    monkeypatch.setattr(evaluating, "MAX_CALLERS", 2)
    limit = delivery.RateLimit(10)
    assert [limit.wait_s("a", 0.0) for _ in range(21)] == [0.0] * 20 + [0.1]
    assert limit.wait_s("a", 0.1) == 0.0
    assert [limit.wait_s(name, 0.1) for name in "bc"] == [0.0, 0.0]
    assert limit.wait_s("a", 0.1) == 0.0  # forgotten when a third came


def test_a_change_is_told_by_stream(served, ofrep):
    served.flags.create(split={"on": 0.5})
    told = []

    def listen():
        with ofrep.stream("GET", "/event-stream", timeout=20) as stream:
            for line in stream.iter_lines():
                told.append(line)
                if line.startswith("data:"):
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    until(lambda: told, "the stream")
    served.flags.change(split={"on": 0.6})
    served.flags.desk.runtime.signals.notify(delivery.TOPIC)
    listener.join(20)
    event = dict(line.split(": ", 1) for line in told if ": " in line and not line.startswith(":"))
    change = json.loads(event["data"])
    bulk = ofrep.post("/evaluate/flags", json={"context": {"targetingKey": "a"}}).json()
    assert (event["event"], change["type"], change["etag"]) == (
        "message",
        "refetchEvaluation",
        bulk["metadata"]["version"],
    )


def test_what_is_asked_for_one_by_one_is_counted(served, ofrep):
    served.flags.create(split="on")
    ask(ofrep, "new-search", targetingKey="a")
    ofrep.post("/evaluate/flags", json={"context": {"targetingKey": "a"}})
    uses = served.flags.desk.read(service.uses, PROJECT, "staging", 30)
    assert uses["new-search"].counts == {"on": 1}


def test_counts_are_written_now_and_then_and_lost_ones_are_said(alone, caplog):
    alone.create(split="on")
    now = [0.0]
    counted = delivery.Counted(lambda: now[0])

    class Call:
        project = PROJECT
        begin = alone.desk.begin

    given = ("staging", "new-search", "on")
    for at in (0.0, 5.0, 9.0, 10.0):
        now[0] = at
        counted.count(Call, given)
    assert alone.desk.read(service.uses, PROJECT, "staging", 30)["new-search"].counts == {"on": 4}

    def frozen():
        raise Frozen("the disk is full")

    Call.begin = frozen
    now[0] = 30.0
    counted.count(Call, given)
    assert "were not counted: the disk is full" in caplog.text


def test_old_issues_are_forgotten(alone, monkeypatch):
    monkeypatch.setattr(evaluating, "KEPT", 2)
    served = {}
    monkeypatch.setattr(evaluating, "_served", served)
    alone.create()
    for n in range(4):
        alone.change(owner=f"team {n}")
        delivery.flags_in(alone.desk.snapshot("staging", "sdk")[0])
    assert len(served) == 2


def test_the_provider_of_openfeature_reads_our_flags(served):
    api = pytest.importorskip("openfeature.api", reason="openfeature-provider-ofrep is not installed")
    ofrep_provider = pytest.importorskip("openfeature.contrib.provider.ofrep")
    from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415 -- optional

    acme = {"id": "acme", "when": [has("organisation", "in", ["acme"])], "variant": "on"}
    served.flags.create(rules=[acme])
    served.flags.create("limit", variants={"low": 10, "high": 100}, off="low", split="high")
    provider = ofrep_provider.OFREPProvider(served.base(), headers_factory=served.headers)
    api.set_provider(provider)
    try:
        client = api.get_client()
        context = EvaluationContext("ada", {"organisation": "acme"})
        details = client.get_boolean_details("new-search", default_value=False, evaluation_context=context)
        assert (details.value, details.variant, str(details.reason)) == (True, "on", "TARGETING_MATCH")
        assert client.get_integer_value("limit", 1, context) == 100
        missing = client.get_boolean_details("gone", default_value=True, evaluation_context=context)
        assert (missing.value, str(missing.error_code)) == (True, "FLAG_NOT_FOUND")
    finally:
        api.clear_providers()
