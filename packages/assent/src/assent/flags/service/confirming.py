"""A second person says yes, or somebody takes a proposal back."""

from __future__ import annotations

from dataclasses import dataclass

from assent.approvals.domain.requests import STEP_UP_S, sign_in_reasons
from assent.flags import store
from assent.flags.domain import events
from assent.flags.service import changing, segments
from assent.flags.service.places import Place, Stored, get, locked
from assent.kernel.errors import NotFound, Reason, Refused, Stale
from assent.kernel.tx import Reader, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """That a second person wants it too; `body`: the digest of the document that they saw."""

    place: Place
    body: str
    step_up_s: int = STEP_UP_S


def confirm(tx: Tx, wanted: Confirmation) -> Stored:
    """Do what somebody else proposed. Raises: NotFound, Stale (something else is proposed), Refused."""
    before, held = _held(tx, wanted.place)
    if held.body != wanted.body:
        raise Stale("Something else is proposed by now.", remedy="Look at it, then confirm what you saw.")
    reasons = confirming_reasons(tx, held) + _sign_in(tx, wanted.step_up_s)
    if reasons:
        raise Refused("The change is not confirmed.", reasons=reasons)
    record = changing.record_confirmed if wanted.place.kind == store.FLAG else segments.record_confirmed
    record(tx, before, held)
    return get(tx, wanted.place)


def _sign_in(tx: Tx, step_up_s: int) -> list[Reason]:
    return sign_in_reasons("the confirmation of a change", tx.actor.auth_at, tx.now(), step_up_s)


def withdraw(tx: Tx, place: Place) -> Stored:
    """Take a proposal back, one's own or another's. Raises: NotFound."""
    _, held = _held(tx, place)
    tx.record(events.ProposalWithdrawn(**place.key, body=held.body))
    return get(tx, place)


def confirming_reasons(tx: Tx, held: store.Proposal) -> list[Reason]:
    """Say why the caller cannot be the second person, if they cannot."""
    if tx.actor.kind != "person":
        return [Reason("service_account", "Service accounts do not confirm a change.", "Ask a person.")]
    return same_person() if tx.actor.id == held.proposed_by else []


def same_person() -> list[Reason]:
    """Say that who proposed something does not confirm it."""
    return [Reason("same_person", "You proposed it yourself.", "Ask a colleague.", "the proposer", "another")]


def list_proposals(reader: Reader, project: str) -> list[store.Proposal]:
    """List what waits for a second person in a project."""
    return store.list_proposals(reader.conn, {"project": project})


def _held(tx: Tx, place: Place) -> tuple[Stored, store.Proposal]:
    before = locked(tx, place)
    held = store.find_proposal(tx.conn, place.key, lock=True)
    if held is None:
        raise NotFound(
            f"Nothing is proposed for {place.name} in {place.environment}.",
            remedy=f"`assent flag show {place.name} --env {place.environment}` shows how it is.",
        )
    return before, held
