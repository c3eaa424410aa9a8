"""Rules of flags: segments, prerequisites, hashed lists, and bounds on what is hostile."""

import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent_client.conditions import OPERATIONS, hash_member
from assent_client.decide import BUCKETS, MAX_CHAIN, RouteError, bucket, compile_route, compile_routes
from assent_client.rules import MAX_CONDITIONS

KEY = "0f" * 16


def split(*shares: tuple[str, float]) -> list[dict[str, Any]]:
    ranges, start = [], 0
    for name, share in shares:
        end = start + round(share * BUCKETS)
        ranges.append({"variant": name, "start": start, "end": end})
        start = end
    return ranges


def flag(key: str = "f", **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "kind": "flag",
        "variants": {"on": True, "off": False},
        "split": split(("off", 1)),
        "rules": [],
        "unit": "user",
        "algo": "b2b64-v1",
        "salt": f"salt of {key}",
        "off": "off",
        "enabled": True,
        "rollout": None,
        "generation": 1,
    } | changes


def when(*conditions: dict[str, Any], then: str = "on") -> dict[str, Any]:
    return {"id": "r", "when": list(conditions), "variant": then}


def has(attribute: str, op: str, value: Any) -> dict[str, Any]:
    return {"attribute": attribute, "op": op, "value": value}


BETA = {
    "any": [[has("organisation", "in", ["acme"])], [has("country", "equals", "DE"), has("age", "ge", 18)]]
}


@pytest.mark.parametrize(
    ("condition", "context", "variant"),
    [
        ({"segment": "beta"}, {"organisation": "acme"}, "on"),
        ({"segment": "beta"}, {"country": "DE", "age": 18}, "on"),
        ({"segment": "beta"}, {"country": "DE", "age": 17}, "off"),
        ({"segment": "beta"}, {}, "off"),
        ({"not_segment": "beta"}, {"organisation": "zeta", "country": "DE", "age": 17}, "on"),
        ({"not_segment": "beta"}, {"organisation": "acme", "country": "DE", "age": 17}, "off"),
        ({"not_segment": "beta"}, {"organisation": "zeta"}, "off"),  # what is not known decides nothing
    ],
)
def test_a_segment_is_a_named_condition(condition, context, variant):
    decide = compile_routes({"f": flag(rules=[when(condition)])}, {"beta": BETA})["f"]
    assert decide("u", context).variant == variant


def test_the_unit_is_its_own_attribute_unless_the_context_says_otherwise():
    routes = {"f": flag(rules=[when(has("user", "in", ["ada"]))])}
    decide = compile_routes(routes)["f"]
    assert decide("ada", {}).variant == "on"
    assert decide("bob", {}).variant == "off"
    assert decide("bob", {"user": "ada"}).variant == "on"
    listed = compile_routes(
        {"f": flag(rules=[when({"segment": "people"})])}, {"people": {"any": [[has("user", "in", ["ada"])]]}}
    )["f"]
    assert listed("ada", {}).variant == "on"
    assert listed("bob", {}).variant == "off"


def test_listed_ids_are_found_by_their_keyed_hash_alone():
    hashes = [hash_member(KEY, "ada"), hash_member(KEY, "bob")]
    value = {"key": KEY, "hashes": hashes}
    within = compile_routes({"f": flag(rules=[when(has("user", "in_hashed", value))])})["f"]
    without = compile_routes({"f": flag(rules=[when(has("user", "not_in_hashed", value))])})["f"]
    assert [within(unit, {}).variant for unit in ("ada", "eve")] == ["on", "off"]
    assert [without(unit, {}).variant for unit in ("ada", "eve")] == ["off", "on"]
    assert within("x", {"user": ["eve", "bob", 7]}).variant == "on"
    assert within("x", {"user": 7}).variant == "off"
    assert hash_member(KEY, "ada") != hash_member("1f" * 16, "ada")


def test_a_pattern_is_a_condition():
    decide = compile_routes({"f": flag(rules=[when(has("email", "matches", r".+@example\.org"))])})["f"]
    assert decide("u", {"email": "ada@example.org"}).variant == "on"
    assert decide("u", {"email": "ada@example.com"}).variant == "off"
    assert decide("u", {"email": ["ada@example.org"]}).variant == "off"


def test_a_prerequisite_that_is_not_met_gives_the_off_variant_and_says_which():
    need = [{"flag": "base", "variants": ["on"]}]
    routes = {
        "f": flag("f", split=split(("on", 1)), prerequisites=need),
        "base": flag("base", rules=[when(has("organisation", "in", ["acme"]))]),
    }
    decide = compile_routes(routes)["f"]
    assert decide("u", {"organisation": "acme"}).variant == "on"
    refused = decide("u", {"organisation": "zeta"})
    assert (refused.variant, refused.reason, refused.rule) == ("off", "prerequisite", "base")


def test_a_rule_may_ask_for_the_variant_of_another_flag():
    routes = {
        "f": flag("f", rules=[when({"flag": "base", "variants": ["on"]})]),
        "base": flag("base", split=split(("on", 0.5), ("off", 0.5))),
    }
    decide = compile_routes(routes)
    for unit in map(str, range(200)):
        assert decide["f"](unit, {}).variant == decide["base"](unit, {}).variant


def test_a_prerequisite_that_sticks_to_something_else_is_decided_for_that():
    routes = {
        "f": flag("f", split=split(("on", 1)), prerequisites=[{"flag": "base", "variants": ["on"]}]),
        "base": flag("base", unit="organisation", split=split(("on", 0.5), ("off", 0.5))),
    }
    decide = compile_routes(routes)
    for name in map(str, range(100)):
        context = {"organisation": name}
        assert decide["f"]("u", context).variant == decide["base"](name, context).variant
    assert decide["f"]("u", {}).variant == "off"


def test_circles_and_long_chains_of_prerequisites_are_refused():
    def after(name: str, other: str) -> dict[str, Any]:
        return flag(name, prerequisites=[{"flag": other, "variants": ["on"]}])

    with pytest.raises(RouteError, match="circle: a → b → a"):
        compile_routes({"a": after("a", "b"), "b": after("b", "a")})
    with pytest.raises(RouteError, match="circle"):
        compile_routes({"a": flag("a", rules=[when({"flag": "a", "variants": ["on"]})])})
    chain = {f"f{n}": after(f"f{n}", f"f{n + 1}") for n in range(MAX_CHAIN)} | {f"f{MAX_CHAIN}": flag()}
    assert compile_routes(chain)
    longer = chain | {"top": after("top", "f0")}
    for routes in (longer, dict(reversed(longer.items()))):
        with pytest.raises(RouteError, match="more than 10"):
            compile_routes(routes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prerequisites": 1}, "prerequisite 1 is an object"),
        ({"prerequisites": [{"flag": "gone", "variants": ["on"]}]}, "no flag 'gone'"),
        ({"prerequisites": [{"flag": "gone", "variants": []}]}, "not empty"),
        ({"rules": [when({"segment": "gone"})]}, "no segment 'gone'"),
        ({"rules": [when({"segment": []})]}, "no segment"),
        ({"rules": [when({"not_segment": "bad"})]}, "segment bad: it has `any`"),
        ({"rules": [when({"segment": "nested"})]}, "about attributes"),
        ({"rules": [when({"segment": "broken"})]}, "no operation is called"),
        ({"rules": [when({"flag": [], "variants": ["on"]})]}, "no flag"),
        ({"rules": [when(has([], "in", ["a"]))]}, "attribute is a name"),
        ({"rules": [when(has("a", [], ["a"]))]}, "no operation is called"),
        ({"rules": [{"id": "r", "when": ["x"], "variant": "on"}]}, "a condition is an object"),
        ({"rules": [when(*[has("a", "equals", 1)] * (MAX_CONDITIONS + 1))]}, "too many"),
        ({"rules": [when(has("a", "equals", 1))] * 201}, "200 at most"),
    ],
)
def test_what_a_rule_cannot_refer_to_is_refused(changes, message):
    segments = {
        "bad": {"any": []},
        "nested": {"any": [[{"segment": "bad"}]]},
        "broken": {"any": [[has("a", "soundslike", 1)]]},
    }
    with pytest.raises(RouteError, match=message):
        compile_routes({"f": flag(**changes)}, segments)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
VALUES: dict[str, Any] = {
    "in": ["a", 1, True], "not_in": ["a"], "equals": 1, "not_equals": "a", "prefix": "a", "suffix": ["a"],
    "matches": "(a+)+b", "in_hashed": {"key": KEY, "hashes": ["00"]}, "before": "2026-01-01", "after": "2026-01-01",
    "not_in_hashed": {"key": KEY, "hashes": ["00"]},
}  # fmt: skip


@given(op=st.sampled_from(sorted(OPERATIONS)), value=json_values)
def test_no_value_of_a_context_breaks_a_decision(op, value):
    wanted = VALUES.get(op, "1.2.3" if op.startswith("semver") else 3)
    decide = compile_route(flag(rules=[when(has("x", op, wanted))]))
    assert decide("u", {"x": value}).variant in {"on", "off"}


@pytest.mark.parametrize(
    "value", ["9" * 5000 + ".0.0", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
)
def test_values_at_the_edge_satisfy_or_do_not(value):
    for op, wanted in (("semver_ge", "1.0.0"), ("before", "2026-01-01"), ("after", "2026-01-01")):
        assert compile_route(flag(rules=[when(has("x", op, wanted))]))("u", {"x": value}).variant in {
            "on",
            "off",
        }


def test_over_a_hundred_flags_one_says_nothing_about_another():
    """With one salt each, P(B | A) = P(B): every pair's overlap lies within the binomial error."""
    units = [f"user-{n}" for n in range(4000)]
    salts = [secrets.token_hex(16) for _ in range(100)]
    members = [{unit for unit in units if bucket(salt, unit) < 200_000} for salt in salts]
    worst = 0.0
    for a, b in zip(members, members[1:] + members[:1], strict=True):
        overlap = len(a & b) / len(a)
        worst = max(worst, abs(overlap - 0.2) / (0.2 * 0.8 / len(a)) ** 0.5)
    assert worst < 4.6  # one pair of 100 beyond 4.6 standard errors: less than once in 2,000 runs


@pytest.mark.parametrize("share", [0.005, 0.015])
def test_small_shares_are_met_exactly(share):
    decide = compile_route(flag(split=split(("on", share), ("off", 1 - share))))
    n = 60_000
    found = sum(decide(f"user-{i}", {}).variant == "on" for i in range(n))
    assert abs(found - n * share) < 4.5 * (n * share * (1 - share)) ** 0.5
