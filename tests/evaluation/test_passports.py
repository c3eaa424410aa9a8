"""Passports on record: who may issue them, when they end, and that no judge decides without one."""

import json

import pytest

from assent.evaluation import service
from assent.evaluation.service import NewCalibration
from assent.kernel.errors import Forbidden, Invalid, NotFound, Refused
from assent.kernel.tx import SYSTEM
from assent.ledger import replay
from assent.registry import service as registry

PROJECT = "demo"
DOCUMENT = {
    "model": "j",
    "prompt": "Refusal?",
    "parser": {"labels": ["refusal", "answer"], "positive": "refusal"},
}


def cases(wrong=0):
    """Give 200 labelled cases; of each class every `wrong`th reply is the other label."""
    found = []
    for n in range(200):
        human = "refusal" if n % 2 else "answer"
        other = "answer" if n % 2 else "refusal"
        found.append(
            {"id": f"case-{n}", "human": human, "reply": other if wrong and n // 2 % wrong == 0 else human}
        )
    return found


def calibrate(desk, document=DOCUMENT, subject="assistant@1.0.0", wrong=10):
    new = NewCalibration(PROJECT, "refusal-judge", document, subject, cases(wrong))
    return desk.write(service.calibrate, new)


def check(desk, document=DOCUMENT, subject="assistant@1.0.0"):
    return desk.read(service.check_judge, PROJECT, "refusal-judge", document, subject)


@pytest.fixture
def ready(desk):
    desk.model("1.0.0", "m-1")
    desk.model("2.0.0", "m-2")
    return desk


def test_a_calibrated_judge_may_decide_on_the_system_it_was_calibrated_on(ready):
    issued = calibrate(ready)
    assert issued.state == "usable"
    assert check(ready).record.id == issued.record.id
    assert check(ready, subject="assistant@2.0.0").record.id == issued.record.id
    with ready.session.begin(SYSTEM) as tx:
        registry.register(tx, PROJECT, "other", "1.0.0", {"provider": "upstream", "upstream_model": "m"})
    with pytest.raises(Refused, match="no passport for other") as refused:
        check(ready, subject="other@1.0.0")
    assert "assent judge calibrate refusal-judge" in refused.value.reasons[0].remedy


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "j-2"},
        {"prompt": "Is it?"},
        {"parameters": {"top_p": 1}},
        {"parser": {**DOCUMENT["parser"], "positive": "answer"}},
    ],
)
def test_a_changed_judge_has_no_passport_any_more(ready, changed):
    calibrate(ready)
    with pytest.raises(Refused, match="was changed since") as refused:
        check(ready, {**DOCUMENT, **changed})
    assert refused.value.reasons[0].message.startswith("The judge ")


def test_a_judge_that_is_no_better_than_chance_may_not_decide(ready):
    issued = calibrate(ready, wrong=2)
    assert issued.state == "not usable"
    assert issued.figures["checked"]["corrected"] is None
    with pytest.raises(Refused, match="says not usable"):
        check(ready)


def test_a_newer_calibration_ends_the_older_passport(ready):
    first = calibrate(ready)
    again = calibrate(ready, wrong=0)
    elsewhere = calibrate(ready, {**DOCUMENT, "model": "j-2"}, "assistant@2.0.0")
    states = {p.record.id: p.state for p in ready.read(service.list_passports, PROJECT, {})}
    assert states == {first.record.id: "ended", again.record.id: "ended", elsewhere.record.id: "usable"}
    with pytest.raises(Refused, match="was changed since"):
        check(ready)


def test_what_is_not_there_is_not_found(ready):
    with pytest.raises(NotFound):
        ready.read(service.get_passport, PROJECT, "pass_1")
    with pytest.raises(NotFound):
        calibrate(ready, subject="assistant@9.0.0")


def test_the_leaf_holds_no_label_of_people_and_the_replay_is_equal(ready):
    calibrate(ready)
    leaf = next(one for one in ready.leaves() if one["type"] == "evaluation.judge.calibrated")
    assert "case-17" not in json.dumps(leaf)
    assert ready.read(replay.check).equal


def test_passports_are_issued_and_read_over_http(ready, served):
    api = served.api()
    body = {"name": "refusal-judge", "judge": DOCUMENT, "subject": "assistant@1.0.0", "cases": cases(10)}
    issued = api.post(api.path("judge-passports"), body)
    assert api.get(api.path("judge-passports", issued["id"])) == issued
    assert [one["id"] for one in api.pages(api.path("judge-passports"), name="refusal-judge")] == [
        issued["id"]
    ]
    assert list(api.pages(api.path("judge-passports"), subject="assistant@2.0.0")) == []
    assert [one["id"] for one in api.pages(api.path("judge-passports"), subject=issued["subject"])] == [
        issued["id"]
    ]
    asked = {key: body[key] for key in ("name", "judge", "subject")}
    auditor = served.api("auditor")
    assert auditor.post(api.path("judge-checks"), asked)["id"] == issued["id"]
    with pytest.raises(Forbidden):
        auditor.post(api.path("judge-passports"), body)
    with pytest.raises(Invalid):
        api.post(api.path("judge-passports"), {**body, "extra": 1})
