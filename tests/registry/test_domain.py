"""Documents and stages of models: pure rules."""

import pytest

from assent.kernel.errors import Invalid
from assent.registry.domain import Stage, Status, parse_model, parse_stage, parse_status, trained_on

DIGEST = "sha256:" + "a" * 64
LEAST = {"provider": "acme", "upstream_model": "m-1"}


def document(**changes):
    return parse_model({**LEAST, **changes}, project="shop", name="support")


def test_every_default_is_written_out_and_what_is_empty_left_out():
    made = document(description=None, datasets=[], owner=None)
    assert made == {
        "kind": "model",
        "project": "shop",
        "name": "support",
        "provider": "acme",
        "upstream_model": "m-1",
        "prompt": None,
        "parameters": {},
        "open_parameters": {},
        "client_system": "refuse",
        "tier": "high",
    }


def test_a_document_reads_back_as_itself():
    made = document(
        prompt=DIGEST,
        parameters={"temperature": 0.2, "tool_choice": "auto"},
        open_parameters={
            "temperature": {"min": 0, "max": 1},
            "tool_choice": {"values": ["auto"]},
            "user": None,
        },
        client_system="append",
        tier="limited",
        base_model="m",
        owner="team",
        licence="Apache-2.0",
        description="x" * 1000,
        intended_use="Answers customers",
        datasets=["faq", {"name": "tickets", "digest": DIGEST}],
        artifacts=[{"name": "adapter", "digest": DIGEST}],
        code={"repository": "https://example.com/x", "commit": "0123456"},
        built_from=[DIGEST, DIGEST],
        response_models=["m-1-2026"],
        tags=["b", "a"],
    )
    assert parse_model(made, project="shop", name="support") == made
    assert made["intended_use"] == {"summary": "Answers customers"}
    assert made["datasets"][0] == {"name": "faq"}
    assert made["built_from"] == [DIGEST]
    assert trained_on(made) == (DIGEST,)
    assert trained_on(document()) == ()


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({"colour": 1}, "colour"),
        ({"kind": "prompt"}, "kind"),
        ({"project": "other"}, "project"),
        ({"name": "other"}, "name"),
        ({"provider": None}, "provider"),
        ({"provider": 3}, "provider"),
        ({"upstream_model": ""}, "upstream_model"),
        ({"upstream_model": "x" * 301}, "upstream_model"),
        ({"prompt": "greeting@1.0.0"}, "prompt"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"messages": []}}, "parameters.messages"),
        ({"open_parameters": []}, "open_parameters"),
        ({"open_parameters": {"stream": {}}}, "open_parameters.stream"),
        ({"open_parameters": {"n": 3}}, "open_parameters.n"),
        ({"open_parameters": {"n": {"least": 3}}}, "open_parameters.n"),
        ({"open_parameters": {"n": {"min": "a"}}}, "open_parameters.n"),
        ({"open_parameters": {"n": {"min": True}}}, "open_parameters.n"),
        ({"open_parameters": {"n": {"min": 2, "max": 1}}}, "open_parameters.n"),
        ({"open_parameters": {"n": {"values": []}}}, "open_parameters.n"),
        ({"open_parameters": {"n": {"values": 3}}}, "open_parameters.n"),
        ({"open_parameters": {"n": {"max": 1}}, "parameters": {"n": 2}}, "parameters.n"),
        ({"open_parameters": {"n": {"max": 1}}, "parameters": {"n": True}}, "parameters.n"),
        ({"open_parameters": {"n": {"max": 1}}, "parameters": {"n": "a"}}, "parameters.n"),
        ({"open_parameters": {"n": {"values": [1]}}, "parameters": {"n": 2}}, "parameters.n"),
        ({"client_system": "obey"}, "client_system"),
        ({"tier": "low"}, "tier"),
        ({"tier": ["high"]}, "tier"),
        ({"owner": " "}, "owner"),
        ({"description": "x" * 90_001}, "description"),
        ({"intended_use": 3}, "intended_use"),
        ({"datasets": {}}, "datasets"),
        ({"datasets": ["a"] * 1001}, "datasets"),
        ({"datasets": [3]}, "datasets[0]"),
        ({"datasets": [{"name": " "}]}, "datasets[0]"),
        ({"datasets": [{"name": "a", "digest": "x"}]}, "datasets[0]"),
        ({"artifacts": ["a"]}, "artifacts[0]"),
        ({"artifacts": [{"name": ""}]}, "artifacts[0]"),
        ({"artifacts": [{"name": "a"}]}, "artifacts[0]"),
        ({"code": "x"}, "code"),
        ({"code": {"repository": "x"}}, "code.commit"),
        ({"code": {"commit": "HEAD"}}, "code.commit"),
        ({"built_from": ["support@1.0.0"]}, "built_from"),
        ({"response_models": [""]}, "response_models"),
        ({"tags": ["A"]}, "tags"),
    ],
)
def test_a_mistake_is_named_by_its_place(raw, where):
    with pytest.raises(Invalid) as caught:
        document(**raw)
    assert where in {reason.id for reason in caught.value.reasons}


def test_every_mistake_is_told_at_once():
    with pytest.raises(Invalid, match="4 mistakes") as caught:
        parse_model({"tier": "low", "colour": 1}, project="shop", name="support")
    assert {r.id for r in caught.value.reasons} == {"tier", "colour", "provider", "upstream_model"}


def test_an_open_parameter_without_bounds_takes_any_default():
    assert document(open_parameters={"stop": {}}, parameters={"stop": ["a"]})["parameters"] == {"stop": ["a"]}
    assert document(open_parameters={"n": {"min": 1}}, parameters={"n": 3})["parameters"] == {"n": 3}
    assert document(intended_use=" ") == document()


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        ("development", "draft"),
        ("evaluation", "draft"),
        ("approval", "review"),
        ("deployment", "approved"),
        ("monitoring", "approved"),
        ("retirement", "retired"),
    ],
)
def test_a_status_follows_from_each_stage(stage, status):
    assert parse_status(None, parse_stage(stage)) is Status(status)
    assert parse_status("deprecated", Stage(stage)) is Status.DEPRECATED


def test_other_stages_and_statuses_are_refused():
    with pytest.raises(Invalid, match="no stage"):
        parse_stage("production")
    with pytest.raises(Invalid, match="no status"):
        parse_status("live", Stage.MONITORING)
