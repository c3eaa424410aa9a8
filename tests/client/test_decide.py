"""Decisions: pinned buckets, rules, and splits that keep their units."""

import copy
import json
from enum import IntEnum, StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent_client.conditions import compile_condition, semver_key
from assent_client.decide import BUCKETS, Decision, RouteError, bucket, compile_route

VECTORS = json.loads((Path(__file__).parent / "b2b64_v1.json").read_text(encoding="utf-8"))
STABLE, CANARY = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Team(StrEnum):
    A = "a"
    B = "b"


class Level(IntEnum):
    ONE = 1
    TWO = 2


def route(share: float = 0.05, **changes: Any) -> dict[str, Any]:
    cut = round(share * BUCKETS)
    split = [{"variant": "canary", "start": 0, "end": cut}] if cut else []
    split += [{"variant": "stable", "start": cut, "end": BUCKETS}] if cut < BUCKETS else []
    return {
        "key": "support",
        "kind": "model",
        "variants": {"stable": STABLE, "canary": CANARY},
        "split": split,
        "rules": [],
        "unit": "user",
        "algo": "b2b64-v1",
        "salt": "a-salt",
        "off": "stable",
        "enabled": True,
        "rollout": "ro_1",
        "generation": 1,
    } | changes


def rule(op: str, value: Any, **changes: Any) -> dict[str, Any]:
    when = [{"attribute": "x", "op": op, "value": value}]
    return {"id": "r1", "when": when, "variant": "canary"} | changes


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: f"{v['salt'][:6]}-{v['unit'][:6]}")
def test_buckets_equal_the_golden_vectors(vector):
    assert bucket(vector["salt"], vector["unit"]) == vector["bucket"]


@given(salt=st.text(min_size=1, max_size=16), unit=st.text())
def test_a_bucket_is_the_keyed_hash_scaled_by_multiplication(salt, unit):
    digest = blake2b(unit.encode(), key=salt.encode(), digest_size=8).hexdigest()
    assert bucket(salt, unit) == int(digest, 16) * BUCKETS // 2**64


@given(unit=st.text(st.characters()), share=st.sampled_from([0.05, 0.25, 0.9]))
def test_the_compiled_route_and_the_bucket_agree(unit, share):
    decision = compile_route(route(share))(unit, {})
    assert decision.bucket == bucket("a-salt", unit)
    assert decision.variant == ("canary" if decision.bucket < share * BUCKETS else "stable")


@given(
    units=st.lists(st.text(), min_size=1, max_size=200),
    small=st.integers(1, 500_000),
    more=st.integers(0, 499_999),
)
def test_a_canary_that_grows_keeps_every_unit_it_had(units, small, more):
    before = compile_route(route(small / BUCKETS))
    after = compile_route(route((small + more) / BUCKETS))
    kept = [unit for unit in units if before(unit, {}).variant == "canary"]
    assert all(after(unit, {}).variant == "canary" for unit in kept)


def test_shares_are_met_over_many_units():
    decide = compile_route(route(0.05))
    n_canary = sum(decide(f"unit-{n}", {}).variant == "canary" for n in range(20_000))
    assert 880 <= n_canary <= 1120  # 1000 ± 4 standard deviations


def test_another_salt_gives_another_draw():
    units = [f"unit-{n}" for n in range(4000)]
    one, other = compile_route(route(0.5)), compile_route(route(0.5, salt="b-salt"))
    agreeing = sum(one(unit, {}).variant == other(unit, {}).variant for unit in units)
    assert 1850 <= agreeing <= 2150


def test_a_decision_names_digest_and_reason():
    decision = compile_route(route(0))("u", {})
    assert decision == Decision("stable", STABLE, None, "static", None)


def test_a_disabled_route_gives_its_off_variant():
    assert compile_route(route(1.0, enabled=False))("u", {}) == Decision(
        "stable", STABLE, None, "disabled", None
    )


def test_a_disabled_route_without_an_off_variant_gives_nothing():
    assert compile_route(route(1.0, enabled=False, off=None))("u", {}).variant is None


def test_the_first_rule_that_matches_decides():
    rules = [
        rule("equals", "no"),
        rule("in", ["acme"], id="r2"),
        rule("prefix", "a", id="r3", variant="stable"),
    ]
    decide = compile_route(route(0, rules=rules))
    assert decide("u", {"x": "acme"}) == Decision("canary", CANARY, "r2", "rule", None)
    assert decide("u", {"x": "amber"}).rule == "r3"
    assert decide("u", {"x": "zoo"}).reason == "static"


def test_all_conditions_of_a_rule_must_hold():
    both = rule("equals", 1)
    both["when"].append({"attribute": "y", "op": "equals", "value": 2})
    decide = compile_route(route(0, rules=[both]))
    assert decide("u", {"x": 1, "y": 2}).variant == "canary"
    assert decide("u", {"x": 1, "y": 3}).variant == "stable"
    assert decide("u", {"x": 1}).variant == "stable"


def test_a_rule_may_split():
    halves = route(0.5)["split"]
    split = {"id": "half", "when": rule("equals", 1)["when"], "split": halves}
    decide = compile_route(route(0, rules=[split]))
    assert decide("u", {"x": 1}).reason == "rule_split"
    assert {decide(str(n), {"x": 1}).variant for n in range(50)} == {"stable", "canary"}
    whole = split | {"split": route(1.0)["split"]}
    assert compile_route(route(0, rules=[whole]))("u", {"x": 1}).reason == "rule"


@pytest.mark.parametrize(
    ("op", "value", "holds", "fails"),
    [
        ("in", ["a", "b"], ["a", ["z", "b"]], ["c", 1, ["z"], {}, [[]]]),
        ("in", [1, True], [1, 1.0, True], [False, "1", 0]),
        ("in", [1], [1], [True]),
        ("in", ["a", 1], [Team.A, [Team.A], Level.ONE], [Team.B, [Team.B], Level.TWO]),
        ("not_in", ["a"], [Team.B, Level.ONE], [Team.A]),
        ("not_in", ["a"], ["b", 1, ["b"]], ["a", ["b", "a"]]),
        ("equals", True, [True], [1, "true", [True]]),
        ("equals", 0, [0, 0.0], [False, "0"]),
        ("equals", "a", ["a", Team.A], ["b", Team.B, Level.ONE]),
        ("not_equals", "a", ["b", 1], ["a"]),
        ("prefix", "eu-", ["eu-west"], ["us", 3, "x-eu-"]),
        ("suffix", [".org", ".de"], ["a.de", "b.org"], ["a.com", None]),
        ("lt", 3, [2, 2.9], [3, True, "2", float("nan")]),
        ("le", 3, [3], [4]),
        ("gt", 3, [4], [3]),
        ("ge", 3.5, [3.5], [3]),
        ("semver_lt", "1.10.0", ["1.9.0", "1.10.0-rc.1"], ["1.10.0", "1.11.0", "1.9", 1]),
        (
            "semver_ge",
            "1.0.0-alpha.2",
            ["1.0.0-alpha.10", "1.0.0-beta", "1.0.0"],
            ["1.0.0-alpha", "1.0.0-alpha.1"],
        ),
        ("semver_eq", "1.0.0", ["1.0.0+build"], ["1.0.0-1", "1.0.1"]),
        (
            "before",
            "2026-03-01",
            ["2026-02-28T23:59:59Z", "2026-03-01T00:30:00+01:00"],
            ["2026-03-01", "2026-02-01T00:00:00", 7],
        ),
        ("after", "2026-03-01T00:00:00Z", ["2026-03-01T00:00:00Z", "2026-03-02"], ["2026-02-28", "soon"]),
    ],
)
def test_conditions(op, value, holds, fails):
    predicate = compile_condition(op, value)
    assert [attribute for attribute in holds if not predicate(attribute)] == []
    assert [attribute for attribute in fails if predicate(attribute)] == []


@pytest.mark.parametrize(
    "op", ["in", "not_in", "equals", "not_equals", "prefix", "suffix", "lt", "semver_lt", "before", "after"]
)
def test_an_absent_or_null_attribute_satisfies_nothing(op):
    value = {
        "in": ["a"],
        "not_in": ["a"],
        "lt": 1,
        "semver_lt": "1.0.0",
        "before": "2026-01-01",
        "after": "2026-01-01",
    }
    decide = compile_route(route(0, rules=[rule(op, value.get(op, "a"))]))
    assert decide("u", {}).variant == decide("u", {"x": None}).variant == "stable"


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("soundslike", "a"),
        ("matches", "(a"),
        ("matches", 1),
        ("in_hashed", ["a"]),
        ("in_hashed", {"key": "00" * 16, "hashes": []}),
        ("not_in_hashed", {"key": "salt", "hashes": ["00"]}),
        ("in", []),
        ("in", "a"),
        ("in", [{}]),
        ("equals", [1]),
        ("prefix", ""),
        ("prefix", []),
        ("suffix", [1]),
        ("lt", "3"),
        ("semver_lt", "1.0"),
        ("semver_lt", "01.0.0"),
        ("before", "tomorrow"),
        ("before", "2026-01-01T00:00:00"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_refused(op, value):
    with pytest.raises(RouteError, match="rule 1"):
        compile_route(route(0, rules=[rule(op, value)]))


def spoil(key: str, value: Any) -> dict[str, Any]:
    spoilt = copy.deepcopy(route())
    spoilt[key] = value
    return spoilt


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({}, "missing keys"),
        (route() | {"colour": 1}, "unknown keys"),
        (spoil("variants", []), "variants"),
        (spoil("kind", []), "kind"),
        (spoil("algo", "crc32"), "crc32"),
        (spoil("salt", ""), "salt"),
        (spoil("salt", "x" * 65), "salt"),
        (spoil("off", "gone"), "off variant"),
        (spoil("off", {}), "off variant"),
        (spoil("enabled", 1), "enabled"),
        (spoil("rules", {}), "rules"),
        (spoil("rules", [1]), "id"),
        (spoil("rules", [rule("equals", 1, split=[])]), "either variant or split"),
        (spoil("rules", [rule("equals", 1, variant="gone")]), "does not exist"),
        (spoil("rules", [rule("equals", 1, when=[])]), "at least one condition"),
        (spoil("rules", [rule("equals", 1, when=[{"op": "in"}])]), "attribute, op and value"),
        (spoil("split", []), "not empty"),
        (spoil("split", [1]), "variant, start and end"),
        (spoil("split", [{"variant": "gone", "start": 0, "end": BUCKETS}]), "does not exist"),
        (spoil("split", [{"variant": "stable", "start": 0, "end": 5}]), "ends at 5"),
        (spoil("split", [{"variant": "stable", "start": 1, "end": BUCKETS}]), "gap"),
        (spoil("split", [{"variant": "stable", "start": 0, "end": 0}]), "gap"),
        (spoil("split", [{"variant": "stable", "start": False, "end": BUCKETS}]), "gap"),
        (spoil("split", [{"variant": "stable", "start": 0, "end": "1"}]), "gap"),
    ],
)
def test_a_route_with_a_fault_is_refused_with_its_place(spoilt, message):
    with pytest.raises(RouteError, match=message):
        compile_route(spoilt)


def test_a_refused_route_lists_every_problem():
    with pytest.raises(RouteError) as refusal:
        compile_route(route(algo="fnv", salt="", off="gone", enabled=None))
    assert len(refusal.value.problems) == 4


def test_semantic_versions_sort_as_the_specification_says():
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    assert max(ordered, key=semver_key) == "1.0.0"
    assert sorted(sorted(ordered), key=semver_key) == ordered
