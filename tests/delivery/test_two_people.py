"""Two people act at the same moment: one act is done, the other is told why not; on each database."""

import threading
from datetime import timedelta

import pytest

from assent.approvals import service as approvals
from assent.cards import service as cards
from assent.delivery import service
from assent.delivery.domain import State
from assent.evaluation import service as evaluation
from assent.identity import service as identity
from assent.kernel.errors import AssentError, Conflict, Refused, Stale
from assent.registry import service as registry
from assent.registry.service import Pointer
from assent.retirement import service as retirement
from tests.approvals.conftest import shop_on_each  # noqa: F401 -- a fixture
from tests.approvals.shop import PROJECT

TWO_VOTES = {
    "title": "Two votes",
    "conditions": [{"kind": "approvals", "factors": [{"group": "reviewers", "n": 2}]}],
}


def at_once(*acts):
    """Do things at the same moment; gives what each came to, an error where it was refused."""
    barrier, outcomes = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index, act):
        barrier.wait(10)
        try:
            outcomes[index] = act()
        except Exception as error:  # noqa: BLE001 -- told by who asked
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    strange = [one for one in outcomes if isinstance(one, Exception) and not isinstance(one, AssentError)]
    assert (None in outcomes, strange) == (False, [])
    return outcomes


def errors_of(outcomes):
    return [one for one in outcomes if isinstance(one, Exception)]


@pytest.fixture
def shop(shop_on_each):  # noqa: F811 -- pytest's way
    """A shop whose second operator is olga."""
    shop_on_each.people["olga"] = shop_on_each.desk.person("olga", "operator")
    shop_on_each.adopt()
    return shop_on_each


@pytest.fixture
def approved(shop):
    shop.bind()
    shop.pass_suite()
    request, rollout = shop.file()
    shop.sign_in()
    shop.vote("rita", request)
    return rollout


def label(shop):
    pointer = Pointer(project=PROJECT, name="support", label="production")
    found = shop.read(registry.get_label, pointer)
    return shop.read(service.ref_of, PROJECT, found.digest)


def test_of_two_starts_at_once_one_starts(shop, approved):
    asks = [(name, service.Ask(rollout=approved.id)) for name in ("otto", "olga")]
    outcomes = at_once(*(lambda who=who, ask=ask: shop.do(who, service.start, ask) for who, ask in asks))
    (error,) = errors_of(outcomes)
    assert isinstance(error, Conflict | Refused | Stale)
    assert shop.read(service.get, approved.id).state is State.RUNNING


def test_of_two_decisions_on_what_both_saw_one_is_stale(shop, approved):
    seen = shop.start(approved).generation
    ask = service.Ask(rollout=approved.id, reason="I saw the same page", generation=seen)
    outcomes = at_once(
        lambda: shop.do("otto", service.pause, ask), lambda: shop.do("olga", service.abort, ask)
    )
    (error,) = errors_of(outcomes)
    assert (error.status, isinstance(error, Stale)) == (412, True)


def test_two_votes_at_once_count_both_and_decide_once(shop):
    shop.bind("two", TWO_VOTES)
    request, _ = shop.file()
    shop.sign_in()
    outcomes = at_once(lambda: shop.vote("rita", request), lambda: shop.vote("ron", request))
    assert errors_of(outcomes) == []
    assert shop.get(request).state is approvals.State.APPROVED
    assert {vote.voter for vote in shop.read(approvals.list_votes, request.id)} == {
        shop.people[name].id for name in ("rita", "ron")
    }


def test_of_two_releases_of_one_version_at_once_one_is_filed(shop):
    outcomes = at_once(lambda: shop.file(who="ada"), lambda: shop.file(who="bob"))
    (error,) = errors_of(outcomes)
    assert isinstance(error, Conflict)
    assert len(shop.read(service.list_, PROJECT, {})[0]) == 1


def test_one_policy_registered_twice_at_once_is_one_version(shop):
    new = approvals.NewPolicy(project=PROJECT, name="two", content=TWO_VOTES)
    outcomes = at_once(*[lambda: shop.do("root", approvals.register_policy, new)] * 2)
    assert errors_of(outcomes) == []
    assert sorted(is_new for _, is_new in outcomes) == [False, True]
    assert len({version.id for version, _ in outcomes}) == 1


def test_of_two_announcements_at_once_one_counts(shop):
    version = shop.version("2.0.0")
    said = [
        retirement.Announcement(sunset_at=shop.clock.now() + timedelta(days=days), reason="worse")
        for days in (20, 30)
    ]
    outcomes = at_once(
        lambda: shop.do("ada", retirement.deprecate, version, said[0]),
        lambda: shop.do("bob", retirement.deprecate, version, said[1]),
    )
    (error,) = errors_of(outcomes)
    assert isinstance(error, Conflict)
    assert len(shop.read(retirement.list_, PROJECT)) == 1


def test_promotion_and_rollback_move_the_protected_label(shop, approved):
    assert label(shop) == "support@2.0.0"
    rollout = shop.start(approved)
    assert label(shop) == "support@2.0.0"
    for _ in range(2):
        shop.clock.advance(30)
        judged = service.Ask(rollout=rollout.id, reason="it looks good")
        shop.do("otto", service.promote, judged)
    assert shop.read(service.get, rollout.id).state is State.PROMOTED
    assert label(shop) == "support@2.1.0"
    shop.do("otto", service.roll_back, service.Ask(rollout=rollout.id, reason="it is worse"))
    assert label(shop) == "support@2.0.0"
    pointer = Pointer(project=PROJECT, name="support", label="production")
    assert all(move.because for move in shop.read(registry.label_history, pointer))


def test_of_two_adoptions_at_once_one_counts(shop):
    adoptions = [
        service.Adoption(
            project=PROJECT, environment="staging", subject=f"support@{number}", reason="was live"
        )
        for number in ("2.0.0", "2.1.0")
    ]
    outcomes = at_once(
        lambda: shop.do("otto", service.adopt, adoptions[0]),
        lambda: shop.do("olga", service.adopt, adoptions[1]),
    )
    (error,) = errors_of(outcomes)
    assert isinstance(error, Conflict)


def test_of_two_emergencies_at_once_one_is_opened(shop):
    shop.bind()
    _, rollout = shop.file()
    shop.sign_in()

    def start(who):
        ask = service.Ask(rollout=rollout.id, project=PROJECT, reason="refunds are wrong")
        wanted = service.EmergencyStart(ask=ask, incident="INC-7", life=timedelta(hours=4), step_up_s=600)
        return shop.do(who, service.start_by_break_glass, wanted)

    outcomes = at_once(lambda: start("otto"), lambda: start("olga"))
    (error,) = errors_of(outcomes)
    assert isinstance(error, Conflict | Refused | Stale)
    assert len(shop.read(approvals.list_break_glass, PROJECT, {})[0]) == 1


def test_one_change_of_a_group_asked_for_by_two_is_one(shop):
    shop.bind()
    outcomes = at_once(
        *[lambda: shop.do("root", identity.ask_change, PROJECT, "reviewers", "bob", "add")] * 2
    )
    assert all(isinstance(one, Conflict) for one in errors_of(outcomes))
    assert len(shop.read(identity.list_changes, PROJECT)) == 1


def test_of_two_confirmations_at_once_one_counts(shop):
    shop.bind()
    change = shop.do("root", identity.ask_change, PROJECT, "reviewers", "bob", "add")
    outcomes = at_once(
        *[
            lambda who=who: shop.do(who, identity.confirm_change, PROJECT, change.id)
            for who in ("otto", "rita")
        ]
    )
    assert len(errors_of(outcomes)) == 1
    assert list(shop.read(identity.members_of, PROJECT, "reviewers")).count(shop.people["bob"].id) == 1


def test_one_card_drafted_by_two_at_once_is_one(shop):
    outcomes = at_once(
        *[lambda who=who: shop.do(who, cards.generate, PROJECT, "support@2.1.0") for who in ("ada", "bob")]
    )
    assert all(isinstance(one, Conflict) for one in errors_of(outcomes))
    version = shop.version("2.1.0")
    found = shop.read(cards.list_, PROJECT, {"subject": version.digest}, limit=10)
    assert len({card.revision for card in found}) == len(found)


@pytest.mark.parametrize("kind", ["dataset", "suite"])
def test_versions_registered_at_once_get_numbers_of_their_own(shop, kind):
    def rows(n):
        return [{"id": "q1", "input": f"question {n}", "target": "A"}]

    def suite(n):
        gate = {"metric": "exact", "threshold": n / 10}
        return {"kind": "benchmark", "dataset": "cases", "scorers": [{"kind": "exact"}], "gate": gate}

    register = {"dataset": evaluation.register_dataset, "suite": evaluation.register_suite}[kind]
    content = {"dataset": rows, "suite": suite}[kind]
    if kind == "suite":
        shop.do("ada", evaluation.register_dataset, evaluation.NewVersion(PROJECT, "cases", rows(0)))
    new = [evaluation.NewVersion(PROJECT, kind, content(n)) for n in range(1, 5)]
    outcomes = at_once(*[lambda one=one: shop.do("ada", register, one) for one in new])
    assert errors_of(outcomes) == []
    assert len({version.number for version, _ in outcomes}) == 4
