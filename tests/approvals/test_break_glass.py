"""Break-glass from its opening to its review, on real databases with a real ledger."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.approvals import service
from assent.approvals.domain.break_glass import (
    LIFE,
    REVIEW_WITHIN,
    SECOND_WITHIN,
    BreakGlass,
    Finding,
    Outcome,
    debt_reasons,
)
from assent.delivery import jobs as delivery_jobs
from assent.delivery import service as delivery
from assent.delivery.domain import State
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.tx import SYSTEM, Actor
from assent.ledger import replay
from assent.ledger import service as ledger
from assent_client.snapshot import Root, verify
from assent_client.snapshot import Scope as Wanted
from tests.approvals.shop import PROJECT, refusal
from tests.approvals.test_domain import NOW
from tests.approvals.test_service import leaves, ready
from tests.delivery.releases import GOOD


def start(rollout, **changes):
    ask = delivery.Ask(rollout=rollout.id, project=PROJECT, reason=changes.pop("reason", "refunds are wrong"))
    named = {"incident": "INC-7", "life": LIFE, "step_up_s": 600, **changes}
    return delivery.EmergencyStart(ask=ask, **named)


def broken(shop, who="otto", **changes):
    """A release that is out by break-glass; nothing of its policy is fulfilled."""
    shop.adopt()
    request, rollout = shop.file()
    shop.do(who, delivery.start_by_break_glass, start(rollout, **changes))
    return request, rollout, only(shop)


def only(shop):
    (found,) = shop.read(service.list_break_glass, PROJECT, {})[0]
    return found


def second(shop, held, who="rita"):
    shop.sign_in(who)
    return shop.do(who, service.second_break_glass, held.id, PROJECT)


def review(shop, held, who="ron", finding="justified", text="The refund texts were wrong; it was right."):
    shop.sign_in(who)
    new = service.NewReview(break_glass=held.id, project=PROJECT, finding=finding, text=text)
    return shop.do(who, service.review_break_glass, new)


def settle(shop):
    delivery_jobs.settle_break_glass(shop.desk.runtime)
    return only(shop)


def state(shop, rollout):
    return shop.read(delivery.get, rollout.id).state


def admissions(shop):
    """What the gateway's verified snapshot says of how each version is admitted."""
    runtime = shop.desk.runtime
    with shop.desk.read() as reader:
        scope = delivery.Scope(PROJECT, "production", "gateway")
        issue = delivery.compile_snapshot(reader, scope, runtime.signers.snapshot, 3600)
    root = Root(**ledger.root_document(runtime.signers))
    snapshot = verify(issue.envelope, root, Wanted(PROJECT, "production", "gateway"))
    return {version.ref: version.admission.kind for version in snapshot.payload.versions.values()}


def test_what_cannot_wait_goes_out_flagged_and_its_request_stays_open(shop_on_each):
    shop = shop_on_each
    request, rollout, held = broken(shop)
    assert state(shop, rollout) is State.RUNNING
    assert shop.get(request).state is service.State.OPEN
    assert admissions(shop) == {"support@2.0.0": "adopted", "support@2.1.0": "break_glass"}
    assert (held.outcome, held.seconded_by) == (None, None)
    assert shop.read(service.break_glass_text, held.reason) == "refunds are wrong\n\nIncident: INC-7"
    (leaf,) = leaves(shop, "approvals.break_glass.opened")
    assert "refunds" not in str(leaf)
    assert leaf["data"]["assessment"].startswith("sha256:")


def test_without_a_second_person_it_is_taken_back_within_minutes(shop_on_each):
    shop = shop_on_each
    _, rollout, held = broken(shop)
    shop.clock.advance(SECOND_WITHIN.total_seconds() - 1)
    assert settle(shop).outcome is None
    shop.clock.advance(1)
    assert settle(shop).outcome is Outcome.UNSECONDED
    found = shop.read(delivery.get, rollout.id)
    assert (found.state, found.because) == (State.ROLLED_BACK, "break_glass")
    assert set(refusal(second, shop, held)) == {"ended"}
    assert shop.read(replay.check).equal


def test_seconded_it_lasts_to_its_end_and_then_the_receipt_is_applied_again(shop_on_each):
    shop = shop_on_each
    _, rollout, held = broken(shop)
    assert second(shop, held).seconded_by == shop.people["rita"].id
    shop.clock.advance(SECOND_WITHIN.total_seconds())
    assert settle(shop).outcome is None
    shop.clock.advance((LIFE - SECOND_WITHIN).total_seconds())
    assert settle(shop).outcome is Outcome.OVER
    assert state(shop, rollout) is State.ROLLED_BACK
    (live,) = shop.read(delivery.list_live, PROJECT)
    assert live.route.stable == shop.version("2.0.0").digest
    assert settle(shop).ended_at == only(shop).ended_at
    assert shop.read(replay.check).equal


def test_a_version_that_fulfils_its_policy_meanwhile_stays_and_loses_the_flag(shop_on_each):
    shop = shop_on_each
    request, rollout, held = broken(shop)
    second(shop, held)
    shop.pass_suite()
    shop.publish_card()
    shop.sign_in("rita")
    shop.vote("rita", request)
    assert settle(shop).outcome is Outcome.APPROVED
    assert admissions(shop)["support@2.1.0"] == "approved"
    assert shop.get(request).state is service.State.EXECUTED
    shop.clock.advance(LIFE.total_seconds() * 2)
    settle(shop)
    assert state(shop, rollout) is State.RUNNING
    assert shop.read(replay.check).equal


def test_what_a_person_takes_back_is_over_and_still_owes_its_review(shop):
    _, rollout, _ = broken(shop)
    shop.do("otto", delivery.roll_back, delivery.Ask(rollout=rollout.id, reason="it made it worse"))
    held = settle(shop)
    assert held.outcome is Outcome.TAKEN_BACK
    assert held.reviewed_at is None


def test_a_promoted_version_is_taken_back_too(shop):
    _, rollout, held = broken(shop)
    second(shop, held)
    for _ in range(2):
        shop.clock.advance(60)
        shop.do("otto", delivery.promote, delivery.Ask(rollout=rollout.id))
    assert state(shop, rollout) is State.PROMOTED
    assert settle(shop).outcome is None
    shop.clock.advance(LIFE.total_seconds())
    assert settle(shop).outcome is Outcome.OVER
    assert state(shop, rollout) is State.ROLLED_BACK


def test_an_overdue_review_stops_every_release_of_the_system_until_it_is_done(shop):
    _, rollout, held = broken(shop)
    shop.do("otto", delivery.roll_back, delivery.Ask(rollout=rollout.id))
    settle(shop)
    shop.register("2.2.0")
    shop.pass_suite("2.2.0")
    shop.publish_card("2.2.0")
    request, next_one = shop.file("2.2.0")
    shop.sign_in("rita")
    shop.vote("rita", request)
    assert shop.answers(request)["debt"] == "pass"
    shop.clock.advance(REVIEW_WITHIN.total_seconds())
    assert shop.answers(request)["debt"] == "fail"
    reasons = refusal(shop.start, next_one)
    assert held.id in reasons["debt"].remedy
    shop.sign_in("otto")
    assert "debt" in refusal(shop.do, "otto", delivery.start_by_break_glass, start(next_one))
    review(shop, held)
    assert "debt" not in shop.answers(request)
    assert shop.start(next_one).state is State.RUNNING


def test_an_overdue_review_lets_nothing_grow(shop):
    request, rollout = ready(shop)
    shop.vote("rita", request)
    shop.start(rollout)
    shop.register("2.2.0")
    _, other = shop.file("2.2.0")
    reasons = refusal(shop.do, "otto", delivery.start_by_break_glass, start(other))
    assert reasons  # one rollout of a name at a time, in an emergency too
    assert shop.read(service.list_break_glass, PROJECT, {})[0] == []
    shop.do("otto", delivery.abort, delivery.Ask(rollout=rollout.id))
    shop.do("otto", delivery.start_by_break_glass, start(other))
    shop.do("otto", delivery.roll_back, delivery.Ask(rollout=other.id))
    settle(shop)
    request, rollout = shop.file()
    shop.sign_in("rita")
    shop.vote("rita", request)
    shop.start(rollout)
    shop.clock.advance(REVIEW_WITHIN.total_seconds())
    assert set(refusal(shop.do, "otto", delivery.promote, delivery.Ask(rollout=rollout.id))) == {"debt"}
    assert shop.do(SYSTEM, delivery.step, rollout.id, GOOD).event is None
    held = next(one for one in shop.read(service.list_break_glass, PROJECT, {"owed": True})[0])
    review(shop, held)
    assert shop.do("otto", delivery.promote, delivery.Ask(rollout=rollout.id)).step == 1


def test_who_had_a_part_in_it_neither_seconds_nor_reviews_it(shop):
    _, _, held = broken(shop)
    assert set(refusal(second, shop, held, "otto")) == {"same_person"}
    service_account = Actor("svc_1", "service")
    assert "service_account" in refusal(
        shop.do, service_account, service.second_break_glass, held.id, PROJECT
    )
    second(shop, held)
    assert set(refusal(second, shop, held, "ron")) == {"seconded"}
    for who in ("otto", "rita", "ada"):
        assert set(refusal(review, shop, held, who)) == {"involved"}
    done = review(shop, held, finding="unjustified", text="It could have waited.")
    assert (done.finding, done.reviewed_by) == (Finding.UNJUSTIFIED, shop.people["ron"].id)
    assert shop.read(service.break_glass_text, done.review) == "It could have waited."
    assert set(refusal(review, shop, held)) == {"reviewed"}


def sign_in_asked(act, *what):
    """The message of a refusal for nothing but an old sign-in."""
    (reason,) = refusal(act, *what).values()
    assert reason.id == "sign_in"
    return reason.message


def test_seconding_and_reviewing_say_that_they_need_a_recent_sign_in(shop):
    _, rollout, held = broken(shop)
    shop.clock.advance(601)
    message = sign_in_asked(shop.do, "rita", service.second_break_glass, held.id, PROJECT)
    assert message == "The second signature of a break-glass needs a recent sign-in."
    shop.do("otto", delivery.roll_back, delivery.Ask(rollout=rollout.id))
    settle(shop)
    new = service.NewReview(break_glass=held.id, project=PROJECT, finding="justified", text="It was right.")
    message = sign_in_asked(shop.do, "ron", service.review_break_glass, new)
    assert message == "The review of a break-glass needs a recent sign-in."


def test_it_takes_a_person_a_recent_sign_in_a_reason_and_an_incident(shop):
    shop.adopt()
    _, rollout = shop.file()
    open_it = delivery.start_by_break_glass
    machine = Actor("svc_1", "service")
    assert set(refusal(shop.do, machine, open_it, start(rollout))) == {"service_account"}
    shop.clock.advance(601)
    assert sign_in_asked(shop.do, "otto", open_it, start(rollout)) == "Break-glass needs a recent sign-in."
    shop.sign_in("otto")
    with pytest.raises(Invalid) as error:
        shop.do("otto", open_it, start(rollout, reason=" ", incident="x" * 201, life=timedelta(hours=25)))
    assert {reason.id for reason in error.value.reasons} == {"reason", "incident", "hours"}
    assert state(shop, rollout) is State.PLANNED
    assert shop.read(service.list_break_glass, PROJECT, {})[0] == []


def test_a_prohibited_use_and_a_second_one_at_once_are_refused(shop):
    _, _, held = broken(shop)
    shop.register("3.0.0", tier="prohibited")
    _, rollout = shop.file("3.0.0")
    assert {"tier", "open"} <= set(
        refusal(
            shop.do,
            "otto",
            service.open_break_glass,
            service.Emergency(request=rollout.request, project=PROJECT, reason="r", incident="i"),
        )
    )
    assert only(shop).id == held.id


def test_a_plan_that_begins_later_and_a_card_are_no_emergency(shop):
    shop.adopt()
    at = (shop.clock.now() + timedelta(days=1)).isoformat()
    _, rollout = shop.file(start_at=at)
    with pytest.raises(Conflict, match="begins at"):
        shop.do("otto", delivery.start_by_break_glass, start(rollout))
    new = service.NewRequest(
        project=PROJECT,
        subject="sha256:" + "1" * 64,
        kind=service.Kind.CARD,
        about=shop.version("2.1.0").digest,
    )
    card = shop.do("ada", service.submit, new)
    wanted = service.Emergency(request=card.id, project=PROJECT, reason="r", incident="i")
    assert set(refusal(shop.do, "otto", service.open_break_glass, wanted)) == {"kind"}


def test_a_review_says_justified_or_not_and_why(shop):
    _, _, held = broken(shop)
    with pytest.raises(Invalid, match="no finding"):
        review(shop, held, finding="fine")
    with pytest.raises(Invalid, match="needs a text"):
        review(shop, held, text="  ")
    with pytest.raises(NotFound):
        shop.read(service.get_break_glass, held.id, "elsewhere")


def test_they_are_listed_by_what_they_are_page_by_page(shop):
    request, rollout, held = broken(shop)

    def listed(**where):
        return [one.id for one in shop.read(service.list_break_glass, PROJECT, where)[0]]

    assert listed(open=True) == listed(owed=True) == listed(name="support") == [held.id]
    assert listed(environment="production", request=request.id) == [held.id]
    assert listed(name="other") == []
    shop.do("otto", delivery.roll_back, delivery.Ask(rollout=rollout.id))
    settle(shop)
    assert listed(open=True) == []
    _, again = shop.file("2.1.0", "bob")
    shop.do("otto", delivery.start_by_break_glass, start(again))
    found, following = shop.read(service.list_break_glass, PROJECT, {}, None, 1)
    assert following == found[0].id
    rest, end = shop.read(service.list_break_glass, PROJECT, {}, following, 1)
    assert ([one.id for one in rest], end) == ([held.id], None)


DUE = st.integers(-1000, 1000)
USED = BreakGlass(
    id="bg_1",
    project="p",
    environment="e",
    request="r",
    subject="s",
    ref="n@1.0.0",
    name="n",
    reason="d",
    opened_by="a",
    opened_at=NOW,
    second_by=NOW,
    ends_at=NOW,
    review_by=NOW,
)


@given(st.lists(st.tuples(DUE, st.booleans()), max_size=6))
def test_a_review_is_overdue_exactly_when_its_time_is_over_and_nobody_did_it(rows):
    used = [
        replace(
            USED,
            id=f"bg_{at}",
            review_by=NOW + timedelta(seconds=due),
            reviewed_at=NOW if reviewed else None,
        )
        for at, (due, reviewed) in enumerate(rows)
    ]
    owed = [one.id for one in used if one.review_by <= NOW and one.reviewed_at is None]
    reasons = debt_reasons(used, NOW)
    assert len(reasons) == len(owed)
    assert all(name in reason.remedy for name, reason in zip(owed, reasons, strict=True))


def test_what_has_ended_is_not_due_again():
    assert USED.due(NOW) is Outcome.UNSECONDED
    assert replace(USED, seconded_by="b").due(NOW) is Outcome.OVER
    assert replace(USED, outcome=Outcome.TAKEN_BACK).due(NOW) is None
