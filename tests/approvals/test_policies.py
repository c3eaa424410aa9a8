"""How a policy comes into force, and what it would have done in the past."""

import json

import pytest

from assent.approvals import service
from assent.delivery import service as delivery
from assent.kernel.errors import NotFound, Stale
from assent.kernel.tx import SYSTEM, Actor
from assent.ledger import replay
from tests.approvals.shop import GROUND, PROJECT, confirmation, refusal
from tests.approvals.test_service import ready

STRICT = {
    "title": "Stricter",
    "conditions": [
        {"kind": "regression_suite", "max_age_days": 30},
        {"kind": "safety_suite", "tiers": ["minimal", "limited", "high"]},
        {"kind": "approvals", "factors": [{"group": "reviewers", "n": 2}]},
    ],
}


def register(shop, name, content=GROUND):
    new = service.NewPolicy(project=PROJECT, name=name, content=content)
    return shop.do("root", service.register_policy, new)[0]


def bind(shop, version, who="root", environment="production"):
    return shop.do(who, service.bind_policy, PROJECT, environment, version.ref)


def in_force(shop):
    return shop.read(service.in_force, PROJECT, "production").ref


def released(shop, number="2.1.0"):
    """A version that went out under the policy in force, and is promoted."""
    shop.sign_in()
    shop.pass_suite(number)
    request, rollout = shop.file(number)
    shop.vote("rita", request)
    shop.start(rollout)
    for _ in range(2):
        shop.clock.advance(60)
        shop.do("otto", delivery.promote, delivery.Ask(rollout=rollout.id))
    return request


def test_an_environment_in_use_changes_its_policy_by_two_people(shop_on_each):
    shop = shop_on_each
    ground, strict = register(shop, "ground"), register(shop, "strict", STRICT)
    assert bind(shop, ground)
    assert not bind(shop, strict)
    assert in_force(shop) == "ground@1.0.0"
    held = shop.read(service.find_proposal, PROJECT, "production")
    assert (held.policy_ref, held.proposed_by) == ("strict@1.0.0", shop.people["root"].id)
    shop.sign_in("root")
    assert set(refusal(shop.do, "root", service.confirm_policy, confirmation("strict"))) == {"same_person"}
    bound = shop.do("rita", service.confirm_policy, confirmation("strict"))
    assert (bound.policy_ref, bound.bound_by) == ("strict@1.0.0", shop.people["rita"].id)
    assert shop.read(service.find_proposal, PROJECT, "production") is None
    assert bind(shop, strict)
    assert shop.read(replay.check).equal


def test_the_first_policy_of_an_environment_that_is_in_use_takes_two_as_well(shop):
    shop.adopt()
    assert not bind(shop, register(shop, "ground"))
    assert in_force(shop) == "assent-default"


def test_where_nothing_was_asked_for_and_where_nothing_is_protected_one_person_binds(shop):
    strict = register(shop, "strict", STRICT)
    assert bind(shop, register(shop, "ground"))
    assert bind(shop, register(shop, "ground"), environment="staging")
    assert bind(shop, strict, environment="staging")


def test_a_newer_proposal_takes_the_place_of_the_older_and_what_was_seen_must_be_it(shop):
    shop.adopt()
    ground, strict = register(shop, "ground"), register(shop, "strict", STRICT)
    bind(shop, ground)
    bind(shop, ground)
    bind(shop, strict)
    shop.sign_in("rita")
    with pytest.raises(Stale, match="is proposed, not"):
        shop.do("rita", service.confirm_policy, confirmation("ground"))
    shop.do("rita", service.confirm_policy, confirmation("strict"))
    with pytest.raises(NotFound, match="No policy is proposed"):
        shop.do("rita", service.confirm_policy, confirmation("strict"))


def test_a_confirmation_takes_a_person_who_signed_in_lately(shop):
    shop.adopt()
    bind(shop, register(shop, "ground"))
    shop.clock.advance(601)
    assert set(refusal(shop.do, "rita", service.confirm_policy, confirmation("ground"))) == {"sign_in"}
    machine = Actor("svc_1", "service", shop.clock.now())
    assert set(refusal(shop.do, machine, service.confirm_policy, confirmation("ground"))) == {
        "service_account"
    }


def test_a_backtest_says_which_releases_would_have_been_stopped_and_by_what(shop_on_each):
    shop = shop_on_each
    shop.bind()
    shop.adopt()
    first = released(shop)
    strict, same = register(shop, "strict", STRICT), register(shop, "same", GROUND)
    assert shop.read(service.backtest, PROJECT, "production", same.ref).n_stopped == 0
    found = shop.read(service.backtest, PROJECT, "production", strict.ref)
    (release,) = found.releases
    assert (found.n_stopped, release.request, release.ref) == (1, first.id, "support@2.1.0")
    assert {one.id for one in release.stopped_by} == {"safety_suite", "approvals"}
    assert release.policy_ref == "ground@1.0.0"


def test_what_came_after_a_release_does_not_count_in_its_backtest(shop):
    shop.bind()
    shop.adopt()
    released(shop)
    shop.clock.advance(1)
    shop.pass_suite("2.1.0", "safety")
    shop.leave("reviewers", "rita")
    strict = register(shop, "strict", STRICT)
    (release,) = shop.read(service.backtest, PROJECT, "production", strict.ref).releases
    answers = {one.id: one for one in release.results}
    assert answers["safety_suite"].ok is service.Ok.UNKNOWN
    assert answers["regression_suite"].ok is service.Ok.PASS
    assert "1 of reviewers" in answers["approvals"].have


def test_what_never_went_out_is_not_backtested(shop):
    ready(shop)
    found = shop.read(service.backtest, PROJECT, "production", register(shop, "strict", STRICT).ref)
    assert found.releases == ()


def test_propose_confirm_and_backtest_on_the_command_line(served, assent, tmp_path):
    shop = served.shop
    shop.bind()
    shop.adopt()
    released(shop)
    (tmp_path / "strict.json").write_text(json.dumps({"name": "strict", **STRICT}))
    assert assent("root", "policy", "register", "strict.json")[0] == 0
    code, out, err = assent("root", "policy", "backtest", "strict", "--env", "production")
    assert (code, "safety_suite" in out, "would have stopped 1 of 1" in err) == (1, True, True)
    assert assent("root", "policy", "backtest", "ground", "--env", "production")[0] == 0
    assert assent("root", "policy", "backtest", "strict", "--env", "staging")[0] == 0
    code, out, err = assent("root", "policy", "bind", "strict", "--env", "production")
    assert (code, "assent policy confirm strict" in err, "ground@1.0.0" in out) == (0, True, True)
    assert assent("root", "policy", "confirm", "strict", "--env", "production")[0] == 16
    code, out, _ = assent("rita", "--json", "policy", "confirm", "strict", "--env", "production")
    assert (code, json.loads(out)["policy"], json.loads(out)["proposed"]) == (0, "strict@1.0.0", None)
    assert assent("ada", "policy", "confirm", "strict", "--env", "production")[0] == 12


def test_nobody_is_asked_twice_where_the_system_binds_again(shop):
    ground = register(shop, "ground")
    assert shop.do(SYSTEM, service.bind_policy, PROJECT, "production", ground.ref)
    assert shop.do(SYSTEM, service.bind_policy, PROJECT, "production", ground.digest)
