"""Policies: what each environment asks for, what is proposed, and what a policy would have done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from assent.approvals import service as approvals
from assent.approvals.domain.facts import TIERS
from assent.console.parts import Link
from assent.console.timeline import Names
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Reason
from assent.kernel.tx import Reader
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/policies")
N_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a policy: its kind, and what its author set."""

    kind: str
    settings: Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A policy that waits for a second person."""

    policy: str
    by: str
    at: datetime
    may_confirm: bool
    address: str


@dataclass(frozen=True, slots=True)
class InForce:
    """What an environment asks for."""

    environment: str
    protected: bool
    policy: str
    digest: str
    chosen: bool
    conditions: Sequence[Condition]
    proposed: Proposed | None
    warnings: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class PastRelease:
    """What a policy says of a release that went out."""

    request: Link
    at: datetime
    under: str
    state: str
    stopped_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a policy would have done to the releases of an environment."""

    policy: str
    environment: str
    releases: Sequence[PastRelease]
    n_stopped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesView:
    """What the page shows."""

    project: str
    environments: Sequence[InForce]
    versions: Sequence[str]
    backtest: Backtest | None
    asked: tuple[str, str]


def _conditions(document: Any) -> list[Condition]:
    return [
        Condition(
            one["kind"].replace("_", " "),
            [
                (name.replace("_", " "), _said(name, value))
                for name, value in one.items()
                if name not in {"kind", "id"}
                and value not in ([], None, "")
                and not (name == "tiers" and set(value) == set(TIERS))
            ],
        )
        for one in document["conditions"]
    ]


def _said(name: str, value: Any) -> Any:
    """Write what an author set as people say it."""
    if name == "factors":
        return ", ".join(f"{one['n']} of {one['group']}{_of(one['tiers'])}" for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if name == "tiers" else value


def _of(tiers: Sequence[str]) -> str:
    return "" if set(tiers) == set(TIERS) else f" (tier {', '.join(tiers)})"


def _in_force(visit: Visit, reader: Reader, environment: identity.Environment, names: Names) -> InForce:
    found = approvals.in_force(reader, visit.project, environment.name)
    held = approvals.find_proposal(reader, visit.project, environment.name)
    proposed = None
    if held is not None:
        proposed = Proposed(
            policy=held.policy_ref,
            by=names.of(held.proposed_by),
            at=held.proposed_at,
            may_confirm=Permission.POLICY_CONFIRM in visit.allowed
            and held.proposed_by != visit.session.person,
            address=f"/projects/{visit.project}/policies/{environment.name}/confirmations",
        )
    coming = approvals.pinned(reader, visit.project, held.policy) if held else found
    return InForce(
        environment=environment.name,
        protected=environment.protected,
        policy=found.ref,
        digest=found.digest,
        chosen=found.bound,
        conditions=_conditions(found.document),
        proposed=proposed,
        warnings=approvals.warnings(reader, visit.project, coming.policy),
    )


def _backtest(reader: Reader, project: str, environment: str, policy: str) -> Backtest:
    found = approvals.backtest(reader, project, environment, policy)
    rows = [
        PastRelease(
            request=Link(one.ref, f"/projects/{project}/requests/{one.request}"),
            at=one.went_out_at,
            under=one.policy_ref,
            state="refused" if one.stopped_by else "pass",
            stopped_by=[f"{result.title}: {result.have}" for result in one.stopped_by],
        )
        for one in found.releases
    ]
    return Backtest(found.policy_ref, environment, rows, found.n_stopped)


def _show(
    visit: Visit, asked: tuple[str, str] = ("", ""), errors: Sequence[Any] = (), status: int = 200
) -> Response:
    policy, environment = asked
    with visit.read() as reader:
        names = Names(reader)
        environments = identity.list_environments(reader, visit.project)
        versions = approvals.list_policies(reader, visit.project, limit=N_SHOWN)
        tested = None
        if policy and not errors:
            try:
                identity.get_environment(reader, visit.project, environment)
                tested = _backtest(reader, visit.project, environment, policy)
            except AssentError as error:
                errors, status = error.reasons or (error,), error.status
        view = PoliciesView(
            project=visit.project,
            environments=[_in_force(visit, reader, one, names) for one in environments],
            versions=[one.ref for one in versions],
            backtest=tested,
            asked=asked,
        )
    return visit.page("policies/page.html", status=status, view=view, errors=errors)


@router.get("")
def show(
    visit: Annotated[Visit, visits(Permission.POLICY_READ)],
    policy: Annotated[str, Query(max_length=100)] = "",
    environment: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """Show what environments ask for, and, with a policy and an environment, its backtest."""
    return _show(visit, (policy, environment))


@router.post("/{environment}/confirmations")
def confirm(
    visit: Annotated[Visit, visits(Permission.POLICY_CONFIRM)],
    environment: str,
    form: Annotated[Form, Depends(posted_form)],
) -> Response:
    """Bind what somebody else proposed."""
    wanted = approvals.Confirmation(
        project=visit.project,
        environment=environment,
        policy=form.text("policy"),
        step_up_s=visit.runtime.settings.step_up_s,
    )
    try:
        with visit.begin() as tx:
            approvals.confirm_policy(tx, wanted)
    except AssentError as error:
        reasons: Sequence[Reason | AssentError] = error.reasons or (error,)
        return _show(visit, errors=reasons, status=error.status)
    return see_other(f"/projects/{visit.project}/policies")
