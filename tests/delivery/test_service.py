import pytest
import sqlalchemy as sa

from assent.delivery import service
from assent.delivery.domain import Because, Facts, Move, State, moves
from assent.delivery.jobs import start_due
from assent.evidence import service as evidence
from assent.kernel.errors import Conflict, Invalid, NotFound, Refused, Stale
from assent.kernel.tx import SYSTEM
from assent.prompts import service as prompts
from assent.registry import service as registry
from tests.delivery.releases import BAD, GOOD, PROJECT, approve


@pytest.fixture
def running(desk):
    """A canary of 2.1.0 at 5 %, while 2.0.0 is stable."""
    desk.adopt()
    rollout = desk.file()
    approve(desk, rollout)
    return desk.act(service.start, rollout)


def route(desk, environment="production"):
    place = service.Place(project=PROJECT, environment=environment, name="support")
    return desk.read(service.get_route, place)


def kill_place(**more):
    return service.Place(project=PROJECT, environment="production", name="support", **more)


def test_a_version_is_adopted_once_and_with_a_reason(desk):
    adopted = desk.adopt()
    assert (
        adopted.stable
        == route(desk).stable
        == desk.read(service.find_subject, PROJECT, "support@2.0.0").digest
    )
    with pytest.raises(Conflict):
        desk.adopt("support@2.1.0")
    with pytest.raises(Invalid):
        desk.do(
            service.adopt,
            service.Adoption(project=PROJECT, environment="staging", subject="support@2.0.0", reason=" "),
        )
    with pytest.raises(NotFound):
        desk.adopt(environment="nowhere")
    with pytest.raises(NotFound):
        desk.adopt("support@9.9.9", environment="staging")
    with pytest.raises(Invalid):
        desk.adopt("support", environment="staging")
    assert desk.adopt(environment="staging").generation == 1


def test_a_start_is_refused_with_the_reasons_of_policy_plan_and_route_together(desk):
    rollout = desk.file(expected_units_per_s=None)
    with pytest.raises(Refused) as caught:
        desk.act(service.start, rollout)
    assert {reason.id for reason in caught.value.reasons} == {"approvals", "rollback_target", "detectability"}
    assert all(reason.remedy for reason in caught.value.reasons)
    assert desk.get(rollout).state is State.PLANNED


def test_a_refused_start_leaves_no_trace(desk):
    desk.adopt()
    rollout = desk.file(expected_units_per_s=None)
    approve(desk, rollout)
    before = desk.events("")
    with pytest.raises(Refused):
        desk.act(service.start, rollout)
    assert desk.events("") == before


def test_a_release_goes_out_in_its_steps_and_is_promoted(desk, running):
    assert (running.state, running.share) == (State.RUNNING, 0.05)
    assert desk.step(running, GOOD).move is Move.HOLD
    desk.clock.advance(10)
    assert desk.step(running, GOOD).rollout.share == 0.25
    desk.clock.advance(10)
    assert desk.step(running, GOOD).rollout.share == 1.0
    desk.clock.advance(10)
    done = desk.step(running, GOOD)
    assert (done.move, done.rollout.state) == (Move.PROMOTE, State.PROMOTED)
    live = route(desk)
    assert (live.stable, live.canary, live.rollout, live.generation) == (running.subject, None, None, 5)
    assert desk.read(evidence.live, PROJECT, "production", "support") == running.subject
    assert desk.events() == [
        "delivery.version.adopted", "delivery.rollout.planned", "delivery.rollout.started",
        "delivery.rollout.advanced", "delivery.rollout.advanced", "delivery.rollout.promoted",
    ]  # fmt: skip


def test_a_guard_that_fails_takes_the_canary_back_with_its_figures(desk, running):
    stepped = desk.step(running, BAD)
    assert (stepped.move, stepped.because) == (Move.ROLL_BACK, Because.GUARD)
    row = desk.read(service.get_row, running.id)
    assert (row["state"], row["guard"], row["e_value"], row["because"]) == (
        "rolled_back",
        "thumbs_down",
        "44.5",
        "guard",
    )
    assert row["figures"]["guards"][0]["canary_rate"] == "0.6"
    assert route(desk).stable == running.stable
    assert desk.step(running, BAD).move is Move.HOLD


def test_a_paused_rollout_is_guarded_and_a_person_takes_it_on(desk, running):
    paused = desk.act(service.pause, running, "lunch")
    assert (paused.state, paused.share) == (State.PAUSED, 0.05)
    desk.clock.advance(10)
    assert desk.step(running, GOOD).move is Move.HOLD
    resumed = desk.act(service.resume, running)
    assert resumed.step_started_at == desk.runtime.clock.now()
    desk.act(service.pause, running)
    assert desk.step(running, BAD).rollout.state is State.ROLLED_BACK


def test_a_person_promotes_step_by_step_and_the_reason_is_kept_as_a_salted_body(desk, running):
    desk.clock.advance(10)
    assert desk.act(service.promote, running, "looks good").share == 0.25
    row = desk.read(service.get_row, running.id)
    assert desk.read(service.reason_text, row["reason"]) == "looks good"
    assert desk.read(service.reason_text, None) is None
    desk.runtime.blobs.erase(row["reason"])
    assert desk.read(service.reason_text, row["reason"]) is None
    with pytest.raises(Invalid):
        desk.act(service.pause, running, "x" * 3000)
    for share in (1.0, 1.0):
        desk.clock.advance(10)
        assert desk.act(service.promote, running).share == share
    assert desk.get(running).state is State.PROMOTED


def test_an_abort_gives_the_traffic_back_and_frees_the_route(desk, running):
    desk.act(service.abort, running, "wrong day")
    assert (route(desk).canary, route(desk).rollout) == (None, None)
    row = desk.read(service.get_row, running.id)
    assert (row["ended_by"], row["ended_at"]) == ("usr_operator", desk.clock.now())
    again = desk.file()
    approve(desk, again)
    assert desk.act(service.start, again).state is State.RUNNING


def test_a_planned_rollout_is_aborted_without_a_route(desk):
    assert desk.act(service.abort, desk.file()).state is State.ABORTED


def test_the_same_version_is_filed_once_at_a_time(desk):
    rollout = desk.file()
    with pytest.raises(Conflict, match=rollout.id):
        desk.file()
    assert desk.file(environment="staging").id != rollout.id


def test_two_rollouts_do_not_share_a_route(desk, running):
    other = desk.file("support@2.2.0")
    approve(desk, other)
    with pytest.raises(Refused) as caught:
        desk.act(service.start, other)
    assert [reason.id for reason in caught.value.reasons] == ["other_rollout"]


def test_a_promoted_version_is_rolled_back_to_the_receipt(desk, running):
    for _ in range(3):
        desk.clock.advance(10)
        desk.act(service.promote, running)
    desk.act(service.roll_back, running, "a customer complained")
    assert route(desk).stable == running.stable
    assert desk.read(evidence.live, PROJECT, "production", "support") == running.stable
    assert desk.get(running).state is State.ROLLED_BACK


def test_who_saw_an_older_state_is_told_so(desk, running):
    desk.act(service.pause, running)
    with pytest.raises(Stale):
        desk.act(service.resume, running, generation=running.generation)
    with pytest.raises(Stale):
        desk.do(service.kill, kill_place(generation=1), "drill")


def test_a_rollout_is_seen_in_its_own_project_only(desk, running):
    with pytest.raises(NotFound):
        desk.read(service.get, running.id, "other")
    with pytest.raises(NotFound):
        desk.read(service.get, "ro_1")


def test_what_is_live_is_listed_for_one_environment_or_all(desk, running):
    desk.adopt(environment="staging")
    everywhere = desk.read(service.list_live, PROJECT)
    assert [(one.environment, one.route.share) for one in everywhere] == [
        ("production", 0.05),
        ("staging", 0.0),
    ]
    assert len(desk.read(service.list_live, PROJECT, "staging")) == 1
    with pytest.raises(NotFound):
        desk.read(service.list_live, PROJECT, "nowhere")
    assert desk.read(service.ref_of, PROJECT, "sha256:" + "0" * 64) == "sha256:" + "0" * 64


def test_a_kill_takes_a_canary_back_and_a_restore_gives_the_stable_version(desk, running):
    killed = desk.do(service.kill, kill_place(), "it insults people")
    assert (killed.enabled, killed.canary) == (False, None)
    assert desk.get(running).because == "kill"
    with pytest.raises(Conflict):
        desk.do(service.kill, kill_place(), "again")
    restored = desk.do(service.restore, kill_place(), "fixed")
    assert (restored.enabled, restored.stable) == (True, running.stable)
    with pytest.raises(Conflict):
        desk.do(service.restore, kill_place(), "again")
    with pytest.raises(Invalid):
        desk.do(service.kill, kill_place(), None)
    with pytest.raises(NotFound):
        desk.do(
            service.kill, service.Place(project=PROJECT, environment="production", name="nobody"), "drill"
        )


def test_a_rollout_waits_for_its_time_and_is_started_by_the_clock(desk):
    desk.adopt()
    rollout = desk.file(start_at="2026-01-01T01:00:00Z")
    with pytest.raises(Refused):
        desk.act(service.start, rollout)
    approve(desk, rollout)
    assert desk.act(service.start, rollout).state is State.WAITING
    start_due(desk.runtime)
    assert desk.get(rollout).state is State.WAITING
    desk.clock.advance(3600)
    start_due(desk.runtime)
    assert desk.get(rollout).state is State.RUNNING


def test_what_waits_and_is_refused_at_its_time_waits_on(desk, caplog):
    desk.adopt()
    rollout = desk.file(start_at="2026-01-01T01:00:00Z")
    approve(desk, rollout)
    desk.act(service.start, rollout)
    desk.do(service.kill, kill_place(), "an outage")
    desk.clock.advance(3600)
    start_due(desk.runtime)
    assert desk.get(rollout).state is State.WAITING
    assert "cannot start" in caplog.text


def test_what_the_plan_says_is_evidence_for_the_policy(desk):
    rollout = desk.file()
    claim = desk.read(evidence.latest, PROJECT, "rollout.plan", rollout.subject, "production")
    assert (claim.value["first_share"], claim.value["n_steps"], claim.value["detectable"]) == (
        "0.05",
        3,
        True,
    )
    assert claim.value["plan"] == desk.read(service.get_row, rollout.id)["plan_digest"]


def stage(desk, number):
    return desk.read(registry.get, PROJECT, "support", number).stage


def test_the_stage_of_a_version_follows_from_what_happens_to_it(desk):
    desk.adopt()
    assert (stage(desk, "2.0.0"), stage(desk, "2.1.0")) == ("monitoring", "development")
    rollout = desk.file()
    assert stage(desk, "2.1.0") == "approval"
    approve(desk, rollout)
    desk.act(service.start, rollout)
    assert stage(desk, "2.1.0") == "deployment"
    desk.step(rollout, BAD)
    assert stage(desk, "2.1.0") == "evaluation"


def test_what_is_live_somewhere_keeps_its_stage_whatever_becomes_of_it_elsewhere(desk):
    desk.adopt()
    desk.adopt("support@2.1.0", environment="staging")
    elsewhere = desk.file("support@2.0.0", environment="staging")
    desk.act(service.abort, elsewhere)
    assert stage(desk, "2.0.0") == "monitoring"


def test_a_shadow_is_filed_started_and_refused_for_what_is_not_called(desk):
    desk.adopt()
    shadow = {"share": 0.1, "min_time_s": 10, "min_units": 3}
    rollout = desk.file(shadow=shadow)
    approve(desk, rollout)
    started = desk.act(service.start, rollout)
    assert (started.step, started.share, len(started.plan.steps)) == (0, 0.0, 4)
    _, snapshot = desk.snapshot()
    assert snapshot.payload.routes["support"]["shadow"] == {"variant": "canary", "end": 100_000}
    assert {snapshot.routes["support"](f"u{n}", {}).variant for n in range(50)} == {"stable"}
    greeting = prompts.NewPrompt(PROJECT, "greeting", {"text": "Say hello."})
    first, _ = desk.do(prompts.register, greeting)
    with pytest.raises(Refused) as refusal:
        desk.file(first.ref, shadow=shadow)
    assert [reason.id for reason in refusal.value.reasons] == ["shadow"]


def test_prompts_are_delivered_as_models_are(desk):
    greeting = prompts.NewPrompt(PROJECT, "greeting", {"text": "Say hello."})
    first, _ = desk.do(prompts.register, greeting)
    desk.adopt(first.ref)
    assert desk.read(service.find_subject, PROJECT, first.digest).kind == "prompt"
    changed = prompts.NewPrompt(PROJECT, "greeting", {"text": "Say hi."})
    second, _ = desk.do(prompts.register, changed)
    rollout = desk.file(second.ref)
    approve(desk, rollout)
    assert desk.act(service.start, rollout).kind == "prompt"
    _, snapshot = desk.snapshot()
    assert {version.ref for version in snapshot.payload.versions.values()} == {first.ref, second.ref}
    assert desk.act(service.abort, rollout).state is State.ABORTED


def test_a_plan_with_faults_is_refused_before_anything_is_filed(desk):
    with pytest.raises(Invalid) as caught:
        desk.file(alpha=7, steps=[])
    assert {"alpha", "steps"} <= {reason.id for reason in caught.value.reasons}
    assert desk.events() == []


def test_the_verdict_says_what_is_lacking_and_remembers_the_last_look(desk, running):
    verdict, judgement, lacking = desk.read(service.verdict, running)
    assert (verdict, judgement.n_canary_units) == ("inconclusive", 0)
    assert {reason.id for reason in lacking} == {"min_time", "detectable"}
    desk.clock.advance(9)
    desk.step(running, GOOD)
    assert desk.read(service.verdict, running)[1] == GOOD
    desk.step(running, BAD)
    verdict, judgement, lacking = desk.read(service.verdict, desk.get(running))
    assert (verdict, judgement.guard, [reason.id for reason in lacking]) == ("fail", "thumbs_down", ["guard"])


def test_lists_are_paged_newest_first_and_filtered(desk, running):
    second = desk.file(environment="staging")
    found, following = desk.read(service.list_, PROJECT, {}, None, 1)
    assert ([one.id for one in found], following) == ([second.id], second.id)
    found, following = desk.read(service.list_, PROJECT, {}, following, 1)
    assert ([one.id for one in found], following) == ([running.id], None)
    found, _ = desk.read(
        service.list_, PROJECT, {"state": ["running"], "name": "support", "environment": None}
    )
    assert [one.id for one in found] == [running.id]
    assert [one.id for one in desk.read(service.list_running)] == [running.id]


def test_the_rule_and_the_table_agree_on_what_is_next(desk, running):
    """The row reads back as the rollout that the rules moved."""
    desk.clock.advance(10)
    event = moves.advance(
        desk.get(running), Facts(route=route(desk), judgement=GOOD, automatic=True), desk.runtime.clock.now()
    )
    stepped = desk.step(running, GOOD)
    assert stepped.event.event == event
    assert (stepped.rollout.step, stepped.rollout.units_before) == (1, 50)


def test_no_table_of_delivery_names_a_body_in_clear(desk, running):
    desk.act(service.pause, running, "Mallory was rude")
    with desk.begin(SYSTEM) as tx:
        rows = tx.conn.execute(sa.text("SELECT * FROM delivery_rollouts")).all()
    assert "Mallory" not in str(rows)
