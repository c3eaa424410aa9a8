"""People label answers: blind, each in an order of their own; how far they agree; and what feeds a passport."""

import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from assent.evaluation import service
from assent.evaluation.domain.agreement import agreements, cohen, consensus, order_for, sample
from assent.evaluation.service import NewRun
from assent.evaluation.service.labelling import NewLabelling
from assent.evaluation.store import labels_of
from assent.identity import service as identity
from assent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from assent.kernel.tx import SYSTEM, Actor
from assent_client.errors import Forbidden as ForbiddenThere
from tests.evaluation.test_service import PROJECT, carried_out, ready

labelling = service.labelling
LABELS = ["refusal", "answer"]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=200))
def test_kappa_and_its_interval_are_those_of_statsmodels(pairs):
    found = cohen(pairs)
    if found is None:
        assert len({label for pair in pairs for label in pair}) == 1
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cohens_kappa(to_table([[ord(a) - 97, ord(b) - 97] for a, b in pairs], 3)[0])
    assert found.value == pytest.approx(theirs.kappa, abs=1e-9)
    if theirs.var_kappa == theirs.var_kappa and theirs.var_kappa > 0:
        assert found.interval.low == pytest.approx(max(-1.0, theirs.kappa_low), abs=1e-6)
        assert found.interval.high == pytest.approx(min(1.0, theirs.kappa_upp), abs=1e-6)


def test_two_people_are_compared_on_what_both_labelled():
    given_ = {"rita": {"a": "x", "b": "y", "c": "x"}, "ada": {"a": "x", "b": "x"}, "bob": {"z": "x"}}
    (only,) = agreements(given_)
    assert (only.first, only.second, only.n, only.n_agreed) == ("ada", "rita", 2, 1)
    assert agreements({"a": {"1": "x"}, "b": {"1": "x"}})[0].kappa is None


def test_most_voices_decide_and_a_tie_decides_nothing():
    given_ = {"a": {"1": "x", "2": "x"}, "b": {"1": "x", "2": "y"}, "c": {"1": "y"}}
    assert consensus(given_) == {"1": "x", "2": None}


def test_everybody_has_the_same_answers_in_an_order_of_their_own():
    answers = [f"sha256:{n:064x}" for n in range(50)]
    assert sample(reversed(answers), 7) == answers[:7]
    assert order_for("ada", answers) == order_for("ada", reversed(answers)) != order_for("bob", answers)
    assert sorted(order_for("ada", answers)) == answers


@pytest.fixture
def opened(desk):
    ready(desk, 20, gate={"metric": "exact", "margin": 0.1, "baseline": "assistant@1.0.0"})
    desk.run = carried_out(desk)
    new = NewLabelling(PROJECT, desk.run.id, " Is this a refusal? ", LABELS, 30)
    desk.labelling = desk.write(labelling.open_labelling, new)
    return desk


def person(desk, name):
    return Actor(desk.write(identity.add_person, name, name).id, "person")


def act(desk, who, action, *arguments):
    with desk.session.begin(who) as tx:
        return action(tx, PROJECT, desk.labelling.id, *arguments)


def standing(desk, who):
    return desk.read(labelling.standing_of, desk.labelling, who.id)


def label_all(desk, who, choose):
    while (item := standing(desk, who).item) is not None:
        act(desk, who, labelling.label_answer, item.answer, choose(item))


def test_an_answer_comes_without_its_version_until_all_are_labelled(opened):
    ada = Actor("usr_ada", "person")
    at = standing(opened, ada)
    assert (at.question, at.n_done, at.last, at.labelling.n_answers) == ("Is this a refusal?", 0, None, 30)
    assert set(at.item.__slots__) == {"answer", "input", "text"}
    label_all(opened, ada, lambda item: "answer" if item.text == "A1" else "refusal")
    assert standing(opened, ada).n_done == 30
    assert standing(opened, ada).item is None
    leaf = opened.leaves()[-1]
    assert leaf["type"] == "evaluation.answer.labelled"
    assert set(leaf["data"]) == {"id", "project", "labelling", "answer", "label"}


def test_taking_back_is_a_new_row_and_the_answer_comes_again(opened):
    ada, bob = Actor("usr_ada", "person"), Actor("usr_bob", "person")
    first = standing(opened, ada).item.answer
    with pytest.raises(Conflict, match="no label that could be taken back"):
        act(opened, ada, labelling.take_back)
    act(opened, ada, labelling.label_answer, first, "answer")
    act(opened, ada, labelling.label_answer, first, "refusal")
    act(opened, bob, labelling.label_answer, first, "answer")
    assert act(opened, ada, labelling.take_back) == first
    rows = opened.read(labels_of, opened.labelling.id)
    assert [row.label for row in rows] == ["answer", "refusal", "answer", None]
    assert standing(opened, ada).n_done == 0
    assert standing(opened, ada).item.answer == first
    assert standing(opened, bob).n_done == 1
    with pytest.raises(Conflict):
        act(opened, ada, labelling.take_back)


def test_only_people_label_only_with_the_labels_only_what_is_there(opened):
    ada = Actor("usr_ada", "person")
    key = standing(opened, ada).item.answer
    with pytest.raises(Forbidden, match="by people"):
        act(opened, SYSTEM, labelling.label_answer, key, "answer")
    with pytest.raises(Invalid, match="none of the labels"):
        act(opened, ada, labelling.label_answer, key, "maybe")
    with pytest.raises(NotFound, match="has no answer"):
        act(opened, ada, labelling.label_answer, "sha256:0", "answer")
    with pytest.raises(NotFound):
        opened.read(labelling.get_labelling, "elsewhere", opened.labelling.id)


def test_a_labelling_is_opened_on_a_closed_run_with_sensible_labels(desk):
    ready(desk, 5, gate={"metric": "exact", "threshold": 0.5})
    waiting = desk.write(service.submit, NewRun(PROJECT, "quality", "assistant@1.1.0"))
    with pytest.raises(Conflict, match="closed runs are labelled"):
        desk.write(labelling.open_labelling, NewLabelling(PROJECT, waiting.id, "?", LABELS))
    with pytest.raises(NotFound):
        desk.write(labelling.open_labelling, NewLabelling("elsewhere", waiting.id, "?", LABELS))
    for wrong in (["x"], ["x", " y"], ["x", "x"], list("abcdefghij"), ["x", ""]):
        with pytest.raises(Invalid):
            desk.write(labelling.open_labelling, NewLabelling(PROJECT, waiting.id, "?", wrong))
    with pytest.raises(Invalid) as error:
        desk.write(labelling.open_labelling, NewLabelling(PROJECT, waiting.id, " ", ["x"], 0))
    assert [reason.id for reason in error.value.reasons] == ["labels", "question", "n"]
    desk.upstream.answer = lambda q, n: desk.upstream.Reply(b"{}", 400)
    empty = carried_out(desk)
    with pytest.raises(Conflict, match="no answers"):
        desk.write(labelling.open_labelling, NewLabelling(PROJECT, empty.id, "?", LABELS))


def test_agreement_and_what_most_people_say_feed_a_passport(opened):
    people = [Actor(f"usr_{name}", "person") for name in ("ada", "bob", "cy")]
    label_all(opened, people[0], lambda item: "answer")
    label_all(opened, people[1], lambda item: "refusal" if item.text in {"A1", "A2"} else "answer")
    first = standing(opened, people[2]).item
    act(opened, people[2], labelling.label_answer, first.answer, "answer")
    found = opened.read(labelling.agreement_of, opened.labelling)
    assert [(one.first, one.second, one.n) for one in found] == [
        ("usr_ada", "usr_bob", 30), ("usr_ada", "usr_cy", 1), ("usr_bob", "usr_cy", 1),
    ]  # fmt: skip
    assert found[0].kappa.value == pytest.approx(0)
    assert opened.read(labelling.n_done_of, opened.labelling) == {"usr_ada": 30, "usr_bob": 30, "usr_cy": 1}
    mine = opened.read(labelling.labels_by_most, opened.labelling)
    theirs = opened.read(labelling.labels_by_most, opened.labelling, "baseline")
    assert len(mine) + len(theirs) == 30
    assert {one["human"] for one in mine + theirs} == {"answer", None}
    replies = {one["id"]: "answer" for one in mine}
    cases = labelling.passport_cases(mine, replies)
    assert set(cases[0]) == {"id", "human", "reply"}
    assert len(cases) == sum(one["human"] is not None for one in mine)
    with pytest.raises(Refused, match="have no reply"):
        labelling.passport_cases(mine, {})


@pytest.fixture
def work(desk):
    """A run that is closed before a worker might take it up, too: name this fixture before `command`."""
    ready(desk, 12, gate={"metric": "exact", "threshold": 0.5})
    return carried_out(desk)


def test_labelling_on_the_command_line_from_opening_to_the_cases_of_a_passport(
    work, command, served, tmp_path
):
    words = ("label", "open", work.id, "-q", "Is it right?", "-l", "right", "-l", "wrong", "--n", "4")
    code, out = command(*words, "--json")
    assert code == 0, out.err
    opened = json.loads(out.out)["id"]
    assert "Is it right?" in command("label", "list")[1].out
    for n in range(4):
        at = json.loads(command("label", "next", opened, "--json")[1].out)
        assert at["n_done"] == n
        assert command("label", "give", opened, at["answer"], "right" if n else "wrong")[0] == 0
    assert "nothing" in command("label", "next", opened)[1].out
    assert command("label", "undo", opened)[0] == 0
    code, out = command("label", "next", opened)
    assert "3 of 4 labelled" in out.err
    assert "Is it right?" in out.out
    assert "No two people" in command("label", "agreement", opened)[1].err
    code, out = command("label", "export", opened)
    lines = [json.loads(line) for line in out.out.splitlines()]
    assert (code, len(lines), set(lines[0])) == (0, 3, {"id", "human", "input", "answer"})
    replies = tmp_path / "replies.jsonl"
    replies.write_text("\n".join(json.dumps({"id": one["id"], "reply": "right"}) for one in lines))
    code, out = command("label", "export", opened, "--replies", "replies.jsonl", "--json")
    assert set(json.loads(out.out)[0]) == {"id", "human", "reply"}
    replies.write_text('{"id": 3}')
    assert command("label", "export", opened, "--replies", "replies.jsonl")[0] == 10
    with served.desk.session.begin(SYSTEM) as tx:
        ben = identity.add_person(tx, "ben")
        identity.bind(tx, ben.id, "reviewer")
    with served.desk.session.begin(Actor(ben.id, "person")) as tx:
        served.tokens["ben"] = identity.issue_token(tx, ben.id, "ben", None)
    api = served.api("ben")
    while (at := api.get(api.path("labellings", opened, "next")))["answer"]:
        api.post(api.path("labellings", opened, "labels"), {"answer": at["answer"], "label": "right"})
    (row,) = json.loads(command("label", "agreement", opened, "--json")[1].out)["pairs"]
    assert ({row["first"], row["second"]}, row["n"]) == ({"ann", "ben"}, 3)
    auditor = served.api("auditor")
    assert auditor.get(auditor.path("labellings", opened))["n_answers"] == 4
    with pytest.raises(ForbiddenThere):
        auditor.get(auditor.path("labellings", opened, "agreement"))
