"""What calls and bare exposures say about units, by column: there are very many."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from assent.monitoring.service.facets import Calls
from assent.monitoring.store.blocks import Watch

UnitKey = tuple[str, str]  # rollout, unit
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


class About(NamedTuple):
    """Which calls (by place) say something about their units, under which rollout, and what is slow there.

    Without a limit, which is infinite then, nothing is slow.
    """

    places: Sequence[int]
    rollouts: Sequence[str]
    slow_above_s: Sequence[float]


class Bare(NamedTuple):
    """That a unit was exposed to a variant, without a call."""

    at: float
    rollout: str
    unit: str
    variant: str


class Said(NamedTuple):
    """What many outcomes have in common; `asked` is the application and language, empty without a call."""

    variant: str
    n_calls: int = 0
    failed: bool = False
    refused: bool = False
    guarded: bool = False
    hit: bool = False
    asked: tuple[str, str] | tuple[()] = ()


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes by column, in order of time.

    `which` and `kinds` hold, for each outcome, the place of its unit in `units` and of the rest in `said`.
    Each unit stands in `units` once.
    """

    units: Sequence[UnitKey]
    said: Sequence[Said]
    which: Places
    kinds: Places
    at: Floats
    slow: npt.NDArray[np.bool_]
    latency_s: Floats
    tokens_in: Floats
    tokens_out: Floats

    def of(self, keys: Container[UnitKey]) -> "Outcomes":
        """Give the outcomes of some units."""
        wanted = np.array([key in keys for key in self.units], bool)
        units = [key for key, is_wanted in zip(self.units, wanted.tolist(), strict=True) if is_wanted]
        which = (np.cumsum(wanted) - 1)[self.which]
        return self._pick(units, which, np.flatnonzero(wanted[self.which]))

    def in_order(self) -> "Outcomes":
        """Give them in an order that does not depend on the one in which they came."""
        first, last = [one[:4] for one in self.said], [one[4:] for one in self.said]
        ranks = (_ranks(last)[self.kinds], self.tokens_out, self.tokens_in, self.latency_s)
        order = np.lexsort((*ranks, _ranks(first)[self.kinds], self.at))
        return self._pick(self.units, self.which, order)

    def _pick(self, units: Sequence[UnitKey], which: Places, places: Places) -> "Outcomes":
        return Outcomes(
            units,
            self.said,
            which[places],
            self.kinds[places],
            self.at[places],
            self.slow[places],
            self.latency_s[places],
            self.tokens_in[places],
            self.tokens_out[places],
        )


def gather(calls: Calls, about: Sequence[About], exposures: Sequence[Bare]) -> Outcomes:
    """Gather what calls and bare exposures say."""
    rollouts = [rollout for part in about for rollout in part.rollouts]
    limits = np.array([limit for part in about for limit in part.slow_above_s], float)
    places = np.array([place for part in about for place in part.places], np.int64)
    units = [calls.units[place] for place in places.tolist()]
    of_calls = zip(rollouts, units, strict=True)
    of_exposures = ((one.rollout, one.unit) for one in exposures)
    numbers: dict[UnitKey, int] = {}
    which = [numbers.setdefault(key, len(numbers)) for key in chain(of_calls, of_exposures)]
    said = [Said(one.key.variant, 1, one.failed, one.refused, *one.seen, one.asked) for one in calls.shared]
    own = range(len(said), len(said) + len(exposures))
    kinds = np.array([*np.array(calls.facets, np.int64)[places].tolist(), *own], np.int64)
    at, latency_s, into, out = (
        np.nan_to_num(np.array(column, float))[places]
        for column in (calls.at, calls.latency_s, calls.tokens_in, calls.tokens_out)
    )
    nothing = np.zeros(len(exposures))
    return Outcomes(
        units=list(numbers),
        said=[*said, *(Said(one.variant) for one in exposures)],
        which=np.array(which, np.int64),
        kinds=kinds,
        at=np.concatenate([at, [one.at for one in exposures]]),
        slow=np.concatenate([latency_s > limits, nothing > 0]),
        latency_s=np.concatenate([latency_s, nothing]),
        tokens_in=np.concatenate([into, nothing]),
        tokens_out=np.concatenate([out, nothing]),
    ).in_order()


def _ranks(values: Sequence[tuple[Any, ...]]) -> Places:
    order = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return np.array([order[value] for value in values], np.int64)


def limit_of(watch: Watch) -> float:
    """Give the latency above which calls are slow."""
    return math.inf if watch.slow_above_s is None else watch.slow_above_s
