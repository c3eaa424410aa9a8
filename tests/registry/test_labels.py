"""Labels: moved one at a time, with a history that answers for any moment."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from assent.identity import service as identity
from assent.kernel.errors import Conflict, Invalid, NotFound, Refused, Stale
from assent.kernel.tx import SYSTEM
from assent.registry import service
from assent.registry.domain import Step, parse_label, previous
from assent.registry.service import Change, Pointer
from tests.prompts.shelf import PROJECT


def pointer(label="champion", name="support", kind="model"):
    return Pointer(project=PROJECT, name=name, label=label, kind=kind)


def move(shelf, number, *, label="champion", generation=None, reason=None, kind="model", name="support"):
    change = Change(pointer=pointer(label, name, kind), generation=generation, reason=reason)
    with shelf.begin() as tx:
        return service.move_label(tx, change, number)


def roll_back(shelf, generation=None):
    with shelf.begin() as tx:
        return service.roll_back_label(tx, Change(pointer=pointer(), generation=generation))


def now_at(shelf, label="champion"):
    found = shelf.read(service.get_label, pointer(label))
    return None if found.digest is None else shelf.read(service.get_by_digest, PROJECT, found.digest).number


@pytest.fixture
def three(shelf):
    return [shelf.model(number)[0] for number in ("1.0.0", "2.0.0", "3.0.0")]


def test_a_move_is_an_event_with_from_to_reason_and_generation(shelf, three):
    move(shelf, "1.0.0", reason="the first")
    label = move(shelf, "2.0.0")
    assert (label.digest, label.generation) == (three[1].digest, 2)
    leaf = shelf.leaves()[-1]
    assert leaf["type"] == "registry.label.moved"
    assert leaf["data"] == {
        "project": PROJECT, "kind": "model", "name": "support", "label": "champion", "before": three[0].digest,
        "after": three[1].digest, "generation": 2, "rolled_back": False, "because": None,
    }  # fmt: skip
    assert (leaf["actor"], leaf["reason"]) == (shelf.author.id, None)
    assert [v.digest for v in three if shelf.read(service.labels_of, [v.digest])] == [three[1].digest]
    assert shelf.replay().equal


def test_a_move_to_where_it_points_records_nothing(shelf, three):
    move(shelf, "1.0.0")
    n_leaves = len(shelf.leaves())
    assert move(shelf, three[0].digest).generation == 1
    assert len(shelf.leaves()) == n_leaves


def test_a_generation_that_has_passed_is_stale(shelf, three):
    move(shelf, "1.0.0", generation=0)
    with pytest.raises(Stale, match="you saw generation 0, it is at 1"):
        move(shelf, "2.0.0", generation=0)
    with pytest.raises(Stale):
        roll_back(shelf, generation=7)
    assert now_at(shelf) == "1.0.0"


def test_of_two_moves_at_once_one_is_stale(shelf, three):
    move(shelf, "1.0.0")
    outcomes, start = [], threading.Barrier(2)

    def work(number):
        start.wait()
        try:
            move(shelf, number, generation=1)
            outcomes.append(number)
        except Stale as error:
            outcomes.append(error.status)

    threads = [threading.Thread(target=work, args=(number,)) for number in ("2.0.0", "3.0.0")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes.count(412) == 1
    (won,) = [one for one in outcomes if one != 412]
    assert now_at(shelf) == won
    assert shelf.read(service.get_label, pointer()).generation == 2


def test_of_many_who_make_one_label_one_makes_it(shelf, three):
    outcomes, start = [], threading.Barrier(6)

    def work(n):
        start.wait()
        try:
            outcomes.append(move(shelf, three[n % 3].number, generation=0).generation)
        except Stale as error:
            outcomes.append(error.status)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == [1, *[412] * 5]


def test_the_history_answers_what_it_was_at_any_time(shelf, three):
    begin = shelf.clock.now()
    for version in three:
        shelf.clock.advance(3600)
        move(shelf, version.number)
    ask = pointer()
    with pytest.raises(NotFound, match="pointed nowhere"):
        shelf.read(service.label_at, ask, begin)
    for hour, version in enumerate(three, start=1):
        assert shelf.read(service.label_at, ask, begin + timedelta(hours=hour)).after == version.digest
        before_the_next = begin + timedelta(hours=hour + 1, seconds=-1)
        assert shelf.read(service.label_at, ask, before_the_next).after == version.digest
    assert [m.generation for m in shelf.read(service.label_history, ask)] == [3, 2, 1]
    assert [m.generation for m in shelf.read(service.label_history, ask, before=3, limit=1)] == [2]


def test_the_history_is_one_query(shelf, three):
    move(shelf, "1.0.0")
    label = shelf.read(service.get_label, pointer())
    statements = []
    with shelf.session.read() as reader:
        sa.event.listen(reader.conn, "before_cursor_execute", lambda *args: statements.append(args[2]))
        service.labels.store.label_at(reader, label, shelf.clock.now())
    assert len(statements) == 1


def test_rollbacks_go_back_and_further_back(shelf, three):
    for version in three:
        move(shelf, version.number)
    assert roll_back(shelf).digest == three[1].digest
    assert roll_back(shelf).digest == three[0].digest
    with pytest.raises(Conflict, match="no other version before"):
        roll_back(shelf)
    move(shelf, "3.0.0")
    assert roll_back(shelf).digest == three[0].digest
    assert shelf.leaves()[-1]["data"]["rolled_back"] is True
    assert shelf.replay().equal


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12))
def test_rolling_back_walks_to_the_beginning_and_ends(moves):
    steps, now = [], None
    for after in moves:
        if after != now:
            steps.append(Step(after, rolled_back=False))
            now = after
    seen = []
    while (after := previous(steps)) is not None:
        assert after != now
        steps.append(Step(after, rolled_back=True))
        now = after
        seen.append(after)
        assert len(seen) <= len(moves)
    named = [after for after in moves if after is not None]
    if seen:
        assert seen[-1] == named[0]


def test_a_label_that_is_taken_away_points_nowhere_and_keeps_its_history(shelf, three):
    move(shelf, "1.0.0")
    with shelf.begin() as tx:
        service.remove_label(tx, Change(pointer=pointer()))
    assert now_at(shelf) is None
    assert shelf.read(service.list_labels, "model", PROJECT, "support") == []
    with pytest.raises(NotFound, match="no label"), shelf.begin() as tx:
        service.remove_label(tx, Change(pointer=pointer()))
    with pytest.raises(NotFound, match="pointed nowhere"):
        shelf.read(service.label_at, pointer(), shelf.clock.now())
    assert roll_back(shelf).digest == three[0].digest
    assert [m.after for m in shelf.read(service.label_history, pointer())] == [
        three[0].digest,
        None,
        three[0].digest,
    ]


def test_the_label_of_a_protected_environment_moves_by_delivery_only(shelf, three):
    with shelf.begin(SYSTEM) as tx:
        identity.create_environment(tx, PROJECT, "production", protected=True)
        identity.create_environment(tx, PROJECT, "staging", protected=False)
    with pytest.raises(Refused) as caught:
        move(shelf, "1.0.0", label="production")
    (reason,) = caught.value.reasons
    assert reason.id == "label.protected"
    assert "assent rollout request support@1.0.0 production" in reason.remedy
    with shelf.begin() as tx:
        service.mark_live(tx, pointer("production"), three[0].digest, "evt_1")
        service.mark_live(tx, pointer("production"), three[0].digest, "evt_2")
        service.mark_live(tx, pointer("production"), three[1].digest, "evt_3")
        service.mark_live(tx, pointer("0-place"), three[1].digest, "evt_4")
    assert now_at(shelf, "production") == "2.0.0"
    history = shelf.read(service.label_history, pointer("production"))
    assert [m.because for m in history] == ["evt_3", "evt_1"]
    for act in (service.roll_back_label, service.remove_label):
        with pytest.raises(Refused), shelf.begin() as tx:
            act(tx, Change(pointer=pointer("production")))
    assert move(shelf, "3.0.0", label="staging").digest == three[2].digest


def test_a_retired_version_takes_no_label(shelf, three):
    move(shelf, "1.0.0")
    move(shelf, "2.0.0")
    with shelf.begin() as tx:
        service.advance(tx, three[0].digest, "retirement", "evt_1")
    with pytest.raises(Refused, match="was not moved"):
        roll_back(shelf)
    with pytest.raises(Refused):
        move(shelf, "1.0.0")


@pytest.mark.parametrize(
    "label", ["", "latest", "1.0.0", "A", "a b", "ä", "a/b", "a\x00", "a\n", "../a", "a" * 64, "a\u200b"]
)
def test_a_label_that_could_deceive_is_refused(shelf, three, label):
    with pytest.raises(Invalid, match="is not a label"):
        move(shelf, "1.0.0", label=label)
    with pytest.raises(Invalid):
        parse_label(label)


def test_what_is_not_there_cannot_be_labelled(shelf, three):
    helper, _ = shelf.model("1.0.0", "helper")
    for number in ("9.0.0", "sha256:" + "0" * 64):
        with pytest.raises(NotFound):
            move(shelf, number)
    with pytest.raises(Invalid, match="a version of helper"):
        move(shelf, helper.digest)
    with pytest.raises(NotFound):
        move(shelf, "1.0.0", name="nothing")
    with pytest.raises(NotFound, match="no label"):
        roll_back(shelf)
    with pytest.raises(Invalid, match="no labels"):
        shelf.read(service.list_labels, "card", PROJECT, "support")


def test_prompts_have_labels_of_their_own(shelf):
    prompt, _ = shelf.prompt(text="Hi")
    shelf.model("1.0.0", "greeting")
    found = move(shelf, "1.0.0", kind="prompt", name="greeting")
    assert found.digest == prompt.digest
    assert shelf.read(service.list_labels, "model", PROJECT, "greeting") == []
    assert [one.label for one in shelf.read(service.list_labels, "prompt", PROJECT, "greeting")] == [
        "champion"
    ]


@pytest.mark.parametrize(
    "statement", ["UPDATE registry_label_moves SET label = 'x'", "DELETE FROM registry_label_moves"]
)
def test_the_database_itself_refuses_to_change_a_label_s_history(shelf, three, statement):
    move(shelf, "1.0.0")
    with pytest.raises(sa.exc.DBAPIError, match="never changes"):
        shelf.behind_the_back(sa.text(statement))


def test_a_label_moved_behind_the_products_back_is_found_by_a_replay(shelf, three):
    move(shelf, "1.0.0")
    shelf.behind_the_back(sa.update(service.labels.store.labels).values(digest=three[2].digest))
    assert [d.column for d in shelf.replay().differences] == ["digest"]
