"""Evidence that the canary is not worse than the stable version by more than a margin.

The e-process against "canary's mean >= stable's mean + margin": nature's rates are predicted from past units
of each arm, and the null's best answer is the pair on the margin's line that is nearest to the prediction
(n_c KL(theta_c || x + margin) + n_s KL(theta_s || x) is least). For a convex null this is an e-variable.
Source: Turner, Grünwald (2023), "Exact anytime-valid confidence intervals for contingency tables and beyond".
The always-valid upper bound of canary minus stable lies below the margin exactly when E >= 1/alpha.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from assent.monitoring.domain.eprocess import (
    ARITHMETIC,
    ONE,
    PRIOR_BADNESS,
    PRIOR_UNITS,
    likelihood_ratio,
)
from assent.monitoring.domain.scores import LEVELS, Block

BISECTIONS = 110  # halves an interval in [0,1] to below the last of 34 digits


@dataclass(frozen=True, slots=True)
class Proof:
    """The state of one guard's proof over the whole rollout."""

    margin: Decimal
    factor: Decimal = ONE
    n_canary: int = 0
    canary_badness: int = 0
    n_stable: int = 0
    stable_badness: int = 0


def advance(proof: Proof, block: Block) -> Proof:
    """Take one more block in."""
    return Proof(
        proof.margin,
        ARITHMETIC.multiply(proof.factor, _block_factor(proof, block)),
        proof.n_canary + block.canary.n,
        proof.canary_badness + block.canary.badness,
        proof.n_stable + block.stable.n,
        proof.stable_badness + block.stable.badness,
    )


def run(blocks: Iterable[Block], margin: Decimal) -> Proof:
    """Compute a proof from the blocks of a rollout, in order. Raises: ValueError unless 0 < margin < 1."""
    if not 0 < margin < 1:
        raise ValueError("a margin lies between 0 and 1")
    proof = Proof(margin)
    for block in blocks:
        proof = advance(proof, block)
    return proof


def _rate(badness: int, n: int) -> Decimal:
    return ARITHMETIC.divide(Decimal(PRIOR_BADNESS + badness), Decimal(LEVELS * (PRIOR_UNITS + n)))


def _block_factor(proof: Proof, block: Block) -> Decimal:
    n_canary, n_stable = block.canary.n, block.stable.n
    canary, stable = _rate(proof.canary_badness, proof.n_canary), _rate(proof.stable_badness, proof.n_stable)
    if not n_canary or not n_stable or ARITHMETIC.subtract(canary, stable) >= proof.margin:
        return ONE
    nearest = _nearest(Decimal(n_canary), canary, Decimal(n_stable), stable, proof.margin)
    return ARITHMETIC.multiply(
        likelihood_ratio(block.canary, canary, ARITHMETIC.add(nearest, proof.margin)),
        likelihood_ratio(block.stable, stable, nearest),
    )


def _nearest(
    n_canary: Decimal, canary: Decimal, n_stable: Decimal, stable: Decimal, margin: Decimal
) -> Decimal:
    low, high = Decimal(0), ARITHMETIC.subtract(ONE, margin)
    for _ in range(BISECTIONS):
        x = ARITHMETIC.divide(ARITHMETIC.add(low, high), Decimal(2))
        if _slope(n_canary, canary, ARITHMETIC.add(x, margin)) + _slope(n_stable, stable, x) > 0:
            high = x
        else:
            low = x
    return ARITHMETIC.divide(ARITHMETIC.add(low, high), Decimal(2))


def _slope(n: Decimal, rate: Decimal, x: Decimal) -> Decimal:
    """Give the derivative of n KL(rate || x)."""
    below = ARITHMETIC.multiply(x, ARITHMETIC.subtract(ONE, x))
    return ARITHMETIC.divide(ARITHMETIC.multiply(n, ARITHMETIC.subtract(x, rate)), below)
