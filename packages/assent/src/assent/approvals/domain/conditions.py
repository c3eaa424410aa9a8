"""The closed vocabulary of conditions: each answers with what it needs, what there is, and what to do.

Missing, old or foreign evidence is unknown; contradicting evidence fails; neither passes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from assent.approvals.domain.facts import TIERS, Facts, Ok, Result
from assent.approvals.domain.imported import IMPORTED, Bar, weigh_import
from assent.approvals.domain.windows import Window
from assent.evidence.domain import LIVE, Evidence

SUITE_VERDICT = "suite.verdict"
CARD_PUBLISHED = "card.published"
ROLLOUT_PLAN = "rollout.plan"
COMPARING = {"non_inferior", "superior"}
_ASSESS = "assent eval run {suite} --subject {ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(ABC):
    """Base of all; `tiers` are those of which it is asked."""

    KIND: ClassVar[str]
    TITLE: ClassVar[str]

    id: str
    tiers: tuple[str, ...] = TIERS

    def judge(self, facts: Facts) -> Result:
        """Answer."""
        if facts.tier not in self.tiers:
            return self._answer(Ok.PASS, need="nothing", have=f"not asked of tier {facts.tier}")
        return self._judge(facts)

    @abstractmethod
    def _judge(self, facts: Facts) -> Result:
        """Answer for a tier of which it is asked."""

    def _answer(
        self, ok: Ok, *, need: Any, have: Any, evidence: Sequence[str] = (), remedy: str | None = None
    ) -> Result:
        return Result(
            id=self.id,
            title=self.TITLE,
            ok=ok,
            need=need,
            have=have,
            evidence=tuple(evidence),
            remedy=None if ok is Ok.PASS else remedy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite(Condition):
    """What the two kinds of suites share. `suite`: a name, or name@version; None is any of its kind.

    `imported`: whether figures that another tool measured under the suite's name count, against `bars`, where
    there is no verdict of ours.
    """

    PURPOSE: ClassVar[str]

    suite: str | None = None
    max_age_days: int = 30
    imported: str = "refused"
    bars: tuple[Bar, ...] = ()

    def _judge(self, facts: Facts) -> Result:
        need = self._need(facts)
        remedy = "Run it: " if self.suite else f"Run a {self.PURPOSE} suite of `assent suite list`: "
        remedy += _ASSESS.format(suite=self.suite or "SUITE", ref=facts.ref)
        if facts.environment not in {None, "production"}:
            remedy += f" --env {facts.environment}"
        if not facts.model:
            remedy += " --through MODEL@VERSION"
        found = self._latest(facts)
        if not found:
            return self._elsewhere(facts, need, remedy)
        answers = {ref: self._weigh(facts, claim) for ref, claim in found.items()}
        oks = {ok for ok, _ in answers.values()}
        ok = next(one for one in (Ok.FAIL, Ok.UNKNOWN, Ok.PASS) if one in oks)
        have = "; ".join(f"{ref}: {text}" for ref, (_, text) in sorted(answers.items()))
        if ok is Ok.FAIL:
            remedy = "Correct the version and evaluate the new one."
        return self._answer(ok, need=need, have=have, evidence=[c.id for c in found.values()], remedy=remedy)

    def _elsewhere(self, facts: Facts, need: str, remedy: str) -> Result:
        """Answer where no run of ours says anything: by what was imported, if the policy lets it count."""
        name = (self.suite or "").partition("@")[0]
        claims = facts.claims_of(IMPORTED)
        claim = next((c for c in claims if self.suite is None or c.value.get("suite") == name), None)
        if claim is None:
            return self._answer(Ok.UNKNOWN, need=need, have="no verdict on this digest", remedy=remedy)
        said = f"{claim.value.get('suite')}: {claim.value.get('import')}"
        if self.imported != "allowed":
            have = f"no verdict on this digest, only {said}, imported, which this policy does not count"
            remedy += ", or have the policy say `imported: allowed` with `bars`."
            return self._answer(Ok.UNKNOWN, need=need, have=have, evidence=[claim.id], remedy=remedy)
        ok, text = weigh_import(claim.value, self.bars)
        age = _age(facts.now, claim)
        if ok is Ok.PASS and age > timedelta(days=self.max_age_days):
            ok = Ok.UNKNOWN
        if ok is Ok.FAIL:
            remedy = "Correct the version and evaluate the new one."
        have = f"{said}, {_days(age)} old, {text}"
        return self._answer(
            ok, need=f"{need}; or imported: {self._bars()}", have=have, evidence=[claim.id], remedy=remedy
        )

    def _bars(self) -> str:
        return ", ".join(map(str, self.bars))

    def _need(self, facts: Facts) -> str:
        del facts
        return f"{self.suite or f'a {self.PURPOSE} suite'}: pass, at most {self.max_age_days} days old"

    def _latest(self, facts: Facts) -> Mapping[str, Evidence]:
        """Give the newest verdict of each suite that is meant, by the suite's name and number."""
        found: dict[str, Evidence] = {}
        for claim in facts.claims_of(SUITE_VERDICT):
            ref = str(claim.value.get("suite", ""))
            meant = self.suite is None or self.suite in {ref, ref.partition("@")[0]}
            here = claim.environment in {None, facts.environment}
            name = ref.partition("@")[0]
            if meant and here and claim.value.get("kind") == self.PURPOSE and name not in found:
                found[name] = claim
        return {str(claim.value["suite"]): claim for claim in found.values()}

    def _weigh(self, facts: Facts, claim: Evidence) -> tuple[Ok, str]:
        verdict = str(claim.value.get("verdict"))
        if verdict == "fail":
            return Ok.FAIL, "fail"
        if verdict != "pass":
            return Ok.UNKNOWN, verdict
        age = _age(facts.now, claim)
        if age > timedelta(days=self.max_age_days):
            return Ok.UNKNOWN, f"pass, {_days(age)} old"
        return Ok.PASS, f"pass, {_days(age)} old"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionSuite(_Suite):
    """Regression suite passed by this digest, compared with what is live where `against_live`."""

    KIND = "regression_suite"
    TITLE = "Regression suite is not worse than what is live"
    PURPOSE = "regression"

    against_live: bool = True

    def _need(self, facts: Facts) -> str:
        text = super(RegressionSuite, self)._need(facts)
        return f"{text}, non-inferior to what is live" if self.against_live else text

    def _weigh(self, facts: Facts, claim: Evidence) -> tuple[Ok, str]:
        ok, text = super(RegressionSuite, self)._weigh(facts, claim)
        if ok is not Ok.PASS or not self.against_live:
            return ok, text
        if claim.value.get("rule") not in COMPARING:
            return Ok.UNKNOWN, f"{text}, but it compares with nothing"
        if facts.live is None:
            return Ok.UNKNOWN, f"{text}, but nothing is live to compare with"
        if claim.value.get("baseline") != facts.live[0]:
            if facts.live[0] == facts.subject:
                return ok, f"{text}; it is live by now"
            return (
                Ok.UNKNOWN,
                f"{text}, but compared with another version than {facts.live[1]}, which is live",
            )
        return ok, f"{text}, against {facts.live[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetySuite(_Suite):
    """Safety suite passed by this digest; asked of limited tiers and above."""

    KIND = "safety_suite"
    TITLE = "Safety suite is passed"
    PURPOSE = "safety"

    tiers: tuple[str, ...] = ("limited", "high", "prohibited")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPublished(Condition):
    """The card of this digest is published and complete for its tier."""

    KIND = "card_published"
    TITLE = "Card is published and complete for its tier"

    def _judge(self, facts: Facts) -> Result:
        need = f"a published card, complete for tier {facts.tier}"
        if not facts.model:
            return self._answer(Ok.PASS, need=need, have="no card of its own: cards describe models")
        claim = next(facts.claims_of(CARD_PUBLISHED), None)
        if claim is None:
            remedy = f"Complete it and have it published: assent card submit {facts.ref}"
            return self._answer(Ok.UNKNOWN, need=need, have="no card is published", remedy=remedy)
        remedy = f"Complete it and have it published anew: assent card complete {facts.ref} -f FORM"
        missing = [str(section) for section in claim.value.get("missing") or ()]
        tier = claim.value.get("tier")
        if claim.value.get("complete") is True and not missing and tier == facts.tier:
            have = f"published, complete for tier {tier}"
            return self._answer(Ok.PASS, need=need, have=have, evidence=[claim.id])
        have = f"published for tier {tier}" + (f", without {', '.join(missing)}" if missing else "")
        return self._answer(Ok.FAIL, need=need, have=have, evidence=[claim.id], remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStepAtMost(Condition):
    """The plan of this request begins with a small share of the traffic."""

    KIND = "first_step_at_most"
    TITLE = "First step takes a small share of the traffic"

    share: float = 0.1
    allow_switch: bool = False

    def _judge(self, facts: Facts) -> Result:
        need = f"a first step of at most {self.share:g} of the traffic"
        if self.allow_switch:
            need += ", or a blue-green switch after a preview"
        claim = self._plan(facts)
        if claim is None:
            create = f"assent request create {facts.ref} --env {facts.environment} --plan FILE"
            remedy = f"File it with a plan: {create}"
            return self._answer(Ok.UNKNOWN, need=need, have="no rollout plan", remedy=remedy)
        if self.allow_switch and claim.value.get("strategy") == "blue_green":
            have = "a blue-green switch after a preview"
            return self._answer(Ok.PASS, need=need, have=have, evidence=[claim.id])
        try:
            first = Decimal(str(claim.value.get("first_share")))
            fits = first <= Decimal(str(self.share))  # a NaN is no share and raises
        except InvalidOperation:
            have = f"a first share of {claim.value.get('first_share')!r}"
            return self._answer(Ok.UNKNOWN, need=need, have=have, remedy="File the plan again.")
        remedy = "File a plan with a smaller first step; a switch in one go is no rollout."
        return self._answer(
            Ok.PASS if fits else Ok.FAIL,
            need=need,
            have=f"a first step of {first.normalize():f}",
            evidence=[claim.id],
            remedy=remedy,
        )

    def _plan(self, facts: Facts) -> Evidence | None:
        """Find what is claimed of the very plan that the request names."""
        for claim in facts.claims_of(ROLLOUT_PLAN):
            if facts.plan is not None and (claim.environment, claim.value.get("plan")) == (
                facts.environment,
                facts.plan,
            ):
                return claim
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackTargetExists(Condition):
    """The environment serves another version of this name, to which a rollback goes."""

    KIND = "rollback_target_exists"
    TITLE = "There is a version to roll back to"

    def _judge(self, facts: Facts) -> Result:
        need = f"another version live in {facts.environment}"
        if facts.live is None:
            remedy = f"Take over what serves now: assent env adopt {facts.environment} NAME@VERSION"
            return self._answer(Ok.UNKNOWN, need=need, have="nothing is live", remedy=remedy)
        if facts.live[0] == facts.subject:
            remedy = "Nothing is left to release; a rollback brings back the version before it."
            return self._answer(Ok.FAIL, need=need, have="this version itself is live", remedy=remedy)
        return self._answer(Ok.PASS, need=need, have=f"{facts.live[1]} is live")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModelNotEndingWithin(Condition):
    """The provider has not announced to end the base model soon."""

    KIND = "base_model_not_ending_within"
    TITLE = "Base model stays available"

    days: int = 90

    def _judge(self, facts: Facts) -> Result:
        need = f"a base model that does not end within {self.days} days"
        if not facts.model:
            return self._answer(Ok.PASS, need=need, have="no base model of its own")
        if not facts.base_model:
            remedy = "Name the base model in the version's document."
            return self._answer(Ok.UNKNOWN, need=need, have="no base model is named", remedy=remedy)
        if facts.ends_on is None:
            return self._answer(Ok.PASS, need=need, have=f"{facts.base_model}: no end is announced")
        left = (facts.ends_on - facts.now.date()).days
        have = f"{facts.base_model} ends on {facts.ends_on:%Y-%m-%d}, in {left} days"
        if left < 0:
            have = f"{facts.base_model} ended on {facts.ends_on:%Y-%m-%d}"
        ok = Ok.PASS if left > self.days else Ok.FAIL
        return self._answer(ok, need=need, have=have, remedy="Build the version on a base model that stays.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFreezeWindow(Condition):
    """Now is not in a window in which nothing is released."""

    KIND = "no_freeze_window"
    TITLE = "No freeze window is on"

    windows: tuple[Window, ...] = ()

    def _judge(self, facts: Facts) -> Result:
        need = "a moment outside every freeze window"
        on = [window for window in self.windows if window.holds(facts.now)]
        if not on:
            have = "outside all" if self.windows else "no window is declared"
            return self._answer(Ok.PASS, need=need, have=have)
        have = "; ".join(f"frozen until {_end(window)}: {window.reason}" for window in on)
        return self._answer(Ok.FAIL, need=need, have=have, remedy="Wait until the window is over.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceAge(Condition):
    """The newest claim of a kind about this digest is not too old."""

    KIND = "evidence_age"
    TITLE = "Evidence is recent"

    evidence: str
    max_age_days: int

    def _judge(self, facts: Facts) -> Result:
        need = f"{self.evidence} of this digest, at most {self.max_age_days} days old"
        remedy = f"Have it recorded anew: {self.evidence}."
        claims = [c for c in facts.claims_of(self.evidence) if c.environment in {None, facts.environment}]
        if not claims:
            return self._answer(Ok.UNKNOWN, need=need, have="no such evidence", remedy=remedy)
        age = _age(facts.now, claims[0])
        ok = Ok.PASS if age <= timedelta(days=self.max_age_days) else Ok.UNKNOWN
        return self._answer(ok, need=need, have=f"{_days(age)} old", evidence=[claims[0].id], remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumSoak(Condition):
    """This digest has been live in another environment long enough, and still is."""

    KIND = "minimum_soak"
    TITLE = "The version has soaked elsewhere first"

    environment: str
    hours: float

    def _judge(self, facts: Facts) -> Result:
        need = f"{self.hours:g} hours live in {self.environment}"
        remedy = f"Release it to {self.environment} and wait."
        lives = [c for c in facts.claims if c.kind == LIVE and c.environment == self.environment]
        if not lives:
            return self._answer(
                Ok.UNKNOWN, need=need, have=f"never live in {self.environment}", remedy=remedy
            )
        newest = max(lives, key=lambda claim: claim.id)
        if newest.subject != facts.subject:
            have = f"another version is live in {self.environment}"
            return self._answer(Ok.UNKNOWN, need=need, have=have, evidence=[newest.id], remedy=remedy)
        hours = (facts.now - newest.issued_at) / timedelta(hours=1)
        ok = Ok.PASS if hours >= self.hours else Ok.FAIL
        return self._answer(
            ok, need=need, have=f"{max(hours, 0.0):.1f} hours", evidence=[newest.id], remedy=remedy
        )


def _age(now: datetime, claim: Evidence) -> timedelta:
    """Give the age of a claim; that of a verdict is the age of the oldest answer that it rests on."""
    try:
        oldest = datetime.fromisoformat(str(claim.value.get("oldest_answer_at")))
    except ValueError:
        oldest = claim.issued_at
    return now - (oldest if oldest.tzinfo and oldest < claim.issued_at else claim.issued_at)


def _days(age: timedelta) -> str:
    return "1 day" if age.days == 1 else f"{max(age.days, 0)} days"


def _end(window: Window) -> str:
    return window.end if isinstance(window.end, str) else f"{window.end:%Y-%m-%d %H:%M} UTC"
