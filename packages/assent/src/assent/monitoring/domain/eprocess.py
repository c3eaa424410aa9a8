"""The two-sample linear e-process: evidence that the canary is worse, valid at every look.

Source: Turner, Ly, Grünwald (2022), "Generic E-variables for exact sequential k-sample tests that allow for
optional stopping". In block t, n_c and n_s units have scores y in [0,1]. The bet uses rates fixed
before the block: theta_s from past stable units, theta_c = min(lift * theta_s, .99), and the null's best
answer theta_0 = (n_c theta_c + n_s theta_s) / (n_c + n_s). The process is multiplied by

    prod_canary [y theta_c/theta_0 + (1-y)(1-theta_c)/(1-theta_0)] * prod_stable [the same with theta_s].

Where the canary's mean is not above the stable one's, the expected factor is at most 1 (arithmetic and
geometric mean), whatever the rates of this block are: drift and shared outages convict nobody. By Ville's
inequality the chance that E ever reaches 1/alpha is then at most alpha.

All arithmetic is `decimal` with 34 digits and only the operations that its standard rounds exactly (add,
multiply, divide), so the same blocks give the same bits on every machine, and nothing overflows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, Overflow, Underflow

from assent.monitoring.domain.scores import LEVELS, Block, Histogram

LIFTS = (Decimal("1.25"), Decimal("1.5"), Decimal(2), Decimal(3), Decimal(5), Decimal(10))
PRIOR_UNITS = 100
PRIOR_BADNESS = LEVELS  # 1 % of 100 units, in 1/256
CEILING = Decimal("0.99")
ONE = Decimal(1)
ARITHMETIC = Context(
    prec=34, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Overflow, Underflow]
)


@dataclass(frozen=True, slots=True)
class Process:
    """The state of one guard over the whole rollout; it is never reset."""

    factors: tuple[Decimal, ...] = (ONE,) * len(LIFTS)  # one per lift
    n_stable: int = 0
    stable_badness: int = 0  # in 1/256

    @property
    def e_value(self) -> Decimal:
        """Give the evidence against "not worse": the mean over the lifts."""
        total = Decimal(0)
        for factor in self.factors:
            total = ARITHMETIC.add(total, factor)
        return ARITHMETIC.divide(total, Decimal(len(self.factors)))

    @property
    def stable_rate(self) -> Decimal:
        """Give theta_s for the next block: past stable units, and 1 % worth 100 of them."""
        badness = Decimal(PRIOR_BADNESS + self.stable_badness)
        return ARITHMETIC.divide(badness, Decimal(LEVELS * (PRIOR_UNITS + self.n_stable)))


def advance(process: Process, block: Block) -> Process:
    """Take one more block in."""
    rate = process.stable_rate
    return Process(
        factors=tuple(
            ARITHMETIC.multiply(factor, _block_factor(block, rate, lifted(rate, lift)))
            for factor, lift in zip(process.factors, LIFTS, strict=True)
        ),
        n_stable=process.n_stable + block.stable.n,
        stable_badness=process.stable_badness + block.stable.badness,
    )


def run(blocks: Iterable[Block]) -> Process:
    """Compute a process from its blocks, in their order."""
    process = Process()
    for block in blocks:
        process = advance(process, block)
    return process


def lifted(rate: Decimal, lift: Decimal) -> Decimal:
    """Give the rate that is bet on; it is never below the one that it is lifted from."""
    # Where stable is worse than 99 % there is nothing to bet on: a better canary must not be blamed.
    return max(rate, min(ARITHMETIC.multiply(rate, lift), CEILING))


def _block_factor(block: Block, stable_rate: Decimal, canary_rate: Decimal) -> Decimal:
    n_canary, n_stable = block.canary.n, block.stable.n
    if not n_canary or not n_stable or stable_rate == canary_rate:
        return ONE
    weighted = ARITHMETIC.fma(
        canary_rate, Decimal(n_canary), ARITHMETIC.multiply(stable_rate, Decimal(n_stable))
    )
    null_rate = ARITHMETIC.divide(weighted, Decimal(n_canary + n_stable))
    return ARITHMETIC.multiply(
        likelihood_ratio(block.canary, canary_rate, null_rate),
        likelihood_ratio(block.stable, stable_rate, null_rate),
    )


def likelihood_ratio(scores: Histogram, rate: Decimal, null_rate: Decimal) -> Decimal:
    """Give the product over units of y*rate/null + (1-y)(1-rate)/(1-null); rates within (0,1)."""
    bad = ARITHMETIC.divide(rate, null_rate)
    good = ARITHMETIC.divide(ARITHMETIC.subtract(ONE, rate), ARITHMETIC.subtract(ONE, null_rate))
    product = ONE
    for score, n in scores.counts:
        mixed = ARITHMETIC.fma(bad, Decimal(score), ARITHMETIC.multiply(good, Decimal(LEVELS - score)))
        product = ARITHMETIC.multiply(product, _power(ARITHMETIC.divide(mixed, Decimal(LEVELS)), n))
    return product


def _power(base: Decimal, n: int) -> Decimal:
    """Raise to a whole power by squaring; `Decimal.__pow__` is not specified to the last digit."""
    result = ONE
    while n:
        if n & 1:
            result = ARITHMETIC.multiply(result, base)
        n >>= 1
        if n:
            base = ARITHMETIC.multiply(base, base)
    return result


@dataclass(frozen=True, slots=True)
class Weighing:
    """What several guards say together."""

    total: Decimal  # sum of weight * E
    worst: str  # the guard with the largest weight * E
    by_guard: Mapping[str, Decimal]  # E, unweighted


def weigh(processes: Mapping[str, Process], weights: Mapping[str, Decimal]) -> Weighing:
    """Add guards up by their weights; ties go to the first by name. Raises: ValueError for bad weights."""
    check_weights(weights)
    values = {name: processes[name].e_value for name in sorted(weights)}
    weighted = {name: ARITHMETIC.multiply(weights[name], value) for name, value in values.items()}
    total = Decimal(0)
    for value in weighted.values():
        total = ARITHMETIC.add(total, value)
    return Weighing(total, max(weighted, key=lambda name: weighted[name]), values)


def check_weights(weights: Mapping[str, Decimal]) -> None:
    """Refuse weights that would break the guarantee. Raises: ValueError."""
    if not weights or any(not weight.is_finite() or not ONE >= weight > 0 for weight in weights.values()):
        raise ValueError("every guard needs a weight in (0,1]")
    if sum(weights.values()) > ONE:
        raise ValueError("the weights of the guards must not sum to more than 1")


def equal_weights(names: Sequence[str]) -> dict[str, Decimal]:
    """Share the budget equally; rounded down, so that the sum is never above 1."""
    share = ARITHMETIC.divide(ONE, Decimal(len(names))).quantize(Decimal("1e-6"), "ROUND_DOWN")
    return dict.fromkeys(names, share)
