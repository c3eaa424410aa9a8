"""Ask for a vote on a card, and publish it once the vote approves it."""

from dataclasses import dataclass

from assent.approvals import service as approvals
from assent.cards import store
from assent.cards.domain import CardPublished, CardReturned, CardSubmitted, named
from assent.cards.service.drafting import document_of, draft, get, version_of
from assent.cards.store import Card
from assent.evidence import service as evidence
from assent.kernel.errors import Conflict, NotFound, Stale
from assent.kernel.tx import Reader, Tx

PUBLISHED = "card.published"
"""The kind of evidence that policies ask for: a published card of this very version, and what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVote:
    """A vote on a card. `digest` and `policy` are what the voter was shown; the policy may be left out."""

    project: str
    card: str
    digest: str
    verdict: str
    policy: str | None = None
    comment: str | None = None
    step_up_s: int = 600


def submit(tx: Tx, project: str, which: str) -> Card:
    """Bring a card up to date with the records, and ask for a vote on exactly that text.

    Raises: NotFound, Conflict (under review or published already).
    """
    card = get(tx, project, which)
    version = version_of(tx, project, card.id)
    card, _ = draft(tx, version, dict(document_of(tx, card)["declared"]))
    _expect_idle(tx, card)
    request = approvals.submit(
        tx,
        approvals.NewRequest(
            project=project,
            subject=card.digest,
            kind=approvals.Kind.CARD,
            about=card.subject,
            contributors=_writers(tx, card),
        ),
    )
    tx.record(
        CardSubmitted(
            card=card.id, project=project, subject=card.subject, digest=card.digest, request=request.id
        )
    )
    settle(tx, card.id)
    return get(tx, project, card.id)


def _expect_idle(tx: Tx, card: Card) -> None:
    if card.state == "published":
        raise Conflict(f"This card of {card.ref} is published.", remedy="Complete it with other text first.")
    other = store.newest(tx, card.project, card.subject, "submitted")
    if other is not None:
        raise Conflict(
            f"A card of {card.ref} is under review: revision {other.revision}.",
            remedy=f"Wait for the vote, or: assent card withdraw {card.ref}",
        )


def _writers(tx: Tx, card: Card) -> tuple[str, ...]:
    """Name everybody who wrote a revision of the card: none of them approves it."""
    found = store.select(tx, card.project, {"subject": card.subject}, None, limit=1000)
    return tuple(sorted({one.drafted_by for one in found}))


def request_of(reader: Reader, card: Card) -> approvals.Request:
    """Get the request that asks to publish a card. Raises: NotFound."""
    if card.request is None:
        raise NotFound(
            f"No vote was asked for on this card of {card.ref}.", remedy=f"assent card submit {card.ref}"
        )
    return approvals.get(reader, card.request, card.project)


def vote(tx: Tx, new: NewVote) -> Card:
    """Vote on a card; where that decides it, it is published or returned in the same transaction.

    Raises: NotFound, Invalid, Stale (another text was shown), Refused with every reason.
    """
    card = under_review(tx, new.project, new.card)
    request = request_of(tx, card)
    if new.digest != card.digest:
        raise Stale(
            f"You were shown the card {new.digest}; the one under review is {card.digest}.",
            remedy=f"Look at it again: assent card show {card.id}",
        )
    approvals.vote(
        tx,
        approvals.NewVote(
            request=request.id,
            project=new.project,
            subject=new.digest,
            policy=request.policy if new.policy is None else new.policy,
            verdict=new.verdict,
            comment=new.comment,
            step_up_s=new.step_up_s,
        ),
    )
    settle(tx, card.id)
    return get(tx, new.project, card.id)


def under_review(reader: Reader, project: str, which: str) -> Card:
    """Get the card under review, by its id or its version's `name@number`. Raises: NotFound, Conflict."""
    card = get(reader, project, which)
    found = store.newest(reader, project, card.subject, "submitted") if "@" in which else card
    if found is None or found.state != "submitted":
        raise Conflict(f"No card of {card.ref} is under review.", remedy=f"assent card submit {card.ref}")
    return found


def withdraw(tx: Tx, project: str, which: str) -> Card:
    """Take a card back from review. Raises: NotFound, Forbidden, Refused, Conflict."""
    card = under_review(tx, project, which)
    approvals.withdraw(tx, request_of(tx, card).id, project)
    settle(tx, card.id)
    return get(tx, project, card.id)


def settle(tx: Tx, card_id: str) -> bool:
    """Do what the request of a submitted card came to: publish it, return it, or wait; tells if it did.

    It may be called as often as one likes, whoever voted and wherever.
    """
    card = store.lock(tx, card_id)
    if card is None or card.state != "submitted":
        return False
    request = request_of(tx, card)
    if request.state is approvals.State.OPEN:
        return False
    if request.state in {approvals.State.APPROVED, approvals.State.EXECUTED}:
        if request.state is approvals.State.APPROVED:
            approvals.admit(tx, request.id)
        _publish(tx, card, request.id)
        return True
    tx.record(
        CardReturned(
            card=card.id,
            project=card.project,
            subject=card.subject,
            digest=card.digest,
            request=request.id,
            because=request.state.value,
        )
    )
    return True


def is_decided(reader: Reader, card: Card) -> bool:
    """Tell whether the request of a submitted card is no longer open."""
    return request_of(reader, card).state is not approvals.State.OPEN


def list_submitted(reader: Reader) -> list[Card]:
    """List the cards of all projects that are being voted on."""
    return store.submitted(reader)


def _publish(tx: Tx, card: Card, request: str) -> None:
    before = store.newest(tx, card.project, card.subject, "published")
    tx.record(
        CardPublished(
            card=card.id,
            project=card.project,
            name=card.name,
            number=card.number,
            subject=card.subject,
            digest=card.digest,
            request=request,
            replaces=None if before is None else before.id,
        )
    )
    evidence.record(
        tx,
        project=card.project,
        kind=PUBLISHED,
        subject=card.subject,
        value={
            "name": card.name,
            "card": card.digest,
            "number": card.number,
            "tier": card.tier,
            "complete": card.complete,
            "missing": [named(number) for number in card.missing],
        },
    )
