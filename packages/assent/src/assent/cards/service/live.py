"""The sections that are read at the moment of reading and stand outside the card's digest."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from assent.approvals import service as approvals
from assent.cards.domain import Block, Facts, Grid, Live, Sentence, facts
from assent.cards.store import Card
from assent.delivery import service as delivery
from assent.delivery.domain import Rollout, plan_document
from assent.evidence import service as evidence
from assent.kernel.tx import Reader
from assent.ledger import service as ledger
from assent.monitoring import service as monitoring
from assent.providers import service as providers
from assent.registry import service as registry
from assent.registry.service import ModelVersion

LAST_S = 24 * 3600
MAX_LISTED = 50
WAIVERS = "waiver"
DEPRECATION, TAKEN_BACK = "deprecation", "undone"
"""The evidence that says when a version ends and what succeeds it; its state where that was taken back."""


def live_sections(reader: Reader, card: Card, version: ModelVersion) -> Live:
    """Draw sections 13 to 17 and 20 from the records as they are now."""
    rollouts, _ = delivery.list_(reader, card.project, {"subject": card.subject}, limit=MAX_LISTED)
    return {
        13: tuple(_monitoring(reader, card, rollouts)),
        14: tuple(_approvals(reader, card)),
        15: tuple(_rollouts(reader, card, rollouts)),
        16: tuple(_dependents(reader, card)),
        17: tuple(_deprecation(reader, version)),
        20: tuple(_ledger(reader, card)),
    }


def _monitoring(reader: Reader, card: Card, rollouts: list[Rollout]) -> Iterator[Block]:
    if rollouts:
        guards = plan_document(rollouts[0].plan).get("guards") or ()
        yield facts(guards_of_the_newest_rollout=[str(guard["metric"]) for guard in guards])
    figures = monitoring.live.by_version(reader, card.project, last_s=LAST_S, version=card.subject)
    if not figures:
        yield Sentence("No call was observed in the last 24 hours.")
        return
    rows = tuple(
        (
            one["environment"],
            f"{one['n_calls']}",
            _rate(one["errors"]),
            _rate(one["thumbs_down"]),
            _seconds(one["latency_s"]["p95"]),
        )
        for one in figures
    )
    yield Grid(("Environment", "Calls in 24 h", "Errors", "Thumbs-down", "Latency (p95)"), rows)


def _rate(found: Any) -> str:
    if found["rate"] is None:
        return "not recorded"
    low, high = found["interval"]["low"], found["interval"]["high"]
    return f"{found['rate']:.1%} ({low:.1%} to {high:.1%}, n = {found['n']})"


def _seconds(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.3g}s"


def _approvals(reader: Reader, card: Card) -> Iterator[Block]:
    """List decisions by what they decided; who voted stays inside."""
    requests = [
        request
        for subject in (card.subject, card.digest)
        for request in approvals.list_(reader, card.project, {"subject": subject}, limit=MAX_LISTED)[0]
    ]
    if not requests:
        yield Sentence("No approval was asked for.")
        return
    rows = tuple(
        (
            request.kind.value,
            request.environment or "-",
            request.state.value,
            _day(request.filed_at),
            _day(request.decided_at),
            request.policy_ref,
        )
        for request in sorted(requests, key=lambda one: one.id)
    )
    yield Grid(("What", "Environment", "State", "Filed", "Decided", "Policy"), rows)
    waived = evidence.list_(reader, card.project, card.subject, WAIVERS)
    yield Sentence(f"Waivers: {len(waived)}." if waived else "No waivers.")


def _rollouts(reader: Reader, card: Card, rollouts: list[Rollout]) -> Iterator[Block]:
    if not rollouts:
        yield Sentence("It has not been rolled out.")
    else:
        rows = tuple((one.environment, one.state.value, one.because or "-", one.id) for one in rollouts)
        yield Grid(("Environment", "State", "Because", "Rollout"), rows)
    found = [
        incident
        for one in rollouts
        for incident in monitoring.incidents.list_(reader, card.project, rollout=one.id, limit=MAX_LISTED)[0]
    ]
    if found:
        rows = tuple((i.id, monitoring.incidents.state_of(i), _day(i.opened_at), i.guard) for i in found)
        yield Grid(("Incident", "State", "Opened", "Guard"), rows)
    else:
        yield Sentence("No incidents.")


def _dependents(reader: Reader, card: Card) -> Iterator[Block]:
    serving = [
        (
            live.environment,
            "canary" if live.route.canary == card.subject else "stable",
            f"{live.route.share:g}",
        )
        for live in delivery.list_live(reader, card.project)
        if live.route.key == card.name and card.subject in {live.route.stable, live.route.canary}
    ]
    if serving:
        yield Grid(("Serves in", "As", "Share of the canary"), tuple(serving))
    else:
        yield Sentence("No environment serves it now.")
    _, edges = registry.lineage(reader, card.project, card.subject)
    if edges:
        rows = tuple((edge.kind.replace("_", " "), _ref(reader, card.project, edge.source)) for edge in edges)
        yield Grid(("Relation", "Version"), rows)


def _ref(reader: Reader, project: str, digest: str) -> str:
    found = registry.find_by_digest(reader, project, digest)
    return digest if found is None else found.ref


def _deprecation(reader: Reader, version: ModelVersion) -> Iterator[Block]:
    said = evidence.latest(reader, version.project, DEPRECATION, version.digest)
    told = said.value if said is not None and said.value.get("state") != TAKEN_BACK else {}
    sunset = str(told.get("sunset_at") or "")[:10] or None
    yield facts(status=str(version.status), sunset=sunset, successor=told.get("successor"))
    base_model = version.document.get("base_model")
    end = providers.end_of(reader, base_model) if base_model else None
    if end is not None and end.ends_on is not None:
        yield facts(base_model=base_model, its_provider_ends_it_on=f"{end.ends_on} ({end.source})")


def _ledger(reader: Reader, card: Card) -> Iterator[Block]:
    pairs = [("Digest of this card", card.digest), ("Digest of the version", card.subject)]
    if card.published_event is None:
        yield Facts((*pairs, ("Published", "no")))
        return
    leaf = ledger.leaf(reader, card.published_event)
    yield Facts(
        (
            *pairs,
            ("Published", _day(card.published_at)),
            ("Ledger leaf", f"{leaf.index} ({card.published_event})"),
            ("Leaf hash", "sha256:" + leaf.hash.hex()),
            ("Signature", "the signed checkpoint at /ledger/checkpoint covers this leaf"),
        )
    )


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d}"
