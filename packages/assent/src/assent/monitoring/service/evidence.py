"""Computing a verdict again from the closed blocks, to the bit."""

from dataclasses import dataclass
from typing import Any

from assent.delivery import service as delivery
from assent.kernel.canonical import digest
from assent.kernel.tx import Reader
from assent.monitoring.domain import state as states
from assent.monitoring.domain.events import block_document, counts_document
from assent.monitoring.domain.state import Terms, Watched
from assent.monitoring.domain.verdict import threshold
from assent.monitoring.service.looking import figure_document, guard_figures
from assent.monitoring.store import blocks as store
from assent.monitoring.store import incidents


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the blocks of a rollout say when they are read anew, and whether that is what was recorded."""

    rollout: str
    n_blocks: int
    terms: Terms
    watched: Watched
    total: str | None
    failed_at: int | None  # the first block after which the evidence reached the threshold
    wrong_digests: tuple[int, ...]
    incident: str | None
    matches: bool  # digests hold, and an incident's figures come out the same to the last digit


def replay(reader: Reader, project: str, rollout: str) -> Evidence:
    """Compute a rollout's evidence again from its first block on. Raises: NotFound."""
    found = delivery.get(reader, rollout, project)
    terms = states.terms_of(found.plan)
    opened = incidents.list_(reader.conn, project, rollout, None, 50)
    incident = next((one for one in opened if one.guard is not None), None)
    watched = states.begin(terms)
    failed_at: int | None = None
    agrees = incident is None
    wrong = []
    closed = store.closed_blocks(reader.conn, rollout)
    for block in closed:
        if digest(block_document(block.guards, block.amounts)) != block.digest:
            wrong.append(block.block)
        watched = states.take(watched, block.guards)
        weighed = states.weighing(watched, terms)
        if failed_at is None and weighed is not None and weighed.total >= threshold(terms.alpha):
            failed_at = block.block
        if incident is not None and block.block == incident.last_block and weighed is not None:
            figures = [figure_document(guard) for guard in guard_figures(watched, terms)]
            agrees = str(weighed.total) == incident.total and figures == incident.guards
    weighed = states.weighing(watched, terms)
    return Evidence(
        rollout=rollout,
        n_blocks=len(closed),
        terms=terms,
        watched=watched,
        total=str(weighed.total) if weighed else None,
        failed_at=failed_at,
        wrong_digests=tuple(wrong),
        incident=incident.id if incident is not None else None,
        matches=agrees and not wrong,
    )


def evidence_document(reader: Reader, evidence: Evidence) -> dict[str, Any]:
    """Write evidence with the blocks that it was computed from."""
    return {
        "rollout": evidence.rollout,
        "n_blocks": evidence.n_blocks,
        "alpha": evidence.terms.alpha,
        "threshold": f"{threshold(evidence.terms.alpha):f}",
        "total": evidence.total,
        "failed_at_block": evidence.failed_at,
        "guards": [figure_document(g) for g in guard_figures(evidence.watched, evidence.terms)],
        "incident": evidence.incident,
        "wrong_digests": list(evidence.wrong_digests),
        "matches": evidence.matches,
        "blocks": [
            {
                "block": block.block,
                "digest": block.digest,
                "event": block.event,
                "guards": counts_document(block.guards),
            }
            for block in store.closed_blocks(reader.conn, evidence.rollout)
        ],
    }
