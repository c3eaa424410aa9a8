"""Samples: taken in sealed, opened by people on record, erased in their time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.delivery.service import Sampling
from assent.identity import service as identity
from assent.kernel.errors import Gone, NotFound, Unavailable
from assent.kernel.reasons import needed_reason
from assent.kernel.sealing import box_key
from assent.kernel.tx import Reader, Tx
from assent.monitoring.domain.quality import WAITS_S, State
from assent.monitoring.domain.quality_events import SampleOpened
from assent.monitoring.service.batch import Rejection, Sample
from assent.monitoring.store import samples as store
from assent.monitoring.store.samples import Place
from assent_client.sealed import open_sealed

ROWS_KEPT_S = 90 * 86_400.0
"""How long it is kept how an answer was judged; its contents go sooner."""


class Contents(msgspec.Struct, frozen=True):
    """What a sample holds: question and answer, redacted and cut."""

    question: str
    answer: str


_read_contents = msgspec.json.Decoder(Contents).decode


def take(tx: Tx, project: str, given: Sequence[tuple[int, Sample]]) -> tuple[int, list[Rejection]]:
    """Keep samples; those of names that are not sampled (any more) are refused, and nothing of them is kept.

    Gives how many were kept, and the others.
    """
    if not given:
        return 0, []
    wanted = {
        (one.environment, one.name) for one in delivery.list_samplings(tx, project) if one.wanted.enabled
    }
    rows, sealed, refused = [], {}, []
    for index, one in given:
        if (one.environment, one.route) not in wanted:
            refused.append(Rejection(index, f"{one.route} is not sampled in {one.environment}"))
            continue
        rows.append(_row(project, one))
        sealed[one.id] = one.sealed
    return store.add(tx.conn, rows, sealed), refused


def _row(project: str, one: Sample) -> dict[str, Any]:
    names = ("id", "environment", "route", "variant", "version", "rule", "reason", "rollout", "unit")
    return {
        "project": project,
        **{name: getattr(one, name) for name in names},
        "completion": one.completion_id,
        "at": one.at.timestamp(),
        "n_redacted": one.n_redacted,
        "is_cut": one.is_cut,
        "state": State.WAITING.value,
        "attempts": 0,
        "next_at": 0.0,
    }


def place_of(sampling: Sampling) -> Place:
    """Give where a sampling is."""
    return Place(sampling.project, sampling.environment, sampling.name)


def contents_of(secret: bytes, sample: str, sealed: str) -> Contents:
    """Open the contents of a sample. Raises: Unavailable where the key is another one, or it was changed."""
    try:
        return _read_contents(open_sealed(box_key(secret, delivery.SEALED_FOR), sample, sealed))
    except (ValueError, msgspec.MsgspecError) as error:
        raise Unavailable(
            f"The contents of {sample} cannot be opened with this key folder.",
            remedy="Restore the file `keys/secret` that belongs to this database.",
        ) from error


def open_(tx: Tx, project: str, sample: str, secret: bytes, reason: str | None) -> dict[str, Any]:
    """Give question and answer of a sample to a person; that they read it stays on record.

    Raises: NotFound, Gone (erased), Invalid (no reason), Unavailable (sealed to another key).
    """
    found = _get(tx, project, sample)
    if found.sealed is None:
        raise Gone(f"The contents of {sample} are erased: their time was over.")
    read = contents_of(secret, sample, found.sealed)
    kept = needed_reason(tx, reason, "Reading what somebody asked")
    event = SampleOpened(
        project=project,
        environment=found.environment,
        route=found.route,
        version=found.version,
        sample=sample,
    )
    tx.record(event, reason=kept)
    return {**_document(found, has_contents=True), "question": read.question, "answer": read.answer}


def get(reader: Reader, project: str, sample: str) -> dict[str, Any]:
    """Give how a sample stands and who read it, without its contents. Raises: NotFound."""
    found = _get(reader, project, sample)
    read = [
        {"by": identity.name_of(reader, row.opened_by), "at": row.opened_at, "event": row.event}
        for row in store.list_openings(reader.conn, project, sample)
    ]
    return {**_document(found, has_contents=found.sealed is not None), "openings": read}


def list_(
    reader: Reader, project: str, where: Mapping[str, str], cursor: str | None = None, limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """List samples, newest first, without their contents, and the cursor of the next page."""
    found = store.list_(reader.conn, project, where, (cursor, limit + 1))
    shown = [_document(row, has_contents=row.has_contents) for row in found[:limit]]
    return shown, found[limit - 1].id if len(found) > limit else None


def _get(reader: Reader, project: str, sample: str) -> sa.Row[Any]:
    found = store.find(reader.conn, project, sample)
    if found is None:
        raise NotFound(f"There is no sample {sample!r}.", remedy="`assent quality samples` lists them.")
    return found


def _document(row: sa.Row[Any], *, has_contents: bool) -> dict[str, Any]:
    names = ("id", "environment", "route", "variant", "version", "rollout", "state", "score", "passport")
    return {
        **{name: getattr(row, name) for name in names},
        "at": _time(row.at),
        "judged_at": _time(row.judged_at),
        "counted": row.in_window,
        "cut": row.is_cut,
        "n_redacted": row.n_redacted,
        "has_contents": bool(has_contents),
    }


def _time(at_s: float | None) -> datetime | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC)


def forget(tx: Tx, limit: int) -> int:
    """Erase contents whose time is over, leave out what nobody judged in time; give how many rows went."""
    now_s = tx.now().timestamp()
    gone = 0
    for one in delivery.list_samplings(tx):
        place = place_of(one)
        gone += store.leave_out(tx.conn, place, now_s - WAITS_S)
        gone += store.erase(tx.conn, place, now_s - one.wanted.keep_days * 86_400)
    return gone + store.prune(tx.conn, now_s - ROWS_KEPT_S, limit)
