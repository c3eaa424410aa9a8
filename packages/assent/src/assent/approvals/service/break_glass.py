"""Break-glass: release before the policy is fulfilled, second it, end it, review it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from assent.approvals import store
from assent.approvals.domain.break_glass import (
    LIFE,
    LONGEST_LIFE,
    REVIEW_WITHIN,
    SECOND_WITHIN,
    BreakGlass,
    Finding,
    Outcome,
    debt_reasons,
    opening_reasons,
    review_reasons,
    seconding_reasons,
)
from assent.approvals.domain.events import (
    BreakGlassEnded,
    BreakGlassOpened,
    BreakGlassReviewed,
    BreakGlassSeconded,
)
from assent.approvals.domain.requests import STEP_UP_S, Kind, Request, closed_reasons, sign_in_reasons
from assent.approvals.service import requests as asked
from assent.approvals.service.assessing import assess_request, keep_results
from assent.approvals.service.requests import Decision
from assent.approvals.service.texts import comment_text, keep_text, needed_text
from assent.approvals.store.break_glass import break_glass
from assent.kernel.errors import Invalid, NotFound, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx

BREAK_GLASS = "break_glass"
MAX_INCIDENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """Why a release cannot wait for its policy, and for how long it goes out.

    `incident`: where the emergency is kept, such as an id or a link. `step_up_s`: how old a sign-in may be.
    """

    request: str
    project: str
    reason: str
    incident: str
    life: timedelta = LIFE
    step_up_s: int = STEP_UP_S


def open_break_glass(tx: Tx, emergency: Emergency) -> Decision:
    """Admit what a request asks for before its policy is fulfilled; the request stays open to votes.

    Raises: NotFound, Invalid, Refused with every reason.
    """
    request = asked.get(tx, emergency.request, emergency.project, lock=True)
    reason = _kept_reason(tx, emergency)
    reasons = [*_request_reasons(tx, request), *_opening_reasons(tx, request, emergency)]
    if reasons:
        raise Refused(f"{request.ref} does not go out by break-glass.", reasons=reasons)
    now = tx.now()
    event = BreakGlassOpened(
        break_glass=new_id("bg"),
        request=request.id,
        project=request.project,
        environment=request.environment or "",
        subject=request.subject,
        ref=request.ref,
        name=request.name,
        plan=request.plan,
        policy=request.policy,
        policy_ref=request.policy_ref,
        nonce=request.nonce,
        reason=reason,
        assessment=keep_results(tx, assess_request(tx, request).results),
        second_by=min(now + SECOND_WITHIN, now + emergency.life),
        ends_at=now + emergency.life,
        review_by=now + REVIEW_WITHIN,
    )
    recorded = tx.record(event)
    return Decision(event=recorded.id, request=request.id, effect="approved", kind=BREAK_GLASS)


def second_break_glass(tx: Tx, which: str, project: str, step_up_s: int = STEP_UP_S) -> BreakGlass:
    """Stand by it as a second person. Raises: NotFound, Refused with every reason."""
    held = get_break_glass(tx, which, project, lock=True)
    is_person = tx.actor.kind == "person"
    reasons = seconding_reasons(held, tx.actor.id, tx.now(), is_person=is_person)
    reasons += _sign_in(tx, "the second signature of a break-glass", step_up_s)
    if reasons:
        raise Refused("You cannot second it.", reasons=reasons)
    tx.record(BreakGlassSeconded(**_place(held)))
    return get_break_glass(tx, which)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReview:
    """What somebody who had no part in it finds."""

    break_glass: str
    project: str
    finding: str
    text: str
    step_up_s: int = STEP_UP_S


def review_break_glass(tx: Tx, new: NewReview) -> BreakGlass:
    """Look back on it; this pays the debt. Raises: NotFound, Invalid, Refused with every reason."""
    held = get_break_glass(tx, new.break_glass, new.project, lock=True)
    if new.finding not in set(Finding):
        raise Invalid(f"{new.finding!r} is no finding.", remedy="Say justified or unjustified.")
    text = needed_text(tx, new.text, "A review")
    contributors = asked.get(tx, held.request).contributors
    reasons = review_reasons(held, tx.actor.id, contributors, is_person=tx.actor.kind == "person")
    reasons += _sign_in(tx, "the review of a break-glass", new.step_up_s)
    if reasons:
        raise Refused("Your review does not count.", reasons=reasons)
    tx.record(BreakGlassReviewed(finding=new.finding, review=text, **_place(held)))
    return get_break_glass(tx, held.id)


def end_break_glass(tx: Tx, held: BreakGlass, outcome: Outcome) -> None:
    """Record that it admits nothing any more; delivery has changed the route in this transaction."""
    tx.record(BreakGlassEnded(outcome=outcome.value, **_place(held)))


def get_break_glass(
    reader: Reader, which: str, project: str | None = None, *, lock: bool = False
) -> BreakGlass:
    """Get one, of a project if one is named. Raises: NotFound."""
    found = store.find_break_glass(reader.conn, which, lock=lock)
    if found is None or project not in {None, found.project}:
        raise NotFound(f"There is no break-glass {which!r}.", remedy="`assent breakglass list` shows them.")
    return found


def list_break_glass(
    reader: Reader, project: str, where: Mapping[str, Any], before: str | None = None, limit: int = 50
) -> tuple[list[BreakGlass], str | None]:
    """List a page, newest first, and where the next begins.

    `where`: name, environment, request; open and owed (not reviewed), where true.
    """
    c = break_glass.c
    conditions: list[sa.ColumnElement[bool]] = [c.project == project]
    conditions += [c[name] == where[name] for name in ("name", "environment", "request") if where.get(name)]
    conditions += [c.outcome.is_(None)] if where.get("open") else []
    conditions += [c.reviewed_at.is_(None)] if where.get("owed") else []
    conditions += [] if before is None else [c.id < before]
    found = store.select_break_glass(reader.conn, *conditions, limit=limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def list_open_break_glass(reader: Reader) -> list[BreakGlass]:
    """List those of all projects that admit something now."""
    return store.select_break_glass(reader.conn, break_glass.c.outcome.is_(None))


def debts(reader: Reader, project: str, name: str) -> list[Reason]:
    """Say which reviews of a system are overdue."""
    return debt_reasons(unreviewed(reader, project, name), reader.now())


def unreviewed(reader: Reader, project: str, name: str) -> list[BreakGlass]:
    """List what nobody has reviewed of a system."""
    c = break_glass.c
    return store.select_break_glass(
        reader.conn, c.project == project, c.name == name, c.reviewed_at.is_(None)
    )


def break_glass_text(reader: Reader, digest: str | None) -> str | None:
    """Give the text of a reason or a review; None where there is none or it was erased."""
    return comment_text(reader, digest)


def _kept_reason(tx: Tx, emergency: Emergency) -> str:
    incident = emergency.incident.strip()
    mistakes = []
    if not emergency.reason.strip():
        mistakes.append(Reason("reason", "It needs a reason.", "Say why it cannot wait: --reason TEXT."))
    if not incident or len(incident) > MAX_INCIDENT:
        text = f"It needs an incident of 1 to {MAX_INCIDENT} characters."
        mistakes.append(Reason("incident", text, "Name the incident or ticket: --incident REF."))
    if not timedelta() < emergency.life <= LONGEST_LIFE:
        hours = LONGEST_LIFE // timedelta(hours=1)
        mistakes.append(Reason("hours", f"It lasts more than 0 and at most {hours} hours.", "Ask for less."))
    if mistakes:
        raise Invalid("A break-glass is not opened like this.", reasons=mistakes)
    return keep_text(tx, f"{emergency.reason.strip()}\n\nIncident: {incident}")


def _request_reasons(reader: Reader, request: Request) -> list[Reason]:
    reasons = closed_reasons(request, reader.now())
    if request.kind is not Kind.RELEASE:
        reasons.append(Reason("kind", "A card is never published in an emergency.", "Let it be voted on."))
    return reasons


def _opening_reasons(tx: Tx, request: Request, emergency: Emergency) -> list[Reason]:
    c = break_glass.c
    used = store.select_break_glass(
        tx.conn,
        c.project == request.project,
        c.name == request.name,
        c.outcome.is_(None) | c.reviewed_at.is_(None),
    )
    reasons = opening_reasons(
        used,
        tx.now(),
        environment=request.environment or "",
        tier=request.tier,
        is_person=tx.actor.kind == "person",
    )
    return reasons + _sign_in(tx, "break-glass", emergency.step_up_s)


def _sign_in(tx: Tx, what: str, step_up_s: int) -> list[Reason]:
    if tx.actor.kind != "person":
        return []
    return sign_in_reasons(what, tx.actor.auth_at, tx.now(), step_up_s)


def _place(held: BreakGlass) -> dict[str, Any]:
    return {
        "break_glass": held.id,
        "request": held.request,
        "project": held.project,
        "environment": held.environment,
        "subject": held.subject,
    }
