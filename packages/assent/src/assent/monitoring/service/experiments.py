"""A/B tests as they stand: amounts of each block as it closes, and the reading of all blocks so far."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from assent.delivery.domain import Amount, Experiment, Rollout, decimal_text
from assent.kernel.canonical import digest
from assent.kernel.tx import Reader
from assent.monitoring.domain.difference import Stratum
from assent.monitoring.domain.events import AmountSums, BlockClosed, GuardCounts, block_document
from assent.monitoring.domain.experiment import Terms, read, stratum_of
from assent.monitoring.domain.scores import Arm
from assent.monitoring.service.prices import price_of
from assent.monitoring.store import blocks as store
from assent.monitoring.store import reading
from assent.monitoring.store.tables import units

NOTHING = (0, "0", "0")
BySide = Mapping[Arm, Mapping[int, tuple[int, str, str]]]


def with_amounts(reader: Reader, rollout: Rollout, due: Sequence[BlockClosed]) -> tuple[BlockClosed, ...]:
    """Add to blocks that are due what their units took: latency, tokens, money."""
    experiment = rollout.plan.experiment
    if experiment is None or not experiment.amounts or not due:
        return tuple(due)
    span = (due[0].block, due[-1].block + 1)
    found = {amount: _sums(reader, rollout, amount, span) for amount in experiment.amounts}
    return tuple(
        _with(block, {name: sums for name, sums in found.items() if sums is not None}) for block in due
    )


def _with(block: BlockClosed, found: Mapping[Amount, BySide]) -> BlockClosed:
    amounts = tuple(
        AmountSums(
            metric=amount.value,
            canary=sums[Arm.CANARY].get(block.block, NOTHING),
            stable=sums[Arm.STABLE].get(block.block, NOTHING),
        )
        for amount, sums in found.items()
    )
    return replace(block, amounts=amounts, digest=digest(block_document(block.guards, amounts)))


def read_test(reader: Reader, rollout: Rollout, due: Sequence[BlockClosed]) -> dict[str, Any] | None:
    """Read an A/B test from its closed blocks and those that are due; None for any other rollout."""
    experiment = rollout.plan.experiment
    if experiment is None:
        return None
    blocks: list[store.ClosedBlock | BlockClosed] = [*store.closed_blocks(reader.conn, rollout.id), *due]
    counts = {arm: int(row.n_units) for arm, row in reading.unit_counts(reader.conn, rollout.id).items()}
    plan = rollout.plan
    terms = Terms(experiment=experiment, alpha=plan.alpha, share=plan.first_share, window_s=plan.window_s)
    return read(terms, _strata(experiment, blocks), counts).document()


def _strata(
    experiment: Experiment, blocks: Sequence[store.ClosedBlock | BlockClosed]
) -> Mapping[str, Sequence[Stratum]]:
    """Give the strata of each metric that the blocks have."""
    strata: dict[str, list[Stratum]] = {}
    wanted = {metric.value for metric in (experiment.primary, *experiment.metrics)}
    for block in blocks:
        for guard in block.guards:
            if guard.metric in wanted:
                strata.setdefault(guard.metric, []).append(_stratum(guard))
        for sums in block.amounts:
            strata.setdefault(sums.metric, []).append(sums.stratum())
    return strata


def _stratum(guard: GuardCounts) -> Stratum:
    block = guard.block()
    return stratum_of(block.canary, block.stable)


def _sums(reader: Reader, rollout: Rollout, amount: Amount, span: tuple[int, int]) -> BySide | None:
    """Sum an amount up by arm and block; None for money where a price is unknown."""
    sums = {}
    for arm, version in ((Arm.CANARY, rollout.subject), (Arm.STABLE, rollout.stable)):
        each = amount_of_call(reader, rollout, amount, version)
        if each is None:
            return None
        rows = store.amounts(reader.conn, rollout.id, arm.value, each, span)
        sums[arm] = {
            block: (n, decimal_text(total), decimal_text(squares))
            for block, (n, total, squares) in rows.items()
        }
    return sums


def amount_of_call(
    reader: Reader, rollout: Rollout, amount: Amount, version: str | None
) -> sa.ColumnElement[float] | None:
    """Give the sum of an amount over a unit's calls; None for money where the version's price is unknown."""
    u = units.c
    if amount is Amount.LATENCY:
        return u.latency_s
    if amount is Amount.COST:
        price = price_of(reader, rollout.project, version or "")
        if price is None:
            return None
        into, out = float(price.cost(1, 0)), float(price.cost(0, 1))
        return sa.cast(u.tokens_in, sa.Double) * into + sa.cast(u.tokens_out, sa.Double) * out
    column = u.tokens_in if amount is Amount.TOKENS_IN else u.tokens_out
    return sa.cast(column, sa.Double)
