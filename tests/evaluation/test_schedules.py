"""What is live is evaluated again and again."""

import json

import pytest

from assent.evaluation import jobs, service
from assent.evaluation.service import NewSchedule, NewVersion
from assent.evidence import service as evidence
from assent.kernel.errors import Invalid, NotFound
from assent.ledger import replay
from assent_client.errors import AssentError

PROJECT, DAY = "demo", 86_400


def ready(desk, **gate):
    rows = [{"id": f"q{i}", "input": f"question {i}", "target": f"A{i}"} for i in range(40)]
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows))
    document = {
        "kind": "regression", "dataset": "cases", "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", **(gate or {"threshold": 0.5})},
    }  # fmt: skip
    desk.write(service.register_suite, NewVersion(PROJECT, "quality", document))
    version = desk.model("1.0.0", "good")
    desk.upstream.answer = lambda q, n: desk.upstream.Reply(desk.upstream.completion("A" + q.split()[-1]))
    return version


def schedule(desk, **changes):
    new = {"suite": "quality", "name": "assistant", "environment": "production", "every_s": DAY, **changes}
    return desk.write(service.schedule, NewSchedule(PROJECT, **new))


def runs(desk):
    return [run.state for run in desk.read(service.list_runs, PROJECT, {})]


def carry_out(desk):
    for _, arguments in desk.queue:
        jobs.run(desk.runtime, **arguments)
    desk.queue.clear()


def test_what_is_live_is_evaluated_anew_each_day_and_its_verdict_is_evidence(desk):
    version = ready(desk)
    schedule(desk)
    jobs.reevaluate(desk.runtime)
    assert runs(desk) == []  # nothing is live
    desk.go_live("production", version)
    for _ in range(2):
        jobs.reevaluate(desk.runtime)
    assert runs(desk) == ["submitted"]
    carry_out(desk)
    asked = len(desk.upstream.requests)
    desk.clock.advance(DAY - 1)
    jobs.reevaluate(desk.runtime)
    assert runs(desk) == ["closed"]
    desk.clock.advance(1)
    jobs.reevaluate(desk.runtime)
    carry_out(desk)
    assert runs(desk) == ["closed", "closed"]
    assert len(desk.upstream.requests) == 2 * asked  # every case is asked again
    claim = desk.read(evidence.latest, PROJECT, "suite.verdict", version.digest)
    assert claim.value["verdict"] == "pass"
    desk.write(service.unschedule, PROJECT, "quality", "assistant", "production")
    desk.clock.advance(2 * DAY)
    jobs.reevaluate(desk.runtime)
    assert len(runs(desk)) == 2
    assert desk.read(replay.check).equal


def test_a_schedule_is_set_once_and_every_mistake_is_said(desk):
    ready(desk, margin=0.1, baseline="live")
    with pytest.raises(Invalid) as wrong:
        schedule(desk, every_s=60)
    assert {reason.id for reason in wrong.value.reasons} == {"suite", "every_s"}
    for changes in ({"name": "other"}, {"suite": "other"}, {"environment": "other"}):
        with pytest.raises(NotFound):
            schedule(desk, **changes)
    with pytest.raises(NotFound):
        desk.write(service.unschedule, PROJECT, "quality", "assistant", "production")


def test_the_same_schedule_again_records_nothing_and_what_cannot_run_is_left(desk):
    version = ready(desk)
    schedule(desk)
    before = len(desk.leaves())
    schedule(desk)
    assert len(desk.leaves()) == before
    assert schedule(desk, every_s=2 * DAY).every_s == 2 * DAY
    assert version.name == "assistant"


def test_schedules_over_http_and_on_the_command_line(command, served):
    ready(served.desk)
    code, shown = command("eval", "schedule", "quality", "--name", "assistant", "--every", "24h", "--json")
    assert (code, json.loads(shown.out)["every_s"]) == (0, DAY)
    assert "quality@1.0.0" in command("eval", "schedules")[1].out
    assert command("eval", "schedule", "quality", "--name", "assistant", "--every", "soon")[0] == 10
    assert command("eval", "unschedule", "quality", "--name", "assistant")[0] == 0
    api = served.api()
    with pytest.raises(AssentError) as missing:
        api.delete(api.path("schedules", "production", "assistant", "quality"))
    assert missing.value.code == "not_found"
