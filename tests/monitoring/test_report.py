import math
import random
from datetime import timedelta

import pytest

from assent.kernel.errors import Invalid
from assent.monitoring import service
from assent.monitoring.domain import figures, intervals, kinds, latency, quantiles
from assent.monitoring.domain.figures import Tally, merge
from assent.providers import service as providers
from assent_client.errors import AssentError
from tests.monitoring.conftest import CANARY, PROJECT, STABLE


def report(desk, last_s=3600, **where):
    return desk.read(lambda r: service.report.report(r, PROJECT, service.report.last(r, last_s), **where))


def test_variants_of_a_version_merge_bucket_by_bucket(desk):
    fast = [desk.call(f"u{i}", latency_s=0.1) for i in range(90)]
    slow = [desk.call(f"v{i}", "previous", latency_s=10.0) for i in range(10)]
    desk.send(*fast, *slow)
    found = report(desk)
    (row,) = found["versions"]
    assert [(r["variant"], r["n_calls"]) for r in found["variants"]] == [("previous", 10), ("stable", 90)]
    assert row["n_calls"] == 100
    # The average of the variants' percentiles would be 5 s; of all calls together 90 of 100 took 0.1 s.
    assert row["latency_s"]["p50"] == pytest.approx(0.1, rel=0.02)
    assert row["latency_s"]["p99"] == pytest.approx(10, rel=0.02)
    assert row["latency_intervals"]["p50"]["low"] <= 0.1 <= row["latency_intervals"]["p50"]["high"]
    assert row["latency_intervals"]["p99"]["high"] is None


def test_rates_tokens_and_guardrails_are_those_of_the_period(desk):
    desk.send(desk.call("old", ago_s=7200, status=500))
    desk.send(
        desk.call("a", status=500), desk.call("b", finish_reason="refusal"),
        desk.call("c", guardrails=("pii", "words"), language="de"), desk.call("d", tokens_in=None),
        desk.call("e", ttft_s=0.05, guardrails=()),
    )  # fmt: skip
    (row,) = report(desk)["versions"]
    assert row["n_calls"] == 5
    assert (row["errors"]["rate"], row["refusals"]["rate"], row["guardrails"]["rate"]) == (0.2, 0.2, 0.2)
    assert row["errors"]["interval"]["low"] < 0.2 < row["errors"]["interval"]["high"]
    assert (row["tokens_in"], row["tokens_out"]) == (40, 25)
    assert row["tokens_in_per_call"] == {
        "n": 4, "mean": 10.0, "low": None, "high": None, "method": "none below 100",
    }  # fmt: skip
    assert row["ttft_s"]["p50"] == pytest.approx(0.05, rel=0.02)
    assert (row["cost"], row["ref"]) == (None, STABLE)
    assert report(desk, 10_000)["n_calls"] == 6
    assert report(desk, environment="staging")["versions"] == []
    stored = {(r.guardrails, r.language) for r in desk.rows("facets")}
    assert stored == {(None, None), ("pii,words", "de")}


def test_mirrored_calls_are_shown_and_paid_for_and_count_as_nothing_else(desk):
    mirrored = {"version": CANARY, "reason": "shadow", "rollout": None, "status": 500, "error_class": "x"}
    desk.send(desk.call("a"), *(desk.call(f"m{i}", "shadow", **mirrored) for i in range(3)))
    found = report(desk)
    assert [(row["variant"], row["n_calls"]) for row in found["variants"]] == [("shadow", 3), ("stable", 1)]
    assert [(row["version"], row["n_calls"]) for row in found["versions"]] == [(STABLE, 1)]
    assert found["n_calls"] == 1
    assert found["cost"]["n_unknown"] == 4
    assert desk.read(service.callers, PROJECT, CANARY, 0.0) == []
    slots = desk.read(service.live.over_time, PROJECT, last_s=60)
    assert [row["version"] for row in slots] == [STABLE]
    units = {row.unit for row in desk.rows("units")}
    assert not {unit for unit in units if unit.startswith("m")}


def test_a_period_of_ones_own_is_checked(desk):
    now = desk.clock.now()

    def period(start, end):
        return desk.read(service.report.between, start, end)

    assert period(None, None).start == period(None, None).end - timedelta(hours=1)
    with pytest.raises(Invalid, match="ends before"):
        period(now, now - timedelta(seconds=1))
    with pytest.raises(Invalid, match="100 days"):
        period(now - timedelta(days=100), now)


def test_cost_has_the_interval_of_a_linear_price_over_both_sums(desk):
    rng = random.Random(4)
    pairs = [(rng.randrange(1, 2000), rng.randrange(1, 900)) for _ in range(300)]
    desk.send(*(desk.call(f"u{i}", tokens_in=a, tokens_out=b) for i, (a, b) in enumerate(pairs)))
    ((_, tally),) = desk.read(lambda r: service.report.tallies(r, PROJECT, service.report.last(r, 60), {}))
    price = providers.shipped_prices()[0]
    cost = figures.cost(tally, price)
    each = [float(price.cost(a, b)) for a, b in pairs]
    mean = sum(each) / len(each)
    deviation = math.sqrt(sum((c - mean) ** 2 for c in each) / len(each))
    wanted = intervals.mean_interval(mean, deviation, len(each), 0.05)
    assert cost["total"] == pytest.approx(sum(each))
    assert (cost["per_call"]["low"], cost["per_call"]["high"]) == pytest.approx(
        (max(0, wanted.low), wanted.high)
    )
    assert cost["price"]["as_of"] == price.as_of.isoformat()
    assert figures.cost(tally, None) is None
    rows = [{"cost": cost, "n_calls": 300}, {"cost": None, "n_calls": 7}]
    assert service.report.total_cost(rows) == {
        "totals": {price.currency: cost["total"]}, "n_unknown": 7,
    }  # fmt: skip


def test_nothing_has_no_figures_and_never_a_zero():
    empty = merge([Tally(), Tally()])
    assert figures.per_call(0, 0, 0)["mean"] is None
    assert figures.rate(0, empty.of("n_calls"))["rate"] is None
    assert figures.quantiles({}) == {"p50": None, "p95": None, "p99": None}
    assert figures.quantile_intervals({})["p50"] == {"low": 0.0, "high": None, "method": "none"}


def test_the_interval_of_a_quantile_holds_at_every_look():
    rng, missed = random.Random(11), 0
    for _ in range(60):
        counts, wrong = {}, False
        for n in range(1, 800):
            bucket = int(latency.buckets_of([rng.expovariate(1.0)])[0])
            counts[bucket] = counts.get(bucket, 0) + 1
            if n % 20 == 0:
                interval = quantiles.bucket_interval(counts, 0.95, 0.05)
                wrong |= not interval.low <= -math.log(0.05) <= interval.high
        missed += wrong
    assert missed <= 3
    assert 1.5 < interval.low < 3 < interval.high < 8


def test_the_edges_of_buckets_meet():
    assert latency.edges_of(0) == (0.0, latency.FLOOR_S)
    assert latency.edges_of(latency.LAST_BUCKET)[1] == math.inf
    for bucket in (1, 2, 50, 700):
        low, high = latency.edges_of(bucket)
        assert latency.edges_of(bucket - 1)[1] == pytest.approx(low)
        assert low < latency.middle_of(bucket) < high
    assert latency.edges_at({3: 1}, 0) == (0.0, 0.0)
    assert latency.edges_at({3: 1}, 2) == (math.inf, math.inf)
    assert latency.edges_at({3: 1, 9: 1}, 1) == latency.edges_of(3)


def test_ends_and_languages_have_buckets_of_their_own():
    assert kinds.finish_bucket("stop", failed=True) == kinds.FINISHES.index("error")
    assert kinds.finish_bucket("end_turn", failed=False) == kinds.finish_bucket("stop", failed=False)
    assert kinds.finish_bucket("odd", failed=False) == kinds.FINISHES.index("other")
    assert kinds.finish_bucket(None, failed=False) == kinds.FINISHES.index("none")
    assert kinds.bucket_name(kinds.Kind.FINISH, 0) == "stop"
    names = [
        kinds.bucket_name(kinds.Kind.LANGUAGE, kinds.language_bucket(tag))
        for tag in ("de", "pt-BR", "EN_us", "x", "deu", "日本")
    ]
    assert names == ["de", "pt", "en", "unknown", "unknown", "unknown"]


def test_the_report_is_read_over_http(served):
    served.desk.send(*(served.desk.call(f"u{i}") for i in range(3)))
    api = served.api()
    found = api.get(api.path("monitoring"), name="assistant", last_s=60)
    assert (found["n_calls"], found["cost"]) == (3, {"totals": {}, "n_unknown": 3})
    start = (served.desk.clock.now() - timedelta(hours=2)).isoformat()
    end = (served.desk.clock.now() - timedelta(hours=1)).isoformat()
    assert api.get(api.path("monitoring"), from_at=start, to_at=end)["versions"] == []
    with pytest.raises(AssentError) as wrong:
        api.get(api.path("monitoring"), from_at=end, to_at=start)
    assert wrong.value.code == "invalid"
