"""Announce an end, take it back, waive dependents, retire: asked first, with what it leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from assent.console.retirement import WAIVERS, Typed, address_of, show_page
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Invalid
from assent.kernel.tx import Reader, Tx
from assent.registry import service as registry
from assent.registry.service import ModelVersion
from assent.retirement import service
from assent.retirement.domain import Dependents, WaiverKind, brownouts_of, checked_sunset
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/retirement")
Deprecating = Annotated[Visit, visits(Permission.MODEL_DEPRECATE)]
Waiving = Annotated[Visit, visits(Permission.RETIREMENT_WAIVE)]
Posted = Annotated[Form, Depends(posted_form)]
Text = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One action on a deprecation; `consequence` says what it leads to."""

    noun: str
    question: str
    verb: str
    consequence: str
    run: Callable[[Tx, ModelVersion, Form], object]
    dangerous: bool = True


def _waive(tx: Tx, version: ModelVersion, form: Form) -> object:
    kind = form.text("kind")
    if kind not in set(WaiverKind):
        raise Invalid("Say why who is left may be left.", remedy="Choose one of the three.")
    until = day(form.text("until"), "The waiver's end")
    return service.waive(tx, version, WaiverKind(kind), until, form.text("reason", limit=2000))


UNDO = Act(
    noun="reinstatement",
    question="Take the deprecation back: {ref}?",
    verb="Take it back",
    consequence="Answers no longer say that it ends, there are no more brown-outs, and the sunset is off.",
    run=lambda tx, version, form: service.undo(tx, version, form.text("reason", limit=2000)),
    dangerous=False,
)
WAIVE = Act(
    noun="waiver",
    question="Waive the dependents of {ref}?",
    verb="Waive them",
    consequence="Until the waiver ends, the version may be retired although who stands here still depends on "
    "it. They are refused from the sunset on.",
    run=_waive,
)
RETIRE = Act(
    noun="end",
    question="Retire {ref} for good?",
    verb="Retire it",
    consequence="It is never served or released again, and nobody can take that back.",
    run=lambda tx, version, form: service.retire(tx, version, form.text("reason", limit=2000)),
)


def day(text: str, what: str) -> datetime:
    """Read a day, which begins at midnight UTC. Raises: Invalid."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"{what} {text[:40]!r} is not a day.", remedy="Write YYYY-MM-DD.") from None


def _who(found: Dependents) -> str:
    n = len(found.calling)
    parts = [
        f"built from it: {', '.join(found.declared)}" if found.declared else "",
        f"serving it: {', '.join(found.serving)}" if found.serving else "",
        f"{n} application{'' if n == 1 else 's'} called it in the last day" if n else "",
    ]
    return "; ".join(part for part in parts if part) or "nobody"


def _confirm(visit: Visit, asked: dict[str, Any], form: Form | None, error: AssentError | None) -> Response:
    typed = Form({}) if form is None else form
    return visit.page(
        "retirement/confirm.html",
        status=error.status if error else 200,
        crumbs=[("Systems", "/"), ("Retirement", f"/projects/{visit.project}/retirement")],
        errors=(error.reasons or (error,)) if error else (),
        reason=typed.text("reason"),
        reason_required=True,
        waivers=WAIVERS if asked.get("waives") else {},
        kind=typed.text("kind"),
        until=typed.text("until"),
        back=f"/projects/{visit.project}/retirement",
        **asked,
    )


def _ask(
    visit: Visit, place: tuple[str, str], act: Act, form: Form | None = None, error: AssentError | None = None
) -> Response:
    with visit.read() as reader:
        version = registry.get(reader, visit.project, *place)
        found = service.find(reader, version)
        touched = _who(service.dependents(reader, version))
    if found is None:
        return show_page(visit, error=Invalid(f"{version.ref} was never deprecated."))
    sunset = f"{found.sunset_at:%Y-%m-%d %H:%M} UTC"
    asked = {
        "question": act.question.format(ref=version.ref),
        "consequence": act.consequence,
        "facts": [("Sunset", sunset), ("Successor", found.successor_ref or "none"), ("Touched", touched)],
        "action": f"{address_of(found)}/{act.noun}",
        "fields": {},
        "verb": act.verb,
        "dangerous": act.dangerous,
        "waives": act is WAIVE,
    }
    return _confirm(visit, asked, form, error)


def _do(visit: Visit, place: tuple[str, str], act: Act, form: Form) -> Response:
    try:
        with visit.begin() as tx:
            act.run(tx, registry.get(tx, visit.project, *place), form)
    except AssentError as error:
        return _ask(visit, place, act, form, error)
    return see_other(f"/projects/{visit.project}/retirement")


def _announcement(reader: Reader, project: str, typed: Typed) -> dict[str, Any]:
    """Say what an announcement leads to. Raises: Invalid, NotFound."""
    version = registry.get_ref(reader, project, typed.version)
    successor = registry.get_ref(reader, project, typed.successor).ref if typed.successor else "none"
    now = reader.now()
    sunset = checked_sunset(now, day(typed.sunset, "The sunset"))
    spans = brownouts_of(None if typed.brownouts else [], now, sunset)
    shown = [f"{start:%Y-%m-%d %H:%M} to {until:%H:%M} UTC" for start, until in spans]
    touched = _who(service.dependents(reader, version))
    return {
        "question": f"Deprecate {version.ref}?",
        "consequence": f"From now on each answer of {version.ref} says that it ends. In its brown-outs it is "
        f"refused with 503, and from {sunset:%Y-%m-%d} on with 410, whoever calls it.",
        "facts": [
            ("Sunset", f"{sunset:%Y-%m-%d %H:%M} UTC"),
            ("Successor", successor),
            ("Brown-outs", ", ".join(shown) or "none"),
            ("Touched", touched),
        ],
        "action": f"/projects/{project}/retirement/announcements",
        "fields": {
            "version": typed.version,
            "successor": typed.successor,
            "sunset": typed.sunset,
            "brownouts": "yes" if typed.brownouts else "",
        },
        "verb": "Deprecate it",
        "dangerous": True,
    }


def _ask_to_announce(
    visit: Visit, typed: Typed, form: Form | None = None, error: AssentError | None = None
) -> Response:
    try:
        with visit.read() as reader:
            asked = _announcement(reader, visit.project, typed)
    except AssentError as unreadable:
        return show_page(visit, typed, error or unreadable)
    return _confirm(visit, asked, form, error)


@router.get("/announcements")
def ask_to_announce(
    visit: Deprecating, version: Text = "", successor: Text = "", sunset: Text = "", brownouts: Text = ""
) -> Response:
    """Ask whether an end is meant, with who is touched and when what happens."""
    return _ask_to_announce(
        visit, Typed(version.strip(), successor.strip(), sunset.strip(), brownouts=bool(brownouts))
    )


@router.post("/announcements")
def announce(visit: Deprecating, form: Posted) -> Response:
    """Announce it."""
    typed = Typed(
        form.text("version"),
        form.text("successor"),
        form.text("sunset"),
        brownouts=bool(form.text("brownouts")),
    )
    try:
        said = service.Announcement(
            sunset_at=day(typed.sunset, "The sunset"),
            reason=form.text("reason", limit=2000),
            successor=typed.successor or None,
            brownouts=None if typed.brownouts else [],
        )
        with visit.begin() as tx:
            service.deprecate(tx, registry.get_ref(tx, visit.project, typed.version), said)
    except AssentError as error:
        return _ask_to_announce(visit, typed, form, error)
    return see_other(f"/projects/{visit.project}/retirement")


@router.get("/{name}/{version}/reinstatement")
def ask_to_undo(visit: Deprecating, name: str, version: str) -> Response:
    """Ask whether the deprecation is to be taken back."""
    return _ask(visit, (name, version), UNDO)


@router.post("/{name}/{version}/reinstatement")
def undo(visit: Deprecating, name: str, version: str, form: Posted) -> Response:
    """Take it back."""
    return _do(visit, (name, version), UNDO, form)


@router.get("/{name}/{version}/waiver")
def ask_to_waive(visit: Waiving, name: str, version: str) -> Response:
    """Ask why dependents may be left, and for how long."""
    return _ask(visit, (name, version), WAIVE)


@router.post("/{name}/{version}/waiver")
def waive(visit: Waiving, name: str, version: str, form: Posted) -> Response:
    """Waive them."""
    return _do(visit, (name, version), WAIVE, form)


@router.get("/{name}/{version}/end")
def ask_to_retire(visit: Deprecating, name: str, version: str) -> Response:
    """Ask whether the version is to end for good."""
    return _ask(visit, (name, version), RETIRE)


@router.post("/{name}/{version}/end")
def retire(visit: Deprecating, name: str, version: str, form: Posted) -> Response:
    """Retire it."""
    return _do(visit, (name, version), RETIRE, form)
