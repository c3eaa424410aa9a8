"""Blocks of a rollout: which are due, which are closed, and the state after them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from assent.kernel.db import is_sqlite
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer
from assent.monitoring.domain.events import AmountSums, BlockClosed, GuardCounts
from assent.monitoring.store.tables import blocks, units, watches

projections = Projections("monitoring")


class Watch(NamedTuple):
    """What is fixed at the first look at a rollout, and how far its blocks are closed."""

    rollout: str
    window_s: float
    block_s: float
    slow_above_s: float | None
    closed_through: int
    state: Mapping[str, Any] | None


class UnitTally(NamedTuple):
    """How many units of a block and arm have the same outcomes."""

    block: int
    arm: str
    n_calls: int
    n_errors: int
    n_refusals: int
    n_slow: int
    n_feedback: int
    badness: float
    n_guarded: int
    n_hits: int
    n_judged: int
    judged_badness: float
    n_units: int


class ClosedBlock(NamedTuple):
    """A closed block as the ledger has it."""

    block: int
    guards: tuple[GuardCounts, ...]
    digest: str
    event: str
    amounts: tuple[AmountSums, ...] = ()


@projections.on(BlockClosed)
def _closed(conn: Writer, r: Recorded[BlockClosed]) -> None:
    e = r.event
    conn.execute(
        sa.insert(blocks).values(
            rollout=e.rollout,
            block=e.block,
            project=e.project,
            opened_at=e.opened_at,
            closed_at=e.closed_at,
            guards=[
                {"metric": g.metric, "canary": _pairs(g.canary), "stable": _pairs(g.stable)} for g in e.guards
            ],
            amounts=[
                {"metric": a.metric, "canary": list(a.canary), "stable": list(a.stable)} for a in e.amounts
            ]
            or None,
            digest=e.digest,
            event=r.id,
        )
    )


def _pairs(counts: Sequence[tuple[int, int]]) -> list[list[int]]:
    return [[score, n] for score, n in counts]


def find_watch(conn: sa.Connection, rollout: str) -> Watch | None:
    """Find the watch of a rollout."""
    row = conn.execute(sa.select(watches).where(watches.c.rollout == rollout)).one_or_none()
    return None if row is None else Watch(*row)


def list_watches(conn: sa.Connection, keys: Sequence[str]) -> list[Watch]:
    """List the watches of some rollouts or live versions."""
    found = conn.execute(sa.select(watches).where(watches.c.rollout.in_(keys))) if keys else ()
    return [Watch(*row) for row in found]


def add_watch(conn: sa.Connection, watch: Watch) -> None:
    """Begin to watch a rollout; nothing happens when somebody was faster."""
    insert = sqlite.insert if is_sqlite(conn) else postgresql.insert
    conn.execute(insert(watches).values(watch._asdict()).on_conflict_do_nothing())


def move_watch(conn: sa.Connection, watch: Watch, closed_through: int, state: Mapping[str, Any]) -> bool:
    """Move on from exactly this watch's last block; False when somebody else did."""
    w = watches.c
    mine = sa.and_(w.rollout == watch.rollout, w.closed_through == watch.closed_through)
    changed = sa.update(watches).where(mine).values(closed_through=closed_through, state=state)
    return conn.execute(changed).rowcount == 1


def tallies(
    conn: sa.Connection, watch: Watch, before_block: int, keys: Sequence[str] = ()
) -> list[UnitTally]:
    """Count the units of all blocks that are due, alike units together; ascending by block.

    `keys`: what its units are kept under, where that is not the rollout.
    """
    u = units.c
    alike = [u[name] for name in UnitTally._fields[:-1]]
    of = u.rollout.in_(keys or [watch.rollout])
    due = sa.and_(of, u.block > watch.closed_through, u.block < before_block)
    wanted = sa.select(*alike, sa.func.count()).where(due).group_by(*alike).order_by(u.block)
    return [UnitTally._make(row) for row in conn.execute(wanted)]


def amounts(
    conn: sa.Connection,
    rollout: str,
    arm: str,
    of_call: sa.ColumnElement[float],
    blocks_from: tuple[int, int],
) -> dict[int, tuple[int, float, float]]:
    """Sum up an amount a call of an arm's units by block, from the first of two blocks to before the second.

    Gives units, their sum and the sum of their squares; units without a call are not among them.
    """
    u = units.c
    each = of_call / u.n_calls
    within = sa.and_(
        u.rollout == rollout,
        u.arm == arm,
        u.n_calls > 0,
        u.block >= blocks_from[0],
        u.block < blocks_from[1],
    )
    wanted = sa.select(u.block, sa.func.count(), sa.func.sum(each), sa.func.sum(each * each))
    rows = conn.execute(wanted.where(within).group_by(u.block))
    return {row[0]: (int(row[1]), float(row[2]), float(row[3])) for row in rows}


def closed_blocks(conn: sa.Connection, rollout: str, last: int | None = None) -> list[ClosedBlock]:
    """List the closed blocks of a rollout in their order; with `last`, only the newest so many."""
    b = blocks.c
    wanted = sa.select(b.block, b.guards, b.digest, b.event, b.amounts).where(b.rollout == rollout)
    rows = conn.execute(wanted.order_by(b.block.desc()).limit(last)).all()
    return [
        ClosedBlock(
            row.block,
            tuple(
                GuardCounts(
                    metric=g["metric"],
                    canary=tuple((score, n) for score, n in g["canary"]),
                    stable=tuple((score, n) for score, n in g["stable"]),
                )
                for g in row.guards
            ),
            row.digest,
            row.event,
            tuple(
                AmountSums(metric=a["metric"], canary=tuple(a["canary"]), stable=tuple(a["stable"]))
                for a in row.amounts or ()
            ),
        )
        for row in reversed(rows)
    ]
