"""What a rollout's guards say, drawn: rates with intervals, and the e-value block by block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from assent.monitoring.domain import eprocess
from assent.monitoring.domain.events import BlockClosed
from assent.monitoring.domain.scores import LEVELS, Block, Histogram, tally
from assent.web import charts
from assent.web.charts import Estimate
from assent.web.status import Tone

LARGEST = Decimal(10) ** 300
N_BLOCKS = 60
NAMES = {
    "error": "Errors",
    "refusal": "Refusals",
    "thumbs_down": "Thumbs-down",
    "guardrail": "Guardrail hits",
    "judge": "Judged bad",
    "slow": "Slow answers",
}


@dataclass(frozen=True, slots=True)
class GuardView:
    """One guard: how it stands, in words and drawings."""

    name: str
    state: str
    says: str
    rates: Markup
    series: Markup


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One closed block of the guard with the most weight."""

    closed_at: datetime
    n_canary: int
    n_stable: int
    canary_mean: str
    stable_mean: str
    e_value: str


def read_block(wire: Mapping[str, Any], metric: str) -> Block | None:
    """Read one guard's histograms of a block; None where the metric could not be computed in it."""
    for guard in wire["guards"]:
        if guard["metric"] == metric:
            return Block(canary=tally(map(tuple, guard["canary"])), stable=tally(map(tuple, guard["stable"])))
    return None


def due_block(closed: BlockClosed) -> dict[str, Any]:
    """Write a block that is due but not recorded yet as those that are."""
    return {
        "block": closed.block,
        "guards": [{"metric": g.metric, "canary": g.canary, "stable": g.stable} for g in closed.guards],
    }


def weighed_series(
    process: eprocess.Process, blocks: Sequence[Mapping[str, Any]], metric: str, weight: float
) -> list[float]:
    """Compute the weighed e-value before the first of the newest blocks and after each of them.

    It goes backwards from the present process.

    Each block multiplies the factors, so dividing by what it multiplies gives the process before it; that
    costs the blocks drawn, not all that a long rollout has.
    """
    series = []
    for wire in reversed(blocks):
        series.append(float(min(process.e_value, LARGEST)) * weight)
        block = read_block(wire, metric)
        if block is not None:
            process = _before(process, block)
    series.append(float(min(process.e_value, LARGEST)) * weight)
    return series[::-1]


def _before(process: eprocess.Process, block: Block) -> eprocess.Process:
    fresh = eprocess.Process(
        n_stable=process.n_stable - block.stable.n,
        stable_badness=process.stable_badness - block.stable.badness,
    )
    gained = eprocess.advance(fresh, block).factors
    factors = tuple(
        eprocess.ARITHMETIC.divide(after, gain) for after, gain in zip(process.factors, gained, strict=True)
    )
    return replace(fresh, factors=factors)


def block_rows(
    blocks: Sequence[Mapping[str, Any]], metric: str, block_s: float, series: Sequence[float]
) -> list[BlockRow]:
    """List the newest blocks of a guard, newest first, with what `series` says after each."""
    rows = []
    for wire, weighed in reversed(list(zip(blocks, series[1:], strict=True))):
        block = read_block(wire, metric)
        if block is not None:
            rows.append(
                BlockRow(
                    closed_at=datetime.fromtimestamp((wire["block"] + 1) * block_s, UTC),
                    n_canary=block.canary.n,
                    n_stable=block.stable.n,
                    canary_mean=_mean(block.canary),
                    stable_mean=_mean(block.stable),
                    e_value=f"{weighed:.3g}",
                )
            )
    return rows


def _mean(histogram: Histogram) -> str:
    return f"{histogram.badness / LEVELS / histogram.n:.3f}" if histogram.n else "none"


def _rate(label: str, guard: Mapping[str, Any], arm: str, tone: Tone) -> Estimate:
    low, high = (float(end) for end in guard[f"{arm}_interval"])
    rate, n = float(guard[f"{arm}_rate"]), int(guard[f"n_{arm}"])
    shown = f"{100 * rate:.1f} % [{100 * low:.1f}, {100 * high:.1f}], {n} units"
    return Estimate(label, rate if n else None, low, high, shown, tone)


def guard_view(
    guard: Mapping[str, Any], threshold: float, labels: tuple[str, str], series: Sequence[float]
) -> GuardView:
    """Draw one guard; `labels` name canary and stable."""
    weight, e_value = float(guard["weight"]), float(min(Decimal(guard["e_value"]), LARGEST))
    weighed = e_value * weight
    scored = int(guard["n_canary"]) and int(guard["n_stable"])
    state = "breach" if weighed >= threshold else "no_harm" if scored else "unknown"
    name = NAMES.get(guard["metric"], guard["metric"])
    tone = Tone.BAD if state == "breach" else Tone.BUSY
    return GuardView(
        name=name,
        state=state,
        says=(
            f"Evidence of harm: E = {e_value:.3g}, weighed {weighed:.3g} "
            f"of the {charts.number(threshold)} that roll back. "
            f"Margin {guard['margin']}, weight {weight:.3g}."
        ),
        rates=charts.intervals(
            f"{name}, per unit",
            [
                _rate(labels[0], guard, "canary", tone),
                _rate(labels[1], guard, "stable", Tone.QUIET),
            ],
            name=charts.percent,
        ),
        series=charts.evidence(f"{name}: weighed E-value, block by block", series, threshold),
    )
