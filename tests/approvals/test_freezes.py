"""Freeze windows hold for rollouts that are under way: nothing grows, everything may shrink."""

from datetime import timedelta

import pytest

from assent.approvals import service
from assent.delivery import service as delivery
from assent.delivery.domain import Judgement, Move, State
from assent.delivery.domain import Verdict as Judged
from assent.kernel.errors import Refused
from assent.kernel.tx import SYSTEM
from tests.approvals.shop import GROUND
from tests.approvals.test_break_glass import broken

GOOD = Judgement(verdict=Judged.PASS, n_canary_units=50, n_stable_units=900)


def frozen(shop, after_s, until_s, **more):
    """A policy with a window that begins and ends so many seconds from now."""
    start, end = (f"{shop.clock.now() + timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ}" for s in (after_s, until_s))
    window = {"from": start, "to": end, "reason": "the sale"}
    condition = {"kind": "no_freeze_window", "windows": [window], **more}
    return {**GROUND, "conditions": [*GROUND["conditions"], condition]}


@pytest.fixture
def started(shop):
    def start(content=GROUND):
        shop.bind(content=content)
        shop.adopt()
        shop.pass_suite()
        shop.sign_in()
        request, rollout = shop.file()
        shop.vote("rita", request)
        return shop.start(rollout)

    return start


def ask(rollout):
    return delivery.Ask(rollout=rollout.id, reason="it looks good")


def refused(shop, rollout):
    with pytest.raises(Refused) as caught:
        shop.do("otto", delivery.promote, ask(rollout))
    return [one for one in caught.value.reasons if one.id == "no_freeze_window"]


def test_a_rollout_under_way_does_not_grow_in_a_window_of_its_policy(shop, started):
    rollout = started(frozen(shop, 20, 3600))
    shop.clock.advance(30)
    (reason,) = refused(shop, rollout)
    assert "the sale" in reason.message
    assert reason.remedy == "Wait until the window is over."
    stepped = shop.do(SYSTEM, delivery.step, rollout.id, GOOD)
    assert (stepped.move, stepped.rollout.state) == (Move.HOLD, State.RUNNING)
    shop.clock.advance(3600)
    assert shop.do(SYSTEM, delivery.step, rollout.id, GOOD).move is not Move.HOLD


def test_a_window_declared_meanwhile_holds_too_and_engines_read_it(shop, started):
    rollout = started()
    shop.clock.advance(30)
    shop.bind(name="calendar", content=frozen(shop, -1, 3600))
    assert refused(shop, rollout)
    shop.do(SYSTEM, delivery.step, rollout.id, GOOD)
    found, _, lacking = shop.read(delivery.verdict, shop.read(delivery.get, rollout.id))
    assert (found, [one.id for one in lacking]) == ("inconclusive", ["no_freeze_window"])


def test_what_shrinks_waits_for_no_window(shop, started):
    rollout = started(frozen(shop, 20, 3600))
    shop.clock.advance(30)
    assert shop.do("otto", delivery.roll_back, ask(rollout)).state is State.ROLLED_BACK


def test_a_window_of_another_tier_holds_nothing(shop, started):
    rollout = started(frozen(shop, 20, 3600, tiers=["high"]))
    shop.clock.advance(30)
    assert shop.do("otto", delivery.promote, ask(rollout)).share == 1


def test_what_is_out_by_break_glass_waits_for_no_window(shop):
    _, rollout, _ = broken(shop)
    shop.bind(name="calendar", content=frozen(shop, -1, 3600))
    assert shop.read(service.freeze_reasons, rollout.request) == []
    shop.clock.advance(30)
    assert shop.do("otto", delivery.promote, ask(rollout)).share > 0.05
