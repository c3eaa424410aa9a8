"""A/B tests: what the primary metric says, at any time or at planned looks, and what stops it."""

import json
import math
from contextlib import contextmanager
from dataclasses import replace

import pytest

from assent.delivery.domain import Amount, Experiment, Metric, Mode
from assent.kernel.errors import Conflict
from assent.monitoring.domain.difference import Moments, Stratum, difference
from assent.monitoring.domain.events import AmountSums, GuardCounts, block_document
from assent.monitoring.domain.experiment import Finding, Terms, read, stratum_of
from assent.monitoring.domain.scores import tally
from assent.monitoring.domain.slices import grouped, read_slice
from assent.monitoring.service.experiments import read_test
from assent.monitoring.service.slices import slices
from assent_client.cli.main import main
from tests.monitoring.conftest import serve

EXPERIMENT = Experiment(
    primary=Metric.THUMBS_DOWN,
    metrics=(Metric.ERROR,),
    amounts=(Amount.LATENCY, Amount.COST),
    margin=0.02,
    mode=Mode.ALWAYS_VALID,
    looks=1,
    units=None,
)
TERMS = Terms(experiment=EXPERIMENT, alpha=0.05, share=0.5, window_s=600)
EVEN = {"canary": 5_000, "stable": 5_000}


def block(canary_rate, stable_rate, n=100):
    """Give a block in which `n` units of each arm scored 0 or 1 at these rates."""

    def arm(rate):
        bad = round(n * rate)
        return tally([(0, n - bad), (256, bad)])

    return stratum_of(arm(canary_rate), arm(stable_rate))


def amounts(canary, stable, n=100, spread=0.1):
    def arm(mean):
        return Moments(n, n * mean, n * (mean * mean + spread * spread))

    return Stratum(control=arm(stable), treatment=arm(canary))


def reading(canary, stable, n_blocks=50, terms=TERMS, counts=EVEN, **strata):
    primary = [block(canary, stable)] * n_blocks
    errors = [block(0.01, 0.01)] * n_blocks
    latency = [amounts(0.8, 1.0)] * n_blocks
    return read(terms, {"thumbs_down": primary, "error": errors, "latency_s": latency, **strata}, counts)


@pytest.mark.parametrize(
    ("canary", "stable", "finding"),
    [
        (0.05, 0.15, Finding.CANARY_BETTER),
        (0.15, 0.05, Finding.STABLE_BETTER),
        (0.50, 0.50, Finding.INCONCLUSIVE),
    ],
)
def test_the_primary_metric_decides_by_its_whole_interval(canary, stable, finding):
    found = reading(canary, stable)
    assert found.finding is finding
    expected = difference([block(canary, stable)] * 50, 0.05, rate=True)
    assert (found.primary.estimate, found.primary.low, found.primary.high) == (
        expected.estimate,
        expected.low,
        expected.high,
    )
    assert (found.primary.canary, found.primary.stable) == (
        pytest.approx(canary),
        pytest.approx(stable),
    )
    assert found.looks is None


def test_with_enough_units_no_difference_that_matters_is_found_too():
    found = reading(0.10, 0.10, n_blocks=400)
    assert (found.finding, found.because) == (
        Finding.NO_DIFFERENCE,
        "the whole interval lies within 0.02 of 0",
    )


def test_secondary_metrics_stand_beside_it_and_decide_nothing():
    found = reading(0.50, 0.50)
    names = [one.metric for one in found.others]
    assert names == ["error", "latency_s", "cost"]
    latency = found.others[1]
    assert latency.high < 0
    assert latency.estimate == pytest.approx(-0.2)
    assert found.finding is Finding.INCONCLUSIVE


def test_a_metric_that_nobody_computes_waits_and_says_so():
    cost = reading(0.1, 0.1).others[2]
    assert (cost.low, cost.high, cost.canary) == (None, None, None)
    assert cost.waits_for == "100 units in each arm: 0 and 0 so far"


def test_before_there_are_units_it_waits():
    found = read(TERMS, {}, {})
    assert (found.finding, found.because) == (
        Finding.INCONCLUSIVE,
        "it waits for 100 units in each arm: 0 and 0 so far",
    )


def test_units_that_were_called_lately_are_said_to_wait():
    found = read(TERMS, {}, EVEN)
    assert found.because == "a unit counts once the 600 s after its first call are over; 10,000 wait so"
    assert found.exposure.counts == EVEN


def test_arms_with_other_shares_than_planned_stop_the_verdict():
    found = reading(0.05, 0.15, counts={"canary": 6_000, "stable": 4_000})
    assert found.exposure.broken
    assert (found.finding, found.because) == (
        Finding.INCONCLUSIVE,
        "the arms got other shares of the units than planned",
    )
    assert found.document()["exposure"]["ok"] is False


@pytest.mark.parametrize(
    "counts", [{"canary": 60_000, "stable": 40_000}, {"canary": 1, "stable": 1, "off": 1}]
)
def test_a_split_that_is_broken_beyond_any_number_is_written_in_json(counts):
    found = reading(0.05, 0.15, counts=counts)
    assert found.exposure.e_value == math.inf
    written = json.loads(json.dumps(found.document(), allow_nan=False))
    assert (written["exposure"]["ok"], written["exposure"]["e_value"]) == (False, "inf")


PLANNED = replace(TERMS, experiment=replace(EXPERIMENT, mode=Mode.PLANNED, looks=5, units=5_000))


def test_a_planned_test_says_nothing_before_its_first_look():
    found = reading(0.05, 0.15, n_blocks=4, terms=PLANNED)
    assert (found.finding, found.because, found.looks) == (
        Finding.INCONCLUSIVE,
        "it waits for the first planned look",
        (0, 5),
    )
    assert (found.primary.low, found.primary.canary) == (None, None)


def test_a_planned_test_stops_at_the_look_that_decides():
    found = reading(0.05, 0.25, n_blocks=25, terms=PLANNED)
    assert found.finding is Finding.CANARY_BETTER
    assert found.looks[0] < 5
    worse = reading(0.25, 0.05, n_blocks=25, terms=PLANNED)
    assert worse.finding is Finding.STABLE_BETTER


def test_between_looks_a_planned_test_stays_as_it_was_and_waits_for_the_next():
    one, later = (reading(0.10, 0.10, n_blocks=n, terms=PLANNED) for n in (5, 9))
    assert one.primary.low == later.primary.low
    assert (later.finding, later.because) == (Finding.INCONCLUSIVE, "it waits for look 2 of 5")


def test_a_planned_test_that_is_used_up_says_what_it_leaves():
    used_up = reading(0.50, 0.50, n_blocks=25, terms=PLANNED)
    assert (used_up.finding, used_up.looks) == (Finding.INCONCLUSIVE, (5, 5))
    assert used_up.because == "the planned units are used up and nothing was found"
    wide = replace(PLANNED, experiment=replace(PLANNED.experiment, margin=0.05))
    assert reading(0.10, 0.10, n_blocks=25, terms=wide).finding is Finding.NO_DIFFERENCE


def test_scores_become_moments_as_shares_of_one():
    stratum = stratum_of(tally([(128, 2), (256, 1)]), tally([(0, 4)]))
    assert stratum.treatment == Moments(3, 2.0, 1.5)
    assert stratum.control == Moments(4, 0.0, 0.0)
    assert math.isclose(stratum.treatment.mean, 2 / 3)


def test_a_block_s_digest_covers_amounts_where_there_are_some():
    guards = (GuardCounts(metric="error", canary=((0, 1),), stable=()),)
    sums = AmountSums(metric="cost", canary=(1, "0.5", "0.25"), stable=(0, "0", "0"))
    assert block_document(guards, ()) == [{"metric": "error", "canary": [[0, 1]], "stable": []}]
    assert block_document(guards, (sums,)) == {
        "guards": [{"metric": "error", "canary": [[0, 1]], "stable": []}],
        "amounts": [{"metric": "cost", "canary": [1, "0.5", "0.25"], "stable": [0, "0", "0"]}],
    }
    assert sums.stratum() == Stratum(control=Moments(0, 0.0, 0.0), treatment=Moments(1, 0.5, 0.25))


TEST_PLAN = {
    "strategy": "ab_test",
    "steps": [{"share": 0.25, "min_time_s": 0, "max_time_s": 3600}],
    "guards": [{"metric": "error"}],
    "detect": {"metric": "error", "from": 0.05, "to": 0.6},
    "experiment": {
        "primary": "thumbs_down",
        "metrics": ["latency_s", "tokens_in", "tokens_out", "cost"],
        "margin": 0.05,
    },
    "window_s": 3,
    "block_s": 1,
    "expected_units_per_s": 100,
}


def test_a_live_test_reads_its_blocks_and_their_amounts_and_can_be_computed_again(desk):
    desk.plan(TEST_PLAN)
    desk.traffic(30, canary_down=0.0, stable_down=0.6)
    figures = desk.look().judgement.figures["experiment"]
    assert figures["verdict"] == "canary_better"
    by_name = {one["metric"]: one for one in figures["metrics"]}
    assert set(by_name) == {"thumbs_down", "latency_s", "tokens_in", "tokens_out", "cost"}
    assert float(by_name["latency_s"]["canary"]) == pytest.approx(0.2)
    assert float(by_name["tokens_out"]["stable"]) == pytest.approx(5)
    assert by_name["tokens_in"]["waits_for"].startswith("values that differ")
    assert by_name["cost"]["canary"] is None  # nobody said what its tokens cost
    (first, *_) = desk.rows("blocks")
    assert [a["metric"] for a in first.amounts] == ["latency_s", "tokens_in", "tokens_out"]
    desk.tick()
    again = desk.look().judgement.figures["experiment"]  # no block is due: what was read last is kept
    assert again["verdict"] == "canary_better"
    computed = desk.read(read_test, desk.rollout(), ())
    assert computed["metrics"][0]["estimate"] == pytest.approx(float(again["metrics"][0]["estimate"]))


def sliced(desk, seconds, per_s=40):
    """Send a test's traffic: in application key_b nothing gets better, in English it does; a third says nothing."""
    for _ in range(seconds):
        rows = []
        for i in range(per_s):
            variant = "canary" if i % 4 == 0 else "stable"
            n = desk.n // 4
            application, language = ("key_a", "key_b", "key_b")[n % 3], ("en", "de", None)[n % 3]
            call = desk.call(f"u{desk.n}", variant, application=application, language=language)
            bad = variant == "stable" and language == "en" and n % 2
            rows += [call, desk.thumb(call, 0.0 if bad else 1.0, application=application)]
        desk.send(*rows)
        desk.clock.advance(1)
        desk.tick()


def test_slices_show_where_a_difference_comes_from_and_add_up_to_the_whole(desk):
    desk.plan({**TEST_PLAN, "steps": [{"share": 0.25, "min_time_s": 0, "max_time_s": 36000}]})
    sliced(desk, 90)
    whole = desk.look().judgement.figures["experiment"]["metrics"]
    found = desk.read(slices, "acme", "ro_1")
    n = 2 * 9 * 5
    assert (found["n_comparisons"], found["alpha"]) == (n, 0.05)
    by_application, by_language = ({s["value"]: s for s in d["slices"]} for d in found["dimensions"])
    assert (set(by_application), set(by_language)) == ({"key_a", "key_b"}, {"en", "de", ""})
    assert by_language[""]["title"] == "not said"
    english, other = by_language["en"]["metrics"][0], by_application["key_b"]["metrics"][0]
    assert english["high"] < 0
    assert other["canary"] == other["stable"] == 0
    for at, one in enumerate(whole):  # every unit stands in one slice of each dimension
        for dimension in (by_application, by_language):
            parts = [s["metrics"][at] for s in dimension.values()]
            for arm in ("canary", "stable"):
                units = [p[f"n_{arm}"] for p in parts]
                if one[arm] is not None:
                    mean = sum(p[arm] * k for p, k in zip(parts, units, strict=True)) / sum(units)
                    assert mean == pytest.approx(float(one[arm]))
    alone = difference(
        [Stratum(Moments(english["n_stable"], *2 * [english["stable"] * english["n_stable"]]), Moments(english["n_canary"], 0.0, 0.0))],
        0.05 / n,
        rate=True,
    )  # fmt: skip
    assert (english["low"], english["high"]) == pytest.approx((alone.low, alone.high))


def test_a_unit_belongs_to_the_slice_of_its_first_call(desk):
    desk.plan(TEST_PLAN)
    desk.tick()
    desk.send(desk.exposure("u1"))
    assert [(row.application, row.language) for row in desk.rows("units")] == [(None, None)]
    desk.send(desk.call("u1", application="key_a"), desk.call("u1", application="key_b", language="de"))
    desk.send(desk.call("u1", application="key_b", language="de"))
    (row,) = desk.rows("units")
    assert (row.application, row.language, row.n_calls) == ("key_a", "", 3)
    (one,) = desk.read(slices, "acme", "ro_1")["dimensions"][0]["slices"]
    assert (one["value"], one["exposure"]["counts"]) == ("key_a", {"canary": 0, "stable": 1})


def test_the_smaller_slices_are_read_together_and_one_that_loses_units_is_named():
    counts = {f"app-{i}": {"canary": 250 - i, "stable": 750 - i} for i in range(10)}
    counts["app-9"] = {"canary": 400, "stable": 10}
    groups = grouped(counts)
    assert groups[:2] == [("app-0",), ("app-1",)]
    assert groups[-1] == ("app-8", "app-9")
    terms = replace(TERMS, share=0.25)
    assert [read_slice(terms, values, counts, {}).exposure.broken for values in groups] == [False] * 8 + [
        True
    ]
    assert read_slice(terms, groups[-1], counts, {}).is_rest
    assert len(read_slice(terms, groups[0], counts, {}).metrics) == 4


def test_what_is_no_test_has_no_slices(running):
    with pytest.raises(Conflict, match="no A/B test"):
        running.read(slices, "acme", "ro_1")


def test_slices_are_printed_with_their_number_of_comparisons(desk, monkeypatch, capsys):
    desk.plan(TEST_PLAN)
    sliced(desk, 20)
    desk.send(*(desk.call(f"lost{i}", "canary", application="key_lost") for i in range(40)))
    with contextmanager(serve)(desk) as shown:
        for name, value in (("URL", shown.url), ("TOKEN", shown.tokens["admin"]), ("PROJECT", "acme")):
            monkeypatch.setenv(f"ASSENT_{name}", value)
        assert main(["rollout", "slices", "assistant@2.1.0", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main(["rollout", "slices", "ro_1"]) == 0
    out, err = capsys.readouterr()
    assert [one["dimension"] for one in found["dimensions"]] == ["application", "language"]
    assert ("By application" in out, "not said" in out, "100 units in each arm" in out) == (True, True, True)
    assert "key_lost: its units did not fall as planned" in err
    assert "At most 90 intervals are shown; all of them hold together at 0.95." in err
