"""The conditions one by one, and what holds of all policies."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.approvals.domain.conditions import (
    BaseModelNotEndingWithin,
    CardPublished,
    EvidenceAge,
    FirstStepAtMost,
    MinimumSoak,
    NoFreezeWindow,
    RegressionSuite,
    RollbackTargetExists,
    SafetySuite,
)
from assent.approvals.domain.factors import Approvals, ContributorsExcluded, Factor, Shortage
from assent.approvals.domain.facts import TIERS, Ballot, Facts, Ok, Verdict
from assent.approvals.domain.imported import Bar
from assent.approvals.domain.matching import match
from assent.approvals.domain.policy import CONDITIONS, DEFAULT, SHIPPED, Policy, effect_of, passes, reasons_of
from assent.approvals.domain.requests import sign_in_reasons, voter_reasons
from assent.approvals.domain.windows import FixedWindow, WeeklyWindow
from assent.approvals.policy_schema import policy_of, read_document
from assent.evidence.domain import Evidence

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
SUBJECT, LIVE, OTHER, PLAN, POLICY = (f"sha256:{letter * 64}" for letter in "abcde")
LONG_AGO = NOW - timedelta(days=400)
_ids = iter(range(10**9))


def claim(kind, /, *, subject=SUBJECT, days=1.0, **value):
    return Evidence(
        id=f"evi_{10**9 - next(_ids):010d}",
        project="shop",
        kind=kind,
        subject=subject,
        environment=value.get("environment"),
        name=value.get("name"),
        value=value,
        by="usr_x",
        issued_at=NOW - timedelta(days=days),
        expires_at=value.pop("expires_at", None),
        event="evt_x",
    )


def verdict(kind="regression", **changes):
    value = {"suite": f"{kind}@1.0.0", "kind": kind, "verdict": "pass", "rule": "non_inferior"}
    value |= {"baseline": LIVE, "environment": "production"}
    return claim("suite.verdict", **{**value, **changes})


def facts(*claims, **changes):
    members = {"reviewers": {"rita": LONG_AGO, "ron": LONG_AGO}, "risk": {"ron": LONG_AGO}}
    base = Facts(
        now=NOW,
        environment="production",
        subject=SUBJECT,
        ref="support@2.1.0",
        tier="limited",
        policy=POLICY,
        plan=PLAN,
        base_model="own-7b",
        live=(LIVE, "support@2.0.0"),
        claims=claims,
        requester="ada",
        contributors=("ada", "bob"),
        filed_at=NOW - timedelta(days=1),
        members=members,
    )
    return replace(base, **changes)


def ballot(voter, verdict=Verdict.APPROVE, subject=SUBJECT, policy=POLICY):
    return Ballot(vote=f"vote_{voter}", voter=voter, verdict=verdict, subject=subject, policy=policy)


REGRESSION = RegressionSuite(id="regression")


@pytest.mark.parametrize(
    ("claims", "ok", "have"),
    [
        ([], Ok.UNKNOWN, "no verdict on this digest"),
        ([verdict()], Ok.PASS, "regression@1.0.0: pass, 1 day old, against support@2.0.0"),
        ([verdict(verdict="fail")], Ok.FAIL, "regression@1.0.0: fail"),
        ([verdict(verdict="inconclusive")], Ok.UNKNOWN, "regression@1.0.0: inconclusive"),
        ([verdict(days=31)], Ok.UNKNOWN, "regression@1.0.0: pass, 31 days old"),
        (
            [verdict(oldest_answer_at="2026-01-01T00:00:00Z")],
            Ok.UNKNOWN,
            "regression@1.0.0: pass, 62 days old",
        ),
        ([verdict(oldest_answer_at="2026-01-01T00:00:00")], Ok.PASS, None),
        ([verdict(oldest_answer_at="yesterday")], Ok.PASS, None),
        ([verdict(rule="threshold", environment=None)], Ok.UNKNOWN, None),
        ([verdict(baseline=OTHER)], Ok.UNKNOWN, None),
        ([verdict(environment="staging")], Ok.UNKNOWN, "no verdict on this digest"),
        ([verdict(subject=OTHER)], Ok.UNKNOWN, "no verdict on this digest"),
        ([verdict(kind="safety")], Ok.UNKNOWN, "no verdict on this digest"),
        ([verdict(expires_at=NOW)], Ok.UNKNOWN, "no verdict on this digest"),
        ([verdict(), verdict(verdict="fail")], Ok.PASS, None),
        ([verdict(verdict="fail"), verdict()], Ok.FAIL, None),
        ([verdict(), verdict(suite="other@1.0.0", verdict="inconclusive")], Ok.UNKNOWN, None),
        ([verdict(suite="regression@1.1.0"), verdict(verdict="fail")], Ok.PASS, None),
    ],
)
def test_the_newest_verdict_of_each_suite_on_this_digest_against_what_is_live_counts(claims, ok, have):
    result = REGRESSION.judge(facts(*claims))
    assert result.ok is ok
    assert have is None or result.have == have
    assert (result.remedy is None) is (ok is Ok.PASS)


def test_without_anything_live_a_regression_cannot_pass_unless_the_policy_says_so():
    alone = facts(verdict(rule="threshold", baseline=None, environment=None), live=None)
    assert REGRESSION.judge(alone).ok is Ok.UNKNOWN
    assert "nothing is live" in REGRESSION.judge(facts(verdict(), live=None)).have
    relaxed = RegressionSuite(id="regression", against_live=False)
    assert relaxed.judge(alone).ok is Ok.PASS
    assert "non-inferior" not in relaxed.judge(alone).need


def test_the_remedy_is_a_command_that_can_be_typed_but_for_the_suite_that_the_policy_leaves_open():
    run = "assent eval run {} --subject support@2.1.0"
    assert REGRESSION.judge(facts()).remedy == (
        "Run a regression suite of `assent suite list`: " + run.format("SUITE")
    )
    named = SafetySuite(id="safety", suite="probes")
    assert named.judge(facts()).remedy == "Run it: " + run.format("probes")
    elsewhere = named.judge(facts(environment="staging")).remedy
    assert elsewhere == "Run it: " + run.format("probes") + " --env staging"


def imported(*, value="0.95", low="0.91", high="0.98", coverage="1", **changes):
    one = {"task": "t", "metric": "pass", "value": value, "low": low, "high": high, "coverage": coverage}
    claimed = {"suite": "probes", "import": "imp_1", "tool": "junit", "complete": None, "figures": [one]}
    return claim("eval.imported", **{**claimed, **changes})


AT_LEAST = Bar(metric="pass", at_least=Decimal("0.9"))
AT_MOST = Bar(metric="pass", task="t", at_most=Decimal("0.05"))
FIGURE = {"task": "t", "metric": "pass", "value": "0.5", "low": "0.4", "high": "0.6", "coverage": "1"}


def test_an_imported_figure_is_refused_by_default_with_reason_and_remedy():
    result = SafetySuite(id="s", suite="probes").judge(facts(imported()))
    assert result.ok is Ok.UNKNOWN
    assert "probes: imp_1, imported, which this policy does not count" in result.have
    assert "`imported: allowed`" in result.remedy
    assert len(result.evidence) == 1
    assert "imported" not in SafetySuite(id="s", suite="other").judge(facts(imported())).have
    assert "does not count" in SafetySuite(id="s").judge(facts(imported())).have


@pytest.mark.parametrize(
    ("found", "bar", "ok", "word"),
    [
        (imported(), AT_LEAST, Ok.PASS, "t pass: 0.95 [0.91, 0.98], at least 0.9"),
        (imported(low="0.89"), AT_LEAST, Ok.UNKNOWN, "0.89"),
        (imported(low="0.5", high="0.8"), AT_LEAST, Ok.FAIL, "0.8"),
        (imported(value="0.01", low="0", high="0.02"), AT_MOST, Ok.PASS, "at most 0.05"),
        (imported(value="0.04", low="0.01", high="0.06"), AT_MOST, Ok.UNKNOWN, "0.06"),
        (imported(value="0.2", low="0.1", high="0.3"), AT_MOST, Ok.FAIL, "0.1"),
        (imported(), Bar(metric="other", at_least=Decimal(0)), Ok.UNKNOWN, "no figure other"),
        (imported(), Bar(metric="pass", task="u", at_least=Decimal(0)), Ok.UNKNOWN, "no figure pass"),
        (imported(coverage="0.9"), AT_LEAST, Ok.UNKNOWN, "coverage 0.9"),
        (imported(coverage=None), AT_LEAST, Ok.UNKNOWN, "coverage None"),
        (imported(low=None), AT_LEAST, Ok.UNKNOWN, "no interval"),
        (imported(low="NaN"), AT_LEAST, Ok.UNKNOWN, "no interval"),
        (imported(complete=False), AT_LEAST, Ok.UNKNOWN, "did not end well"),
        (imported(figures=None), AT_LEAST, Ok.UNKNOWN, "no figure pass"),
        (imported(figures=[FIGURE, {**FIGURE, "task": "u", "low": "0.95"}]), AT_LEAST, Ok.FAIL, "t pass"),
        (imported(days=31), AT_LEAST, Ok.UNKNOWN, "31 days old"),
        (imported(oldest_answer_at="2026-01-01T00:00:00Z"), AT_LEAST, Ok.UNKNOWN, "62 days old"),
    ],
)
def test_an_imported_figure_must_clear_its_bar_with_its_whole_interval(found, bar, ok, word):
    asked = RegressionSuite(id="r", suite="probes", against_live=False, imported="allowed", bars=(bar,))
    result = asked.judge(facts(found))
    assert result.ok is ok
    assert word in result.have
    assert f"or imported: {bar}" in result.need
    assert (result.remedy is None) is (ok is Ok.PASS)


def test_a_verdict_of_our_own_counts_before_anything_imported():
    allowed = SafetySuite(id="s", suite="probes", imported="allowed", bars=(AT_LEAST, AT_MOST))
    own = verdict(kind="safety", suite="probes@1.0.0", verdict="fail")
    assert allowed.judge(facts(own, imported())).ok is Ok.FAIL
    both = allowed.judge(facts(imported()))
    assert both.ok is Ok.FAIL
    assert "at least 0.9, pass of t at most 0.05" in both.need


def test_a_version_that_went_live_keeps_the_comparison_that_it_passed():
    assert REGRESSION.judge(facts(verdict(), live=(SUBJECT, "support@2.1.0"))).ok is Ok.PASS


@pytest.mark.parametrize(
    ("suite", "ok"), [("regression", Ok.PASS), ("regression@2.0.0", Ok.UNKNOWN), ("x", Ok.UNKNOWN)]
)
def test_a_suite_that_is_named_must_be_that_one(suite, ok):
    assert RegressionSuite(id="r", suite=suite).judge(facts(verdict())).ok is ok


def test_safety_is_asked_of_limited_tiers_and_above():
    condition = SafetySuite(id="safety")
    assert condition.judge(facts(tier="minimal")).have == "not asked of tier minimal"
    assert condition.judge(facts(tier="minimal")).ok is Ok.PASS
    assert condition.judge(facts()).ok is Ok.UNKNOWN
    passed = verdict(kind="safety", rule="threshold", baseline=None, environment=None)
    assert condition.judge(facts(passed)).ok is Ok.PASS


@pytest.mark.parametrize(
    ("value", "ok"),
    [
        ({"complete": True, "tier": "limited"}, Ok.PASS),
        ({"complete": True, "tier": "minimal"}, Ok.FAIL),
        ({"complete": False, "tier": "limited"}, Ok.FAIL),
        ({"complete": True, "tier": "limited", "missing": ["9"]}, Ok.FAIL),
        ({"complete": "yes", "tier": "limited"}, Ok.FAIL),
    ],
)
def test_a_card_is_published_and_complete_for_this_tier(value, ok):
    assert CardPublished(id="card").judge(facts(claim("card.published", **value))).ok is ok
    assert CardPublished(id="card").judge(facts()).ok is Ok.UNKNOWN


def test_a_prompt_needs_no_card_and_is_tested_through_a_model():
    prompt = facts(ref="greeting@1.0.0", model=False)
    assert CardPublished(id="card").judge(prompt).ok is Ok.PASS
    untested = REGRESSION.judge(prompt)
    assert untested.ok is Ok.UNKNOWN
    assert untested.remedy.endswith("--subject greeting@1.0.0 --through MODEL@VERSION")


@pytest.mark.parametrize(
    ("share", "ok"),
    [
        ("0.1", Ok.PASS),
        ("0.05", Ok.PASS),
        ("0.11", Ok.FAIL),
        ("1", Ok.FAIL),
        ("NaN", Ok.UNKNOWN),
        ("all", Ok.UNKNOWN),
    ],
)
def test_the_first_step_is_that_of_the_plan_that_the_request_names(share, ok):
    condition = FirstStepAtMost(id="first")
    plan = {"environment": "production", "plan": PLAN, "first_share": share}
    assert condition.judge(facts(claim("rollout.plan", **plan))).ok is ok
    for wrong in ({"plan": OTHER}, {"environment": "staging"}):
        assert condition.judge(facts(claim("rollout.plan", **{**plan, **wrong}))).ok is Ok.UNKNOWN
    assert condition.judge(facts(claim("rollout.plan", **plan), plan=None)).ok is Ok.UNKNOWN


@pytest.mark.parametrize(("strategy", "ok"), [("blue_green", Ok.PASS), ("canary", Ok.FAIL), (None, Ok.FAIL)])
def test_a_policy_may_let_a_blue_green_switch_pass_and_nothing_else(strategy, ok):
    told = claim("rollout.plan", environment="production", plan=PLAN, first_share="1", strategy=strategy)
    assert FirstStepAtMost(id="first").judge(facts(told)).ok is Ok.FAIL
    answer = FirstStepAtMost(id="first", allow_switch=True).judge(facts(told))
    assert (answer.ok, "or a blue-green switch" in answer.need) == (ok, True)
    assert FirstStepAtMost(id="first", allow_switch=True).judge(facts()).ok is Ok.UNKNOWN


def test_a_rollback_needs_another_version_that_is_live():
    condition = RollbackTargetExists(id="back")
    assert condition.judge(facts()).ok is Ok.PASS
    assert condition.judge(facts(live=None)).ok is Ok.UNKNOWN
    assert condition.judge(facts(live=(SUBJECT, "support@2.1.0"))).ok is Ok.FAIL


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, Ok.PASS),
        ({"base_model": None}, Ok.UNKNOWN),
        ({"base_model": None, "model": False}, Ok.PASS),
        ({"ends_on": date(2026, 6, 2)}, Ok.FAIL),
        ({"ends_on": date(2026, 6, 3)}, Ok.PASS),
        ({"ends_on": date(2026, 1, 1)}, Ok.FAIL),
    ],
)
def test_a_base_model_must_not_end_soon(changes, ok):
    result = BaseModelNotEndingWithin(id="base").judge(facts(**changes))
    assert result.ok is ok
    assert ("ended" in result.have) is (changes.get("ends_on") == date(2026, 1, 1))


@pytest.mark.parametrize(
    ("window", "on"),
    [
        (WeeklyWindow(start="wed 11:00", end="wed 13:00", zone="UTC", reason="x"), True),
        (WeeklyWindow(start="wed 12:00", end="wed 12:01", zone="UTC", reason="x"), True),
        (WeeklyWindow(start="wed 11:00", end="wed 12:00", zone="UTC", reason="x"), False),
        (WeeklyWindow(start="fri 16:00", end="mon 08:00", zone="UTC", reason="x"), False),
        (WeeklyWindow(start="fri 16:00", end="thu 08:00", zone="UTC", reason="x"), True),
        (WeeklyWindow(start="wed 12:30", end="wed 13:30", zone="Europe/Paris", reason="x"), True),
        (FixedWindow(start=NOW, end=NOW + timedelta(hours=1), reason="x"), True),
        (FixedWindow(start=NOW - timedelta(hours=1), end=NOW, reason="x"), False),
    ],
)
def test_a_freeze_window_holds_from_its_start_up_to_its_end(window, on):
    assert window.holds(NOW) is on
    result = NoFreezeWindow(id="freeze", windows=(window,)).judge(facts())
    assert result.ok is (Ok.FAIL if on else Ok.PASS)
    assert NoFreezeWindow(id="freeze").judge(facts()).have == "no window is declared"


def test_a_weekly_window_that_reaches_over_sunday_holds_on_monday_too():
    window = WeeklyWindow(start="fri 16:00", end="mon 08:00", zone="UTC", reason="x")
    assert window.holds(datetime(2026, 3, 9, 7, 59, tzinfo=UTC))
    assert not window.holds(datetime(2026, 3, 9, 8, 0, tzinfo=UTC))


def test_evidence_of_any_kind_can_be_asked_to_be_recent():
    condition = EvidenceAge(id="age", evidence="pen.test", max_age_days=10)
    assert condition.judge(facts()).ok is Ok.UNKNOWN
    assert condition.judge(facts(claim("pen.test", days=10))).ok is Ok.PASS
    assert condition.judge(facts(claim("pen.test", days=10.1))).ok is Ok.UNKNOWN
    assert condition.judge(facts(claim("pen.test", environment="staging"))).ok is Ok.UNKNOWN
    assert condition.judge(facts(claim("pen.test", subject=OTHER))).ok is Ok.UNKNOWN


def test_a_soak_is_of_this_digest_and_lasts():
    condition = MinimumSoak(id="soak", environment="staging", hours=24)
    here = {"environment": "staging", "name": "support"}
    assert condition.judge(facts()).ok is Ok.UNKNOWN
    assert condition.judge(facts(claim("live", **here))).ok is Ok.PASS
    assert condition.judge(facts(claim("live", days=0.9, **here))).ok is Ok.FAIL
    old = claim("live", days=9, **here)
    assert condition.judge(facts(claim("live", subject=OTHER, **here), old)).ok is Ok.PASS
    newer = replace(claim("live", subject=OTHER, **here), id="evi_z")
    assert condition.judge(facts(old, newer)).ok is Ok.UNKNOWN


VOTES = Approvals(id="approvals", factors=(Factor(group="reviewers"), Factor(group="risk", tiers=("high",))))


@pytest.mark.parametrize(
    ("tier", "ballots", "ok"),
    [
        ("limited", [], Ok.FAIL),
        ("limited", [ballot("rita")], Ok.PASS),
        ("limited", [ballot("rita", Verdict.ABSTAIN)], Ok.FAIL),
        ("limited", [ballot("rita", subject=OTHER)], Ok.FAIL),
        ("limited", [ballot("rita", policy=OTHER)], Ok.FAIL),
        ("limited", [ballot("zoe")], Ok.FAIL),
        ("limited", [ballot("rita"), ballot("ron", Verdict.REJECT)], Ok.FAIL),
        ("limited", [ballot("rita"), ballot("zoe", Verdict.REJECT)], Ok.PASS),
        ("high", [ballot("ron")], Ok.FAIL),
        ("high", [ballot("rita")], Ok.FAIL),
        ("high", [ballot("ron"), ballot("rita")], Ok.PASS),
    ],
)
def test_each_factor_has_its_votes_and_one_person_fills_one(tier, ballots, ok):
    judged = facts(tier=tier, ballots=tuple(ballots))
    assert VOTES.judge(judged).ok is ok
    assert effect_of(Policy(conditions=(VOTES,)), judged, (VOTES.judge(judged),)) == (
        "approved" if ok is Ok.PASS else "rejected" if VOTES.is_rejected(judged) else None
    )


def test_requester_contributors_and_where_asked_evaluators_never_count():
    members = {"reviewers": dict.fromkeys(("ada", "bob", "eve", "rita"), LONG_AGO)}
    ballots = tuple(ballot(name) for name in ("ada", "bob", "eve"))
    judged = facts(members=members, ballots=ballots, contributors=("bob",), evaluators=("eve",))
    assert VOTES.judge(judged).have == "1 of reviewers (eve)"
    apart = Approvals(id="a", factors=(Factor(group="reviewers", exclude=("evaluators",)),))
    assert apart.judge(judged).have == "0 of reviewers"
    assert apart.judge(judged).remedy == "Ask a member of reviewers to vote."


def test_more_rejections_can_be_asked_for():
    patient = replace(VOTES, reject_threshold=2)
    judged = facts(ballots=(ballot("rita"), ballot("ron", Verdict.REJECT)))
    assert patient.judge(judged).ok is Ok.PASS
    assert "rejected by ron" in patient.judge(judged).have
    assert Policy(conditions=(patient,)).voters(judged) == ("rita",)
    assert Policy(conditions=(VOTES,)).voters(judged) == ("ron",)


def test_a_tier_that_asks_nobody_passes():
    condition = Approvals(id="a", factors=(Factor(group="risk", tiers=("high",)),))
    assert (condition.judge(facts()).ok, condition.judge(facts()).need) == (Ok.PASS, "nobody")


def test_contributors_must_be_known():
    condition = ContributorsExcluded(id="c")
    assert condition.judge(facts()).have == "excluded: ada, bob"
    assert condition.judge(facts(contributors=())).ok is Ok.UNKNOWN


def test_every_condition_has_its_own_word_and_answer():
    assert set(CONDITIONS) == {cls.KIND for cls in CONDITIONS.values()}
    assert len({cls.TITLE for cls in CONDITIONS.values()}) == len(CONDITIONS)


def test_a_prohibited_tier_fails_whatever_the_policy_says():
    results = Policy(conditions=()).judge(facts(tier="prohibited"))
    assert not passes(results)
    assert [r.id for r in reasons_of(results)] == ["tier"]
    assert passes(Policy(conditions=()).judge(facts()))


def test_reasons_say_what_is_there_and_what_to_do():
    (reason,) = reasons_of([CardPublished(id="card").judge(facts())])
    assert reason.message == "Card is published and complete for its tier: no card is published."
    assert (reason.id, bool(reason.remedy)) == ("card", True)


def test_a_voter_hears_every_reason_at_once():
    policy = Policy(conditions=(VOTES,))
    assert [r.id for r in voter_reasons(policy, facts(), "ada", is_person=False)] == [
        "service_account",
        "self_approval",
        "contributor",
        "group",
    ]
    assert voter_reasons(policy, facts(), "rita", is_person=True) == []
    late = facts(members={"reviewers": {"rita": NOW}})
    assert "after the request" in voter_reasons(policy, late, "rita", is_person=True)[0].message
    assert voter_reasons(Policy(conditions=()), facts(), "rita", is_person=True)[0].id == "group"


@pytest.mark.parametrize(("age_s", "ok"), [(0, True), (600, True), (601, False), (None, False), (-5, True)])
def test_a_sign_in_is_recent_up_to_the_second(age_s, ok):
    auth_at = None if age_s is None else NOW - timedelta(seconds=age_s)
    reasons = sign_in_reasons("a vote", auth_at, NOW, 600)
    assert [one.message for one in reasons] == ([] if ok else ["A vote needs a recent sign-in."])


def brute_force(needs, eligible):
    """How many places can be filled, by trying all."""
    seats = [factor for factor, n in enumerate(needs) for _ in range(n)]

    def best(at, used):
        if at == len(seats):
            return 0
        found = best(at + 1, used)
        for person, factors in eligible.items():
            if person not in used and seats[at] in factors:
                found = max(found, 1 + best(at + 1, used | {person}))
        return found

    return best(0, frozenset())


@given(
    st.lists(st.integers(1, 2), min_size=0, max_size=3),
    st.dictionaries(st.sampled_from("abcde"), st.sets(st.integers(0, 2)), max_size=5),
)
def test_as_many_places_are_filled_as_can_be(needs, eligible):
    known = {person: sorted(f for f in factors if f < len(needs)) for person, factors in eligible.items()}
    seated = match(needs, known)
    assert len(set(seated.values())) == len(seated) == brute_force(needs, known)
    assert all(factor in known[person] for (factor, _), person in seated.items())


DEFAULT_POLICY = policy_of(read_document(SHIPPED[DEFAULT], "shop", DEFAULT))
PEOPLE = ("ada", "bob", "rita", "ron", "rosa", "zoe")
GROUPS = {
    "reviewers": dict.fromkeys(("ada", "rita", "ron", "rosa"), LONG_AGO),
    "risk": dict.fromkeys(("bob", "ron", "rosa"), LONG_AGO),
}
SAFE = {"rule": "threshold", "baseline": None, "environment": None}
PASSING = (
    verdict(),
    verdict(kind="safety", **SAFE),
    claim("card.published", complete=True, tier="limited", missing=[]),
    claim("card.published", complete=True, tier="high", missing=[]),
    claim("rollout.plan", environment="production", plan=PLAN, first_share="0.05"),
)
CLAIMS = (
    *PASSING,
    verdict(verdict="fail"),
    verdict(kind="safety", verdict="inconclusive", **SAFE),
    verdict(days=99),
    verdict(baseline=OTHER),
    claim("rollout.plan", environment="production", plan=PLAN, first_share="1"),
)
some_facts = st.builds(
    lambda claims, tier, live, voters: facts(
        *claims,
        tier=tier,
        live=live,
        members=GROUPS,
        ballots=tuple(ballot(name, said) for name, said in voters.items()),
    ),
    claims=st.lists(st.sampled_from(CLAIMS), unique_by=lambda c: c.id),
    tier=st.sampled_from(TIERS),
    live=st.sampled_from([None, (LIVE, "support@2.0.0"), (SUBJECT, "support@2.1.0")]),
    voters=st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(list(Verdict))),
)


def passed(judged):
    return {result.id for result in DEFAULT_POLICY.judge(judged) if result.ok is Ok.PASS}


@given(some_facts, st.sampled_from(PEOPLE))
def test_more_approvals_never_turn_pass_into_anything_else(judged, person):
    others = tuple(b for b in judged.ballots if b.voter != person)
    without, more = replace(judged, ballots=others), replace(judged, ballots=(*others, ballot(person)))
    assert passed(without) <= passed(more)


@given(some_facts, st.sampled_from(["suite.verdict", "card.published", "rollout.plan"]))
def test_a_kind_of_evidence_taken_away_never_makes_a_pass(judged, kind):
    less = replace(judged, claims=tuple(c for c in judged.claims if c.kind != kind))
    assert passed(less) <= passed(judged)


@given(some_facts, st.sampled_from(PASSING))
def test_a_favourable_claim_taken_away_never_makes_a_pass(judged, gone):
    claims = [c for c in judged.claims if c in PASSING and c.value.get("tier", judged.tier) == judged.tier]
    favourable = replace(judged, claims=tuple(claims))
    less = replace(favourable, claims=tuple(c for c in favourable.claims if c is not gone))
    assert passed(less) <= passed(favourable)


@given(some_facts)
def test_a_record_for_another_digest_never_counts(judged):
    elsewhere = tuple(replace(c, subject=OTHER, id=f"{c.id}x") for c in CLAIMS)
    foreign = tuple(ballot(name, subject=OTHER) for name in ("rita", "rosa"))
    mixed = replace(judged, claims=elsewhere + judged.claims, ballots=judged.ballots + foreign)
    assert DEFAULT_POLICY.judge(mixed) == DEFAULT_POLICY.judge(judged)


@given(some_facts)
def test_what_is_unknown_or_failed_is_never_approved(judged):
    results = DEFAULT_POLICY.judge(judged)
    effect = effect_of(DEFAULT_POLICY, judged, results)
    if effect == "approved":
        assert {r.ok for r in results} == {Ok.PASS}
        counted = DEFAULT_POLICY.voters(judged)
        assert not {"ada", "bob"} & set(counted)
    assert all(r.remedy for r in results if r.ok is not Ok.PASS)


def test_groups_with_fewer_people_than_votes_are_named_alone_and_together():
    one = Approvals(
        id="approvals",
        factors=(
            Factor(group="security", n=2),
            Factor(group="reviewers", n=1),
            Factor(group="legal", n=3, tiers=("high",)),
        ),
    )
    enough = {"security": {"a", "b"}, "reviewers": {"c"}, "legal": {"d", "e", "f"}}
    assert one.shortages(enough) == []
    usual = ("minimal", "limited", "high")
    assert one.shortages({**enough, "security": {"a"}}) == [Shortage("security", 2, 1, usual)]
    few = {"security": {"a", "b"}, "reviewers": {"c"}}
    assert one.shortages(few) == [Shortage("legal", 3, 0, ("high",))]
    (shared,) = one.shortages(
        {**enough, "reviewers": {"a"}}
    )  # each has enough people, both together have not
    assert shared in (Shortage("security", 2, 2, usual), Shortage("reviewers", 1, 1, usual))
