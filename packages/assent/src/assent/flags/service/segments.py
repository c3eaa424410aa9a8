"""Segments: conditions with a name, shared by the flags of an environment."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from assent.flags import store
from assent.flags.domain import check_environment, events, read_segment, using_segment
from assent.flags.service.places import (
    Place,
    Stored,
    body_of,
    expect_generation,
    flags_of,
    get,
    lock_environment,
    segments_of,
)
from assent.identity import service as identity
from assent.kernel.canonical import canonical
from assent.kernel.reasons import keep_reason, needed_reason
from assent.kernel.tx import Tx
from assent.web.api import checked_name


def set_segment(tx: Tx, place: Place, form: Mapping[str, Any], reason: str | None) -> Stored:
    """Make or change a segment; one that flags of a protected environment ask for takes a second person.

    Raises: Invalid with every fault, NotFound, Stale.
    """
    checked_name(place.name, "segment")
    lock_environment(tx, place)
    row = store.find(tx.conn, place.key, lock=True)
    expect_generation(place, row.generation if row else 0)
    before = get(tx, place) if row else None
    flags = flags_of(tx, place)
    units = {flag.unit for flag in flags.values()}
    document = read_segment(form, secrets.token_hex(16), units, before.document if before else None)
    check_environment(flags, {**segments_of(tx, place), place.name: document})
    if before is not None and document == before.document:
        return before
    protected = identity.get_environment(tx, place.project, place.environment).protected
    fields = _defined(tx, place, document, (row.generation if row else 0) + 1)
    if before is not None and protected and using_segment(place.name, flags):
        kept = needed_reason(tx, reason, "A change of a segment that a protected environment uses")
        tx.record(events.SegmentProposed(**{**fields, "generation": before.row.generation}), reason=kept)
    else:
        tx.record(events.SegmentSet(**fields, proposed_by=None), reason=keep_reason(tx, reason))
    return get(tx, place)


def record_confirmed(tx: Tx, before: Stored, proposal: store.Proposal) -> None:
    """Make what was proposed so, in the name of whoever confirms it."""
    row = before.row
    place = Place(project=row.project, environment=row.environment, name=row.name, kind=store.SEGMENT)
    document = body_of(tx, proposal.body)
    check_environment(flags_of(tx, place), {**segments_of(tx, place), place.name: document})
    fields = _defined(tx, place, document, row.generation + 1)
    tx.record(events.SegmentSet(**fields, proposed_by=proposal.proposed_by), reason=proposal.reason)


def _defined(tx: Tx, place: Place, document: Mapping[str, Any], generation: int) -> dict[str, Any]:
    return {
        "project": place.project,
        "environment": place.environment,
        "name": place.name,
        "body": tx.blobs.put(canonical(document)),
        "generation": generation,
        "enabled": True,
    }
