"""Suites that are bound to prompts: each new version is tested, through a model, once."""

import pytest

from assent.evaluation import jobs, service, verification
from assent.evaluation.service import NewBinding, NewRun, NewVersion
from assent.evidence import service as evidence
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.ledger import replay
from assent.prompts import service as prompts

PROJECT = "demo"
NAMED = {"variables": {"name": {"default": "you"}}}


def prompt(desk, text):
    return desk.write(prompts.register, prompts.NewPrompt(PROJECT, "greeting", {"text": text, **NAMED}))[0]


def ready(desk, gate=None):
    rows = [{"id": f"q{i}", "input": f"question {i}", "target": f"A{i}"} for i in range(40)]
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows))
    document = {
        "kind": "regression",
        "dataset": "cases",
        "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", **(gate or {"threshold": 0.5})},
    }
    desk.write(service.register_suite, NewVersion(PROJECT, "quality", document))
    desk.model("1.0.0", "good")
    desk.upstream.answer = lambda q, n: desk.upstream.Reply(desk.upstream.completion("A" + q.split()[-1]))


def bind(desk, suite="quality@1.0.0", through="assistant@1.0.0", **changes):
    return desk.write(service.bind_suite, NewBinding(PROJECT, "greeting", suite, through, **changes))


def runs(desk):
    found = desk.read(service.list_runs, PROJECT, {})
    return sorted((run.subject_ref, run.state, run.verdict) for run in found)


def test_each_version_is_tested_once_through_the_model(desk):
    ready(desk)
    prompt(desk, "Hi {{ name }}")
    prompt(desk, "Ho {{ name }}")
    desk.clock.advance(1)
    bound = bind(desk, "quality")
    assert (bound.suite_ref, bound.through_ref) == ("quality@1.0.0", "assistant@1.0.0")
    for _ in range(2):
        jobs.test_prompts(desk.runtime)
    assert runs(desk) == [("greeting@1.0.1", "submitted", None)]  # the newest that there was

    desk.clock.advance(1)
    newest = prompt(desk, "Hey {{ name }}")
    for _ in range(2):
        jobs.test_prompts(desk.runtime)
    for _, arguments in desk.queue:
        jobs.run(desk.runtime, **arguments)
    assert runs(desk) == [("greeting@1.0.1", "closed", "pass"), ("greeting@1.0.2", "closed", "pass")]
    asked = [request["messages"][0]["content"] for request, _ in desk.upstream.requests]
    assert set(asked) == {"Ho you", "Hey you"}
    assert desk.upstream.requests[0][0]["model"] == "good"
    claim = desk.read(evidence.latest, PROJECT, "suite.verdict", newest.digest)
    assert claim.value["verdict"] == "pass"
    assert all(check.ok for check in desk.read(verification.verify, claim.value["run"]))
    assert desk.read(replay.check).equal


def test_a_binding_is_one_event_takes_the_place_of_the_older_and_ends(desk):
    ready(desk)
    prompt(desk, "Hi {{ name }}")
    bind(desk)
    bind(desk)
    desk.model("1.1.0", "better")
    bind(desk, through="assistant@1.1.0")
    kinds = [leaf["type"] for leaf in desk.leaves()]
    assert kinds.count("prompts.suite.bound") == 2
    assert [one.through_ref for one in desk.read(service.list_bindings, PROJECT)] == ["assistant@1.1.0"]
    desk.write(service.unbind_suite, PROJECT, "greeting", "quality")
    assert desk.read(service.list_bindings, PROJECT, "greeting") == []
    assert desk.read(service.list_due) == []
    with pytest.raises(NotFound, match="No suite quality is bound"):
        desk.write(service.unbind_suite, PROJECT, "greeting", "quality")
    assert desk.read(replay.check).equal


def test_a_binding_names_what_exists(desk):
    ready(desk)
    with pytest.raises(NotFound, match="no prompt greeting"):
        bind(desk)
    prompt(desk, "Hi {{ name }}")
    for changes in ({"suite": "other"}, {"through": "assistant@9.0.0"}, {"environment": "moon"}):
        with pytest.raises(NotFound):
            bind(desk, **changes)
    desk.write(prompts.register, prompts.NewPrompt(PROJECT, "other", {"text": "x"}))
    with pytest.raises(NotFound):
        bind(desk, through="other@1.0.0")


def test_a_suite_that_compares_with_one_fixed_version_is_not_bound(desk):
    ready(desk, {"baseline": "assistant@1.0.0", "margin": 0.1})
    prompt(desk, "Hi {{ name }}")
    with pytest.raises(Invalid, match="whatever the prompt"):
        bind(desk)


def test_a_prompt_is_compared_with_the_one_that_is_live(desk):
    ready(desk, {"baseline": "live", "margin": 0.2})
    live = prompt(desk, "Hi {{ name }}")
    new = NewRun(PROJECT, "quality", live.ref, through="assistant@1.0.0")
    with pytest.raises(Conflict, match="Nothing of greeting is live"):
        desk.write(service.submit, new)
    bind(desk)
    jobs.test_prompts(desk.runtime)  # says so in the log, and goes on
    assert runs(desk) == []
    value = {"environment": "production", "name": "greeting"}
    desk.write(lambda tx: evidence.record(tx, project=PROJECT, kind="live", subject=live.digest, value=value))
    desk.clock.advance(1)
    prompt(desk, "Ho {{ name }}")
    jobs.test_prompts(desk.runtime)
    for _, arguments in desk.queue:
        jobs.run(desk.runtime, **arguments)
    found = desk.read(service.list_runs, PROJECT, {"subject_ref": "greeting@1.0.1"})
    assert (found[0].baseline_ref, found[0].verdict) == ("greeting@1.0.0", "pass")


def test_only_a_prompt_is_asked_through_a_model(desk):
    ready(desk)
    version = prompt(desk, "Hi {{ name }}")
    with pytest.raises(Invalid, match="does not answer by itself"):
        desk.write(service.submit, NewRun(PROJECT, "quality", version.ref))
    with pytest.raises(Invalid, match="answers by itself"):
        desk.write(service.submit, NewRun(PROJECT, "quality", "assistant@1.0.0", through="assistant@1.0.0"))
    with pytest.raises(NotFound, match="no model nobody"):
        desk.write(service.submit, NewRun(PROJECT, "quality", "nobody@1.0.0"))


def test_bindings_are_reached_over_http(served):
    desk = served.desk
    ready(desk)
    prompt(desk, "Hi {{ name }}")
    api = served.api()
    path = api.path("suite-bindings")
    body = {"prompt": "greeting", "suite": "quality", "through": "assistant@1.0.0"}
    bound = api.post(path, body)
    assert (bound["suite"], bound["bound_by"]) == ("quality@1.0.0", "ann")
    assert api.get(path, prompt="greeting")["items"] == [bound]
    api.delete(f"{path}/greeting/quality")
    assert api.get(path)["items"] == []
