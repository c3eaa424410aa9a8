"""Checks of one version: every record that counts names its digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assent.compliance.domain.records import OBSERVED, Facts, Record, Seen, days_old

RUN_DAYS = 180
OBSERVED_DAYS = 7
CLAIM = "evidence.claim.recorded"
VERDICT = "suite.verdict"
TIERS = ("minimal", "limited", "high", "prohibited")


def newest_verdicts(facts: Facts, kind: str | None = None) -> list[Record]:
    """Give the newest verdict of each suite on this digest, by the suite's name."""
    found: dict[str, Record] = {}
    for claim in facts.of_version(CLAIM, kind=VERDICT):
        value = _value(claim)
        if kind is None or value.get("kind") == kind:
            found.setdefault(str(value.get("suite")).partition("@")[0], claim)
    return list(found.values())


def _weighed(facts: Facts, verdicts: Sequence[Record], good: Sequence[Record], have: str) -> Seen:
    """Sort verdicts: passes in their window support, fails contradict, the inconclusive leaves it open."""
    fails = tuple(r for r in verdicts if _value(r).get("verdict") == "fail")
    open_ = tuple(
        r for r in verdicts if r not in fails and (_value(r).get("verdict") != "pass" or r not in good)
    )
    fresh = tuple(r for r in facts.recent(list(good), RUN_DAYS) if _value(r).get("verdict") == "pass")
    if fails:
        have = f"{_suites(fails)}: fail"
    elif open_:
        have = f"{_suites(open_)}: inconclusive, or without what is needed"
    elif good and not fresh:
        have = f"a run that is {days_old(facts, good[0])}"
    return Seen(have, fresh, fails, open_)


def run_with_bounds(facts: Facts) -> Seen:
    """See runs on this digest whose verdict rests on an interval."""
    verdicts = newest_verdicts(facts)
    good = [r for r in verdicts if all(_value(r).get(key) is not None for key in ("low", "high", "n"))]
    have = f"{_suites(good)}: pass, with interval and n" if good else "no run with an interval"
    return _weighed(facts, verdicts, good, have)


def safety_run(facts: Facts) -> Seen:
    """See a safety suite passed by this digest."""
    verdicts = newest_verdicts(facts, "safety")
    have = f"{_suites(verdicts)}: pass" if verdicts else "no safety suite was run on this digest"
    return _weighed(facts, verdicts, verdicts, have)


def gate_before_run(facts: Facts) -> Seen:
    """See that each gate's leaf stands before the leaf of the run that it judged."""
    verdicts = newest_verdicts(facts)
    orders = {claim.id: _order(facts, claim) for claim in verdicts}
    good = [r for r in verdicts if orders[r.id] is True]
    wrong = tuple(r for r in verdicts if orders[r.id] is False)
    if wrong:
        return Seen(f"{_suites(wrong)}: the gate was registered after the run", (), wrong)
    have = f"{_suites(good)}: gate before run" if good else "no run whose gate stands before it in the ledger"
    return _weighed(facts, verdicts, good, have)


def _order(facts: Facts, claim: Record) -> bool | None:
    """Tell whether the suite's leaf is before the run's; None where one of them is not there."""
    value = _value(claim)
    suites = facts.of("evaluation.suite.registered", digest=value.get("suite_digest"))
    runs = facts.of_version("evaluation.run.submitted", id=value.get("run"))
    if not suites or not runs or suites[-1].index is None or runs[-1].index is None:
        return None
    return suites[-1].index < runs[-1].index


def signed_report(facts: Facts) -> Seen:
    """See a run whose result is in the ledger, and an approval of the same digest by named voters."""
    runs = run_with_bounds(facts)
    closed = [r for r in runs.supports if facts.of("evaluation.run.closed", run=_value(r).get("run"))]
    votes = independent_vote(facts)
    if not closed:
        return Seen("no run with its closing entry", (), runs.against, runs.doubts)
    have = f"a dated run and {votes.have}"
    supports = (*closed, *votes.supports) if votes.supports else ()
    return Seen(have, supports, runs.against + votes.against, runs.doubts + votes.doubts)


def independent_vote(facts: Facts) -> Seen:
    """See a decision to release this digest by people who neither asked for it nor worked on it."""
    debts = tuple(
        r
        for r in facts.of_version("approvals.break_glass.opened")
        if not facts.of_version("approvals.break_glass.reviewed", break_glass=r.fields.get("break_glass"))
    )
    if debts:
        return Seen("it went out by break-glass, which nobody has looked back on", (), debts)
    for decision in facts.of_version("approvals.decision.made"):
        if decision.fields.get("kind") == "card":
            continue
        if decision.fields.get("effect") != "approved":
            return Seen("the newest decision rejects it", (), (decision,))
        requests = facts.of_version("approvals.request.submitted", request=decision.fields.get("request"))
        voters = set(decision.fields.get("voters") or ())
        if not requests or not voters:
            continue
        if voters & {requests[0].fields.get("requester"), *(requests[0].fields.get("contributors") or ())}:
            return Seen("somebody who worked on it voted for it", (), (decision, requests[0]))
        count = f"{len(voters)} independent vote" + ("" if len(voters) == 1 else "s")
        have = f"approved under {decision.fields.get('policy_ref')} by {count}"
        return Seen(have, (decision, requests[0]))
    return Seen("no approval of this digest with its request and voters")


def plan_and_policy(facts: Facts) -> Seen:
    """See that what was rolled out is the plan that was approved, under a policy."""
    for planned in facts.of_version("delivery.rollout.planned"):
        wanted = {"request": planned.fields.get("request"), "plan": planned.fields.get("plan_digest")}
        decided = facts.of_version("approvals.decision.made", effect="approved", **wanted)
        if decided and wanted["plan"]:
            have = f"the plan was approved under {decided[0].fields.get('policy_ref')}"
            return Seen(have, (planned, decided[0]))
    return Seen("no approved rollout plan for this digest")


def staged_release(facts: Facts) -> Seen:
    """See a rollout that began with a part of the traffic."""
    started = {r.fields.get("rollout"): r for r in facts.of_version("delivery.rollout.started")}
    plans = [r for r in facts.of_version("delivery.rollout.planned") if r.fields.get("rollout") in started]
    if not plans:
        return Seen("no rollout of this digest began")
    steps = (plans[0].fields.get("plan") or {}).get("steps") or ()
    if len(steps) < 2:  # noqa: PLR2004 -- one step is all at once
        begun = started[plans[0].fields.get("rollout")]
        return Seen("all traffic went over at once", (), (plans[0], begun))
    return Seen(f"a rollout in {len(steps)} steps", (plans[0],))


def lifecycle(facts: Facts) -> Seen:
    """See the version's registration and the stages that it went through."""
    registered = facts.of_system("registry.version.registered", digest=facts.subject)
    stages = facts.of_version("registry.version.advanced")
    if not registered or not stages:
        return Seen("registered, without a stage" if registered else "no registration")
    return Seen(f"registered, then {stages[0].fields.get('stage')}", (registered[0], stages[0]))


def observed(facts: Facts) -> Seen:
    """See calls of this digest in the last days."""
    calls = [r for r in facts.of_version(OBSERVED) if r.fields.get("n_calls")]
    fresh = facts.recent(calls, OBSERVED_DAYS)
    have = f"{fresh[0].fields['n_calls']:,} calls observed" if fresh else "no call was observed lately"
    return Seen(have, tuple(fresh[:1]))


def feedback(facts: Facts) -> Seen:
    """See opinions of users about this digest in the last days."""
    voices = [r for r in facts.of_version(OBSERVED) if r.fields.get("n_feedback")]
    fresh = facts.recent(voices, OBSERVED_DAYS)
    have = f"{fresh[0].fields['n_feedback']:,} opinions" if fresh else "no feedback was observed lately"
    return Seen(have, tuple(fresh[:1]))


def guarded(facts: Facts) -> Seen:
    """See that the version was watched against what served before, and that nothing is left open."""
    plans = [
        r for r in facts.of_version("delivery.rollout.planned") if (r.fields.get("plan") or {}).get("guards")
    ]
    started = [r for r in plans if facts.of("delivery.rollout.started", rollout=r.fields.get("rollout"))]
    opened = facts.of_version("monitoring.incident.opened")
    left = tuple(
        r for r in opened if not facts.of("monitoring.incident.resolved", incident=r.fields.get("incident"))
    )
    if left:
        return Seen(f"an open incident: {left[0].fields.get('guard') or 'opened by a person'}", (), left)
    have = "guards compared it with the stable version" if started else "no rollout with guards"
    return Seen(have, tuple(started[:1]))


def card_table(facts: Facts) -> Seen:
    """See a published card of this digest that lacks nothing its tier requires."""
    for published in facts.of_version("cards.card.published"):
        drafted = facts.of_version("cards.card.drafted", card=published.fields.get("card"))
        if not drafted:
            continue
        if drafted[0].fields.get("complete") is not True:
            missing = ", ".join(str(n) for n in drafted[0].fields.get("missing") or ())
            return Seen(f"published without sections {missing}", (), (published, drafted[0]))
        return Seen("published and complete for its tier", (published, drafted[0]))
    return Seen("no card of this digest is published")


def rollback_ready(facts: Facts) -> Seen:
    """See a rollout of this digest that kept the route to go back to."""
    for started in facts.of_version("delivery.rollout.started"):
        if started.fields.get("receipt"):
            return Seen("the rollout keeps the route to go back to", (started,))
    return Seen("no rollout of this digest keeps a way back")


def tier_floor(facts: Facts) -> Seen:
    """See that the version's own tier is not below the one that the questionnaire gave to the system."""
    classified = facts.of_system("compliance.system.classified")
    registered = facts.of_system("registry.version.registered", digest=facts.subject)
    if not classified or not registered:
        return Seen("the system was not classified" if registered else "no registration")
    newest, own = classified[0], registered[0].fields.get("tier")
    need = newest.fields.get("tier")
    have = f"the version says {own}, the questionnaire {need}"
    if need not in TIERS or own not in TIERS or need == "prohibited" or TIERS.index(own) < TIERS.index(need):
        return Seen(have, (), (newest, registered[0]))
    seen = Seen(have, (newest, registered[0]))
    if newest.fields.get("questionnaire") != facts.questionnaire:
        return replace(seen, have=f"{have}, by an older questionnaire", doubts=(newest,))
    return seen


def _value(claim: Record) -> Mapping[str, Any]:
    value = claim.fields.get("value")
    return value if isinstance(value, Mapping) else {}


def _suites(claims: Sequence[Record]) -> str:
    return ", ".join(sorted({str(_value(r).get("suite")) for r in claims}))
