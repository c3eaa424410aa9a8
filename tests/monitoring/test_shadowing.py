"""A shadow step: its figures beside the stable version's, kept when it is over, judged by time and calls."""

import pytest

from assent.delivery import service as delivery
from assent.delivery.domain import Move
from assent.monitoring import service
from tests.monitoring.conftest import CANARY, PLAN, ROLLOUT

SHADOW = {"share": 0.5, "min_time_s": 10, "min_units": 3}
MIRRORED = {"version": CANARY, "reason": "shadow", "rollout": None}


@pytest.fixture
def shadowed(desk):
    desk.plan({**PLAN, "shadow": SHADOW})
    return desk


def test_mirrored_calls_stand_beside_the_stable_version_and_lead_to_the_first_share(shadowed):
    desk = shadowed
    desk.clock.advance(1)
    desk.send(desk.call("a", reason="static"), desk.call("b", reason="static"))
    desk.send(desk.call("a", "shadow", **MIRRORED), desk.call("b", "shadow", status=500, **MIRRORED))
    desk.tick()
    kept = desk.read(delivery.latest_judgement, ROLLOUT)
    assert kept.n_shadow == 2
    desk.clock.advance(10)
    assert desk.tick() is Move.HOLD
    desk.send(desk.call("c", "shadow", **MIRRORED))
    assert desk.tick() is Move.ADVANCE
    found = desk.rollout()
    assert (found.step, found.share) == (1, 0.25)
    desk.send(desk.call("d", "shadow", **MIRRORED))
    judgement = desk.look().judgement
    assert judgement.n_shadow == 3
    figures = judgement.figures["shadow"]
    assert (figures["shadow"]["n_calls"], figures["stable"]["n_calls"]) == (3, 2)
    assert float(figures["shadow"]["errors"]["rate"]) == pytest.approx(1 / 3)
    assert float(figures["stable"]["errors"]["rate"]) == 0
    assert judgement.n_canary_units == 0
    counts = desk.read(service.live.rollout_figures, "acme", ROLLOUT)["arms"]
    assert counts["canary"]["n_units"] == 0


def test_a_plan_without_a_shadow_has_no_figures_of_one(running):
    assert "shadow" not in running.look().judgement.figures
