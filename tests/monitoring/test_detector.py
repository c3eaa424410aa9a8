"""The watch over what is live, beside slow exact arithmetic and beside what it promises."""

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.monitoring.domain import detector, regression
from assent.monitoring.domain.detector import Detector, Run, stake_of
from assent.monitoring.domain.intervals import rate_interval
from assent.monitoring.domain.regression import Seen, Terms, Watched
from assent.monitoring.domain.scores import Histogram, tally

LIFTS = [Fraction(5, 4), Fraction(3, 2), Fraction(2), Fraction(3), Fraction(5), Fraction(10)]
histograms = st.lists(st.tuples(st.integers(0, 256), st.integers(0, 20)), max_size=4).map(tally)
runs = st.lists(histograms, max_size=6)
limits = st.sampled_from([Decimal("0.0001"), Decimal("0.02"), Decimal("0.2"), Decimal("0.99")])


def binary(bad: int, good: int) -> Histogram:
    return tally([(256, bad), (0, good)])


def factor(scores: Histogram, limit: Fraction, lift: Fraction) -> Fraction:
    """The bet's factor, unit by unit, in exact arithmetic."""
    bet = max(limit, min(lift * limit, Fraction(99, 100)))
    product = Fraction(1)
    for score, n in scores.counts:
        y = Fraction(score, 256)
        product *= (y * bet / limit + (1 - y) * (1 - bet) / (1 - limit)) ** n
    return product


def started(blocks: Iterable[Histogram], limit: Fraction, lift: Fraction) -> list[tuple[int, Fraction]]:
    """Every e-process that was started, with its block and its value at the end."""
    found: list[tuple[int, Fraction]] = []
    for block, scores in enumerate(blocks):
        if scores.n:
            ratio = factor(scores, limit, lift)
            found = [(since, value * ratio) for since, value in [*found, (block, Fraction(1))]]
    return found


def watch(blocks: Iterable[Histogram], limit: Decimal, block_s: float = 60) -> Detector:
    state = Detector()
    for block, scores in enumerate(blocks):
        state = detector.advance(state, scores, limit, block, stake_of(block_s))
    return state


@settings(max_examples=40, deadline=None)
@given(runs, limits)
def test_the_detector_is_the_sum_of_all_e_processes_that_were_started(blocks, limit):
    want = Fraction(0)
    for lift in LIFTS:
        want += sum((value for _, value in started(blocks, Fraction(limit), lift)), Fraction(0)) / 1440
    got = Fraction(watch(blocks, limit).value)
    assert abs(got - want / 6) <= abs(want) / 10**28


@settings(max_examples=40, deadline=None)
@given(runs, limits)
def test_the_run_is_the_best_single_e_process_with_what_it_has_seen(blocks, limit):
    state = watch(blocks, limit)
    numbers = [block for block, scores in enumerate(blocks) if scores.n]
    for lift, run in zip(LIFTS, state.runs, strict=True):
        values = started(blocks, Fraction(limit), lift)
        if not values:
            assert run == Run()
            continue
        best = max(value for _, value in values)
        assert abs(Fraction(run.value) / best - 1) < Fraction(1, 10**28)
        assert dict(values)[run.since] / best > 1 - Fraction(1, 10**28)
        assert run.rank == numbers.index(run.since) + 1
        assert run.n == sum(scores.n for scores in blocks[run.since :])
        assert run.badness == sum(scores.badness for scores in blocks[run.since :])


def test_one_block_by_hand():
    # limit .01, lift 10: one bad unit multiplies by .1/.01, one good by .9/.99; the stake is one minute.
    state = watch([binary(1, 1)], Decimal("0.01"))
    assert float(state.sums[-1]) == pytest.approx(10 * 0.9 / 0.99 / 1440, rel=1e-12)
    assert (state.best.since, state.best.n, state.best.badness) == (0, 2, 256)


@pytest.mark.parametrize("limit", [0.001, 0.02, 0.3, 0.9])
def test_a_block_gains_nothing_on_average_while_the_mean_is_at_most_the_limit(limit):
    for mean in (limit, limit / 2):
        for lift in LIFTS:
            bet = max(limit, min(float(lift) * limit, 0.99))
            gain = 1 + (bet - limit) / (limit * (1 - limit)) * (mean - limit)
            assert gain <= 1 + 1e-12
            bad, good = (float(factor(binary(*one), Fraction(limit), lift)) for one in ((1, 0), (0, 1)))
            assert mean * bad + (1 - mean) * good == pytest.approx(gain, rel=1e-9)


def test_silence_is_no_evidence_and_starts_nothing():
    empty = [Histogram()] * 100_000
    assert watch(empty, Decimal("0.01")) == Detector()


def test_nothing_can_be_bet_on_where_almost_all_is_allowed_to_be_bad():
    state = watch([binary(9, 0)] * 3, Decimal("0.99"))
    assert float(state.value) == pytest.approx(3 / 1440, rel=1e-12)
    assert all(run.value == 1 for run in state.runs)


TWO = Terms(
    metrics=(
        Watched(metric="error", weight=Decimal("0.5"), limit=Decimal("0.02")),
        Watched(metric="slow", weight=Decimal("0.5"), limit=Decimal("0.1")),
    ),
    block_s=60,
    arl_days=365,
)


def blocks_of(*errors, slow=(1, 19), first=1000):
    return [(first + i, {"error": binary(*one), "slow": binary(*slow)}) for i, one in enumerate(errors)]


def test_a_rise_is_found_with_its_beginning_its_size_and_its_metric():
    seen, found = regression.replay(TWO, blocks_of(*[(0, 20)] * 60, *[(4, 16)] * 6))
    first = found[0]
    assert (first.metric, first.since) == ("error", 1060)
    assert 1060 <= first.block <= 1065
    assert first.n == 20 * (first.block - 1059)
    assert first.rate == pytest.approx(0.2)
    assert first.interval.low < 0.2 < first.interval.high
    assert first.interval.low > 0.02
    assert first.total >= 365
    assert seen.detected == (found[-1].block,)


def test_the_weighed_sum_keeps_the_promise_and_each_metric_its_part():
    seen, total, found = regression.take(Seen(), TWO, 1, {"error": binary(2, 8), "slow": binary(5, 5)})
    parts = regression.weigh(seen, TWO)
    assert found is None
    assert total == regression.sum_of(parts)
    assert float(total) == pytest.approx(sum(map(float, parts.values())), rel=1e-12)
    assert float(parts["error"]) == pytest.approx(float(seen.detectors["error"].value) / 2, rel=1e-12)
    with pytest.raises(ValueError, match="more than 1"):
        Terms(metrics=(*TWO.metrics, *TWO.metrics[:1], *map(_third, TWO.metrics)), block_s=60, arl_days=1)


def _third(one: Watched) -> Watched:
    return Watched(metric=f"{one.metric}2", weight=one.weight, limit=one.limit)


def test_a_metric_that_a_block_lacks_stays_as_it_was():
    before, _, _ = regression.take(Seen(), TWO, 1, {"error": binary(1, 9), "slow": binary(1, 9)})
    after, _, _ = regression.take(before, TWO, 2, {"error": binary(1, 9)})
    assert after.detectors["slow"] == before.detectors["slow"]
    assert after.totals == {"error": (20, 512), "slow": (10, 256)}


def test_after_a_detection_all_begin_anew_and_a_lasting_harm_is_no_new_one():
    found = regression.replay(TWO, blocks_of(*[(10, 10)] * 60))[1]
    assert len(found) > 3
    seen, new = Seen(), []
    for block, scores in blocks_of(*[(10, 10)] * 60):
        after, _, detection = regression.take(seen, TWO, block, scores)
        if detection:
            new.append(regression.is_new(detection, seen, TWO.block_s, 3_600))
            assert after.detectors == {}
        seen = after
    assert new == [True] + [False] * (len(found) - 1)
    last = found[-1]
    assert regression.is_new(last, Seen(detected=(last.block - 61,)), 60, 3_600)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(histograms, histograms), max_size=6), st.integers(0, 6))
def test_stored_and_read_or_computed_at_once_it_has_the_same_bits(pairs, cut):
    blocks = [(i, {"error": one, "slow": two}) for i, (one, two) in enumerate(pairs)]
    half, _ = regression.replay(TWO, blocks[:cut])
    kept = regression.load(regression.dump(half))
    assert kept == half
    for block, scores in blocks[cut:]:
        kept, _, _ = regression.take(kept, TWO, block, scores)
    assert regression.dump(kept) == regression.dump(regression.replay(TWO, blocks)[0])


def test_the_interval_pays_for_every_beginning_that_was_looked_at():
    run = Run(Decimal(1), since=7, rank=3, n=400, badness=256 * 20)
    want = rate_interval(20, 400, 0.05 / (2 * 3 * 4))
    assert regression.since_interval(run, 2) == want
    assert sum(1 / (j * (j + 1)) for j in range(1, 10_000)) < 1


def test_the_limit_is_the_upper_end_of_the_reference_and_the_margin_rounded_up():
    known = regression.reference("ro_1", 10, 1_000)
    assert known.low < known.rate == 0.01 < known.high
    limit = regression.limit_of(known.high, Decimal("0.005"))
    assert 0 <= limit - Decimal(str(known.high)) - Decimal("0.005") < Decimal("0.000001")
    assert regression.limit_of(0.0, Decimal(0)) == Decimal("0.0001")
    assert regression.limit_of(1.0, Decimal("0.5")) == Decimal("0.99")
    with pytest.raises(ValueError, match="needs units"):
        regression.reference("ro_1", 0, 0)


def test_while_nothing_is_worse_an_alarm_is_as_rare_as_promised():
    """At the very limit, an average of at least 20 days until the first alarm; 60 runs of 60 days."""
    rng, stake = np.random.default_rng(20261126), stake_of(3_600)
    days = []
    for _ in range(60):
        state = Detector()
        for hour in range(60 * 24):
            bad = int(rng.binomial(100, 0.02))
            state = detector.advance(state, binary(bad, 100 - bad), Decimal("0.02"), hour, stake)
            if state.value >= 20:
                break
        days.append((hour + 1) / 24)
    assert np.mean(days) > 20  # runs that were cut at 60 days only make it smaller


def test_a_rise_is_found_soon_however_long_it_was_quiet():
    rng = np.random.default_rng(20261126)
    delays = []
    for _ in range(40):
        state, units = Detector(), 0
        for block in range(400):
            rate = 0.01 if block < 200 else 0.05
            bad = int(rng.binomial(20, rate))
            state = detector.advance(state, binary(bad, 20 - bad), Decimal("0.014"), block, stake_of(60))
            units += 20 if block >= 200 else 0
            if state.value >= 365:
                break
        assert state.value >= 365
        delays.append(units)
    divergence = 0.05 * math.log(0.05 / 0.014) + 0.95 * math.log(0.95 / 0.986)
    assert 0 < np.mean(delays) < 1.8 * math.log(365 * 1440) / divergence
