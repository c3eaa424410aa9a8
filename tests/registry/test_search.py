"""Search: every field and operator, words, pages; filters and words mean the same on both databases."""

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.evidence import service as evidence
from assent.kernel.errors import Invalid
from assent.registry import service, store
from assent.registry.service import Change, Pointer, Search
from tests.prompts.shelf import PROJECT


def numbers(shelf, filter_=None, text=None, **page):
    found = shelf.read(service.search, PROJECT, Search({}, filter_, text), **page)
    return {version.number for version in found}


def claim(shelf, version, **metrics):
    with shelf.begin() as tx:
        value = {"metrics": metrics}
        evidence.record(tx, project=PROJECT, kind="suite.verdict", subject=version.digest, value=value)


@pytest.fixture
def stock(shelf):
    shelf.prompt(text="Hi")
    made = {
        "1.0.0": shelf.model("1.0.0", tier="minimal", tags=["warm", "old"], owner="Support Team")[0],
        "2.0.0": shelf.model("2.0.0", tier="limited", base_model="Llama-3", prompt="greeting@1.0.0")[0],
        "10.0.0": shelf.model("10.0.0", tier="high", tags=["warm"], description="Réfunds for São Paulo")[0],
    }
    claim(shelf, made["1.0.0"], correct="0.2")
    claim(shelf, made["1.0.0"], **{"correct": "0.9", "support-quality.correct": "0.9"})
    claim(shelf, made["2.0.0"], correct="0.95", cost="1e-3")
    with shelf.begin() as tx:
        pointer = Pointer(project=PROJECT, name="support", label="champion")
        service.move_label(tx, Change(pointer=pointer), "2.0.0")
        service.advance(tx, made["10.0.0"].digest, "approval", "evt_1")
    return made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name = support", {"1.0.0", "2.0.0", "10.0.0"}),
        ("name != support", set()),
        ("owner = 'Support Team'", {"1.0.0"}),
        ("owner != 'Support Team'", {"2.0.0", "10.0.0"}),
        ("NOT owner = 'Support Team'", {"2.0.0", "10.0.0"}),
        ("NOT NOT owner ~ TEAM", {"1.0.0"}),
        ("NOT owner > A", {"2.0.0", "10.0.0"}),
        ("owner ~ '%'", set()),
        ("owner ~ '_upport'", set()),
        ("version > 2.0.0", {"10.0.0"}),
        ("version <= 2.0.0 AND version != 1.0.0", {"2.0.0"}),
        ("version IN (1.0.0, 10.0.0)", {"1.0.0", "10.0.0"}),
        ("tier >= limited", {"2.0.0", "10.0.0"}),
        ("tier < limited OR tier = high", {"1.0.0", "10.0.0"}),
        ("tier <= minimal", {"1.0.0"}),
        ("tier > high", set()),
        ("tier NOT IN (high, limited)", {"1.0.0"}),
        ("tag = warm", {"1.0.0", "10.0.0"}),
        ("tag = warm AND tag = old", {"1.0.0"}),
        ("tag != warm", {"2.0.0"}),
        ("tag ~ ol", {"1.0.0"}),
        ("tag IN (old, other)", {"1.0.0"}),
        ("label = champion", {"2.0.0"}),
        ("label != champion", {"1.0.0", "10.0.0"}),
        ("stage >= approval", {"10.0.0"}),
        ("stage = development AND status = draft", {"1.0.0", "2.0.0"}),
        ("status = review", {"10.0.0"}),
        ("base_model ~ llama", {"2.0.0"}),
        ("upstream_model = support-1.0.0", {"1.0.0"}),
        ("provider IN (acme)", {"1.0.0", "2.0.0", "10.0.0"}),
        ("prompt = greeting@1.0.0", {"2.0.0"}),
        ("registered_by = ada", {"1.0.0", "2.0.0", "10.0.0"}),
        ("metrics.correct >= 0.9", {"1.0.0", "2.0.0"}),
        ("metrics.correct < 0.5", set()),
        ("metrics.correct != 0.9", {"2.0.0", "10.0.0"}),
        ("metrics.support-quality.correct = 0.9", {"1.0.0"}),
        ("metrics.cost IN (0.001, 5)", {"2.0.0"}),
        ("registered_at = 2026-01-01", {"1.0.0", "2.0.0", "10.0.0"}),
        ("registered_at > 2026-01-01", set()),
        ("registered_at <= 2026-01-01 AND since >= 2025-12-31T23:00-05:00", set()),
        ("registered_at < 2026-01-01T00:00:01Z", {"1.0.0", "2.0.0", "10.0.0"}),
        ("since IN (2026-01-01, 2026-01-02)", {"1.0.0", "2.0.0", "10.0.0"}),
    ],
)
def test_every_field_is_compared(shelf, stock, text, found):
    assert numbers(shelf, text) == found


def test_a_digest_finds_its_version(shelf, stock):
    assert numbers(shelf, f"digest = {stock['2.0.0'].digest}") == {"2.0.0"}


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("colour = red", 1, "no field 'colour'"),
        ("tier = high AND stage = live", 25, "'live' is none of development"),
        ("tier ~ high", 8, "does not suit"),
        ("tier > low", 8, "none of"),
        ("tag > a", 7, "does not suit"),
        ("version > new", 11, "no version number"),
        ("version ~ 1", 11, "does not suit"),
        ("metrics.correct > much", 19, "no number"),
        ("metrics.correct > nan", 19, "no number"),
        ("metrics.correct ~ 1", 19, "does not suit"),
        ("metrics. > 1", 1, "no field 'metrics.'"),
        ("registered_at > yesterday", 17, "no time"),
        ("registered_at = 9999-12-31T23:59:59-23:00", 17, "no time"),
        ("since ~ 2026", 9, "does not suit a time"),
        ("prompt = nothing@1.0.0", 10, "no prompt nothing"),
        ("registered_by = nobody", 17, "no account 'nobody'"),
        ("status = deleted", 10, "none of"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused_with_its_place(shelf, stock, text, position, said):
    with pytest.raises(Invalid, match=said) as caught:
        numbers(shelf, text)
    assert caught.value.reasons[0].have["position"] == position


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("refunds", {"10.0.0"}),
        ("REFUNDS sao", {"10.0.0"}),
        ("refu paul", {"10.0.0"}),
        ("re", set()),
        ("llama", {"2.0.0"}),
        ("support team", {"1.0.0"}),
        ("acme", {"1.0.0", "2.0.0", "10.0.0"}),
        ("refunds llama", set()),
        ('" OR NOT ( * : ^ & | !', set()),
        ("NEAR refunds", set()),
        ("\x00", {"1.0.0", "2.0.0", "10.0.0"}),
        ("  ", {"1.0.0", "2.0.0", "10.0.0"}),
        ("x" * 900, set()),
    ],
)
def test_words_find_the_documents_that_hold_them_all(shelf, stock, words, found):
    assert numbers(shelf, text=words) == found


def test_words_and_filters_hold_together_in_pages(shelf):
    for n in range(9):
        shelf.model(f"1.0.{n}", description="refund desk" if n % 2 else "greeter", tier="minimal")
    for asked in (Search({}, None, "refund"), Search({"tier": "minimal"}, "version != 1.0.9", "refund desk")):
        seen, cursor = [], None
        while found := shelf.read(service.search, PROJECT, asked, before=cursor, limit=3):
            seen += [one.number for one in found]
            cursor = found[-1].id
        assert seen == ["1.0.7", "1.0.5", "1.0.3", "1.0.1"]


def test_a_deleted_draft_is_found_by_no_word(shelf, stock):
    shelf.model("11.0.0", description="zebra")
    with shelf.begin() as tx:
        service.delete_version(tx, PROJECT, "support", "11.0.0")
    assert numbers(shelf, text="zebra") == numbers(shelf, "version = 11.0.0") == set()
    n_texts = shelf.read(lambda reader: len(reader.conn.execute(sa.select(store.texts)).all()))
    assert n_texts == len(stock)


def test_the_newest_figure_of_a_metric_counts_and_replays(shelf, stock):
    assert shelf.read(evidence.list_metrics, PROJECT, stock["1.0.0"].digest) == {
        "correct": 0.9, "support-quality.correct": 0.9,
    }  # fmt: skip
    assert shelf.replay().equal


@pytest.mark.parametrize(
    "metrics", [{"a": 1.0}, {"a": "nan"}, {"a": "inf"}, {"a": "x"}, {"": "1"}, {"a" * 201: "1"}, []]
)
def test_a_metric_is_a_finite_decimal(shelf, stock, metrics):
    with pytest.raises(Invalid), shelf.begin() as tx:
        evidence.record(
            tx, project=PROJECT, kind="k", subject=stock["1.0.0"].digest, value={"metrics": metrics or [1]}
        )


ATOMS = ["tier = high", "owner = 'Support Team'", "tag = warm", "label = champion", "metrics.correct > 0.92",
         "base_model ~ llama", "version > 1.0.0"]  # fmt: skip
EXPRESSIONS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        inner.map(lambda one: f"NOT ({one})")
        | st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda three: f"({' '.join(three)})")
    ),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EXPRESSIONS)
def test_logic_is_two_valued_so_a_filter_and_its_negation_part_the_versions(shelf, stock, text):
    every = set(stock)
    held, not_held = numbers(shelf, text), numbers(shelf, f"NOT ({text})")
    assert held | not_held == every
    assert held & not_held == set()
    assert numbers(shelf, f"NOT NOT ({text})") == held
