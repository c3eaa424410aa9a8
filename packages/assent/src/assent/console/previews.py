"""Who would get what, for a file of contexts: of a flag, and of what is live under a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.console.flags import address_of
from assent.console.visit import PageRoute, Visit, visits
from assent.delivery import service as delivery
from assent.flags import service as flags
from assent.flags.service import Subject
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Invalid
from assent.kernel.tx import Reader
from assent.web.forms import MAX_UPLOAD_BYTES, Form, posted_upload
from assent_client.contexts import read_contexts
from assent_client.decide import Decision

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}")
OfFlag = Annotated[Visit, visits(Permission.FLAG_READ)]
OfRoute = Annotated[Visit, visits(Permission.ROLLOUT_READ)]
Sent = Annotated[Form, Depends(posted_upload)]
SHOWN = 200
"""So many lines are shown; all of them are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked about; `named` says what a variant is called here, `crumbs` lead back."""

    name: str
    environment: str
    unit: str
    address: str
    back: str
    crumbs: Sequence[tuple[str, str]]
    named: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CountRow:
    """How many get a variant now, and would under what is proposed."""

    variant: str
    now: str
    then: str


@dataclass(frozen=True, slots=True)
class LineRow:
    """What one unit gets and why, and what it would get under what is proposed."""

    unit: str
    gets: str
    because: str
    then: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Who would get what."""

    n: int
    counts: Sequence[CountRow]
    lines: Sequence[LineRow]
    n_changed: int | None


Decided = tuple[Sequence[Decision], Sequence[Decision] | None]


def because(decision: Decision) -> str:
    """Say in words why a unit gets what it gets."""
    place = "" if decision.bucket is None else f"bucket {decision.bucket:,} of 1,000,000"
    return {
        "disabled": "it is switched off",
        "prerequisite": f"the flag {decision.rule} does not give what is asked of it",
        "rule": f"rule {decision.rule}",
        "rule_split": f"rule {decision.rule}, {place}",
        "pinned": f"its conversation began before the traffic moved, {place}",
        "static": "everybody gets it",
        "split": place,
    }[decision.reason]


def _answer(target: Target, subjects: Sequence[Subject], decided: Decided) -> Answer:
    now, then = decided
    counts, proposed = Counter(one.variant for one in now), Counter(one.variant for one in then or ())
    n = len(now)

    def told(k: int) -> str:
        return f"{k:,} ({100 * k / n:.3g} %)"

    def called(variant: str | None) -> str:
        return target.named.get(variant or "", variant or "nothing")

    rows = [
        CountRow(called(one), told(counts[one]), told(proposed[one]) if then is not None else "")
        for one in sorted({*counts, *proposed}, key=str)
    ]
    beside: Sequence[Decision | None] = then if then is not None else [None] * n
    lines = [
        LineRow(one.unit, called(a.variant), because(a), called(b.variant) if b is not None else "")
        for one, a, b in zip(subjects[:SHOWN], now, beside, strict=False)
    ]
    changed = None if then is None else sum(a.variant != b.variant for a, b in zip(now, then, strict=True))
    return Answer(n, rows, lines, changed)


def _show(
    visit: Visit,
    target: Target,
    answer: Answer | None = None,
    *,
    error: AssentError | None = None,
    text: str = "",
) -> Response:
    return visit.page(
        "preview.html",
        status=error.status if error else 200,
        target=target,
        answer=answer,
        errors=(error.reasons or (error,)) if error else (),
        text=text,
        most=f"{MAX_UPLOAD_BYTES:,} bytes, {flags.MAX_CONTEXTS:,} lines",
        shown=SHOWN,
    )


def _decided(
    visit: Visit, target: Target, form: Form, decide: Callable[[Sequence[Subject]], Decided]
) -> Response:
    """Show what is decided for those who were sent, or what is wrong with them."""
    text = form.fields.get("contexts", "")
    try:
        subjects = _subjects(form, target.unit)
        answer = _answer(target, subjects, decide(subjects))
    except AssentError as error:
        return _show(visit, target, error=error, text=text)
    return _show(visit, target, answer, text=text)


def _subjects(form: Form, unit: str) -> list[Subject]:
    """Read who is asked about: the file, else what was pasted. Raises: Invalid with each wrong line."""
    file, pasted = form.fields.get("file", ""), form.fields.get("contexts", "")
    text, source = (file, "the file") if file.strip() else (pasted, "the text")
    found = [Subject(**one) for one in read_contexts(text, unit, source)]
    if not found:
        raise Invalid("There is nobody to decide for.", remedy="Choose a file with contexts, or paste some.")
    return found


def _flag(visit: Visit, reader: Reader, environment: str, name: str) -> tuple[flags.Place, Target]:
    place = flags.Place(project=visit.project, environment=environment, name=name)
    address = address_of(visit.project, environment, name)
    target = Target(
        name=name,
        environment=environment,
        unit=flags.get(reader, place).flag.unit,
        address=f"{address}/preview",
        back=address,
        crumbs=[("Systems", "/"), ("Flags", f"/projects/{visit.project}/flags"), (name, address)],
        named={},
    )
    return place, target


@router.get("/flags/{environment}/{name}/preview")
def ask_flag(visit: OfFlag, environment: str, name: str) -> Response:
    """Ask for a file of contexts."""
    with visit.read() as reader:
        _, target = _flag(visit, reader, environment, name)
    return _show(visit, target)


@router.post("/flags/{environment}/{name}/preview")
def preview_flag(visit: OfFlag, environment: str, name: str, form: Sent) -> Response:
    """Show who gets what of a flag, and would under what waits for a second person; nothing is kept."""
    with visit.read() as reader:
        place, target = _flag(visit, reader, environment, name)

        def decide(subjects: Sequence[Subject]) -> Decided:
            found = flags.preview(reader, place, subjects, flags.proposed(reader, place))
            return found.now, found.then

        return _decided(visit, target, form, decide)


def _route(visit: Visit, reader: Reader, environment: str, name: str) -> tuple[delivery.Place, Target]:
    place = delivery.Place(project=visit.project, environment=environment, name=name)
    route = delivery.get_route(reader, place)
    versions = {"stable": route.stable, "canary": route.canary, "previous": route.previous}
    named = {
        variant: f"{variant}: {delivery.ref_of(reader, visit.project, digest)}"
        for variant, digest in versions.items()
        if digest is not None
    }
    back = f"/projects/{visit.project}/systems/{name}"
    target = Target(
        name=name,
        environment=environment,
        unit=route.unit,
        address=f"{back}/preview/{environment}",
        back=back,
        crumbs=[("Systems", "/"), (name, back)],
        named=named,
    )
    return place, target


@router.get("/systems/{name}/preview/{environment}")
def ask_route(visit: OfRoute, name: str, environment: str) -> Response:
    """Ask for a file of contexts."""
    with visit.read() as reader:
        _, target = _route(visit, reader, environment, name)
    return _show(visit, target)


@router.post("/systems/{name}/preview/{environment}")
def preview_route(visit: OfRoute, name: str, environment: str, form: Sent) -> Response:
    """Show who gets which version of what is live under a name; nothing is kept."""
    with visit.read() as reader:
        place, target = _route(visit, reader, environment, name)
        return _decided(visit, target, form, lambda who: (delivery.preview(reader, place, who), None))
