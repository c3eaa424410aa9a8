"""What waits for the visitor, what moves and what is wrong, in one project."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from assent.approvals import service as approvals
from assent.console.refs import rollout_link
from assent.console.system import rollout_text
from assent.delivery import service as delivery
from assent.delivery.domain import OPEN, Rollout, State
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.monitoring import service as monitoring

N_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that somebody should look at; `state` is its status."""

    state: str
    text: str
    address: str
    at: datetime
    project: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks, and what they may do in the project."""

    person: str
    allowed: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class Desk:
    """The three lists."""

    waits: Sequence[Item]
    moves: Sequence[Item]
    wrong: Sequence[Item]


def desk(reader: Reader, project: str, visitor: Visitor) -> Desk:
    """Gather them; at most 20 of each kind."""
    rollouts: list[Rollout] = []
    if Permission.ROLLOUT_READ in visitor.allowed:
        rollouts, _ = delivery.list_(reader, project, {"state": sorted(OPEN)}, limit=N_SHOWN)
    return Desk(
        waits=[
            *_votes(reader, project, visitor),
            *_second_persons(reader, project, visitor),
            *_memberships(reader, project, visitor),
        ]
        + [item for one in rollouts for item in _decisions(reader, one, visitor)],
        moves=[_rollout(reader, one) for one in rollouts],
        wrong=[*_incidents(reader, project, visitor), *_debts(reader, project, visitor)],
    )


def _votes(reader: Reader, project: str, visitor: Visitor) -> Iterator[Item]:
    """Give the open requests on which the visitor's vote would count and is not there."""
    if Permission.REQUEST_VOTE not in visitor.allowed:
        return
    found, _ = approvals.list_(reader, project, {"state": [approvals.State.OPEN.value]}, limit=N_SHOWN)
    for one in found:
        voted = any(v.voter == visitor.person and v.counts for v in approvals.list_votes(reader, one.id))
        if voted or approvals.vote_reasons(reader, one.id, visitor.person):
            continue
        what = f"{one.ref} for {one.environment}" if one.environment else f"the card of {one.ref}"
        yield Item("open", f"Vote on {what}", f"/projects/{project}/requests/{one.id}", one.filed_at, project)


def _second_persons(reader: Reader, project: str, visitor: Visitor) -> Iterator[Item]:
    """Give what takes a second person who is the visitor: break-glass, reviews of it, policies."""
    if Permission.BREAK_GLASS_SECOND in visitor.allowed:
        for one in approvals.list_break_glass(reader, project, {"open": True}, limit=N_SHOWN)[0]:
            if one.seconded_by is None and one.opened_by != visitor.person:
                yield _glass(one, "break_glass", f"Second the break-glass for {one.ref}", one.opened_at)
    if Permission.BREAK_GLASS_REVIEW in visitor.allowed:
        for one in approvals.list_break_glass(reader, project, {"owed": True}, limit=N_SHOWN)[0]:
            if visitor.person not in {one.opened_by, one.seconded_by}:
                state = "overdue" if one.owes(reader.now()) else "open"
                yield _glass(one, state, f"Review the break-glass for {one.ref}", one.opened_at)
    if Permission.POLICY_CONFIRM in visitor.allowed:
        for environment in identity.list_environments(reader, project):
            held = approvals.find_proposal(reader, project, environment.name)
            if held is not None and held.proposed_by != visitor.person:
                text = f"Confirm the policy {held.policy_ref} for {held.environment}"
                yield Item("open", text, f"/projects/{project}/policies", held.proposed_at, project)


def _memberships(reader: Reader, project: str, visitor: Visitor) -> Iterator[Item]:
    """Give the changes of groups that the visitor can confirm."""
    if Permission.MEMBER_CONFIRM not in visitor.allowed:
        return
    for one in identity.list_changes(reader, project)[:N_SHOWN]:
        if one.asked_by != visitor.person:
            who, verb = identity.name_of(reader, one.person), "joins" if one.verb == "add" else "leaves"
            text = f"Confirm that {who} {verb} {one.group}"
            yield Item("open", text, f"/projects/{project}/people", one.asked_at, project)


def _decisions(reader: Reader, rollout: Rollout, visitor: Visitor) -> Iterator[Item]:
    """Give a rollout that stands still until the visitor decides."""
    if rollout.state is State.PAUSED and Permission.ROLLOUT_PROMOTE in visitor.allowed:
        yield _rollout(reader, rollout, "Decide on ")


def _rollout(reader: Reader, rollout: Rollout, verb: str = "") -> Item:
    link = rollout_link(rollout.project, rollout.id, rollout_text(rollout))
    row = delivery.get_row(reader, rollout.id)
    at = row["started_at"] or row["planned_at"]
    return Item(rollout.state.value, f"{verb}{rollout.name}@{link.text}", link.address, at, rollout.project)


def _incidents(reader: Reader, project: str, visitor: Visitor) -> Iterator[Item]:
    if Permission.MONITORING_READ not in visitor.allowed:
        return
    found, _ = monitoring.incidents.list_(reader, project)
    for one in found[:N_SHOWN]:
        if one.resolved_at is None:
            what = (one.guard or "").replace("_", " ").capitalize() or "Incident"
            text = (
                f"{what} of {one.route} in {one.environment}" if one.route else f"{what} in {one.environment}"
            )
            yield Item("open", text, f"/projects/{project}/incidents/{one.id}", one.opened_at, project)


def _debts(reader: Reader, project: str, visitor: Visitor) -> Iterator[Item]:
    if Permission.REQUEST_READ not in visitor.allowed:
        return
    for one in approvals.list_break_glass(reader, project, {"owed": True}, limit=N_SHOWN)[0]:
        if one.owes(reader.now()):
            text = f"The break-glass for {one.ref} is not reviewed: nothing more of it goes out"
            yield _glass(one, "overdue", text, one.review_by)


def _glass(one: approvals.BreakGlass, state: str, text: str, at: datetime) -> Item:
    return Item(state, text, f"/projects/{one.project}/requests/{one.request}#break-glass", at, one.project)
