import math
import random
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from assent.monitoring.domain import eprocess, latency, proof, scores
from assent.monitoring.domain.events import GuardCounts

histograms = st.lists(st.tuples(st.integers(0, 256), st.integers(0, 40)), max_size=5).map(scores.tally)
blocks = st.lists(st.builds(scores.Block, canary=histograms, stable=histograms), max_size=5)


def binary(bad: int, good: int) -> scores.Histogram:
    return scores.tally([(256, bad), (0, good)])


def units(histogram: scores.Histogram) -> Iterable[Fraction]:
    for score, n in histogram.counts:
        for _ in range(n):
            yield Fraction(score, 256)


def slow_e_value(closed: Iterable[scores.Block]) -> Fraction:
    """The paper's formula, unit by unit, in exact arithmetic."""
    lifts = [Fraction(5, 4), Fraction(3, 2), Fraction(2), Fraction(3), Fraction(5), Fraction(10)]
    e = [Fraction(1)] * 6
    past_bad, past_n = Fraction(1), 100
    for block in closed:
        canary, stable = list(units(block.canary)), list(units(block.stable))
        rate_s = past_bad / past_n
        for i, lift in enumerate(lifts):
            rate_c = max(rate_s, min(lift * rate_s, Fraction(99, 100)))
            if canary and stable:
                null = (len(canary) * rate_c + len(stable) * rate_s) / (len(canary) + len(stable))
                for y in canary:
                    e[i] *= y * rate_c / null + (1 - y) * (1 - rate_c) / (1 - null)
                for y in stable:
                    e[i] *= y * rate_s / null + (1 - y) * (1 - rate_s) / (1 - null)
        past_bad += sum(stable, Fraction(0))
        past_n += len(stable)
    return sum(e, Fraction(0)) / 6


@settings(max_examples=30, deadline=None)
@given(blocks)
def test_the_e_process_equals_the_formula_in_exact_arithmetic(closed):
    got = Fraction(eprocess.run(closed).e_value)
    want = slow_e_value(closed)
    assert abs(got / want - 1) < Fraction(1, 10**28)


def test_one_block_by_hand():
    # theta_s = .01, lift 10: theta_c = .1, theta_0 = .055; one bad canary unit, one good stable unit.
    process = eprocess.advance(eprocess.Process(), scores.Block(binary(1, 0), binary(0, 1)))
    assert float(process.factors[-1]) == pytest.approx(0.1 / 0.055 * 0.99 / 0.945, rel=1e-12)
    assert float(process.stable_rate) == pytest.approx(1 / 101, rel=1e-15)


@given(blocks)
def test_computed_at_once_or_block_by_block_it_has_the_same_bits(closed):
    state = eprocess.Process()
    for block in closed:
        state = eprocess.advance(state, block)
    assert str(state.e_value) == str(eprocess.run(closed).e_value)


def test_a_block_without_one_of_the_arms_moves_nothing_but_the_prediction():
    alone = scores.Block(binary(5, 5), binary(0, 0))
    assert eprocess.run([alone]) == eprocess.Process()
    stable = eprocess.run([scores.Block(binary(0, 0), binary(30, 70))])
    assert stable.e_value == 1
    assert float(stable.stable_rate) == pytest.approx(31 / 200)


def test_a_stable_arm_that_is_all_bad_leaves_nothing_to_bet_on():
    worst = scores.Block(binary(0, 0), binary(1_000_000, 0))
    better = scores.Block(binary(0, 50), binary(50, 0))
    assert eprocess.run([worst, better]).e_value == 1


def test_ten_million_units_neither_overflow_nor_underflow():
    harm = eprocess.run([scores.Block(binary(6_000_000, 4_000_000), binary(500_000, 9_500_000))] * 3)
    none = eprocess.run([scores.Block(binary(0, 10_000_000), binary(10_000_000, 0))] * 3)
    assert harm.e_value > Decimal("1e1000000")
    assert 0 < none.e_value < Decimal("1e-500000")


def test_scores_are_rounded_half_up_and_clipped():
    assert scores.quantise(0, 0) == 0
    assert scores.quantise(1, 1) == 256
    assert scores.quantise(1, 2) == 128
    assert scores.quantise(1, 512) == 1
    assert scores.quantise(0.9, 512) == 0
    assert scores.quantise(3, 2) == 256
    assert scores.quantise(-1, 2) == 0


def test_a_histogram_is_sorted_merged_and_refuses_what_no_score_is():
    assert scores.tally([(3, 2), (1, 1), (3, 1), (7, 0)]).counts == ((1, 1), (3, 3))
    assert (binary(1, 2) + binary(2, 3)).counts == ((0, 5), (256, 3))
    assert (binary(1, 2).n, binary(1, 2).badness) == (3, 256)
    for pair in ((257, 1), (-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="not a score"):
            scores.tally([pair])
    counts = GuardCounts(metric="error", canary=((0, 2),), stable=((256, 1),))
    assert counts.block() == scores.Block(binary(0, 2), binary(1, 0))


def test_blocks_lie_on_a_fixed_grid():
    assert scores.block_index(120.0, 60) == 2
    assert scores.block_index(179.999, 60) == 2


def test_guards_are_added_up_by_weight_and_the_worst_is_named():
    bad = eprocess.run([scores.Block(binary(9, 1), binary(1, 99))])
    fine = eprocess.Process()
    found = eprocess.weigh({"error": fine, "slow": bad}, {"error": Decimal("0.4"), "slow": Decimal("0.6")})
    assert found.worst == "slow"
    assert found.total == pytest.approx(Decimal("0.4") + Decimal("0.6") * bad.e_value)
    assert found.by_guard == {"error": fine.e_value, "slow": bad.e_value}
    assert eprocess.weigh({"b": fine, "a": fine}, eprocess.equal_weights(["b", "a"])).worst == "a"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "needs a weight"),
        ({"a": Decimal(0)}, "needs a weight"),
        ({"a": Decimal("1.1")}, "needs a weight"),
        ({"a": Decimal("NaN")}, "needs a weight"),
        ({"a": Decimal("0.6"), "b": Decimal("0.5")}, "not sum to more"),
    ],
)
def test_weights_that_break_the_guarantee_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        eprocess.check_weights(weights)


def test_equal_weights_never_sum_to_more_than_one():
    for n in range(1, 20):
        eprocess.check_weights(eprocess.equal_weights([str(i) for i in range(n)]))


def draw(rng: random.Random, n: int, rate: float) -> scores.Histogram:
    bad = sum(rng.random() < rate for _ in range(n))
    return binary(bad, n - bad)


def test_without_a_difference_few_runs_ever_roll_back_though_rates_drift_and_shares_ramp():
    rng = random.Random(20261124)
    false = 0
    for _ in range(120):
        state = eprocess.Process()
        for t in range(60):
            rate = (
                0.05 + 0.15 * (t / 60) + (0.5 if 20 <= t < 23 else 0)
            )  # drift, and an outage that hits both
            canary = 1 + t // 6
            state = eprocess.advance(
                state, scores.Block(draw(rng, canary, rate), draw(rng, 20 - canary, rate))
            )
            if state.e_value >= 20:
                false += 1
                break
    assert false <= 120 * 0.05


def test_sticky_users_with_moods_of_their_own_convict_nobody():
    # Each user has a rate of their own (intra-class correlation .2) and makes 30 calls; one score per user.
    rng = random.Random(7)
    a, b = 0.05 * 4, 0.95 * 4
    false = 0
    for _ in range(100):
        state = eprocess.Process()
        for _ in range(40):
            moods = [rng.betavariate(a, b) for _ in range(20)]
            means = [sum(rng.random() < mood for _ in range(30)) for mood in moods]
            canary = scores.tally((scores.quantise(m, 30), 1) for m in means[:5])
            stable = scores.tally((scores.quantise(m, 30), 1) for m in means[5:])
            state = eprocess.advance(state, scores.Block(canary, stable))
            if state.e_value >= 20:
                false += 1
                break
    assert false <= 100 * 0.05


def test_thumbs_down_from_5_to_60_of_100_users_is_found_within_some_tens_of_units():
    rng = random.Random(3)
    delays = []
    for _ in range(60):
        state, n = eprocess.Process(), 0
        while state.e_value < 20:
            state = eprocess.advance(state, scores.Block(draw(rng, 2, 0.6), draw(rng, 38, 0.05)))
            n += 2
        delays.append(n)
    assert sum(delays) / len(delays) < 15
    assert max(delays) <= 60


def kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def nearest(n_c: int, canary: float, n_s: int, stable: float, margin: float) -> float:
    def distance(v: float) -> float:
        return n_c * kl(canary, v + margin) + n_s * kl(stable, v)

    found = minimize_scalar(distance, bounds=(0, 1 - margin), method="bounded", options={"xatol": 1e-11})
    return float(found.x)


def slow_proof(closed: list[scores.Block], margin: float) -> float:
    """The same in floating point, the nearest pair found by another search."""
    e, past = 1.0, {"c": [1.0, 100], "s": [1.0, 100]}
    for block in closed:
        canary, stable = past["c"][0] / past["c"][1], past["s"][0] / past["s"][1]
        if block.canary.n and block.stable.n and canary - stable < margin:
            x = nearest(block.canary.n, canary, block.stable.n, stable, margin)
            for y in map(float, units(block.canary)):
                e *= y * canary / (x + margin) + (1 - y) * (1 - canary) / (1 - x - margin)
            for y in map(float, units(block.stable)):
                e *= y * stable / x + (1 - y) * (1 - stable) / (1 - x)
        for key, side in (("c", block.canary), ("s", block.stable)):
            past[key][0] += side.badness / 256
            past[key][1] += side.n
    return e


def test_a_proof_equals_another_search_for_the_nearest_pair():
    closed = [
        scores.Block(binary(1, 20), binary(3, 60)),
        scores.Block(binary(0, 30), binary(2, 50)),
        scores.Block(binary(0, 0), binary(2, 50)),
    ]
    got = proof.run(closed, Decimal("0.05")).factor
    assert float(got) == pytest.approx(slow_proof(closed, 0.05), rel=1e-6)


def test_a_proof_is_reached_without_harm_and_never_on_the_margins_line():
    rng = random.Random(5)
    fine = proof.run(
        [scores.Block(draw(rng, 50, 0.05), draw(rng, 200, 0.05)) for _ in range(20)], Decimal("0.05")
    )
    assert fine.factor > 20
    false = 0
    for _ in range(60):
        state = proof.Proof(Decimal("0.05"))
        for _ in range(15):
            state = proof.advance(state, scores.Block(draw(rng, 20, 0.1), draw(rng, 40, 0.05)))
            if state.factor >= 20:
                false += 1
                break
    assert false <= 60 * 0.05 + 3


def test_a_canary_predicted_beyond_the_margin_gives_no_proof():
    harm = scores.Block(binary(90, 10), binary(1, 99))
    assert proof.run([harm, harm], Decimal("0.05")).factor < 1
    assert (
        proof.advance(proof.run([harm], Decimal("0.05")), harm).factor
        == proof.run([harm], Decimal("0.05")).factor
    )


@pytest.mark.parametrize("margin", ["0", "1", "-0.1"])
def test_a_margin_outside_0_and_1_is_refused(margin):
    with pytest.raises(ValueError, match="between 0 and 1"):
        proof.run([], Decimal(margin))


@given(st.floats(1e-4, 1e5))
def test_a_bucket_is_within_one_part_in_a_hundred_of_what_it_holds(seconds):
    (bucket,) = latency.buckets_of([seconds])
    assert latency.middle_of(int(bucket)) == pytest.approx(seconds, rel=0.0101)


def test_durations_beyond_the_ends_fall_in_the_last_buckets():
    assert list(latency.buckets_of([0, 1e-4, 1e9])) == [0, 0, latency.LAST_BUCKET]
    assert latency.middle_of(0) == latency.FLOOR_S


def test_quantiles_of_merged_buckets():
    counts = Counter(latency.buckets_of([ms / 1000 for ms in range(1, 1001)]).tolist())
    assert latency.quantile(counts, 0.5) == pytest.approx(0.5, rel=0.02)
    assert latency.quantile(counts, 0.99) == pytest.approx(0.99, rel=0.02)
    assert latency.quantile(counts, 0) == pytest.approx(0.001, rel=0.02)
    assert latency.quantile(counts, 1) == pytest.approx(1.0, rel=0.02)
    assert latency.quantile({}, 0.5) is None
