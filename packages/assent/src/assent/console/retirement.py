"""Retirement: what ends and when, who is touched, what was waived; and when providers end base models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response

from assent.console.parts import ActionButton, Link
from assent.console.refs import version_link
from assent.console.timeline import Names
from assent.console.visit import PageRoute, Visit, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Reason, Refused
from assent.kernel.reasons import reason_text
from assent.kernel.tx import Reader
from assent.providers import service as providers
from assent.registry import service as registry
from assent.retirement import service
from assent.retirement.domain import NOTICE_DAYS, Dependents, Deprecation, State, expect_retirable

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/retirement")
N_SHOWN = 50
AHEAD = timedelta(days=3660)
WAIVERS = {
    "moves_later": "moves later",
    "accepts_outage": "accepts that it is refused",
    "unreachable": "cannot be reached",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline; `state` says whether it is done, running, or planned."""

    at: datetime
    until: datetime | None
    what: str
    state: str


@dataclass(frozen=True, slots=True)
class Ending:
    """A version that ends."""

    link: Link
    by: str
    why: str
    successor: Link | None
    sunset_at: datetime
    moments: Sequence[Moment]
    dependents: Dependents
    calls: Sequence[tuple[str, int]]
    waiver: str
    actions: Sequence[ActionButton]


@dataclass(frozen=True, slots=True)
class Ended:
    """A version that was retired, or whose deprecation was taken back."""

    link: Link
    state: str
    at: datetime | None
    successor: str


@dataclass(frozen=True, slots=True)
class TouchedRow:
    """A version whose base model ends."""

    link: Link
    base_model: str
    ends_on: date
    days: int
    live: Sequence[str]
    owner: str
    status: str


@dataclass(frozen=True, slots=True)
class Typed:
    """What the visitor typed to announce an end; it outlives a refusal."""

    version: str = ""
    successor: str = ""
    sunset: str = ""
    brownouts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RetirementView:
    """What the page shows; `n_more` endings are not on it."""

    project: str
    endings: Sequence[Ending]
    n_more: int
    ended: Sequence[Ended]
    touched: Sequence[TouchedRow]
    calendar: Sequence[providers.End]
    today: date
    may_announce: bool


def address_of(deprecation: Deprecation) -> str:
    """Give where the actions on a deprecation are."""
    return f"/projects/{deprecation.project}/retirement/{deprecation.name}/{deprecation.number}"


def _moments(reader: Reader, one: Deprecation, now: datetime) -> list[Moment]:
    given = {notice["days"]: notice for notice in service.list_notices(reader, one)}
    found = [Moment(one.at, None, "Announced: each answer says so", "done")]
    for days in NOTICE_DAYS:
        notice, due = given.get(days), one.sunset_at - timedelta(days=days)
        if notice is not None:
            n = len(notice["dependents"]) + len(notice["applications"])
            text = f"Notice given: {n} dependents, {notice['n_calls']} calls in the day before"
            found.append(Moment(notice["at"], None, text, "done"))
        elif due > now:
            found.append(Moment(due, None, "Notice to who still depends on it", "planned"))
    for start, until in one.brownouts:
        state = "planned" if now < start else "running" if now < until else "done"
        found.append(Moment(start, until, "Brown-out: it is refused, to show who calls it", state))
    over = "done" if now >= one.sunset_at else "planned"
    found.append(Moment(one.sunset_at, None, "Sunset: from here on it is refused for good", over))
    return sorted(found, key=lambda moment: moment.at)


def _reasons_against(one: Deprecation, dependents: Dependents, now: datetime) -> Sequence[Reason]:
    try:
        expect_retirable(one, dependents, now)
    except Refused as error:
        return error.reasons
    return ()


def _actions(visit: Visit, one: Deprecation, dependents: Dependents, now: datetime) -> list[ActionButton]:
    here, found = address_of(one), []
    if Permission.MODEL_DEPRECATE in visit.allowed:
        if now < one.sunset_at:
            found.append(ActionButton("Take it back", f"{here}/reinstatement"))
        against = tuple(_reasons_against(one, dependents, now))
        found.append(ActionButton("Retire it", f"{here}/end", dangerous=True, reasons=against))
    if Permission.RETIREMENT_WAIVE in visit.allowed and one.by != visit.session.person:
        found.append(ActionButton("Waive its dependents", f"{here}/waiver"))
    return found


def _ending(visit: Visit, reader: Reader, one: Deprecation, names: Names, keys: dict[str, str]) -> Ending:
    now = reader.now()
    dependents = service.dependents(reader, registry.get(reader, one.project, one.name, one.number))
    successor = None
    if one.successor_ref:
        name, _, number = one.successor_ref.partition("@")
        successor = version_link(one.project, name, number)
    waiver = ""
    if one.waiver and one.waiver_by and one.waiver_expires_at:
        until = f"{one.waiver_expires_at:%Y-%m-%d %H:%M} UTC"
        said = "holds until" if one.is_waived(now) else "ended"
        waiver = f"{names.of(one.waiver_by)}: who is left {WAIVERS[one.waiver]}; {said} {until}"
    calls = [(keys.get(key, key), n) for key, n in sorted(dependents.calling.items())]
    return Ending(
        link=version_link(one.project, one.name, one.number),
        by=names.of(one.by),
        why=reason_text(reader, one.reason) or "",
        successor=successor,
        sunset_at=one.sunset_at,
        moments=_moments(reader, one, now),
        dependents=dependents,
        calls=calls,
        waiver=waiver,
        actions=_actions(visit, one, dependents, now),
    )


def _touched(project: str, one: service.Touched, today: date) -> TouchedRow:
    version = one.version
    return TouchedRow(
        link=version_link(project, version.name, version.number),
        base_model=one.base_model,
        ends_on=one.ends_on,
        days=(one.ends_on - today).days,
        live=one.live,
        owner=version.owner or "",
        status=version.status,
    )


def build(visit: Visit, reader: Reader) -> RetirementView:
    """Gather what the page shows."""
    project, names, today = visit.project, Names(reader), reader.now().date()
    found = service.list_(reader, project)
    announced = [one for one in found if one.state is State.DEPRECATED]
    keys = identity.key_names(reader, project)
    return RetirementView(
        project=project,
        endings=[_ending(visit, reader, one, names, keys) for one in announced[:N_SHOWN]],
        n_more=max(0, len(announced) - N_SHOWN),
        ended=[
            Ended(
                version_link(project, one.name, one.number),
                "retired" if one.state is State.RETIRED else "taken_back",
                one.ended_at,
                one.successor_ref or "",
            )
            for one in reversed(found)
            if one.state is not State.DEPRECATED
        ][:N_SHOWN],
        touched=[
            _touched(project, one, today)
            for one in service.touched(reader, project, AHEAD, service.Wanted(limit=N_SHOWN))
        ],
        calendar=sorted(
            providers.list_ends(reader), key=lambda end: (end.ends_on or date.max, end.base_model)
        ),
        today=today,
        may_announce=Permission.MODEL_DEPRECATE in visit.allowed,
    )


def show_page(visit: Visit, typed: Typed | None = None, error: AssentError | None = None) -> Response:
    """Show the page, with what was typed and why it was refused."""
    with visit.read() as reader:
        view = build(visit, reader)
    errors: Sequence[Any] = () if error is None else error.reasons or (error,)
    status = 200 if error is None else error.status
    return visit.page("retirement/page.html", status=status, view=view, typed=typed or Typed(), errors=errors)


@router.get("")
def show(visit: Annotated[Visit, visits(Permission.MODEL_READ)]) -> Response:
    """Show what ends."""
    return show_page(visit)
