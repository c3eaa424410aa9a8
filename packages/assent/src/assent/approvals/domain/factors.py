"""The conditions on people: enough of them, of the right groups, who did not work on it themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from assent.approvals.domain.conditions import Condition
from assent.approvals.domain.facts import PROHIBITED, TIERS, Ballot, Facts, Ok, Result, Verdict
from assent.approvals.domain.matching import match


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """`n` votes of a group. `exclude` may add the evaluators to those who never count.

    Whoever asks, and contributors, are excluded always.
    """

    group: str
    n: int = 1
    exclude: tuple[str, ...] = ("requester", "contributors")
    tiers: tuple[str, ...] = TIERS

    def counts(self, facts: Facts, person: str) -> bool:
        """Tell whether a person's vote may fill a place of this factor."""
        apart = "evaluators" in self.exclude and person in facts.evaluators
        return facts.was_member(person, self.group) and facts.independent(person) and not apart


@dataclass(frozen=True, slots=True)
class Shortage:
    """A group of which more votes are asked than its `n` members can give, in these tiers."""

    group: str
    asked: int
    n: int
    tiers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals(Condition):
    """Every factor has its votes; one person counts for one factor. Enough rejections end the request."""

    KIND = "approvals"
    TITLE = "The people who must agree have agreed"

    factors: tuple[Factor, ...]
    reject_threshold: int = 1

    def asked(self, facts: Facts) -> tuple[Factor, ...]:
        """Give the factors that this tier asks for."""
        return tuple(factor for factor in self.factors if facts.tier in factor.tiers)

    def seated(self, facts: Facts) -> Mapping[int, Sequence[str]]:
        """Give who fills which factor, by its position."""
        factors = self.asked(facts)
        voters = {ballot.voter for ballot in facts.counted(Verdict.APPROVE)}
        eligible = {
            voter: [at for at, factor in enumerate(factors) if factor.counts(facts, voter)]
            for voter in voters
        }
        filled: dict[int, list[str]] = {at: [] for at in range(len(factors))}
        for (at, _place), person in match([factor.n for factor in factors], eligible).items():
            filled[at].append(person)
        return filled

    def shortages(self, groups: Mapping[str, Collection[str]]) -> list[Shortage]:
        """List the groups whose places their members (`groups`) cannot all take, in tiers that may pass.

        One person takes one place, so groups that share their people may be short together.
        """
        found: dict[tuple[str, int], list[str]] = {}
        for tier in (one for one in TIERS if one in self.tiers and one != PROHIBITED):
            factors = [factor for factor in self.factors if tier in factor.tiers]
            people = {person for factor in factors for person in groups.get(factor.group, ())}
            may = {
                person: [at for at, one in enumerate(factors) if person in groups.get(one.group, ())]
                for person in people
            }
            taken = Counter(at for at, _place in match([factor.n for factor in factors], may))
            short = {factor.group for at, factor in enumerate(factors) if taken[at] < factor.n}
            for group in sorted(short):
                asked = sum(factor.n for factor in factors if factor.group == group)
                found.setdefault((group, asked), []).append(tier)
        return [
            Shortage(group, asked, len(groups.get(group, ())), tuple(tiers))
            for (group, asked), tiers in found.items()
        ]

    def rejections(self, facts: Facts) -> tuple[Ballot, ...]:
        """Give the rejections that count."""
        return tuple(
            ballot
            for ballot in facts.counted(Verdict.REJECT)
            if any(factor.counts(facts, ballot.voter) for factor in self.asked(facts))
        )

    def is_rejected(self, facts: Facts) -> bool:
        """Tell whether enough people say no."""
        return len(self.rejections(facts)) >= self.reject_threshold

    def _judge(self, facts: Facts) -> Result:
        factors, filled = self.asked(facts), self.seated(facts)
        need = ", ".join(f"{factor.n} of {factor.group}" for factor in factors) or "nobody"
        have = "; ".join(_said(facts, factor, filled[at]) for at, factor in enumerate(factors)) or "nobody"
        people = [person for persons in filled.values() for person in persons]
        votes = [ballot.vote for ballot in facts.counted(Verdict.APPROVE) if ballot.voter in people]
        rejections = self.rejections(facts)
        if rejections:
            have += f"; rejected by {facts.names(ballot.voter for ballot in rejections)}"
        if self.is_rejected(facts):
            remedy = "Read why, correct the version, and file a new request."
            votes = [ballot.vote for ballot in rejections]
            return self._answer(Ok.FAIL, need=need, have=have, evidence=votes, remedy=remedy)
        lacking = [f.group for at, f in enumerate(factors) if len(filled[at]) < f.n]
        if not lacking:
            return self._answer(Ok.PASS, need=need, have=have, evidence=votes)
        remedy = f"Ask a member of {' and one of '.join(dict.fromkeys(lacking))} to vote."
        return self._answer(Ok.FAIL, need=need, have=have, evidence=votes, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributorsExcluded(Condition):
    """It is known who worked on the subject, and none of them is counted."""

    KIND = "contributors_excluded"
    TITLE = "Nobody approves their own work"

    def _judge(self, facts: Facts) -> Result:
        need = "known contributors, none of them counted"
        if not facts.contributors:
            remedy = "Register the version with its contributors."
            return self._answer(Ok.UNKNOWN, need=need, have="no contributor is known", remedy=remedy)
        return self._answer(Ok.PASS, need=need, have=f"excluded: {facts.names(facts.contributors)}")


def _said(facts: Facts, factor: Factor, people: Sequence[str]) -> str:
    by = f" ({facts.names(people)})" if people else ""
    return f"{len(people)} of {factor.group}{by}"
