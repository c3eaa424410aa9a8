"""What a watch over a live version shows, and its evidence computed again to the bit."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.kernel.canonical import digest
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader
from assent.monitoring.domain import regression
from assent.monitoring.domain.figures import rate
from assent.monitoring.domain.regression import Detection, Seen
from assent.monitoring.domain.scores import LEVELS
from assent.monitoring.domain.watch_events import sealed_document
from assent.monitoring.service import regressions
from assent.monitoring.service.terms import terms_of
from assent.monitoring.store import blocks
from assent.monitoring.store import regressions as store

NEWEST_BLOCKS = 120


def get(reader: Reader, project: str, watch: str) -> sa.Row[Any]:
    """Get a watch. Raises: NotFound."""
    found = store.find_watch(reader.conn, project, watch)
    if found is None:
        raise NotFound(f"There is no watch {watch!r}.", remedy="`assent watch list` shows them.")
    return found


def list_(
    reader: Reader, project: str, cursor: str | None = None, limit: int = 50
) -> tuple[list[sa.Row[Any]], str | None]:
    """List the watches of a project, newest first, and the cursor of the next page."""
    found = store.list_watches(reader.conn, project, cursor, limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def document(reader: Reader, live: sa.Row[Any]) -> dict[str, Any]:
    """Write a watch: its terms, what the metrics are since it began, the evidence, and what was found."""
    seen = regressions.seen_of(reader, live)
    weighed = regression.weigh(seen, terms_of(live))
    found = store.list_regressions(reader.conn, [live.id])
    return {
        "watch": live.id,
        "environment": live.environment,
        "name": live.route,
        "version": live.version,
        "ref": delivery.ref_of(reader, live.project, live.version),
        "started_at": live.started_at,
        "ended_at": live.ended_at,
        "state": _state(reader, live, seen),
        "arl_days": live.arl_days,
        "evidence_days": float(regression.sum_of(weighed)),
        "window_s": live.window_s,
        "block_s": live.block_s,
        "slow_above_s": None if live.slow_above_s is None else float(live.slow_above_s),
        "metrics": [_metric(one, seen, float(weighed[one["metric"]])) for one in live.metrics],
        "regressions": [_regression(one) for one in found],
    }


def _state(reader: Reader, live: sa.Row[Any], seen: Seen) -> str:
    if live.ended_at is not None:
        return "ended"
    if regressions.stands(live, seen, reader.now()):
        return "worse"
    return "quiet" if regressions.n_units(seen) else "unknown"


def _metric(terms: Mapping[str, Any], seen: Seen, days: float) -> dict[str, Any]:
    n, badness = seen.totals.get(terms["metric"], (0, 0))
    low, high = (float(end) for end in terms["reference_interval"])
    return {
        "metric": terms["metric"],
        "weight": float(terms["weight"]),
        "limit": float(terms["limit"]),
        "reference": {
            "source": terms["source"],
            "n": terms["reference_n"],
            "rate": float(terms["reference_rate"]),
            "interval": {"low": low, "high": high},
        },
        "live": rate(badness / LEVELS, n),
        "evidence_days": days,
    }


def _regression(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "regression": row.id,
        "metric": row.metric,
        "since_at": row.since_at,
        "found_at": row.found_at,
        "evidence_days": float(row.total),
        "n": row.n,
        "rate": float(row.rate),
        "interval": {"low": float(row.low), "high": float(row.high)},
        "says": row.says,
    }


def newest_evidence(reader: Reader, live: sa.Row[Any]) -> list[tuple[int, float]]:
    """List the evidence in days after each of the newest blocks, oldest first."""
    return store.newest_totals(reader.conn, live.id, NEWEST_BLOCKS)


def replay(reader: Reader, project: str, watch: str) -> dict[str, Any]:
    """Compute the evidence again from the first block on; say whether seals and findings agree.

    Raises: NotFound.
    """
    live = get(reader, project, watch)
    closed = store.list_blocks(reader.conn, watch)
    seen, detections = regression.replay(terms_of(live), closed)
    seals = store.list_seals(reader.conn, watch)
    wrong = [seal.first_block for seal in seals if _digest(closed, seal) != (seal.n_blocks, seal.digest)]
    recorded = store.list_regressions(reader.conn, [watch])
    by_block = {one.block: one for one in detections}
    agrees = all(_is_same(row, by_block.get(row.block)) for row in recorded)
    kept = blocks.find_watch(reader.conn, watch)
    state_agrees = kept is None or kept.state is None or kept.state == regression.dump(seen)
    sealed = sum(seal.n_blocks for seal in seals)
    return {
        "watch": watch,
        "n_blocks": len(closed),
        "n_sealed_blocks": sealed,
        "wrong_seals": wrong,
        "n_detections": len(detections),
        "n_regressions": len(recorded),
        "evidence_days": str(regression.sum_of(regression.weigh(seen, terms_of(live)))),
        "matches": agrees and state_agrees and not wrong,
    }


def _digest(closed: list[tuple[int, regression.Scores]], seal: sa.Row[Any]) -> tuple[int, str]:
    under = [one for one in closed if seal.first_block <= one[0] <= seal.last_block]
    return len(under), digest(sealed_document(under))


def _is_same(row: sa.Row[Any], found: Detection | None) -> bool:
    if found is None:
        return False
    ends = (f"{found.interval.low:.6f}", f"{found.interval.high:.6f}")
    told = (row.metric, row.total, row.n, row.rate, row.low, row.high)
    return told == (found.metric, str(found.total), found.n, f"{found.rate:.6f}", *ends)
