"""The form of a policy's document: a closed vocabulary of typed conditions, published as JSON Schema.

{"kind":"policy","project","name","title","conditions":[{"kind","id",…}…]}: every default written out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pydantic

from assent.approvals.domain.factors import Factor
from assent.approvals.domain.imported import Bar
from assent.approvals.domain.policy import CONDITIONS, Policy
from assent.approvals.domain.windows import FixedWindow, WeeklyWindow, Window
from assent.kernel.errors import Invalid, Reason

Name = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
SuiteRef = Annotated[
    str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}(@[0-9]+\.[0-9]+\.[0-9]+)?$", max_length=100)
]
Days = Annotated[int, pydantic.Field(ge=1, le=3650)]
Tier = Literal["minimal", "limited", "high", "prohibited"]
Tiers = Annotated[list[Tier], pydantic.Field(min_length=1, max_length=4)]
ALL: list[Tier] = ["minimal", "limited", "high", "prohibited"]
ASKED_OF_SAFETY: list[Tier] = ["limited", "high", "prohibited"]
WeekTime = Annotated[
    str, pydantic.Field(pattern=r"^(mon|tue|wed|thu|fri|sat|sun) ([01][0-9]|2[0-3]):[0-5][0-9]$")
]


class Strict(pydantic.BaseModel):
    """Unknown fields are errors, and nothing is turned into another type."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class ConditionForm(Strict):
    """What all conditions share. `id` names it in answers; by default its kind."""

    id: Name | None = None
    tiers: Tiers = pydantic.Field(default=ALL, description="Risk tiers of which it is asked.")


class BarForm(Strict):
    """What one imported figure must clear with its whole 95 % interval."""

    metric: str = pydantic.Field(min_length=1, max_length=200)
    task: str | None = pydantic.Field(None, min_length=1, max_length=200)
    at_least: float | None = pydantic.Field(None, allow_inf_nan=False)
    at_most: float | None = pydantic.Field(None, allow_inf_nan=False)

    @pydantic.model_validator(mode="after")
    def _one_limit(self) -> BarForm:
        if (self.at_least is None) is (self.at_most is None):
            raise ValueError("give one of `at_least` and `at_most`")
        return self


class SuiteForm(ConditionForm):
    """What conditions on suites share."""

    suite: SuiteRef | None = pydantic.Field(None, description="name or name@version; else any of its kind.")
    max_age_days: Days = 30
    imported: Literal["allowed", "refused"] = pydantic.Field(
        default="refused", description="Whether figures of other tools count where no run of ours speaks."
    )
    bars: list[BarForm] = pydantic.Field(
        default=[], max_length=20, description="What imported figures must clear."
    )

    @pydantic.model_validator(mode="after")
    def _fixed_beforehand(self) -> SuiteForm:
        allowed = self.imported == "allowed"
        if allowed is not bool(self.bars):
            raise ValueError("`imported: allowed` goes with `bars`, what the figures must clear, and only it")
        if allowed and (self.suite is None or "@" in self.suite):
            raise ValueError("`imported: allowed` needs `suite`, a name without a version")
        if allowed and getattr(self, "against_live", False):
            raise ValueError("imported figures compare with nothing: say `against_live: false`")
        return self


class RegressionSuiteForm(SuiteForm):
    """A regression suite passed on this digest, non-inferior to what is live."""

    kind: Literal["regression_suite"]
    against_live: bool = pydantic.Field(default=True, description="Compared with the version that is live.")


class SafetySuiteForm(SuiteForm):
    """A safety suite passed on this digest."""

    kind: Literal["safety_suite"]
    tiers: Tiers = ASKED_OF_SAFETY


class CardPublishedForm(ConditionForm):
    """The card is published and complete for the tier."""

    kind: Literal["card_published"]


class FactorForm(Strict):
    """Votes of one group. Requester and contributors never count; `exclude` may add the evaluators."""

    group: Name
    n: int = pydantic.Field(1, ge=1, le=20)
    exclude: list[Literal["requester", "contributors", "evaluators"]] = ["requester", "contributors"]
    tiers: Tiers = ALL


class ApprovalsForm(ConditionForm):
    """Every factor has its votes; one person counts for one factor."""

    kind: Literal["approvals"]
    factors: list[FactorForm] = pydantic.Field(min_length=1, max_length=10)
    reject_threshold: int = pydantic.Field(1, ge=1, le=20, description="Rejections that end the request.")


class ContributorsExcludedForm(ConditionForm):
    """It is known who worked on it, and none of them is counted."""

    kind: Literal["contributors_excluded"]


class FirstStepForm(ConditionForm):
    """The rollout's first step takes at most this share of the traffic; a switch may be let off."""

    kind: Literal["first_step_at_most"]
    share: float = pydantic.Field(0.1, gt=0, le=1)
    allow_switch: bool = False


class RollbackTargetForm(ConditionForm):
    """Another version is live, to which a rollback goes."""

    kind: Literal["rollback_target_exists"]


class BaseModelForm(ConditionForm):
    """The base model does not end within so many days."""

    kind: Literal["base_model_not_ending_within"]
    days: Days = 90


class FixedWindowForm(Strict):
    """From one moment up to another, RFC 3339 with a zone."""

    start: Annotated[pydantic.AwareDatetime, pydantic.Field(alias="from", strict=False)]
    end: Annotated[pydantic.AwareDatetime, pydantic.Field(alias="to", strict=False)]
    reason: str = pydantic.Field(min_length=1, max_length=200)

    @pydantic.model_validator(mode="after")
    def _forward(self) -> FixedWindowForm:
        if self.end <= self.start:
            raise ValueError("`to` must be after `from`")
        return self


class WeeklyWindowForm(Strict):
    """Every week from `fri 16:00` up to `mon 08:00`, on the clock of a zone."""

    start: WeekTime = pydantic.Field(alias="from")
    end: WeekTime = pydantic.Field(alias="to")
    zone: str = "UTC"
    reason: str = pydantic.Field(min_length=1, max_length=200)

    @pydantic.field_validator("zone")
    @classmethod
    def _exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {zone!r}") from None
        return zone

    @pydantic.model_validator(mode="after")
    def _not_empty(self) -> WeeklyWindowForm:
        if self.start == self.end:
            raise ValueError("`from` and `to` must differ")
        return self


def _window_form(value: Any) -> str:
    start = value.get("from", "") if isinstance(value, Mapping) else getattr(value, "start", "")
    return "weekly" if str(start)[:3] in {"mon", "tue", "wed", "thu", "fri", "sat", "sun"} else "fixed"


WindowForm = Annotated[
    Annotated[FixedWindowForm, pydantic.Tag("fixed")] | Annotated[WeeklyWindowForm, pydantic.Tag("weekly")],
    pydantic.Discriminator(_window_form),
]


class FreezeForm(ConditionForm):
    """Now is outside every window in which nothing is released."""

    kind: Literal["no_freeze_window"]
    windows: list[WindowForm] = pydantic.Field(default=[], max_length=100)


class EvidenceAgeForm(ConditionForm):
    """The newest evidence of a kind is not too old."""

    kind: Literal["evidence_age"]
    evidence: Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9._]{0,62}$")]
    max_age_days: Days


class SoakForm(ConditionForm):
    """This digest has been live in another environment for so long."""

    kind: Literal["minimum_soak"]
    environment: Name
    hours: float = pydantic.Field(gt=0, le=24 * 365)


AnyCondition = Annotated[
    RegressionSuiteForm
    | SafetySuiteForm
    | CardPublishedForm
    | ApprovalsForm
    | ContributorsExcludedForm
    | FirstStepForm
    | RollbackTargetForm
    | BaseModelForm
    | FreezeForm
    | EvidenceAgeForm
    | SoakForm,
    pydantic.Discriminator("kind"),
]


class PolicyForm(Strict):
    """A policy as its author writes it."""

    title: str = pydantic.Field("", max_length=200)
    conditions: list[AnyCondition] = pydantic.Field(max_length=50)

    @pydantic.field_validator("conditions")
    @classmethod
    def _named(cls, conditions: list[Any]) -> list[Any]:
        for condition in conditions:
            condition.id = condition.id or condition.kind
        twice = sorted(name for name, n in Counter(c.id for c in conditions).items() if n > 1)
        if twice:
            raise ValueError(f"{', '.join(twice)} stands twice; give each its own `id`")
        return conditions


def schema() -> dict[str, Any]:
    """Give the JSON Schema of a policy."""
    return PolicyForm.model_json_schema(by_alias=True)


def read_document(content: Any, project: str, name: str) -> dict[str, Any]:
    """Check what an author wrote and write it out whole. Raises: Invalid with every mistake."""
    try:
        form = PolicyForm.model_validate(content)
    except pydantic.ValidationError as error:
        reasons = [Reason(_place(e["loc"]), f"{_place(e['loc'])}: {e['msg']}") for e in error.errors()]
        n = len(reasons)
        message = f"The policy {name} has {n} mistake{'s' if n > 1 else ''}"
        raise Invalid(
            f"{message}.", remedy="`assent policy schema` prints its form.", reasons=reasons
        ) from None
    return {"kind": "policy", "project": project, "name": name, **_plain(form)}


def policy_of(document: Mapping[str, Any]) -> Policy:
    """Make the conditions of a document that was read before. Raises: Invalid."""
    content = {"title": document.get("title", ""), "conditions": document["conditions"]}
    form = PolicyForm.model_validate(content)
    return Policy(conditions=tuple(_condition(one) for one in form.conditions))


def _plain(form: PolicyForm) -> dict[str, Any]:
    return form.model_dump(mode="json", by_alias=True, exclude_none=True)


def _condition(form: Any) -> Any:
    fields = {name: getattr(form, name) for name in type(form).model_fields if name != "kind"}
    fields["tiers"] = tuple(fields["tiers"])
    if isinstance(form, ApprovalsForm):
        fields["factors"] = tuple(
            Factor(group=one.group, n=one.n, exclude=tuple(one.exclude), tiers=tuple(one.tiers))
            for one in form.factors
        )
    if isinstance(form, SuiteForm):
        fields["bars"] = tuple(_bar(one) for one in form.bars)
    if isinstance(form, FreezeForm):
        fields["windows"] = tuple(_window(one) for one in form.windows)
    return CONDITIONS[form.kind](**fields)


def _bar(form: BarForm) -> Bar:
    limits = {"at_least": form.at_least, "at_most": form.at_most}
    exact = {name: None if limit is None else Decimal(str(limit)) for name, limit in limits.items()}
    return Bar(metric=form.metric, task=form.task, **exact)


def _window(form: FixedWindowForm | WeeklyWindowForm) -> Window:
    if isinstance(form, FixedWindowForm):
        return FixedWindow(start=form.start.astimezone(UTC), end=form.end.astimezone(UTC), reason=form.reason)
    return WeeklyWindow(start=form.start, end=form.end, zone=form.zone, reason=form.reason)


def _place(location: tuple[int | str, ...]) -> str:
    words = [str(part) for part in location if str(part) not in {*CONDITIONS, "weekly", "fixed"}]
    return ".".join(words) or "policy"
