"""A policy: conditions that all must pass; and the policies that the product ships."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from assent.approvals.domain.break_glass import debt_reasons
from assent.approvals.domain.conditions import (
    BaseModelNotEndingWithin,
    CardPublished,
    Condition,
    EvidenceAge,
    FirstStepAtMost,
    MinimumSoak,
    NoFreezeWindow,
    RegressionSuite,
    RollbackTargetExists,
    SafetySuite,
)
from assent.approvals.domain.factors import Approvals, ContributorsExcluded
from assent.approvals.domain.facts import Facts, Ok, Result, Verdict
from assent.kernel.errors import Reason

CONDITIONS: Mapping[str, type[Condition]] = {
    cls.KIND: cls
    for cls in (
        RegressionSuite,
        SafetySuite,
        CardPublished,
        Approvals,
        ContributorsExcluded,
        FirstStepAtMost,
        RollbackTargetExists,
        BaseModelNotEndingWithin,
        NoFreezeWindow,
        EvidenceAge,
        MinimumSoak,
    )
}
"""The vocabulary, by the word that a policy's document uses."""

RESERVED_PREFIX = "assent-"
DEFAULT, CARD, NONE = "assent-default", "assent-card", "assent-none"

_REVIEWERS = {"group": "reviewers", "n": 1}
_RISK = {"group": "risk", "n": 1, "tiers": ["high"]}
SHIPPED: Mapping[str, Mapping[str, Any]] = {
    DEFAULT: {
        "title": "What a protected environment asks where no policy is bound to it",
        "conditions": [
            {"kind": "regression_suite", "max_age_days": 30},
            {"kind": "safety_suite", "max_age_days": 30, "tiers": ["limited", "high", "prohibited"]},
            {"kind": "card_published"},
            {"kind": "approvals", "factors": [_REVIEWERS, _RISK]},
            {"kind": "contributors_excluded"},
            {"kind": "first_step_at_most", "share": 0.1},
            {"kind": "rollback_target_exists"},
            {"kind": "base_model_not_ending_within", "days": 90},
            {"kind": "no_freeze_window"},
        ],
    },
    CARD: {
        "title": "What a card needs to be published",
        "conditions": [
            {"kind": "approvals", "factors": [_REVIEWERS, _RISK]},
            {"kind": "contributors_excluded"},
        ],
    },
    NONE: {"title": "An environment that is not protected asks nothing", "conditions": []},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy's conditions, in the order in which they are shown."""

    conditions: tuple[Condition, ...]

    @property
    def approvals(self) -> tuple[Approvals, ...]:
        """Give the conditions on votes."""
        return tuple(one for one in self.conditions if isinstance(one, Approvals))

    def groups(self, facts: Facts) -> tuple[str, ...]:
        """Give the groups whose votes this tier asks for."""
        asked = (factor.group for one in self.approvals for factor in one.asked(facts))
        return tuple(dict.fromkeys(asked))

    def judge(self, facts: Facts) -> tuple[Result, ...]:
        """Answer every condition; a prohibited tier and an overdue debt fail whatever the policy says."""
        results = tuple(condition.judge(facts) for condition in self.conditions)
        return (*_prohibition(facts), *_debts(facts), *results)

    def is_rejected(self, facts: Facts) -> bool:
        """Tell whether enough people say no."""
        return any(one.is_rejected(facts) for one in self.approvals if facts.tier in one.tiers)

    def voters(self, facts: Facts) -> tuple[str, ...]:
        """Give those whose approvals or, where it is rejected, rejections count."""
        if self.is_rejected(facts):
            people = {ballot.voter for one in self.approvals for ballot in one.rejections(facts)}
        else:
            people = {p for one in self.approvals for seats in one.seated(facts).values() for p in seats}
        return tuple(sorted(people))


def effect_of(policy: Policy, facts: Facts, results: Iterable[Result]) -> str | None:
    """Give `approved`, `rejected`, or None where neither is so yet."""
    if policy.is_rejected(facts):
        return "rejected"
    return "approved" if passes(results) else None


def passes(results: Iterable[Result]) -> bool:
    """Tell whether every condition passes; unknown does not."""
    return all(result.ok is Ok.PASS for result in results)


def reasons_of(results: Iterable[Result]) -> list[Reason]:
    """Give a reason for each condition that does not pass."""
    return [
        Reason(
            id=result.id,
            message=f"{result.title}: {result.have}.",
            remedy=result.remedy or "",
            have=result.have,
            need=result.need,
        )
        for result in results
        if result.ok is not Ok.PASS
    ]


def checked_verdict(text: str) -> Verdict | None:
    """Read a verdict; None for a word that is none."""
    return Verdict(text) if text in set(Verdict) else None


def _prohibition(facts: Facts) -> tuple[Result, ...]:
    if facts.tier != "prohibited":
        return ()
    return (
        Result(
            id="tier",
            title="Its use is not prohibited",
            ok=Ok.FAIL,
            need="a tier that may be released",
            have="tier prohibited",
            remedy="A prohibited use is never released.",
        ),
    )


def _debts(facts: Facts) -> tuple[Result, ...]:
    if not facts.debts:
        return ()
    reasons = debt_reasons(facts.debts, facts.now)
    due = min(one.review_by for one in facts.debts)
    return (
        Result(
            id="debt",
            title="No review of a break-glass is overdue",
            ok=Ok.FAIL if reasons else Ok.PASS,
            need=f"a review by {due:%Y-%m-%d %H:%M} UTC",
            have=f"{len(facts.debts)} not reviewed, {len(reasons)} of them overdue",
            evidence=tuple(one.id for one in facts.debts),
            remedy=reasons[0].remedy if reasons else None,
        ),
    )
