"""What tokens cost: the shipped table, a project's own word, and what is unknown."""

import json
from datetime import date
from decimal import Decimal

import pytest

from assent.kernel.errors import Invalid, NotFound
from assent.providers import service
from assent.providers.domain.prices import Price, find_price, parse_prices, plain
from assent.providers.service import NewPrice
from assent_client.cli.connection import OPTIONS
from assent_client.cli.main import main
from assent_client.errors import Invalid as InvalidThere
from tests.providers.conftest import PROJECT

SOURCE = "https://acme.example/contract"


def price(model, amount="1", cached=None):
    return Price(
        model=model,
        currency="USD",
        input=Decimal(amount),
        output=Decimal(4),
        cached=None if cached is None else Decimal(cached),
        as_of=date(2026, 11, 4),
        source=SOURCE,
    )


def new(**changes):
    said = {"model": "own-7b", "currency": "EUR", "input": 0.2, "output": "0.60", "source": SOURCE}
    return NewPrice(**{**said, **changes})


def test_the_shipped_table_is_dated_sourced_and_positive():
    table = service.shipped_prices()
    assert len(table) > 100
    for one in table:
        assert one.currency == "USD"
        assert one.source.startswith("https://")
        assert date(2026, 1, 1) < one.as_of < date(2030, 1, 1)
        assert one.input > 0
        assert one.output > 0
        assert one.cached is None or one.cached <= one.input


def test_cost_is_exact_and_cached_input_costs_its_own_price_or_the_plain_one():
    assert price("m", "2.5").cost(1_000_000, 500_000) == Decimal("4.5")
    assert price("m", "2.5", "0.5").cost(1_000_000, 0, 400_000) == Decimal("1.7")
    assert price("m", "2.5").cost(1_000_000, 0, 400_000) == Decimal("2.5")
    assert price("m", "0.1").cost(3, 0) * 1_000_000 == Decimal("0.3")
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(Decimal("0.600")) == "0.6"


def test_the_very_name_goes_before_beginnings_and_the_first_table_before_the_second():
    table = [price("gpt-4*", "1"), price("gpt-4o*", "2"), price("gpt-4o-2024", "3")]
    found = {name: find_price([name], [table]) for name in ("gpt-4o-2024", "GPT-4o-mini", "gpt-4", "gpt-3")}
    assert [one and one.input for one in found.values()] == [3, 2, 1, None]
    assert find_price(["x", "gpt-4"], [table]).input == 1
    assert find_price(["gpt-4o-2024"], [[price("gpt-4o-*", "9")], table]).input == 9
    assert find_price(["own", "gpt-4"], [[price("gpt-4", "7")], [price("own", "8")]]).input == 7
    assert find_price([], [table]) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"providers": [{}]},
        {"providers": 3},
        {"providers": [{"name": "a", "currency": "USD", "source": SOURCE, "as_of": "today", "prices": [
            {"models": ["m"], "input": "1", "output": "1"}]}]},
        {"providers": [{"name": "a", "currency": "USD", "source": SOURCE, "as_of": "2026-01-01", "prices": [
            {"models": ["m", "m"], "input": "1", "output": "1"}]}]},
        {"providers": [{"name": "a", "currency": "USD", "source": SOURCE, "as_of": "2026-01-01", "prices": [
            {"models": ["m"], "input": "-1", "output": "1"}]}]},
    ],
)  # fmt: skip
def test_what_is_no_table_of_prices_is_refused(document):
    with pytest.raises(Invalid):
        parse_prices(document)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ""},
        {"model": "*"},
        {"model": "a b"},
        {"currency": "euro"},
        {"input": "NaN"},
        {"input": "free"},
        {"output": -1},
        {"output": True},
        {"cached": 1e9},
        {"source": "a page"},
    ],
)
def test_a_price_that_makes_no_sense_is_refused(desk, changes):
    with pytest.raises(Invalid) as error:
        desk.do(service.set_price, PROJECT, new(**changes))
    assert [reason.id for reason in error.value.reasons] == list(changes)


def test_every_mistake_in_a_price_is_told_at_once(desk):
    with pytest.raises(Invalid) as error:
        desk.do(service.set_price, PROJECT, new(model="", currency="", input="x", source="x"))
    assert [one.id for one in error.value.reasons] == ["model", "currency", "input", "source"]


def test_a_projects_word_goes_before_the_shipped_table_until_it_is_forgotten(desk):
    shipped = desk.read(service.price_for, PROJECT, "gpt-4o-2024-08-06", None)
    assert (shipped.input, shipped.is_override) == (Decimal("2.5"), False)
    said = desk.do(service.set_price, PROJECT, new(model="gpt-4o*", cached="0.1"))
    found = desk.read(service.price_for, PROJECT, "gpt-4o-2024-08-06")
    assert found == said
    assert (found.currency, found.input, found.cached, found.is_override) == (
        "EUR", Decimal("0.2"), Decimal("0.1"), True,
    )  # fmt: skip
    assert desk.read(service.list_prices, PROJECT)[0] == said
    assert desk.read(service.list_prices, PROJECT, "gpt-4o-mini") == [said]
    assert desk.do(service.set_price, PROJECT, new(model="gpt-4o*", cached="0.1")) == said
    desk.do(service.set_price, PROJECT, new(model="gpt-4o*"))
    desk.do(service.forget_price, PROJECT, "gpt-4o*")
    assert desk.read(service.price_for, PROJECT, "gpt-4o-2024-08-06") == shipped
    assert desk.events() == ["providers.price.set"] * 2 + ["providers.price.removed"]


def test_unknown_is_unknown_and_of_another_project(desk):
    desk.do(service.set_price, PROJECT, new())
    assert desk.read(service.price_for, PROJECT, "none", None) is None
    assert desk.read(service.price_for, "elsewhere", "own-7b") is None
    assert desk.read(service.list_prices, PROJECT, "none") == []
    with pytest.raises(NotFound):
        desk.do(service.forget_price, PROJECT, "gpt-4o")
    with pytest.raises(NotFound):
        desk.do(service.set_price, "elsewhere", new())


@pytest.fixture
def run(served, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.admin)
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)

    def call(*args):
        code = main([*args, "--json"])
        OPTIONS.reset()
        captured = capsys.readouterr()
        return code, json.loads(captured.out or captured.err or "null")

    return call


def test_prices_are_said_listed_and_forgotten_on_the_command_line(run):
    words = ("provider", "price", "acme/own-*", "--input", "0.2", "--output", "0.6", "--source", SOURCE)
    code, said = run(*words)
    assert (code, said["model"], said["input"], said["cached"]) == (0, "acme/own-*", "0.2", None)
    assert run("provider", "prices", "acme/own-7b")[1][0]["output"] == "0.6"
    assert len(run("provider", "prices")[1]) == len(service.shipped_prices()) + 1
    assert run("provider", "price", "acme/own-*", "--forget")[0] == 0
    assert run("provider", "prices", "acme/own-7b")[1] == []
    assert run("provider", "price", "m", "--input", "1")[0] == InvalidThere.exit_code


def test_prices_are_applied_once_by_file(run, tmp_path):
    path = tmp_path / "assent.yaml"
    entry = f"{{name: own-7b, currency: EUR, input: 0.2, output: 1, source: {SOURCE}"
    path.write_text(f"assent: 1\nproject: {{name: {PROJECT}}}\nprices:\n- {entry}}}\n")
    assert run("apply", "-f", str(path))[1]["n_create"] == 1
    assert run("apply", "-f", str(path), "--check")[0] == 0
    path.write_text(path.read_text().replace("0.2", "0.3"))
    code, planned = run("apply", "-f", str(path))
    assert (code, planned["n_update"], planned["changes"][-1]["differs"]) == (0, 1, ["input"])
    assert run("provider", "prices", "own-7b")[1][0]["input"] == "0.3"
