"""Flags: the list of a project, and a flag with its split, rules, proposal, history and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from markupsafe import Markup

from assent.console.parts import ActionButton
from assent.console.timeline import Names
from assent.console.visit import PageRoute, Visit, visits
from assent.flags import service
from assent.flags.domain import Explanation, condition_text, flag_of, shares_of, shares_text
from assent.flags.service import Place, Stored
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError
from assent.kernel.reasons import reason_text
from assent.kernel.tx import Reader
from assent.web import charts
from assent_client.decide import BUCKETS

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/flags")
Seen = Annotated[Visit, visits(Permission.FLAG_READ)]
N_HISTORY = 20
USED_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A flag in the list."""

    name: str
    address: str
    enabled: bool
    gives: str
    n_rules: int
    owner: str
    waits: bool
    stale: Sequence[str]
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment: its name and what it asks."""

    name: str
    groups: Sequence[str]
    waits: bool


@dataclass(frozen=True, slots=True)
class EnvironmentRows:
    """What an environment has."""

    name: str
    protected: bool
    flags: Sequence[Row]
    segments: Sequence[SegmentRow]


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule: its conditions, and what it gives."""

    id: str
    conditions: Sequence[str]
    gives: str
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A flag's document as it is shown, now or proposed."""

    enabled: bool
    needs: Sequence[str]
    rules: Sequence[RuleRow]
    gives: str
    bar: Markup


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a second person."""

    how: str
    by: str
    at: datetime
    reason: str | None
    body: Body


@dataclass(frozen=True, slots=True)
class PastRow:
    """One generation."""

    generation: int
    how: str
    at: datetime
    by: str
    proposed_by: str
    reason: str | None
    gives: str
    restore: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagView:
    """What the page of a flag shows."""

    name: str
    environment: str
    protected: bool
    address: str
    generation: int
    facts: Sequence[tuple[str, Any]]
    variants: Sequence[tuple[str, Any, str]]
    body: Body
    actions: Sequence[ActionButton]
    proposal: Waiting | None
    proposal_actions: Sequence[ActionButton]
    shares: Sequence[tuple[str, str]]
    off: str
    history: Sequence[PastRow]
    unit: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form under "Why" was filled with, and the answer."""

    unit: str = ""
    context: str = ""
    answer: Explanation | None = None


def address_of(project: str, environment: str, name: str) -> str:
    """Give the address of a flag's page."""
    return f"/projects/{project}/flags/{environment}/{name}"


def read_context(text: str) -> dict[str, Any]:
    """Read lines `attribute = value`; numbers and true or false are read as such."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if name:
            found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text in {"true", "false"}:
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _row(project: str, one: Stored, stale: dict[str, list[str]]) -> Row:
    flag = one.flag
    return Row(
        name=one.row.name,
        address=address_of(project, one.row.environment, one.row.name),
        enabled=flag.enabled,
        gives=shares_text(flag.split),
        n_rules=len(flag.rules),
        owner=flag.owner,
        waits=one.proposal is not None,
        stale=stale.get(one.row.name, []),
        changed_at=one.row.changed_at,
    )


def _segment(one: Stored) -> SegmentRow:
    groups = [" and ".join(condition_text(entry) for entry in group) for group in one.document["any"]]
    return SegmentRow(one.row.name, groups, one.proposal is not None)


def _environment(reader: Reader, project: str, found: identity.Environment) -> EnvironmentRows:
    stale = {
        one.row.name: [reason.message for reason in reasons]
        for one, reasons in service.stale(reader, project, found.name, USED_DAYS)
    }
    flags = service.list_(reader, project, found.name)
    segments = service.list_(reader, project, found.name, service.SEGMENT)
    return EnvironmentRows(
        found.name,
        found.protected,
        [_row(project, one, stale) for one in flags],
        list(map(_segment, segments)),
    )


@router.get("")
def list_flags(visit: Seen) -> Response:
    """List the flags and segments of each environment."""
    return show_list(visit)


def show_list(
    visit: Visit, place: str = "", filled: Mapping[str, str] | None = None, error: AssentError | None = None
) -> Response:
    """Show the list, with the form of one environment as it was filled in and what was wrong with it."""
    with visit.read() as reader:
        found = identity.list_environments(reader, visit.project)
        environments = [_environment(reader, visit.project, one) for one in found]
    return visit.page(
        "flags/list.html",
        status=error.status if error else 200,
        environments=environments,
        may_change=not visit.lacks(Permission.FLAG_CHANGE),
        place=place,
        filled=filled or {},
        errors=(error.reasons or (error,)) if error else (),
    )


def _body(document: dict[str, Any]) -> Body:
    flag = flag_of(document)
    return Body(
        enabled=flag.enabled,
        needs=[condition_text(one) for one in flag.prerequisites],
        rules=[
            RuleRow(
                rule.id,
                [condition_text(entry) for entry in rule.when],
                shares_text(rule.ranges),
                charts.split(f"Rule {rule.id}", shares_of(rule.ranges), BUCKETS),
            )
            for rule in flag.rules
        ],
        gives=shares_text(flag.split),
        bar=charts.split("Everybody else", shares_of(flag.split), BUCKETS),
    )


def _actions(visit: Visit, stored: Stored, address: str) -> list[ActionButton]:
    if stored.flag.enabled:
        lacks = visit.lacks(Permission.FLAG_SWITCH_OFF)
        return [ActionButton("Switch off", f"{address}/switch-off", dangerous=True, reasons=lacks)]
    return [ActionButton("Switch on", f"{address}/switch-on", reasons=visit.lacks(Permission.FLAG_CHANGE))]


def _proposal(
    visit: Visit, reader: Reader, stored: Stored, address: str, names: Names
) -> tuple[Waiting | None, list[ActionButton]]:
    held = stored.proposal
    if held is None:
        return None, []
    document = service.document_at(reader, held.body)
    if document is None:
        return None, []
    waiting = Waiting(
        held.how,
        names.of(held.proposed_by),
        held.proposed_at,
        reason_text(reader, held.reason),
        _body(document),
    )
    lacks = visit.lacks(Permission.FLAG_CONFIRM)
    if not lacks and held.proposed_by == visit.session.person:
        lacks = tuple(service.same_person())
    return waiting, [
        ActionButton("Confirm it", f"{address}/confirm", reasons=lacks),
        ActionButton("Take it back", f"{address}/withdraw", reasons=visit.lacks(Permission.FLAG_CHANGE)),
    ]


def _history(reader: Reader, place: Place, address: str, present: int, names: Names) -> list[PastRow]:
    rows = []
    for one in service.history(reader, place, limit=N_HISTORY):
        document = service.document_at(reader, one.body)
        gives = "erased" if document is None else _summary(document)
        may = document is not None and one.generation != present
        rows.append(
            PastRow(
                one.generation,
                one.how,
                one.changed_at,
                names.of(one.changed_by),
                names.of(one.proposed_by) if one.proposed_by else "",
                reason_text(reader, one.reason),
                gives,
                f"{address}/restore?to={one.generation}" if may else "",
            )
        )
    return rows


def _summary(document: dict[str, Any]) -> str:
    body = _body(document)
    rules = f", {len(body.rules)} rule{'' if len(body.rules) == 1 else 's'} before it" if body.rules else ""
    return f"{body.gives}{rules}" if body.enabled else "switched off"


def build(visit: Visit, reader: Reader, place: Place) -> FlagView:
    """Gather what the page shows. Raises: NotFound."""
    stored = service.get(reader, place)
    flag, address, names = (
        stored.flag,
        address_of(visit.project, place.environment, place.name),
        Names(reader),
    )
    used = service.uses(reader, visit.project, place.environment, USED_DAYS).get(place.name)
    proposal, proposal_actions = _proposal(visit, reader, stored, address, names)
    ends = f"until {flag.ends_on}" if flag.ends_on else "not for good; no end is set"
    facts = [
        ("Owner", flag.owner or "nobody named"),
        ("Meant to stay", "for good" if flag.permanent else ends),
        ("Sticks to", flag.unit),
        ("When it is off", flag.off),
        ("Last asked for", used.last_at if used else "never in 30 days"),
        ("Changed by", names.of(stored.row.changed_by)),
    ]
    given = used.counts if used else {}
    present = shares_of(flag.split)
    return FlagView(
        name=place.name,
        environment=place.environment,
        protected=identity.get_environment(reader, visit.project, place.environment).protected,
        address=address,
        generation=stored.row.generation,
        facts=[("Description", flag.description), *facts] if flag.description else facts,
        variants=[(name, value, str(given.get(name, 0))) for name, value in flag.variants.items()],
        body=_body(stored.document),
        actions=_actions(visit, stored, address),
        proposal=proposal,
        proposal_actions=proposal_actions,
        shares=[(name, f"{present.get(name, 0) / 10_000:g}") for name in flag.variants if name != flag.off],
        off=flag.off,
        history=_history(reader, place, address, stored.row.generation, names),
        unit=flag.unit,
    )


def show_flag(
    visit: Visit, place: Place, asked: Asked | None = None, errors: Sequence[Any] = (), status: int = 200
) -> Response:
    """Show a flag, with the answer to who was asked about, or with what was refused."""
    with visit.read() as reader:
        view = build(visit, reader, place)
    may = not visit.lacks(Permission.FLAG_CHANGE)
    return visit.page(
        "flags/page.html", status=status, view=view, asked=asked or Asked(), errors=errors, may_change=may
    )


@router.get("/{environment}/{name}")
def show(
    visit: Seen,
    environment: str,
    name: str,
    unit: Annotated[str, Query(max_length=500)] = "",
    context: Annotated[str, Query(max_length=5000)] = "",
) -> Response:
    """Show a flag, and why a unit gets what it gets, where one is named."""
    place = Place(project=visit.project, environment=environment, name=name)
    if not unit:
        return show_flag(visit, place)
    try:
        with visit.read() as reader:
            subject = service.Subject(unit=unit, context=read_context(context))
            answer = service.explained(reader, place, subject)
    except AssentError as error:
        return show_flag(visit, place, Asked(unit, context), error.reasons or (error,), error.status)
    return show_flag(visit, place, Asked(unit, context, answer))
