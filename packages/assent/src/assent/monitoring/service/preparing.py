"""Getting a batch ready before the write lock is taken: its columns, its sums, what it says of units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from assent.kernel.canonical import digest_bytes
from assent.kernel.tx import Reader
from assent.monitoring.domain.kinds import TOKENS_PER_S, Kind
from assent.monitoring.domain.latency import buckets_of
from assent.monitoring.service.batch import Batch, Exposure
from assent.monitoring.service.facets import Calls, by_column, fell
from assent.monitoring.service.live_units import LiveUnits
from assent.monitoring.service.outcomes import About, Bare, Outcomes, gather, limit_of
from assent.monitoring.service.sums import Slots, UnitSums, bucket_rows, sum_rows, usage_rows
from assent.monitoring.store import blocks
from assent.monitoring.store.blocks import Watch


@dataclass(frozen=True, slots=True)
class Tally:
    """What calls and exposures add up to: rows of roll-ups, histograms and usage, outcomes, and units."""

    sums: Sequence[tuple[Any, ...]]
    histograms: Sequence[tuple[int, ...]]
    usage: Sequence[tuple[Any, ...]]
    outcomes: Outcomes
    units: UnitSums


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch with all that can be known of it without the write lock."""

    batch: Batch
    digest: str
    calls: Calls
    watches: Mapping[str, Watch]
    live: LiveUnits
    tally: Tally


def prepare(reader: Reader, batch: Batch, body: bytes) -> Prepared:
    """Get a batch ready."""
    calls = by_column(batch)
    found = {rollout: blocks.find_watch(reader.conn, rollout) for rollout in rollouts_of(batch)}
    watches = {rollout: watch for rollout, watch in found.items() if watch is not None}
    live = LiveUnits(reader.conn, batch.project)
    tally = add_up(calls, batch.exposures, watches, live)
    return Prepared(batch, digest_bytes(body), calls, watches, live, tally)


def rollouts_of(batch: Batch) -> list[str]:
    """List the rollouts that calls and exposures of a batch name, in one order for everybody."""
    named = {call.rollout for call in batch.calls} | {one.rollout for one in batch.exposures}
    return sorted(rollout for rollout in named if rollout is not None)


def add_up(
    calls: Calls, exposures: Sequence[Exposure], watches: Mapping[str, Watch], live: LiveUnits
) -> Tally:
    """Add calls and exposures up."""
    about = [_about(calls, watches), live.about(calls)]
    outcomes = gather(calls, about, _bare(exposures, watches))
    units = UnitSums({**watches, **live.by_key()})
    units.add(outcomes)
    if not calls:
        return Tally([], [], [], outcomes, units)
    slots = Slots([facet.row.series for facet in calls.shared], calls.facets, calls.at)
    rows = (sum_rows(slots, _columns(calls)), _histograms(slots, calls), usage_rows(calls))
    return Tally(*rows, outcomes, units)


def _about(calls: Calls, watches: Mapping[str, Watch]) -> About:
    """Give which calls say something about units of watched rollouts.

    Left out is who did not fall to a version by chance: a rule chose them, or a preview has all others
    on the stable version. They are shown with their version and compared with nobody.
    """
    rollouts = [(facet.row.rollout or "") if facet.fell else "" for facet in calls.shared]
    limits = [limit_of(watches[rollout]) if rollout in watches else 0.0 for rollout in rollouts]
    counted = [rollout in watches for rollout in rollouts]
    places = [place for place, facet in enumerate(calls.facets) if counted[facet]]
    facets = [calls.facets[place] for place in places]
    return About(places, [rollouts[facet] for facet in facets], [limits[facet] for facet in facets])


def _bare(exposures: Sequence[Exposure], watches: Mapping[str, Watch]) -> list[Bare]:
    return [
        Bare(one.at.timestamp(), rollout, one.unit, one.variant)
        for one in exposures
        if (rollout := one.rollout or "") in watches and fell(one.rule, one.reason, one.variant)
    ]


def _columns(calls: Calls) -> list[npt.NDArray[Any]]:
    """Give what is summed of calls, in the order of `ROLLUP_SUMS` between `n_calls` and `n_feedback`."""
    of_facet = np.array(
        [
            (
                facet.failed,
                facet.refused,
                facet.row.as_approved is False,
                facet.row.guardrails is not None,
                facet.row.unguarded,
            )
            for facet in calls.shared
        ],
        float,
    )
    failed, refused, not_as_approved, *guarded = of_facet[calls.facets].T
    into, out = np.array(calls.tokens_in, float), np.array(calls.tokens_out, float)
    counted = ~(np.isnan(into) | np.isnan(out))
    known_in, known_out = np.where(counted, into, 0.0), np.where(counted, out, 0.0)
    tokens = (np.nan_to_num(into), np.nan_to_num(out))
    products = (known_in * known_in, known_in * known_out, known_out * known_out)
    return [failed, refused, not_as_approved, *tokens, *guarded, counted, *products]


def _histograms(slots: Slots, calls: Calls) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = []
    for kind, values, scale in (
        (Kind.LATENCY, calls.latency_s, 1),
        (Kind.FIRST_TOKEN, calls.ttft_s, 1),
        (Kind.TOKENS_IN, calls.tokens_in, TOKENS_PER_S),
        (Kind.TOKENS_OUT, calls.tokens_out, TOKENS_PER_S),
    ):
        measured = np.array(values, float) / scale  # None is not a number there
        known = ~np.isnan(measured)
        rows += bucket_rows(slots, kind, slots.which[known], buckets_of(measured[known]))
    finishes = np.array([facet.finish for facet in calls.shared])[calls.facets]
    rows += bucket_rows(slots, Kind.FINISH, slots.which, finishes)
    languages = np.array([-1 if facet.language is None else facet.language for facet in calls.shared])
    spoken = languages[calls.facets]
    return rows + bucket_rows(slots, Kind.LANGUAGE, slots.which[spoken >= 0], spoken[spoken >= 0])
