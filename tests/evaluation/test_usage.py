"""Latency, tokens and money of a run, and what a run would take."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from assent.evaluation import jobs, service, verification
from assent.evaluation.domain import usage
from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome
from assent.evaluation.domain.estimate import Asked, Past, estimate, tokens_in, tokens_out
from assent.evaluation.domain.suite import Limits
from assent.evaluation.service import NewRun, NewVersion
from assent.kernel.errors import Conflict, Invalid, Refused
from assent.kernel.tx import SYSTEM
from assent.prompts import service as prompts
from assent.providers import service as providers
from assent.providers.domain.prices import Price
from assent.providers.service import NewPrice
from assent_client.cli.eval_estimate import money, tokens
from tests.evaluation.test_service import PROJECT, ready, suite_document

SOURCE = "https://acme.example/contract"
PRICE = Price(
    model="m-*",
    currency="USD",
    input=Decimal(2),
    output=Decimal(10),
    cached=Decimal(1),
    as_of=date(2026, 11, 4),
    source=SOURCE,
)
LIMITS = Limits(10, 1.0, 1000, 1, 0, 0, 0)


def record(n, side="candidate", n_in=100, n_out=10, **changes):
    answer = Answer("four", n_prompt_tokens=n_in, n_completion_tokens=n_out)
    values = {"latency_ms": float(n), "reused_from": None, "answer": answer} | changes
    return CaseRecord(
        side, f"s{n}", 0, f"k{n}", Outcome.SCORED, scores=(), error="", asked_at="", attempts=1, **values
    )


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 400), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_quantiles_are_numpys_and_their_ends_are_the_order_statistics_of_the_binomial(n, p):
    values = np.arange(1.0, n + 1)
    found = usage.quantile(values[::-1], p)
    assert found.value == pytest.approx(np.quantile(values, p))
    low, high = (int(stats.binom.ppf(share, n, p)) for share in (0.025, 0.975))
    assert found.low == (values[low - 1] if low > 0 else None)
    assert found.high == (values[high] if high < n else None)


def test_the_interval_of_a_quantile_holds_the_truth_95_times_of_100():
    random = np.random.default_rng(7)
    truth = stats.expon.ppf(0.95)
    draws = (usage.quantile(random.exponential(size=200), 0.95) for _ in range(1000))
    assert 0.935 <= np.mean([d.low <= truth and (d.high is None or truth <= d.high) for d in draws]) <= 0.995


def test_each_side_says_what_it_took_and_what_is_unknown_is_null():
    records = [record(n) for n in range(1, 41)] + [record(50, reused_from="run_0")]
    records += [record(n, "baseline", n_in=None) for n in range(3)]
    candidate, baseline = usage.to_documents(records, {"candidate": PRICE, "baseline": PRICE})
    assert (candidate["n"], candidate["n_reused"], candidate["n_counted"]) == (41, 1, 41)
    assert (candidate["tokens_in"], candidate["tokens_out"]) == (4100, 410)
    assert candidate["tokens_per_answer"] == {"value": "110", "low": None, "high": None}
    assert Decimal(candidate["cost"]) == 41 * (100 * 2 + 10 * 10) / Decimal(1_000_000)
    assert Decimal(candidate["spent"]) == 40 * Decimal(300) / 1_000_000
    assert candidate["latency_p50_ms"]["value"] == "21"
    assert float(candidate["latency_p95_ms"]["low"]) < 39
    assert baseline["n_counted"] == 0
    for name in ("tokens_in", "tokens_out", "tokens_per_answer", "cost", "cost_per_answer", "spent"):
        assert baseline[name] is None
    shown, unknown = usage.lines_of([candidate, baseline])
    assert (shown["tokens"], shown["cost"]) == ("4,100 in, 410 out", "0.0123 USD")
    assert shown["price"] == f"m-*, {SOURCE}, 2026-11-04"
    assert shown["latency_p50_ms"].startswith("21 [")
    assert (unknown["tokens"], unknown["spent"]) == ("unknown", "unknown")
    assert usage.metrics_of([candidate])["cost_per_answer"] == "0.0003"
    assert set(usage.metrics_of([baseline | {"side": "candidate"}])) == {"latency_p50_ms", "latency_p95_ms"}
    assert usage.metrics_of([baseline]) == {}


def test_without_a_price_or_any_answer_cost_is_unknown():
    (unpriced,) = usage.to_documents([record(1), record(2, n_in=110)], {"candidate": None})
    assert (unpriced["tokens_in"], unpriced["cost"], unpriced["spent"], unpriced["price"]) == (
        210,
        None,
        None,
        None,
    )
    assert float(unpriced["tokens_per_answer"]["low"]) < 115 < float(unpriced["tokens_per_answer"]["high"])
    assert usage.lines_of([unpriced])[0]["price"] == "unknown"
    (empty,) = usage.to_documents([record(1, answer=None, latency_ms=None)], {"candidate": PRICE})
    assert (empty["n"], empty["cost"], empty["latency_p50_ms"]) == (0, None, None)
    assert usage.lines_of([empty])[0]["latency_p50_ms"] == "unknown"


def test_prices_are_read_back_as_they_were_published():
    prices = {"candidate": PRICE, "baseline": None}
    assert usage.prices_of(usage.to_documents([], prices)) == prices
    plain = {"candidate": replace(PRICE, cached=None)}
    assert usage.prices_of(usage.to_documents([], plain)) == plain


def test_what_was_not_counted_is_guessed_by_its_bytes_and_cached_input_costs_less():
    assert usage.spent_on(PRICE, Answer("four", n_prompt_tokens=100, n_completion_tokens=10), 0) == Decimal(
        "0.0003"
    )
    cached = Answer("four", n_prompt_tokens=100, n_completion_tokens=10, n_cached_tokens=500)
    assert usage.spent_on(PRICE, cached, 0) == Decimal("0.0002")
    assert usage.spent_on(PRICE, Answer("four!"), 401) == Decimal(101 * 2 + 2 * 10) / 1_000_000


def asked(n=100, past=(), **changes):
    values = {"side": "candidate", "ref": "a@1.0.0", "n_reused": 0, "most_out": None, "price": PRICE}
    return Asked(n_bytes=[40] * n, past=list(past), **{**values, **changes})


def pasts(n, seed=1):
    random = np.random.default_rng(seed)
    return [Past(40, int(random.poisson(12)), int(random.poisson(30)), 500.0) for _ in range(n)]


def test_without_any_past_input_goes_by_bytes_and_output_is_unknown():
    found = estimate([asked()], replace(LIMITS, tokens=10, money=1.0, requests=200, seconds=9))
    side = found["sides"][0]
    assert side["tokens_in"] == {"value": 1000, "low": None, "high": None, "basis": "4 bytes a token"}
    assert side["tokens_out"] is None
    assert (found["tokens"], found["cost"], found["seconds"]) == (None, None, None)
    assert side["cost"] == {"value": None, "low": None, "high": None}
    said = {one["budget"]: one["used_up"] for one in found["budgets"]}
    assert said == {"requests": False, "tokens": None, "seconds": None, "USD": None}


def test_a_limit_of_the_version_bounds_what_past_answers_do_not_tell():
    side = estimate([asked(most_out=50)], LIMITS)["sides"][0]
    assert side["tokens_out"] == {"value": None, "low": 0, "high": 5000, "basis": "the version's own limit"}
    assert side["cost"] == {"value": None, "low": "0.002", "high": "0.052"}


def test_past_answers_give_tokens_money_and_time():
    found = estimate([asked(past=pasts(50))], replace(LIMITS, money=0.01, tokens=10**6))
    side = found["sides"][0]
    assert side["tokens_in"]["low"] < side["tokens_in"]["value"] < side["tokens_in"]["high"]
    assert found["tokens"] == side["tokens_in"]["value"] + side["tokens_out"]["value"]
    assert found["seconds"] == 5.0
    assert Decimal(side["cost"]["low"]) < Decimal(side["cost"]["value"]) < Decimal(side["cost"]["high"])
    assert {one["budget"]: one["used_up"] for one in found["budgets"]} == {"tokens": False, "USD": True}


def test_unknown_on_one_side_is_unknown_for_the_run_and_nothing_to_ask_costs_nothing():
    one = asked(past=pasts(5))
    assert estimate([one, asked(side="baseline", price=None, past=pasts(5))], LIMITS)["cost"] is None
    done = asked(n=0, n_reused=100, price=None)
    found = estimate([one, done], LIMITS)
    assert (found["n_to_ask"], found["n_reused"]) == (100, 100)
    assert found["cost"].keys() == {"USD"}
    assert estimate([done], LIMITS)["cost"] == {}
    assert estimate([done], LIMITS)["tokens"] == 0
    assert estimate([asked(side="baseline", price=None)], LIMITS)["sides"][0]["currency"] is None
    euros = asked(past=pasts(5), price=replace(PRICE, currency="EUR"), side="baseline")
    assert estimate([one, euros], replace(LIMITS, money=1.0))["cost"].keys() == {"USD", "EUR"}


def test_one_past_answer_shows_no_spread():
    assert tokens_out(asked(past=pasts(1))).low is None
    assert tokens_in(asked(past=[Past(None, 3, 3, None)])).basis == "4 bytes a token"
    assert tokens_out(asked(past=[Past(40, None, None, 1.0)])) is None


def test_the_prediction_holds_what_came_95_times_of_100():
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(1000):
        past = [Past(40, 10, int(n), 1.0) for n in random.poisson(30, size=60)]
        found = tokens_out(asked(past=past))
        hits += found.low <= random.poisson(30, size=100).sum() <= found.high
    assert 0.93 <= hits / 1000 <= 0.97


def budgeted(desk, n=40, **limits):
    ready(desk, n)
    gate = {"metric": "exact", "threshold": 0.5}
    document = suite_document(gate=gate, limits={"in_flight": 1, **limits}, coverage=0.5)
    desk.write(service.register_suite, NewVersion(PROJECT, "capped", document))
    return NewRun(PROJECT, "capped", "assistant@1.1.0")


def set_price(desk, **changes):
    said = {"model": "good", "currency": "USD", "input": 2, "output": 10, "source": SOURCE} | changes
    return desk.write(providers.set_price, PROJECT, NewPrice(**said))


def close(desk, new):
    run = desk.write(service.submit, new)
    jobs.run(desk.runtime, run_id=run.id)
    return desk.read(service.get_run, run.id)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"tokens": 200}, "the budget of 200 tokens is used up"),
        ({"requests": 25}, "the budget of 25 requests is used up"),
        ({"money": 0.001}, "the budget of 0.001 USD is used up"),
    ],
)
def test_a_run_that_used_up_a_budget_is_inconclusive_and_says_so_and_verifies(desk, limits, words):
    new = budgeted(desk, **limits)
    set_price(desk)
    run = close(desk, new)
    assert (run.state, run.verdict, run.figures["stopped"]) == ("closed", "inconclusive", words)
    result = desk.read(service.result_of, run)
    assert f"the run stopped: {words}" in result["reasons"]
    assert sum(desk.upstream.questions.values()) == 25
    assert result["usage"][0]["spent"] == "0.001"
    assert all(check.ok for check in desk.read(verification.verify, run.id))
    assert desk.evidence(run.subject)["stopped"] == words


def test_a_run_within_its_budgets_is_judged(desk):
    new = budgeted(desk, tokens=10_000, money=1.0)
    set_price(desk)
    run = close(desk, new)
    assert (run.verdict, run.figures.get("stopped")) == ("pass", None)
    assert desk.evidence(run.subject)["metrics"]["capped.cost_per_answer"] == "4e-05"


def test_a_budget_in_money_of_an_unknown_price_or_another_currency_is_refused(desk):
    new = budgeted(desk, money=1.0)
    with pytest.raises(Refused, match="is unknown") as error:
        desk.write(service.submit, new)
    assert "assent provider price" in error.value.reasons[0].remedy
    set_price(desk, currency="EUR")
    with pytest.raises(Refused, match="is in EUR"):
        desk.write(service.submit, new)


@pytest.mark.parametrize("currency", ["usd", "US", "", 3])
def test_a_budget_is_in_a_currency(desk, currency):
    with pytest.raises(Invalid, match="three capital letters"):
        budgeted(desk, money=1.0, currency=currency)


def test_suites_without_a_budget_in_money_keep_their_form(desk):
    budgeted(desk)
    found = desk.read(service.get_suite, PROJECT, "capped")
    assert "money" not in desk.read(service.suite_of, found).document["limits"]
    capped = budgeted(desk, money=2.5, currency="EUR")
    found = desk.read(service.get_suite, PROJECT, capped.suite)
    document = desk.read(service.suite_of, found).document
    assert (document["limits"]["money"], document["limits"]["currency"]) == (2.5, "EUR")


def test_a_price_that_was_changed_later_does_not_change_what_was_published(desk):
    new = budgeted(desk)
    set_price(desk)
    run = close(desk, new)
    set_price(desk, input=7)
    assert all(check.ok for check in desk.read(verification.verify, run.id))
    assert desk.read(service.result_of, run)["usage"][0]["cost"] == "0.0016"


def test_an_estimate_knows_past_answers_and_those_that_are_reused(desk):
    new = budgeted(desk)
    before = desk.read(service.estimate_run, new)
    assert (before["n_cases"], before["n_to_ask"], before["cost"], before["seconds"]) == (40, 40, None, None)
    assert not desk.upstream.questions
    set_price(desk)
    close(desk, new)
    again = desk.read(service.estimate_run, new)
    assert (again["n_to_ask"], again["n_reused"], again["tokens"], again["cost"]) == (0, 40, 0, {})
    fresh = desk.read(service.estimate_run, replace(new, fresh=True))
    assert (fresh["n_to_ask"], fresh["tokens"]) == (40, 40 * 8)
    assert fresh["cost"] == {"USD": "0.0016"}
    desk.clock.advance(31 * 86_400)
    assert desk.read(service.estimate_run, new)["n_reused"] == 0
    other = desk.read(service.estimate_run, replace(new, subject="assistant@1.0.0"))
    assert other["sides"][0]["tokens_out"]["value"] == 120


def test_an_estimate_counts_both_sides_and_needs_what_a_run_needs(desk):
    ready(desk, 5, gate={"metric": "exact", "margin": 0.1, "baseline": "assistant@1.0.0"}, repeats=2)
    found = desk.read(service.estimate_run, NewRun(PROJECT, "quality", "assistant@1.1.0"))
    assert [side["ref"] for side in found["sides"]] == ["assistant@1.1.0", "assistant@1.0.0"]
    assert found["n_cases"] == found["n_to_ask"] == 20
    live = suite_document(dataset="cases")
    desk.write(service.register_suite, NewVersion(PROJECT, "live", live))
    with pytest.raises(Conflict, match="nothing to compare with"):
        desk.read(service.estimate_run, NewRun(PROJECT, "live", "assistant@1.1.0"))


def test_the_limit_of_a_version_and_cases_that_no_prompt_can_put(desk):
    ready(desk, 3)
    content = {"text": "Help {{ shop }}.", "variables": {"shop": {"schema": {"type": "string"}}}}
    content["parameters"] = {"max_tokens": 7}
    with desk.session.begin(SYSTEM) as tx:
        prompts.register(tx, prompts.NewPrompt(PROJECT, "greeting", content))
    new = NewRun(PROJECT, "quality", "greeting@1.0.0", through="assistant@1.0.0")
    document = suite_document(gate={"metric": "exact", "threshold": 0.5})
    desk.write(service.register_suite, NewVersion(PROJECT, "quality", document))
    found = desk.read(service.estimate_run, new)
    assert found["n_to_ask"] == 0
    filled = [{"input": {"text": "hi", "variables": {"shop": "us"}}}]
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", filled))
    desk.write(service.register_suite, NewVersion(PROJECT, "quality", document))
    side = desk.read(service.estimate_run, new)["sides"][0]
    assert (side["n_to_ask"], side["tokens_out"]["high"]) == (1, 7)


def test_an_estimate_is_printed_and_given_as_json(command, served):
    desk = served.desk
    new = budgeted(desk, tokens=50)
    words = ("eval", "estimate", "capped", "--subject", "assistant@1.1.0")
    code, out = command(*words)
    assert code == 0
    assert "unknown" in out.out
    set_price(desk)
    close(desk, new)
    code, out = command(*words, "--fresh", "--json")
    found = json.loads(out.out)
    assert code == 0
    assert float(found["cost"]["USD"]) == pytest.approx(0.0016, rel=0.05)
    assert found["judges"] == []
    said = command(*words, "--fresh")[1].out
    assert "2026" in said or "0001" in said
    assert "yes" in said
    assert tokens(None) == "unknown"
    assert "at most 1,000" in tokens({"value": None, "low": 0, "high": 1000, "basis": "x"})
    assert money({"value": None, "low": "0", "high": "2"}, "USD") == "at most 2 USD"
    assert money({"value": "1", "low": "0.5", "high": "2"}, "USD") == "1 [0.5, 2] USD"
