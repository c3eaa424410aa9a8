"""Changing flags: at once where nobody gets more, by two people where a protected environment gives more."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from assent.flags import store
from assent.flags.domain import (
    Flag,
    asking_reasons,
    check_environment,
    decides_alike,
    events,
    flag_document,
    flag_of,
    grows,
    named_by,
    read_flag,
    switched,
)
from assent.flags.service.places import (
    Place,
    Stored,
    body_of,
    flags_of,
    get,
    lock_environment,
    locked,
    segments_of,
)
from assent.identity import service as identity
from assent.kernel.canonical import canonical, digest
from assent.kernel.errors import Conflict, NotFound, Reason, Refused
from assent.kernel.reasons import keep_reason, needed_reason
from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.registry import service as registry
from assent.web.api import checked_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What somebody wants a flag to be: the fields of its document that change, and why."""

    place: Place
    form: Mapping[str, Any]
    reason: str | None = None


def create(tx: Tx, change: Change) -> Stored:
    """Make a flag; in a protected environment it is off until a second person confirms what it exposes.

    Raises: Invalid with every fault, NotFound, Conflict (the name is taken).
    """
    place = change.place
    checked_name(place.name, "flag")
    lock_environment(tx, place)
    known = store.find(tx.conn, place.key)
    if known is not None and not known.archived:
        raise Conflict(
            f"{place.environment} has a flag {place.name} already.", remedy="Change it: assent flag set."
        )
    _expect_free(tx, place)
    wanted = read_flag(change.form, secrets.token_hex(16))
    check_environment({**flags_of(tx, place), place.name: wanted}, segments_of(tx, place))
    waits = _is_protected(tx, place) and wanted.is_exposing
    kept = _reason(tx, change.reason, needed=waits)
    first = switched(wanted, enabled=False) if waits else wanted
    if known is None:
        tx.record(events.FlagCreated(**_defined(tx, place, first, 1)), reason=kept)
    else:
        fields = _defined(tx, place, first, known.generation + 1)
        tx.record(events.FlagChanged(**fields, how="create", grows=not waits, proposed_by=None), reason=kept)
    if waits:
        _propose(tx, get(tx, place), wanted, "create", kept)
    return get(tx, place)


def change(tx: Tx, wanted: Change, how: str = "change") -> Stored:
    """Change a flag, or propose the change. The result says by its `proposal` which it was.

    Raises: Invalid with every fault, NotFound, Stale.
    """
    before = locked(tx, wanted.place)
    after = read_flag(wanted.form, before.flag.salt, before.flag)
    return _apply(tx, before, after, how, wanted.reason)


def switch_on(tx: Tx, place: Place, reason: str | None) -> Stored:
    """Let a flag decide again. Raises: Invalid, NotFound, Stale, Conflict."""
    before = locked(tx, place)
    if before.flag.enabled:
        raise Conflict(f"{place.name} is switched on already.")
    return _apply(tx, before, switched(before.flag, enabled=True), "on", reason)


def switch_off(tx: Tx, place: Place, reason: str | None) -> Stored:
    """Give everybody the off variant, at once. Raises: Invalid, NotFound, Stale, Conflict."""
    kept = needed_reason(tx, reason, "Switching off")
    before = locked(tx, place)
    if not before.flag.enabled:
        raise Conflict(f"{place.name} is switched off already.")
    _record(tx, before, switched(before.flag, enabled=False), _Move("off", kept))
    return get(tx, place)


def restore(tx: Tx, place: Place, generation: int, reason: str | None) -> Stored:
    """Go back to what a flag was, as a new generation. Raises: Invalid, NotFound, Stale."""
    before = locked(tx, place)
    old = store.find_generation(tx.conn, place.key, generation)
    if old is None or generation == before.row.generation:
        raise NotFound(
            f"{place.name} has no generation {generation} to go back to.",
            remedy=f"`assent flag history {place.name} --env {place.environment}` lists them.",
        )
    after = replace(flag_of(body_of(tx, old.body)), salt=before.flag.salt)
    return _apply(tx, before, after, "restore", reason)


def archive(tx: Tx, place: Place, reason: str | None) -> None:
    """Remove a flag that gives all the off variant. Raises: Invalid, NotFound, Stale, Refused."""
    kept = needed_reason(tx, reason, "Archiving")
    before = locked(tx, place)
    reasons = []
    if before.flag.is_exposing:
        reasons.append(
            Reason("exposing", "It still gives other variants than the off one.", "Switch it off first.")
        )
    asking = named_by(place.name, flags_of(tx, place))
    if asking:
        reasons.append(
            Reason("needed", f"Other flags ask for it: {', '.join(asking)}.", "Change them first.")
        )
    if reasons:
        raise Refused(f"{place.name} is not archived.", reasons=reasons)
    tx.record(events.FlagArchived(**_defined(tx, place, before.flag, before.row.generation + 1)), reason=kept)


def compare(reader: Reader, place: Place, form: Mapping[str, Any]) -> tuple[Flag, bool]:
    """Read a change without making it; gives the flag and whether somebody may get more.

    Raises: Invalid with every fault, NotFound.
    """
    before = get(reader, place)
    after = read_flag(form, before.flag.salt, before.flag)
    check_environment({**flags_of(reader, place), place.name: after}, segments_of(reader, place))
    return after, _grows(reader, before, after)


def find(reader: Reader, project: str, environment: str, name: str) -> Stored | None:
    """Find a flag by its name."""
    try:
        return get(reader, Place(project=project, environment=environment, name=name))
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class _Move:
    how: str
    reason: str | None
    grows: bool = False
    proposed_by: str | None = None


def _apply(tx: Tx, before: Stored, after: Flag, how: str, reason: str | None) -> Stored:
    place = _place(before)
    check_environment({**flags_of(tx, place), place.name: after}, segments_of(tx, place))
    if flag_document(after) == before.document:
        return before
    more = _grows(tx, before, after)
    waits = more and _is_protected(tx, place)
    kept = _reason(tx, reason, needed=waits)
    if waits:
        _propose(tx, before, after, how, kept)
    else:
        _record(tx, before, after, _Move(how, kept, grows=more))
    return get(tx, place)


def _grows(reader: Reader, before: Stored, after: Flag) -> bool:
    if decides_alike(before.flag, after):
        return False
    return grows(before.flag, after) or bool(
        asking_reasons(before.row.name, flags_of(reader, _place(before)))
    )


def record_confirmed(tx: Tx, before: Stored, proposal: store.Proposal) -> None:
    """Make what was proposed so, in the name of whoever confirms it."""
    after = flag_of(body_of(tx, proposal.body))
    place = _place(before)
    check_environment({**flags_of(tx, place), place.name: after}, segments_of(tx, place))
    move = _Move(proposal.how, proposal.reason, grows=True, proposed_by=proposal.proposed_by)
    _record(tx, before, after, move)


def _record(tx: Tx, before: Stored, after: Flag, move: _Move) -> None:
    fields = _defined(tx, _place(before), after, before.row.generation + 1)
    changed = events.FlagChanged(**fields, how=move.how, grows=move.grows, proposed_by=move.proposed_by)
    tx.record(changed, reason=move.reason)


def _propose(tx: Tx, before: Stored, after: Flag, how: str, kept: str | None) -> None:
    document = flag_document(after)
    held = before.proposal
    if held is not None and (held.body, held.proposed_by) == (digest(document), tx.actor.id):
        return
    fields = _defined(tx, _place(before), after, before.row.generation)
    tx.record(events.FlagProposed(**fields, how=how), reason=kept)


def _defined(tx: Tx, place: Place, flag: Flag, generation: int) -> dict[str, Any]:
    return {
        "project": place.project,
        "environment": place.environment,
        "name": place.name,
        "body": tx.blobs.put(canonical(flag_document(flag))),
        "generation": generation,
        "enabled": flag.enabled,
    }


def _place(stored: Stored) -> Place:
    return Place(project=stored.row.project, environment=stored.row.environment, name=stored.row.name)


def _is_protected(reader: Reader, place: Place) -> bool:
    return identity.get_environment(reader, place.project, place.environment).protected


def _reason(tx: Tx, text: str | None, *, needed: bool) -> str | None:
    if needed:
        return needed_reason(tx, text, "A change that gives more in a protected environment")
    return keep_reason(tx, text)


def _expect_free(reader: Reader, place: Place) -> None:
    """Check that no model or prompt has the name. Raises: Conflict."""
    for noun, look in (("model", registry.get), ("prompt", prompts.get)):
        try:
            look(reader, place.project, place.name)
        except NotFound:
            continue
        raise Conflict(
            f"{place.name} is the name of a {noun} of this project.",
            remedy="Take another name: an environment has one route for a name.",
        )
