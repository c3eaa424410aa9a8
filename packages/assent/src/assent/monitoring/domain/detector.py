"""The e-detector: evidence that a rate has risen above a limit since some moment that nobody knows.

Source: Shin, Ramdas, Rinaldo (2024), "E-detectors: a nonparametric framework for sequential change
detection", the Shiryaev-Roberts form, with e-processes that start block by block. The factor of a block is
that of a bet on `lift * limit` against `limit`, linear in each unit's score y in [0,1]:

    L = prod [y q/limit + (1-y)(1-q)/(1-limit)],   q = min(lift * limit, .99),

whose expectation is at most 1 where the mean score is at most the limit, whatever else the block is like.
Each block with units starts an e-process of weight `stake`; the detector is the sum of all that started,

    M <- (M + stake) * L,   averaged over the lifts.

With `stake` the length of a block in days, M minus the days that had units is a supermartingale while the
mean stays at most the limit, so that the expected time until M first reaches A is at least A days.

The likeliest moment of the change is where the best single e-process began (Page 1954, CUSUM):
C <- max(C, 1) * L, kept beside M for each lift with what it has seen since.
"""

from dataclasses import dataclass
from decimal import Decimal

from assent.monitoring.domain.eprocess import ARITHMETIC, LIFTS, ONE, lifted, likelihood_ratio
from assent.monitoring.domain.scores import Histogram

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Run:
    """The best single e-process of one lift: its value, where it began, and what it has seen.

    `rank` counts the blocks with units from the detector's start to where it began, that one included.
    """

    value: Decimal = Decimal(0)
    since: int = 0
    rank: int = 0
    n: int = 0
    badness: int = 0  # in 1/256


@dataclass(frozen=True, slots=True)
class Detector:
    """The state of one metric since its last restart; one sum and one run per lift."""

    sums: tuple[Decimal, ...] = (Decimal(0),) * len(LIFTS)
    runs: tuple[Run, ...] = (Run(),) * len(LIFTS)
    n_blocks: int = 0

    @property
    def value(self) -> Decimal:
        """Give the evidence of a change, in days: the mean over the lifts."""
        total = Decimal(0)
        for one in self.sums:
            total = ARITHMETIC.add(total, one)
        return ARITHMETIC.divide(total, Decimal(len(self.sums)))

    @property
    def best(self) -> Run:
        """Give the likeliest change: the run of the lift with the most evidence; ties go to the smaller."""
        return self.runs[self.sums.index(max(self.sums))]


def stake_of(block_s: float) -> Decimal:
    """Give the weight of the e-process that a block starts: its length in days."""
    return ARITHMETIC.divide(Decimal(str(block_s)), Decimal(DAY_S))


def advance(detector: Detector, scores: Histogram, limit: Decimal, block: int, stake: Decimal) -> Detector:
    """Take one more block in; without units nothing is known and nothing starts."""
    if not scores.n:
        return detector
    ratios = [_ratio(scores, limit, lift) for lift in LIFTS]
    rank = detector.n_blocks + 1
    return Detector(
        tuple(
            ARITHMETIC.multiply(ARITHMETIC.add(one, stake), ratio)
            for one, ratio in zip(detector.sums, ratios, strict=True)
        ),
        tuple(
            _carried(run if run.value >= ONE else Run(ONE, block, rank), ratio, scores)
            for run, ratio in zip(detector.runs, ratios, strict=True)
        ),
        rank,
    )


def _ratio(scores: Histogram, limit: Decimal, lift: Decimal) -> Decimal:
    bet = lifted(limit, lift)
    return ONE if bet == limit else likelihood_ratio(scores, bet, limit)


def _carried(run: Run, ratio: Decimal, scores: Histogram) -> Run:
    value = ARITHMETIC.multiply(run.value, ratio)
    return Run(value, run.since, run.rank, run.n + scores.n, run.badness + scores.badness)
