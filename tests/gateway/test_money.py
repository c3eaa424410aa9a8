"""Budgets in money: held before a call, settled after it, never overspent by more than is documented."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from forge import digest, model_document, route
from hypothesis import given
from hypothesis import strategies as st
from plane import STREAM_HEAD, chunk, chunked, completion, events, http, until

from assent.gateway.book import Book
from assent.gateway.money import NANO, Budget, Hold, Tariff
from assent.gateway.quotas import Quotas
from assent_client.calls.choosing import Ending
from assent_client.calls.refusals import Refusal
from assent_client.calls.stream import Outcome
from assent_client.snapshot import KeyLimits, Price

EVENING = datetime(2027, 2, 28, 23, 0, 0, tzinfo=UTC)
FINE = Ending(200, None, 0.1, None)


class Clock:
    now = EVENING

    def __call__(self):
        return self.now

    def on(self, **more):
        self.now += timedelta(**more)


@pytest.fixture
def clock():
    return Clock()


def price(n_in="1000", n_out="10000", currency="USD"):
    """By default a token in costs 0.001 and one out 0.01."""
    return {"currency": currency, "input": n_in, "output": n_out, "as_of": "2027-02-01"}


def budgeted(world, clock, *documents, prices=None, **limits):
    shown = documents or (model_document(parameters={"max_tokens": 10}),)
    prices = {digest(one): price() for one in shown} if prices is None else prices
    payload = world.payload(*shown, limits={"app-1": {"currency": "USD"} | limits}, prices=prices)
    payload["routes"] = {"assistant": route(digest(shown[0]))}
    world.publish_payload(payload)
    world.start(now=clock)


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def settled(world, n):
    """Wait until n calls were settled: each is when it is observed."""
    world.calls(n)


def test_a_day_that_is_spent_refuses_with_the_reason_and_the_time_to_come_back(world, clock):
    budgeted(world, clock, cost_per_day="0.3")
    n = 0
    while (answer := world.ask()).status_code == 200:  # seven tokens in and three out cost 0.037
        settled(world, n := n + 1)
        assert n < 10
    assert code(answer) == (429, "budget_exhausted")
    assert answer.headers["retry-after"] == "3600"
    assert "0.3 USD a day" in answer.json()["error"]["message"]
    assert 0 < n * 0.037 <= 0.3
    assert len(world.upstream.asked) == n
    clock.on(hours=1)
    assert world.ask().status_code == 200


def test_a_month_ends_with_the_calendar(world, clock):
    budgeted(world, clock, cost_per_month="0.2")
    assert world.ask().status_code == 200
    settled(world, 1)
    refused = world.ask()
    assert (code(refused), refused.headers["retry-after"]) == ((429, "budget_exhausted"), "3600")
    clock.on(hours=1)
    assert world.ask().status_code == 200
    settled(world, 2)
    assert world.ask().headers["retry-after"] == str(31 * 86_400)


def test_what_a_call_may_cost_at_most_is_held_while_it_is_under_way(world, clock):
    budgeted(world, clock, cost_per_day="0.3")
    held = []
    world.upstream.answer = lambda transport, _: held.append(transport)
    first = threading.Thread(target=world.ask)
    first.start()
    until(lambda: held, "the first call")
    assert code(world.ask()) == (429, "budget_exhausted")
    world.upstream.answer = http(completion())
    world.upstream.do(held[0].write, http(completion()))
    first.join(5)
    settled(world, 1)
    assert world.ask().status_code == 200


def test_a_restart_in_order_loses_nothing_of_a_budget(world, clock):
    budgeted(world, clock, cost_per_month="0.5")
    for n in range(1, 4):
        assert world.ask().status_code == 200
        settled(world, n)
        world.gateway.stop()
        world.start(now=clock)
    spent = Book(world.folder / "quotas.json")
    window = 2027 * 12 + 1
    limit = NANO // 2
    assert spent.lease("app-1 cost_per_month", window, limit, limit) == limit - 3 * 37 * NANO // 1000


def test_a_version_whose_price_is_unknown_or_in_other_money_is_not_called(world, clock):
    budgeted(world, clock, prices={}, cost_per_day="1")
    assert code(world.ask()) == (403, "price_unknown")
    document = model_document(parameters={"max_tokens": 10})
    world.publish(
        document,
        limits={"app-1": {"currency": "USD", "cost_per_day": "1"}},
        prices={digest(document): price(currency="EUR")},
    )
    assert code(world.ask()) == (403, "price_unknown")
    world.publish(document, limits={"another": {"currency": "USD", "cost_per_day": "1"}})
    assert world.ask().status_code == 200


def test_refused_calls_cost_nothing_and_uncounted_answers_all_that_was_held(world, clock):
    budgeted(world, clock, cost_per_day="1")
    world.upstream.answer = http({"error": {"code": "x"}}, "400 Bad Request")
    for n in range(1, 8):
        assert world.ask().status_code == 400
        settled(world, n)
    world.upstream.answer = STREAM_HEAD + chunked(*events(chunk("x"), "[DONE]"))
    n_passed = 0
    while world.ask(stream=True).status_code == 200:
        settled(world, 8 + n_passed)
        n_passed += 1
    assert 1 <= n_passed <= 5


def test_the_next_version_of_a_chain_is_counted_by_its_own_price(world, clock):
    second = model_document(name="second", upstream_model="second", parameters={"max_tokens": 10})
    unpriced = model_document(name="third", upstream_model="third")
    first = model_document(fallback=[digest(unpriced), digest(second)], parameters={"max_tokens": 10})
    prices = {digest(first): price(), digest(second): price("0", "100000")}
    budgeted(world, clock, first, second, unpriced, prices=prices, cost_per_day="0.45")
    world.upstream.answer = lambda transport, asked: transport.write(
        http(completion()) if asked.body["model"] == "second" else http({}, "503 Busy")
    )
    assert world.ask().headers["x-assent-version"] == "second@1.0.0"
    settled(world, 2)  # three tokens out cost 0.3, so less than a call may cost is left
    assert code(world.ask()) == (429, "budget_exhausted")


def test_embeddings_are_held_by_what_goes_in_only(world, clock):
    budgeted(world, clock, model_document(), cost_per_day="0.2")
    world.upstream.answer = http(
        {"object": "list", "data": [], "model": "upstream-1", "usage": {"prompt_tokens": 2}}
    )
    answer = world.post({"model": "assistant", "input": "Hi"}, "/v1/embeddings")
    assert answer.status_code == 200


TARIFF = Tariff.of(Price(currency="USD", input="1", output="4", as_of="2027-02-01"))


@pytest.mark.parametrize(
    ("body", "n_out"),
    [
        (b"{}", 4096),
        (b'{"max_tokens":5}', 5),
        (b'{"max_tokens":5,"max_completion_tokens":7,"n":2}', 14),
        (b'{"max_output_tokens":9,"n":"x"}', 9),
        (b'{"max_tokens":-1}', 4096),
        (b'{"max_tokens":9999999}', 131072),
    ],
)
def test_the_most_that_a_call_costs_follows_from_its_request(body, n_out):
    assert TARIFF.most(body, gives_text=True) == len(body) * 1000 + n_out * 4000
    assert TARIFF.most(body, gives_text=False) == len(body) * 1000


def outcome(n_in, n_out):
    known = Outcome()
    known.tokens_in, known.tokens_out = n_in, n_out
    return known


CALLS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(0, 60), st.integers(0, 200)), max_size=60
)


@given(CALLS, st.integers(1, 3000))
def test_calls_that_stay_within_what_is_held_never_overspend_whatever_their_order(
    tmp_path_factory, calls, limit
):
    """Three workers hold and settle in any order; hours pass; a day's cost stays within its limit."""
    clock = Clock()
    clock.now = datetime(2027, 3, 1, tzinfo=UTC)
    path = tmp_path_factory.mktemp("book") / "q"
    workers = [Quotas(Book(path), 3, 1.0, clock) for _ in range(3)]
    budget = Budget("USD", limit, None)
    spent, open_holds = {}, []
    for worker, most, cost, minutes in calls:
        clock.on(minutes=minutes)
        day = clock.now.date()
        try:
            leases = workers[worker].hold("k", budget, most)
        except Refusal:
            continue
        open_holds.append((Hold(leases, most, Tariff("USD", 1.0, 0.0)), min(cost, most), day))
        if minutes % 2:
            hold, n, begun = open_holds.pop(0)
            hold.settle(outcome(n, 0), FINE)
            spent[begun] = spent.get(begun, 0) + n
    for hold, n, begun in open_holds:
        hold.settle(outcome(n, 0), FINE)
        spent[begun] = spent.get(begun, 0) + n
    assert all(n <= limit for n in spent.values())


def test_a_call_that_costs_more_than_was_held_is_taken_from_what_comes(tmp_path, clock):
    quotas = Quotas(Book(tmp_path / "q"), 1, 1.0, clock)
    budget = Budget("USD", 100, 1000)
    hold = Hold(quotas.hold("k", budget, 10), 10, Tariff("USD", 1.0, 1.0))
    hold.settle(outcome(60, 35), FINE)
    with pytest.raises(Refusal) as refusal:
        quotas.hold("k", budget, 10)
    assert refusal.value.retry_after_s == 3600
    assert quotas.hold("k", budget, 5)


def test_limits_without_a_currency_are_no_budget():
    assert Budget.of(KeyLimits(tokens_per_day=3)) is None
    found = Budget.of(KeyLimits(cost_per_day="0.000001", cost_per_month="12.5", currency="EUR"))
    assert found == Budget("EUR", 1000, 12_500_000_000)
