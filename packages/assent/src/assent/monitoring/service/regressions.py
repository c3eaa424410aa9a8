"""Watching what is live: begin and end watches, close their blocks, record what became worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from assent.delivery import service as delivery
from assent.kernel.canonical import digest
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.monitoring.domain import alerts as rules
from assent.monitoring.domain import regression
from assent.monitoring.domain.alerts import Kind
from assent.monitoring.domain.detector import DAY_S
from assent.monitoring.domain.events import IncidentOpened
from assent.monitoring.domain.regression import Detection, Seen
from assent.monitoring.domain.scores import Histogram, block_index
from assent.monitoring.domain.watch_events import (
    RegressionDetected,
    WatchEnded,
    WatchSealed,
    WatchStarted,
    scores_document,
    sealed_document,
)
from assent.monitoring.service.live_units import key_of
from assent.monitoring.service.looking import GRACE_S, MAX_BLOCKS_PER_LOOK, scores_of
from assent.monitoring.service.terms import terms_for, terms_of
from assent.monitoring.store import alerts as alert_store
from assent.monitoring.store import blocks
from assent.monitoring.store import regressions as store
from assent.monitoring.store.blocks import UnitTally, Watch

SEAL_EVERY_S = 3_600
UNITS_KEPT_DAYS = 2
FORGET_DAYS = 8  # how far back days are looked for that are to be forgotten
Scores = Mapping[str, Histogram]


@dataclass(frozen=True, slots=True)
class Changes:
    """Which watches end and begin."""

    ending: Sequence[Any]
    starting: Sequence[WatchStarted]


@dataclass(frozen=True, slots=True)
class LiveSight:
    """One look at a live version: the blocks that are due, the state after them, and what was found."""

    watch: Watch
    blocks: Sequence[tuple[int, Scores, Decimal]]
    seen: Seen
    found: Sequence[Detection]  # what is new: a detection while another stands is none
    alert: Any
    seal_before: int  # blocks before this one are sealed now


def changes(reader: Reader) -> Changes:
    """Compare the watches that go on with what alerts ask for and what is live."""
    active = {(one.alert, one.route): one for one in store.list_active(reader.conn)}
    starting, kept = [], set()
    for alert in alert_store.list_alerts(reader.conn):
        condition = rules.parse_condition(alert.condition)
        if condition.kind is not Kind.REGRESSION:
            continue
        for live in delivery.list_live(reader, alert.project, alert.environment):
            if alert.route not in {None, live.route.key}:
                continue
            now = active.get((alert.id, live.route.key))
            if now is not None and now.version == live.route.stable and now.started_at >= alert.set_at:
                kept.add(now.id)
            elif terms := terms_for(reader, alert, condition, live):
                starting.append(terms)
    return Changes([one for one in active.values() if one.id not in kept], starting)


def change(tx: Tx, found: Changes) -> None:
    """End and begin watches, unless another worker was faster. What ends is sealed with its last block."""
    for one in found.ending:
        if store.lock_active(tx.conn, one.id):
            _seal(tx, one, before=None)
            tx.record(WatchEnded(project=one.project, watch=one.id))
    for new in found.starting:
        is_there = alert_store.lock_alert(tx.conn, new.alert)
        if is_there and not store.list_active(tx.conn, alert=new.alert, route=new.route):
            tx.record(new)
            blocks.add_watch(tx.conn, Watch(new.watch, new.window_s, new.block_s, _slow(new), -1, None))


def _slow(new: WatchStarted) -> float | None:
    return None if new.slow_above_s is None else float(new.slow_above_s)


def list_watched(reader: Reader) -> list[tuple[Any, Any]]:
    """List the watches that go on, each with its alert."""
    alerts = {one.id: one for one in alert_store.list_alerts(reader.conn)}
    return [(one, alerts[one.alert]) for one in store.list_active(reader.conn) if one.alert in alerts]


def look(reader: Reader, live: Any, alert: Any) -> LiveSight | None:
    """Look at a live version; None where its blocks are not kept here."""
    watch = blocks.find_watch(reader.conn, live.id)
    if watch is None:
        return None
    now_s = reader.now().timestamp()
    before = block_index(now_s - GRACE_S, watch.block_s)
    terms, closed, found = terms_of(live), [], []
    seen = regression.load(watch.state) if watch.state is not None else Seen()
    for block, rows in _due(reader, live, watch, before):
        scores = {one.metric: scores_of(one.metric, rows) for one in terms.metrics}
        after, total, detection = regression.take(seen, terms, block, scores)
        if detection and regression.is_new(detection, seen, live.block_s, live.hold_s):
            found.append(detection)
        closed.append((block, scores, total))
        seen = after
    hour_began = block_index(now_s // SEAL_EVERY_S * SEAL_EVERY_S, watch.block_s)
    return LiveSight(watch, closed, seen, found, alert, hour_began)


def _due(reader: Reader, live: Any, watch: Watch, before: int) -> list[tuple[int, list[UnitTally]]]:
    since_s = max(live.started_at.timestamp() - DAY_S, watch.closed_through * watch.block_s - watch.window_s)
    days = range(int(since_s // DAY_S), int(reader.now().timestamp() // DAY_S) + 1)
    keys = [key_of(live.id, day * DAY_S) for day in days]
    tallies = blocks.tallies(reader.conn, watch, before, keys)
    grouped = [(block, list(rows)) for block, rows in groupby(tallies, key=lambda row: row.block)]
    return grouped[:MAX_BLOCKS_PER_LOOK]


def needs_writing(reader: Reader, sight: LiveSight) -> bool:
    """Tell whether a look led to anything: closed blocks, or blocks whose hour is over."""
    if sight.blocks:
        return True
    through = store.sealed_through(reader.conn, sight.watch.rollout)
    return through < sight.watch.closed_through < sight.seal_before


def apply(tx: Tx, live: Any, sight: LiveSight) -> bool:
    """Record what a look found, in one transaction; False when another worker was faster, or ended it."""
    if not store.lock_active(tx.conn, live.id):
        return False
    if sight.blocks:
        through = sight.blocks[-1][0]
        if not blocks.move_watch(tx.conn, sight.watch, through, regression.dump(sight.seen)):
            return False
        closed = [(block, scores_document(scores), str(total)) for block, scores, total in sight.blocks]
        store.add_blocks(tx.conn, live.id, closed)
    last = max((one.block for one in sight.found), default=-1)
    _seal(tx, live, before=max(sight.seal_before, last + 1))
    for detection in sight.found:
        found = _found(live, detection)
        tx.record(found)
        if sight.alert.condition.get("incident"):
            tx.record(_incident(live, found, sight.alert.name))
    return True


def _seal(tx: Tx, live: Any, before: int | None) -> None:
    """Put the digest of the blocks before one, that have none yet, into the ledger."""
    unsealed = store.list_blocks(tx.conn, live.id, store.sealed_through(tx.conn, live.id), before)
    if unsealed:
        tx.record(
            WatchSealed(
                project=live.project,
                watch=live.id,
                first_block=unsealed[0][0],
                last_block=unsealed[-1][0],
                n_blocks=len(unsealed),
                digest=digest(sealed_document(unsealed)),
            )
        )


def _found(live: Any, detection: Detection) -> RegressionDetected:
    low, high = detection.interval.low, detection.interval.high
    return RegressionDetected(
        project=live.project,
        regression=new_id("reg"),
        watch=live.id,
        environment=live.environment,
        route=live.route,
        version=live.version,
        metric=detection.metric,
        block=detection.block,
        since_at=moment(live, detection.since),
        total=str(detection.total),
        n=detection.n,
        rate=f"{detection.rate:.6f}",
        interval=(f"{low:.6f}", f"{high:.6f}"),
        says=says(live, detection),
    )


def moment(live: Any, block: int) -> datetime:
    """Give the moment at which a block begins."""
    return datetime.fromtimestamp(block * live.block_s, UTC)


def says(live: Any, detection: Detection) -> str:
    """Say in figures what became worse, since when and by how much."""
    known = next(one for one in live.metrics if one["metric"] == detection.metric)
    low, high = detection.interval.low, detection.interval.high
    rate = f"{detection.rate:.3f} ({low:.3f} to {high:.3f}, {detection.n} units)"
    return (
        f"{live.route}: {detection.metric} {rate} "
        f"since {moment(live, detection.since):%Y-%m-%d %H:%M} UTC, "
        f"{float(known['reference_rate']):.3f} before, {float(known['limit']):.3f} allowed"
    )


def _incident(live: Any, found: RegressionDetected, alert: str) -> IncidentOpened:
    return IncidentOpened(
        incident=new_id("inc"),
        project=live.project,
        environment=live.environment,
        route=live.route,
        subject=live.version,
        summary=found.says,
        severity="high",
        alert=alert,
    )


def seen_of(reader: Reader, live: Any) -> Seen:
    """Give the state of a watch after its last closed block."""
    watch = blocks.find_watch(reader.conn, live.id)
    return regression.load(watch.state) if watch is not None and watch.state is not None else Seen()


def stands(live: Any, seen: Seen, now: datetime) -> bool:
    """Tell whether the last detection still stands."""
    hold = timedelta(seconds=live.hold_s)
    return any(now - moment(live, block + 1) <= hold for block in seen.detected)


def n_units(seen: Seen) -> int:
    """Count the units that were scored."""
    return max((n for n, _ in seen.totals.values()), default=0)


def newest(reader: Reader, watches: Sequence[str]) -> list[Any]:
    """Give the newest finding of each watch."""
    found: dict[str, Any] = {}
    for one in store.list_regressions(reader.conn, watches):
        found.setdefault(one.watch, one)
    return list(found.values())


def forget(tx: Tx, limit: int) -> int:
    """Forget units of days that are over, a bounded number; give how many went."""
    now = tx.now()
    today = int(now.timestamp() // DAY_S)
    gone = 0
    recent = store.list_recent(tx.conn, now - timedelta(days=FORGET_DAYS))
    for watch in blocks.list_watches(tx.conn, recent):
        for day in range(today - FORGET_DAYS, today - UNITS_KEPT_DAYS + 1):
            if gone < limit:
                key = key_of(watch.rollout, day * DAY_S)
                gone += store.drop_units(tx.conn, key, watch.closed_through, limit - gone)
    return gone
