"""The worker's part: which samples are due, what their judge says of them, and where its scores count."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.delivery.service import Sampling
from assent.evaluation.service import grading
from assent.evaluation.service.grading import Grade, Graded, Grader
from assent.kernel.errors import AssentError, NotFound, Refused, Unavailable
from assent.kernel.tx import Reader, Tx
from assent.monitoring.domain import quality
from assent.monitoring.domain.quality import AGAIN_S, MOST_ATTEMPTS, State
from assent.monitoring.service.facets import NO_CALLS, SeriesKey, fell
from assent.monitoring.service.live_units import LiveUnits
from assent.monitoring.service.outcomes import Bare, gather
from assent.monitoring.service.samples import contents_of, place_of
from assent.monitoring.service.sums import UnitSums
from assent.monitoring.service.watching import watch_of
from assent.monitoring.store import samples as store
from assent.monitoring.store.blocks import Watch
from assent.monitoring.store.samples import Place

log = logging.getLogger(__name__)

AT_ONCE = 20
CLAIMED_S = 300.0
"""Longer than asking about `AT_ONCE` samples can take; a worker that died in it has lost them until then."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Samples that this worker asks about, and their judge."""

    place: Place
    grader: Grader
    rows: Sequence[sa.Row[Any]]


def list_due(reader: Reader) -> list[Sampling]:
    """List the samplings that are on."""
    return [one for one in delivery.list_samplings(reader) if one.wanted.enabled]


def claim(tx: Tx, sampling: Sampling) -> Claimed | None:
    """Take what is due within the day's budget; one sample where the judge gave no answer the last time.

    None where nothing is, where the judge is left alone for a while, or where it may not grade.
    """
    place, now_s = place_of(sampling), tx.now().timestamp()
    health = store.health(tx.conn, place)
    if now_s < health.next_at:
        return None
    spent = store.n_spent(tx.conn, place, quality.day_of(now_s), now_s)
    room = min(sampling.wanted.per_day - spent, 1 if health.n_failures else AT_ONCE)
    if room <= 0:
        return None
    try:
        grader = grading.grader_of(tx, place.project, sampling.wanted.judge, place.route)
    except (Refused, NotFound):
        return None  # `quality.trouble` tells why for as long as it is so
    except AssentError as error:
        log.warning("%s in %s is not judged: %s", place.route, place.environment, error.message)
        store.put_health(tx.conn, place, quality.failed(health, now_s, error.message))
        return None
    rows = store.claim(tx.conn, place, now_s, now_s + CLAIMED_S, room)
    return Claimed(place, grader, rows) if rows else None


def ask(claimed: Claimed, secret: bytes) -> list[Grade | None]:
    """Ask the judge about what was claimed; takes as long as it takes, so outside any transaction.

    None for a sample whose contents cannot be opened: they are sealed to another key, or were changed.
    """
    texts, closed = [], set()
    for row in claimed.rows:
        try:
            read = contents_of(secret, row.id, row.sealed)
            texts.append((read.question, read.answer))
        except Unavailable:
            closed.add(row.id)
    grades = iter(grading.grade(claimed.grader, texts) if texts else [])
    return [None if row.id in closed else next(grades) for row in claimed.rows]


def settle(tx: Tx, claimed: Claimed, grades: Sequence[Grade | None]) -> int:
    """Write what a judge said, and count each score once where its unit is; give how many were counted."""
    now_s, place = tx.now().timestamp(), claimed.place
    health = store.health(tx.conn, place)
    said = [grade for grade in grades if grade is not None]
    has_answered = any(grade.state is not Graded.UNANSWERED for grade in said)
    counts = has_answered or not health.n_failures
    judged = []
    for row, grade in zip(claimed.rows, grades, strict=True):
        is_mine = store.settle(tx.conn, row.id, _values(claimed, row, grade, now_s, counts=counts))
        if is_mine and grade is not None and grade.score is not None:
            judged.append((row, grade.score))
    if judged:
        _count(tx, place.project, judged)
    if has_answered:
        store.put_health(tx.conn, place, quality.answered(now_s))
    elif said:
        store.put_health(tx.conn, place, quality.failed(health, now_s, said[0].why))
        log.warning("the judge of %s in %s: %s", place.route, place.environment, said[0].why)
    return len(judged)


def _values(
    claimed: Claimed, row: sa.Row[Any], grade: Grade | None, now_s: float, *, counts: bool
) -> dict[str, Any]:
    """Give what becomes of a sample; while its judge is down (not `counts`), it is not to blame."""
    if grade is None:
        return {"state": State.FAILED.value}
    if grade.state is Graded.UNANSWERED:
        attempts = row.attempts + counts
        state = State.FAILED if attempts >= MOST_ATTEMPTS else State.WAITING
        return {"state": state.value, "attempts": attempts, "next_at": now_s + AGAIN_S}
    passport = claimed.grader.passport.record.id
    state = State.JUDGED if grade.score is not None else State.UNREADABLE
    return {"state": state.value, "judged_at": now_s, "score": grade.score, "passport": passport}


def _count(tx: Tx, project: str, judged: Sequence[tuple[sa.Row[Any], float]]) -> None:
    """Count scores in the units of rollouts and of watches over what is live.

    A unit that is not known yet (its call is still on its way) begins with the call that was judged.
    """
    live = LiveUnits(tx.conn, project)
    rollouts = sorted({row.rollout for row, _ in judged if row.rollout is not None})
    watches: dict[str, Watch] = {one: watch for one in rollouts if (watch := watch_of(tx, one)) is not None}
    keys = {row.id: _keys(row, watches, live) for row, _ in judged}
    known = {**watches, **live.by_key()}
    seen = [Bare(row.at, key, row.unit, row.variant) for row, _ in judged for key in keys[row.id]]
    outcomes = gather(NO_CALLS, (), seen)
    units = UnitSums(known)
    units.add(outcomes)
    units.meet(tx.conn, known, outcomes, ())
    for row, score in judged:
        counted = [units.add_judged((key, row.unit), row.at, 1 - score) for key in keys[row.id]]
        store.mark(tx.conn, row.id, in_window=bool(counted and counted[0]))
    units.write(tx.conn)


def _keys(row: sa.Row[Any], watches: dict[str, Watch], live: LiveUnits) -> list[str]:
    """Give what the unit of a sample is kept under; whom a rule chose is compared with nobody."""
    if row.rule is not None:
        return []
    series = SeriesKey(row.project, row.environment, row.route, row.variant, row.version).id
    own = [row.rollout] if row.rollout in watches and fell(row.rule, row.reason, row.variant) else []
    return [*own, *live.keys(series, row.at)]
