"""Approvals that hold for less: up to a share, until a moment, enforced when the rollout grows."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.approvals import service
from assent.approvals.domain.factors import Approvals, Factor
from assent.approvals.domain.facts import Ballot, Verdict
from assent.approvals.domain.policy import Policy
from assent.approvals.domain.provisos import MAX_UNTIL, Proviso, checked_proviso, growth_reasons, told
from assent.delivery import service as delivery
from assent.delivery.domain import Judgement, Move, State
from assent.delivery.domain import Verdict as Judged
from assent.kernel.errors import Invalid, Refused
from assent.kernel.tx import SYSTEM
from assent.ledger import replay
from tests.approvals.shop import PROJECT
from tests.approvals.test_break_glass import broken
from tests.approvals.test_domain import NOW, POLICY, SUBJECT, facts

ONE = Policy(conditions=(Approvals(id="approvals", factors=(Factor(group="reviewers"),)),))
TENTH = Proviso(max_share=Decimal("0.1"))
GOOD = Judgement(verdict=Judged.PASS, n_canary_units=50, n_stable_units=900)


def ballot(voter="rita", **changes):
    return Ballot(
        vote=f"vote_{voter}", voter=voter, verdict=Verdict.APPROVE, subject=SUBJECT, policy=POLICY, **changes
    )


def growth(*ballots, share=0.25):
    return [one.id for one in growth_reasons(ONE, facts(ballots=ballots), share)]


@pytest.mark.parametrize(
    ("proviso", "verdict", "mistakes"),
    [
        (Proviso(), Verdict.REJECT, []),
        (TENTH, Verdict.APPROVE, []),
        (Proviso(max_share=Decimal(1), until=NOW + MAX_UNTIL), Verdict.APPROVE, []),
        (TENTH, Verdict.REJECT, ["verdict"]),
        (Proviso(max_share=Decimal(0), until=NOW), Verdict.ABSTAIN, ["verdict", "max_share", "until"]),
        (Proviso(max_share=Decimal("1.1")), Verdict.APPROVE, ["max_share"]),
        (Proviso(until=NOW + MAX_UNTIL + timedelta(seconds=1)), Verdict.APPROVE, ["until"]),
    ],
)
def test_a_proviso_that_makes_no_sense_is_refused_with_every_mistake(proviso, verdict, mistakes):
    if not mistakes:
        assert checked_proviso(proviso, verdict, NOW) is proviso
        return
    with pytest.raises(Invalid) as refused:
        checked_proviso(proviso, verdict, NOW)
    assert [one.id for one in refused.value.reasons] == mistakes


def test_growth_needs_people_whose_provisos_allow_it():
    less = ballot(max_share=Decimal("0.1"))
    over = ballot(until=NOW)
    assert growth(less, share=0.1) == growth(ballot()) == growth(ballot(until=NOW + MAX_UNTIL)) == []
    assert growth(less) == ["proviso.max_share"]
    assert growth(over, share=0.01) == ["proviso.until"]
    assert growth(less, ballot("ron")) == []
    assert growth(less, ballot("ron", max_share=Decimal("0.2"))) == ["proviso.max_share"] * 2
    assert growth(replace(less, voter="ada")) == ["proviso.max_share"], (
        "a limit outlives the vote that counts"
    )
    assert growth(replace(less, voter="ada"), ballot()) == []


@given(st.sets(st.sampled_from(["rita", "ron"])), st.sampled_from(["0.1", "0.2"]))
def test_who_leaves_a_group_never_lets_a_share_grow(left, limit):
    ballots = (ballot(max_share=Decimal(limit)), ballot("ron", max_share=Decimal("0.1")))
    before = facts(ballots=ballots)
    members = {
        group: {who: since for who, since in people.items() if who not in left}
        for group, people in before.members.items()
    }
    assert growth_reasons(ONE, before, 0.25)
    assert growth_reasons(ONE, replace(before, members=members), 0.25)


def test_a_proviso_is_told_in_words():
    assert told(Proviso()) == ""
    assert told(TENTH) == "for a share of at most 0.1"
    assert told(Proviso(max_share=Decimal("0.1"), until=NOW)).endswith("0.1, until 2026-03-04 12:00 UTC")


@pytest.fixture
def filed(shop):
    shop.bind()
    shop.adopt()
    shop.pass_suite()
    shop.sign_in()
    return shop.file()


def vote(shop, who, request, **proviso):
    return shop.vote(who, request, proviso=Proviso(**proviso))


def ask(rollout):
    return delivery.Ask(rollout=rollout.id, reason="it looks good")


def test_a_rollout_grows_no_further_than_who_approved_it_said(shop, filed):
    request, rollout = filed
    vote(shop, "rita", request, max_share=Decimal("0.05"))
    shop.start(rollout)
    shop.clock.advance(30)
    with pytest.raises(Refused) as refused:
        shop.do("otto", delivery.promote, ask(rollout))
    (reason,) = [one for one in refused.value.reasons if one.id.startswith("proviso")]
    assert reason.message == "rita approved a share of at most 0.05."
    assert (reason.have, reason.need) == ("0.05", "1.0")
    stepped = shop.do(SYSTEM, delivery.step, rollout.id, GOOD)
    assert (stepped.move, stepped.rollout.share) == (Move.HOLD, 0.05)
    shop.do("otto", delivery.abort, ask(rollout))
    assert shop.read(delivery.get, rollout.id).state is State.ABORTED


def test_a_start_beyond_the_approved_share_is_refused(shop, filed):
    request, rollout = filed
    vote(shop, "rita", request, max_share=Decimal("0.01"))
    with pytest.raises(Refused) as refused:
        shop.start(rollout)
    assert [one.id for one in refused.value.reasons] == ["proviso.max_share"]
    vote(shop, "ron", request)
    assert shop.start(rollout).state is State.RUNNING
    shop.clock.advance(30)
    assert shop.do("otto", delivery.promote, ask(rollout)).share == 1


def test_a_limit_holds_when_its_voter_has_left(shop, filed):
    request, rollout = filed
    vote(shop, "rita", request, max_share=Decimal("0.05"))
    shop.start(rollout)
    shop.leave("reviewers", "rita")
    shop.clock.advance(30)
    with pytest.raises(Refused) as refused:
        shop.do("otto", delivery.promote, ask(rollout))
    assert "proviso.max_share" in {one.id for one in refused.value.reasons}
    assert shop.do(SYSTEM, delivery.step, rollout.id, GOOD).move is Move.HOLD


def test_what_is_out_by_break_glass_waits_for_no_half_of_an_approval(shop):
    request, rollout, _ = broken(shop)
    vote(shop, "rita", request, max_share=Decimal("0.05"))
    shop.clock.advance(30)
    assert shop.do("otto", delivery.promote, ask(rollout)).share > 0.05


def test_an_approval_that_ended_starts_nothing_and_grows_nothing(shop, filed):
    request, rollout = filed
    vote(shop, "rita", request, until=shop.clock.now() + timedelta(hours=1))
    assert shop.get(request).state is service.State.APPROVED
    shop.clock.advance(3600)
    with pytest.raises(Refused) as refused:
        shop.start(rollout)
    assert {one.id for one in refused.value.reasons} >= {"approvals"}
    shop.sign_in()
    vote(shop, "ron", request, until=shop.clock.now() + timedelta(hours=1))
    shop.start(rollout)
    shop.clock.advance(3600)
    with pytest.raises(Refused) as refused:
        shop.do("otto", delivery.promote, ask(rollout))
    assert "proviso.until" in {one.id for one in refused.value.reasons}
    with shop.desk.read() as reader:
        assert replay.check(reader).equal


def test_provisos_over_http_and_on_the_command_line(served, assent):
    shop = served.shop
    shop.bind()
    shop.adopt()
    shop.pass_suite()
    request, _ = shop.file()
    until = f"{shop.clock.now() + timedelta(days=9):%Y-%m-%d}"
    code, out, err = assent(
        "rita", "request", "approve", request.id, "--max-share", "0.10", "--until", until, "--json"
    )
    assert code == 0, err
    (cast,) = json.loads(out)["votes"]
    assert (cast["max_share"], cast["until"][:10]) == ("0.1", until)
    assert f"up to 0.1 of the traffic, until {until}" in assent("rita", "request", "show", request.id)[1]
    body = {"verdict": "reject", "subject": request.subject, "policy": request.policy, "max_share": "0.5"}
    with served.api("ron") as api:
        for wrong in (body, {**body, "verdict": "approve", "max_share": 2}):
            with pytest.raises(Invalid):
                api.post(api.path("requests", request.id, "votes"), wrong)
    assert len(shop.read(service.list_votes, request.id)) == 1
    assert shop.read(service.get, request.id, PROJECT).state is service.State.APPROVED
