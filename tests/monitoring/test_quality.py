"""Judged quality: a guard on what judges say of live calls, its figures, its troubles, and who reads what."""

import base64
import itertools
import json

import pytest
import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.delivery.domain import Move, State
from assent.identity import service as identity
from assent.kernel.errors import Conflict, Gone, Invalid, NotFound, Refused
from assent.kernel.tx import Actor
from assent.ledger import service as ledger
from assent.monitoring import jobs, service
from assent.monitoring.domain import quality as domain
from assent.monitoring.domain.alerts import parse_condition
from assent.monitoring.service.readings import Scope, find
from assent.monitoring.store.sample_tables import contents, samples
from assent.monitoring.store.samples import Place
from assent.providers import service as providers
from tests.monitoring.judging import (
    PLACE,
    calibrate,
    document,
    judging,
    sample,
    set_sampling,
    set_up,
    tick,
    wanted,
)

AT = Place("acme", "production", "assistant")
PLAN = {
    "steps": [
        {"share": 0.25, "min_time_s": 10, "min_units": 5, "max_time_s": 3600},
        {"share": 1, "min_time_s": 10},
    ],
    "guards": [{"metric": "judge", "margin": 0.1, "weight": 0.75}, {"metric": "error", "weight": 0.25}],
    "detect": {"metric": "judge", "from": 0.05, "to": 0.6},
    "window_s": 3,
    "block_s": 1,
    "expected_units_per_s": 100,
}


@pytest.fixture
def judge():
    with judging() as judge:
        yield judge


@pytest.fixture
def graded(desk, judge):
    desk.plan(PLAN, kind="model")
    set_up(desk, judge)
    return desk


def serve(desk, seconds, *, canary_bad, per_s=12):
    """Serve second by second, a third by the canary, sample every call and have it judged; look after each."""
    moves = []
    for _ in range(seconds):
        rows = []
        for i in range(per_s):
            variant = "canary" if i % 3 == 0 else "stable"
            call = desk.call(f"u{desk.n}", variant)
            rate = canary_bad if variant == "canary" else 0.05
            bad = (desk.n * 0.6180339887) % 1 < rate
            rows += [call, sample(desk, call, "BAD" if bad else "Fine.")]
        desk.send(*rows)
        tick(desk)
        desk.clock.advance(1)
        moves.append(desk.tick())
        if moves[-1] in {Move.ROLL_BACK, Move.PROMOTE}:
            break
    return moves


def one(desk, *, variant="stable", **changes):
    """Send one sampled call; gives the sample's id."""
    call = desk.call(f"v{desk.n}", variant)
    made = sample(desk, call, **changes)
    desk.send(call, made)
    return made.id


def rows(desk):
    with desk.session.read() as reader:
        return {row.id: row for row in reader.conn.execute(sa.select(samples))}


def n_contents(desk):
    with desk.session.read() as reader:
        return reader.conn.execute(sa.select(sa.func.count()).select_from(contents)).scalar_one()


def figures(desk, **where):
    end = desk.clock.now().timestamp() + 1
    found = desk.read(service.quality.figures, "acme", (end - 86_400, end), where)
    return {one["variant"]: one for one in found}


def test_a_version_whose_answers_the_judge_finds_worse_is_rolled_back(graded):
    moves = serve(graded, 40, canary_bad=0.8)
    assert moves[-1] is Move.ROLL_BACK
    assert graded.rollout().state is State.ROLLED_BACK
    (incident,) = graded.rows("incidents")
    assert incident.guard == "judge"
    assert incident.summary.startswith("judge: canary 0.")
    assert graded.read(service.evidence.replay, "acme", "ro_1").matches
    shown = figures(graded)
    canary, stable = shown["canary"]["score"], shown["stable"]["score"]
    assert canary["interval"]["high"] < stable["interval"]["low"]
    assert canary["n"] == shown["canary"]["n_judged"] > 20


def test_a_version_whose_answers_are_as_good_is_promoted(graded):
    assert serve(graded, 60, canary_bad=0.05)[-1] is Move.PROMOTE
    assert graded.rows("incidents") == []


def test_a_judge_that_is_down_rolls_nothing_back_and_raises_an_alarm(graded, judge):
    judge.says = lambda _: 500
    moves = serve(graded, 20, canary_bad=0.8)
    assert set(moves) == {Move.HOLD}
    shown = graded.read(service.live.rollout_figures, "acme", "ro_1")
    (alarm,) = shown["alarms"]
    assert alarm.startswith("judge cannot be computed: the judge does not answer (HTTP 500), ")
    assert shown["unknown"] == ["judge"]
    assert figures(graded)["canary"]["score"]["mean"] is None
    scope = Scope("acme", "production", None, 60.0)
    assert graded.read(find, scope, parse_condition({"kind": "judge"})).holds
    asked = len(judge.asked)
    assert asked <= 20 + 3, "a judge that is down is asked ever less often, by one sample"
    judge.says = lambda _: "good"
    graded.clock.advance(301)
    tick(graded)
    tick(graded)
    assert graded.read(service.quality.trouble, AT) is None
    found = graded.read(find, scope, parse_condition({"kind": "judge"}))
    assert (found.holds, found.says) == (False, "1 judges answer")


def test_a_judge_that_is_unreadable_says_nothing_and_raises_an_alarm(graded, judge):
    judge.says = lambda _: "Well, it depends."
    serve(graded, 4, canary_bad=0.8)
    assert graded.read(service.quality.trouble, AT).endswith("replies are off-format")
    assert {row.state for row in rows(graded).values()} <= {"unreadable", "waiting"}
    assert graded.rows("units")[0].n_judged == 0


def test_a_passport_that_ended_stops_the_judge(graded, judge):
    one(graded)
    graded.clock.advance(31 * 86_400)
    one(graded)
    tick(graded)
    assert judge.asked == []
    assert "is over its days" in graded.read(service.quality.trouble, AT)
    (shown,) = graded.read(service.quality.list_, "acme")
    assert (shown["passport"], shown["left_today"]) == (None, 1000)
    with graded.writing() as tx:
        calibrate(tx, document())
    tick(graded)
    assert len(judge.asked) == 2
    assert graded.read(service.quality.trouble, AT) is None


def test_the_days_budget_is_kept_and_what_it_leaves_out_is_shown(graded, judge):
    set_sampling(graded, per_day=3)
    for _ in range(5):
        one(graded)
    tick(graded)
    tick(graded)
    assert len(judge.asked) == 3
    assert graded.read(service.quality.list_, "acme")[0]["left_today"] == 0
    assert figures(graded)["stable"]["n_waiting"] == 2
    graded.clock.advance(86_401)
    with graded.writing() as tx:
        service.samples.forget(tx, 100)
    shown = rows(graded).values()
    assert sorted(row.state for row in shown) == ["judged"] * 3 + ["left_out"] * 2
    assert n_contents(graded) == 3
    one(graded)
    tick(graded)
    assert len(judge.asked) == 4, "a new day has a new budget"


def test_a_worker_that_dies_while_asking_counts_no_answer_twice(graded, judge):
    name = one(graded, answer="BAD")
    (sampling,) = graded.read(service.grading.list_due)

    def claimed():
        with graded.writing() as tx:
            return service.grading.claim(tx, sampling)

    first = claimed()
    assert claimed() is None, "while it is asked about, nobody else asks"
    grades = service.grading.ask(first, graded.runtime.signers.secret)
    graded.clock.advance(service.grading.CLAIMED_S)  # the worker is gone before it wrote anything
    second = claimed()
    again = service.grading.ask(second, graded.runtime.signers.secret)
    for taken, said in ((second, again), (first, grades)):
        with graded.writing() as tx:
            service.grading.settle(tx, taken, said)
    assert rows(graded)[name].score == 0.0
    assert sum(row.n_judged + row.n_late for row in graded.rows("units")) == 1


def test_a_score_counts_in_its_units_window_and_else_is_late(graded):
    call = graded.call("u1", "canary")
    early, other = sample(graded, call, "BAD"), sample(graded, graded.call("u2", "canary"), "BAD")
    graded.send(early)  # the call itself is still on its way
    tick(graded)
    graded.send(call, other)
    (unit,) = graded.rows("units")
    assert (unit.n_judged, unit.judged_badness, unit.n_calls) == (1, 1.0, 1)
    graded.clock.advance(10)
    graded.tick()
    tick(graded)
    found = rows(graded)
    assert (found[early.id].in_window, found[other.id].in_window) == (True, False)
    late = {row.unit: row.n_late for row in graded.rows("units")}
    assert late["u2"] == 1


def test_one_sample_that_a_judge_cannot_answer_is_given_up(graded, judge):
    judge.says = lambda asked: 500 if "poison" in asked else "good"
    poison = one(graded, question="poison")
    for _ in range(3):
        tick(graded)  # alone: it may be the judge
        assert graded.read(service.quality.trouble, AT) is None
        graded.clock.advance(domain.AGAIN_S)
        one(graded)
        tick(graded)
        graded.clock.advance(domain.AGAIN_S)
    assert rows(graded)[poison].state == "failed"
    assert graded.read(service.quality.trouble, AT) is None


def test_whom_a_rule_chose_is_judged_and_compared_with_nobody(graded):
    call = graded.call("u9", "canary", rule="staff", reason="rule")
    made = sample(graded, call)
    graded.send(made)
    tick(graded)
    assert (rows(graded)[made.id].score, rows(graded)[made.id].in_window) == (1.0, False)
    assert graded.rows("units") == []


def test_what_a_judge_says_of_other_names_keys_and_broken_seals(graded, judge):
    call = graded.call("u1")
    made = sample(graded, call)
    other = sample(graded, graded.call("u2", route="other"))
    receipt = graded.send(made, other)
    assert (receipt["n_accepted"], receipt["n_rejected"]) == (1, 1)
    assert receipt["rejections"][0]["reason"] == "other is not sampled in production"
    again = graded.send(made)
    assert (again["n_accepted"], again["n_duplicates"]) == (0, 1)
    moved = sample(graded, call, sealed=made.sealed)  # sealed under the name of another
    graded.send(moved)
    tick(graded)
    found = rows(graded)
    assert (found[made.id].state, found[moved.id].state) == ("judged", "failed")


def test_reading_a_sample_needs_a_reason_and_stays_on_record(graded):
    name = one(graded, question="What about [email]?", answer="No.")
    ann = Actor("usr_ann", "person")
    secret = graded.runtime.signers.secret
    with graded.session.begin(ann) as tx, pytest.raises(Invalid, match="needs a reason"):
        service.samples.open_(tx, "acme", name, secret, " ")
    with graded.session.begin(ann) as tx:
        read = service.samples.open_(tx, "acme", name, secret, "a complaint")
    assert (read["question"], read["answer"]) == ("What about [email]?", "No.")
    shown = graded.read(service.samples.get, "acme", name)
    assert [one["by"] for one in shown["openings"]] == ["usr_ann"]
    with graded.session.read() as reader:
        n = ledger.head(reader).size
        written = b"".join(ledger.leaf_at(reader, i).entry for i in range(n))
        kept = reader.conn.execute(sa.select(contents.c.sealed)).scalar_one()
    assert b"monitoring.sample.opened" in written
    assert b"[email]" not in written
    assert "[email]" not in kept
    graded.clock.advance(7 * 86_400 + 1)
    with graded.writing() as tx:
        service.prune(tx)
    with graded.session.begin(ann) as tx, pytest.raises(Gone, match="are erased"):
        service.samples.open_(tx, "acme", name, secret, "a complaint")
    with graded.session.begin(ann) as tx, pytest.raises(NotFound):
        service.samples.open_(tx, "acme", "0" * 32, secret, "a complaint")
    graded.clock.advance(91 * 86_400)
    with graded.writing() as tx:
        assert service.samples.forget(tx, 100) == 1
    assert rows(graded) == {}


def test_samples_are_listed_a_page_at_a_time(graded):
    made = [one(graded) for _ in range(3)]
    shown, after = graded.read(service.samples.list_, "acme", {"state": "waiting"}, limit=2)
    rest, end = graded.read(service.samples.list_, "acme", {}, after, limit=2)
    assert sorted(row["id"] for row in [*shown, *rest]) == sorted(made)
    assert end is None


def test_a_judge_whose_key_cannot_be_read_is_in_trouble(graded, judge):
    with graded.writing() as tx:
        keyed = providers.Upstream(base_url=judge.url, api_key="env:NO_SUCH_KEY")
        providers.set_provider(tx, "acme", "judges", keyed)
    one(graded)
    tick(graded)
    graded.clock.advance(6)
    tick(graded)
    assert "NO_SUCH_KEY" in graded.read(service.quality.trouble, AT)
    assert judge.asked == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"usable": False}, "says not usable"),
        ({"days": -1}, "is over its days"),
        ({"raw": document(reference=True)}, "with a reference"),
        ({"raw": {k: v for k, v in document().items() if k != "provider"}}, "names no provider"),
        ({"raw": document(provider="nowhere")}, "nowhere"),
        ({"system": "other"}, "has no passport for assistant"),
    ],
)
def test_a_judge_that_may_not_grade_live_calls_is_refused(desk, judge, changed, why):
    desk.plan(PLAN, kind="model")
    given = dict(changed)
    with desk.writing() as tx:
        calibrate(tx, given.pop("raw", document()), **given)
    with pytest.raises((Refused, Invalid, NotFound), match=why):
        set_sampling(desk)
    assert desk.read(delivery.list_samplings) == []


def test_who_misspells_a_judge_is_told_which_there_are(graded):
    with pytest.raises(Refused) as refused:
        set_sampling(graded, judge="pollite")
    (reason,) = refused.value.reasons
    assert reason.message == "The judge pollite has no passport for assistant; those that have one: polite."


def test_a_sampling_is_set_changed_and_ended(graded):
    before = graded.read(delivery.get_sampling, PLACE)
    with graded.writing() as tx:
        n = ledger.head(tx).size
        delivery.set_sampling(tx, PLACE, before.wanted, graded.runtime.signers.secret, None)
    assert graded.read(lambda reader: ledger.head(reader).size) == n, "the same again records nothing"
    after = set_sampling(graded, share=wanted().share / 2)
    assert (after.salt, after.key) == (before.salt, before.key)
    with graded.writing() as tx:
        delivery.stop_sampling(tx, PLACE, "enough")
    assert graded.read(service.quality.trouble, AT).startswith("no judge is set for assistant")
    made = sample(graded, graded.call("u1"))
    assert graded.send(made)["n_rejected"] == 1
    assert graded.read(service.grading.list_due) == []
    with graded.writing() as tx, pytest.raises(Conflict):
        delivery.stop_sampling(tx, PLACE, "enough")
    elsewhere = delivery.Place(project="acme", environment="staging", name="assistant")
    with graded.writing() as tx, pytest.raises(NotFound, match="is not sampled in staging"):
        delivery.stop_sampling(tx, elsewhere, "enough")
    scope = Scope("acme", "production", None, 60.0)
    assert graded.read(find, scope, parse_condition({"kind": "judge"})).holds is None


def test_only_programs_that_know_of_samplings_get_them(graded):
    with graded.writing() as tx:
        identity.create_environment(tx, "acme", "production", protected=False)

    def published(*, takes):
        scope = delivery.Scope("acme", "production", "gateway", takes)
        issue = graded.read(delivery.compile_snapshot, scope, graded.runtime.signers.snapshot, 60.0)
        return json.loads(base64.b64decode(json.loads(issue.envelope)["payload"]))

    assert "sampling" not in published(takes=False)
    given = published(takes=True)["sampling"]["assistant"]
    assert (given["end"], given["max_bytes"]) == (500_000, 32_768)
    with graded.writing() as tx:
        delivery.stop_sampling(tx, PLACE, "enough")
    assert "sampling" not in published(takes=True)


def test_prompts_are_not_sampled(running):
    with pytest.raises(Conflict, match="is a prompt"):
        set_sampling(running)


def test_a_judge_is_left_alone_for_longer_each_time():
    health = domain.Health()
    pauses = []
    for now in itertools.repeat(100.0, 9):
        health = domain.failed(health, now, "no answer")
        pauses.append(health.next_at - now)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert (health.failing_since, domain.answered(7.0).n_failures) == (100.0, 0)
    assert domain.trouble(domain.Health(n_failures=1), 19, 19) is None
    assert domain.trouble(domain.Health(), 20, 5) == "5 of the judge's last 20 replies are off-format"
    assert domain.trouble(domain.Health(), 20, 4) is None


def test_what_is_live_is_watched_for_what_judges_say_of_it(graded):
    with graded.writing() as tx:
        identity.create_environment(tx, "acme", "production", protected=False)
        condition = {"kind": "regression", "metrics": "judge", "above": "0.2", "resolve_after_s": 0}
        service.alerts.set_(
            tx, "acme", service.alerts.NewAlert("worse", "production", condition, "assistant")
        )
    told = []
    for bad in [*[0.05] * 12, *[0.9] * 24]:
        jobs.watch_live(graded.runtime)
        rows = []
        for _ in range(8):
            call = graded.call(f"w{graded.n}", rollout=None, reason="static")
            is_bad = (graded.n * 0.6180339887) % 1 < bad
            rows += [call, sample(graded, call, "BAD" if is_bad else "Fine.")]
        graded.send(*rows)
        tick(graded)
        graded.clock.advance(60)
        jobs.watch_live(graded.runtime)
        jobs.alert(graded.runtime)
        told.append(graded.read(service.alerts.get, "acme", "worse"))
    assert not told[11].firing
    assert told[-1].firing
    assert "assistant: judge 0." in told[-1].says
