"""Flags' rules: splits that move nobody, documents read with every fault, what grows, why and who."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assent.flags.domain import (
    Environment,
    Range,
    Seen,
    asking_reasons,
    check_environment,
    decides_alike,
    explain,
    flag_document,
    flag_of,
    grows,
    named_by,
    published_route,
    published_segment,
    read_flag,
    read_segment,
    redistribute,
    shares_of,
    stale_reasons,
    switched,
    using_segment,
)
from assent.flags.domain.document import MAX_LIST, route_of
from assent.kernel.errors import Invalid
from assent_client.decide import BUCKETS, compile_route, compile_routes

SALT = "0123456789abcdef" * 2


def flag(before=None, **form):
    return read_flag(form, SALT, before)


def rule(which, *conditions, **gives):
    return {"id": which, "when": list(conditions), **(gives or {"variant": "on"})}


def has(attribute, op, value):
    return {"attribute": attribute, "op": op, "value": value}


# splits


def owners(ranges):
    """Give who owns each of the places where something may change."""
    return {
        start: next(r.variant for r in ranges if r.start <= start < r.end)
        for start in range(0, BUCKETS, 9973)
    }


shares = st.lists(st.integers(0, 400_000), min_size=1, max_size=4).filter(lambda found: sum(found) <= BUCKETS)


def as_shares(found, order=1):
    named = dict(list(zip("abcd", found, strict=False))[::order])
    return {**named, "off": BUCKETS - sum(found)}


@given(first=shares, second=shares)
def test_who_grows_keeps_all_and_who_shrinks_loses_only_what_it_must(first, second):
    before = redistribute((), as_shares(first))
    after = redistribute(before, as_shares(second))
    assert sum(shares_of(after).values()) == BUCKETS
    assert {k: v for k, v in as_shares(second).items() if v} == shares_of(after)
    old, new = owners(before), owners(after)
    for place, name in old.items():
        if shares_of(after).get(name, 0) >= shares_of(before)[name]:
            assert new[place] == name
    moved = sum(max(0, n - shares_of(after).get(name, 0)) for name, n in shares_of(before).items())
    at = sorted({one.start for one in (*before, *after)} | {BUCKETS})
    n_moved = sum(end - start for start, end in pairwise(at) if owner(before, start) != owner(after, start))
    assert n_moved == moved


def owner(ranges, place):
    return next(one.variant for one in ranges if one.start <= place < one.end)


@given(found=shares)
def test_the_order_of_variants_moves_nobody(found):
    before = redistribute((), as_shares(found))
    assert redistribute(before, as_shares(found, order=-1)) == before


def test_growing_from_5_to_20_percent_keeps_all_and_stays_in_one_piece():
    five = flag(split={"on": 0.05})
    twenty = flag(five, split={"on": 0.2})
    assert twenty.split == (Range("on", 0, 200_000), Range("off", 200_000, BUCKETS))
    back = flag(twenty, split={"on": 0.05})
    assert back.split == five.split


def test_lists_and_rules_moved_about_move_nobody():
    first = flag(
        rules=[rule("a", has("x", "in", ["1"]), split={"on": 0.3}), rule("b", has("y", "in", ["1"]))]
    )
    document = flag_document(first)
    turned = read_flag({"rules": document["rules"][::-1]}, SALT, first)
    assert {one.id: one.ranges for one in turned.rules} == {one.id: one.ranges for one in first.rules}
    decide, again = compile_route(route_of("f", first, 1)), compile_route(route_of("f", turned, 2))
    for unit in map(str, range(300)):
        assert decide(unit, {"x": "1"}).variant == again(unit, {"x": "1"}).variant


# documents


def test_a_document_is_read_back_as_it_was_written():
    written = flag(
        variants={"blue": "#00f", "red": "#f00", "none": ""},
        off="none",
        unit="organisation",
        rules=[rule("staff", has("email", "suffix", "@acme.com"), split={"blue": 0.5, "red": 0.25})],
        split="red",
        description="Colour of the button",
        owner="web",
        ends_on="2027-01-31",
        prerequisites=[{"flag": "web", "variants": ["on"]}],
    )
    assert flag_of(flag_document(written)) == written
    assert written.ends_on == date(2027, 1, 31)
    assert shares_of(written.rules[0].ranges) == {"blue": 500_000, "red": 250_000, "none": 250_000}


def test_what_is_left_out_stays():
    before = flag(split={"on": 0.1}, owner="web", rules=[rule("a", has("x", "equals", 1))])
    after = flag(before, description="New words")
    assert (after.split, after.owner, after.rules, after.salt) == (
        before.split,
        "web",
        before.rules,
        before.salt,
    )


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"colour": 1}, "Unknown fields: colour"),
        ({"variants": {}}, "1 to 50 names"),
        ({"variants": {"a b": True, "off": False}}, "not a name for a variant"),
        ({"variants": {"on": None, "off": False}}, "is null"),
        ({"variants": {"on": "x" * 20_000, "off": ""}}, "16,384 bytes"),
        ({"variants": {"on": 1, "off": False}}, "several types: boolean, number"),
        ({"off": "gone"}, "off variant 'gone'"),
        ({"off": []}, "off variant"),
        ({"salt": "abc"}, "32 characters"),
        ({"enabled": "yes"}, "enabled is yes or no"),
        ({"owner": "x" * 501}, "text of 500 at most"),
        ({"unit": "a b"}, "name of an attribute"),
        ({"ends_on": "soon"}, "not a date"),
        ({"ends_on": 5}, "not a date"),
        ({"prerequisites": {}}, "list of objects"),
        ({"rules": "all"}, "list of objects"),
        ({"rules": [{"id": "a", "variant": "on"}]}, "A rule has when"),
        ({"rules": [rule("a", variant="on", split={})]}, "either variant or split"),
        ({"rules": [rule("a b")]}, "not an id"),
        ({"rules": [rule("a"), rule("a")]}, "not an id of one rule only"),
        ({"rules": [rule("a", has("user", "in", [7]))]}, "ids of people are texts"),
        ({"rules": [rule("a", has("x", "in", ["1"] * (MAX_LIST + 1)))]}, "10,000 values at most"),
        ({"rules": [rule("a", has("x", "in_hashed", {}), has("x", [], 1))]}, "write the values"),
        ({"rules": [rule("a", variant="gone")]}, "no variant 'gone'"),
        ({"split": 5}, "A split is"),
        ({"split": [1]}, "list of {variant, start, end}"),
        ({"split": {"on": 0.7, "off": 0.7}}, "more than 1: 1.4"),
        ({"split": {"on": 1.5}}, "share of on is 1.5"),
        ({"split": {"on": True}}, "share of on is True"),
        ({"split": {"on": 0.12345678}}, "six decimals"),
        ({"description": float("nan")}, "canonical JSON"),
        ({"variants": {f"v{n}": "x" * 16_000 for n in range(49)} | {"off": ""}, "rules": [
            rule("a", has("x", "in", ["y" * 300] * 1000))]}, "Put long lists into segments"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_with_its_place(form, message):
    with pytest.raises(Invalid) as refusal:
        flag(**form)
    assert any(message in reason.message + reason.remedy for reason in refusal.value.reasons)


def test_all_faults_are_listed_at_once_and_the_salt_stays():
    with pytest.raises(Invalid) as refusal:
        flag(enabled=1, unit="", ends_on=None, owner=3)
    assert len(refusal.value.reasons) == 3
    with pytest.raises(Invalid, match="not valid"):
        flag(flag(), salt="f" * 32)


@given(share=st.sampled_from([0.005, 0.015, 0.29, 0.000001, 1 / 8, 0.57]))
def test_shares_are_exact(share):
    assert shares_of(flag(split={"on": share}).split)["on"] == round(share * BUCKETS)


# what grows

conditions = st.builds(
    has,
    st.sampled_from(["x", "y"]),
    st.just("in"),
    st.lists(st.sampled_from("123"), min_size=1, max_size=3, unique=True),
)
outcomes = st.sampled_from(
    [{"variant": "a"}, {"variant": "off"}, {"split": {"a": 0.3}}, {"split": {"a": 0.5, "b": 0.2}}]
)
forms = st.fixed_dictionaries(
    {
        "variants": st.just({"a": "A", "b": "B", "off": ""}),
        "enabled": st.sampled_from([True, True, True, False]),
        "split": st.sampled_from([{}, {"a": 0.2}, {"a": 0.4}, "b", "off"]),
        "rules": st.lists(
            st.tuples(st.sampled_from("pqr"), st.lists(conditions, min_size=1, max_size=2), outcomes),
            max_size=3,
            unique_by=lambda one: one[0],
        ).map(lambda found: [rule(which, *when, **gives) for which, when, gives in found]),
    }
)


@given(first=forms, second=forms, units=st.lists(st.integers(0, 10_000), min_size=5, max_size=15))
def test_what_is_said_not_to_grow_gives_nobody_what_is_new_to_them(first, second, units):
    before = flag(**first)
    after = flag(before, **second)
    assume(not grows(before, after))
    old, new = compile_route(route_of("f", before, 1)), compile_route(route_of("f", after, 2))
    for unit in map(str, units):
        for x in (None, "1", "2", "3"):
            for y in (None, "1", "3"):
                got = new(unit, {"x": x, "y": y}).value
                assert got in {"", old(unit, {"x": x, "y": y}).value}


@pytest.mark.parametrize(
    ("change", "is_growth"),
    [
        ({"description": "words"}, False),
        ({"enabled": False}, False),
        ({"split": {"on": 0.1}}, False),
        ({"split": {"on": 0.3}}, True),
        ({"rules": []}, False),
        (
            {
                "rules": [
                    rule("out", has("y", "equals", 1), variant="off"),
                    rule("in", has("x", "in", ["1", "2"])),
                ]
            },
            False,
        ),
        ({"rules": [rule("in", has("x", "in", ["1"]))], "split": "off"}, False),
        ({"rules": [rule("in", has("x", "in", ["1", "2", "3"]))]}, True),
        ({"rules": [rule("in", has("x", "in", ["1", "2"]), has("y", "equals", 1))]}, False),
        ({"rules": [rule("in", has("x", "not_in", ["1", "2"]))]}, True),
        ({"rules": [rule("in", has("x", "in", ["1", "2"]), variant="off")]}, False),
        ({"rules": [rule("in", has("x", "equals", "1"))]}, True),
        ({"rules": [rule("new", has("y", "equals", 1)), rule("in", has("x", "in", ["1", "2"]))]}, True),
        ({"unit": "organisation"}, True),
        ({"off": "on"}, True),
        ({"variants": {"on": True, "off": True}}, True),
        ({"prerequisites": [{"flag": "z", "variants": ["on"]}]}, False),
    ],
)
def test_what_grows_and_what_does_not(change, is_growth):
    before = flag(split={"on": 0.2}, rules=[rule("in", has("x", "in", ["1", "2"]))])
    assert grows(before, flag(before, **change)) is is_growth


def test_what_an_exception_held_back_comes_out_when_it_goes():
    before = flag(split="on", rules=[rule("but", has("x", "in", ["1", "2"]), variant="off")])
    assert grows(before, flag(before, rules=[]))
    assert grows(before, flag(before, rules=[rule("but", has("x", "in", ["1"]), variant="off")]))
    assert grows(before, flag(before, rules=[rule("but", has("x", "in", []), variant="off")]))


def test_what_a_rule_gave_may_fall_to_what_gives_the_same():
    before = flag(
        split="on", rules=[rule("in", has("x", "in", ["1", "2"])), rule("last", has("y", "equals", 1))]
    )
    assert not grows(before, flag(before, rules=[rule("last", has("y", "equals", 1))]))
    assert not grows(
        before, flag(before, rules=[rule("in", has("x", "in", ["1"])), rule("last", has("y", "equals", 1))])
    )
    turned = [rule("last", has("y", "equals", 1)), rule("in", has("x", "in", ["1", "2"]))]
    assert grows(before, flag(before, rules=turned))
    needy = flag(prerequisites=[{"flag": "z", "variants": ["on"]}], split="on")
    assert grows(needy, flag(needy, prerequisites=[]))
    off = switched(before, enabled=False)
    assert grows(off, before)
    assert not grows(off, flag(off, description="still off"))
    assert not decides_alike(off, before)
    assert decides_alike(before, flag(before, owner="web"))
    assert not decides_alike(flag(), flag(variants={"on": True, "off": True}))


def test_a_flag_that_others_ask_for_may_give_them_more_by_giving_less():
    needs = [{"flag": "base", "variants": ["on"]}]
    flags = {
        "base": flag(split="on"),
        "after": flag(split="on", prerequisites=needs),
        "last": flag(rules=[rule("r", {"flag": "after", "variants": ["on"]}, variant="off")], split="on"),
        "turned": flag(split="on", prerequisites=[{"flag": "base", "variants": ["off"]}]),
        "apart": flag(),
    }
    assert asking_reasons("base", flags) == ["turned", "last"]
    assert asking_reasons("apart", flags) == []
    assert named_by("base", flags) == ["after", "turned"]
    assert named_by("after", flags) == ["last"]


# segments and what travels

BETA = {"any": [[has("organisation", "in", ["acme"])], [has("email", "in", ["ada@acme.com"])]]}


def test_a_segment_is_read_and_refused_with_its_faults():
    found = read_segment(BETA, SALT, {"user"})
    assert read_segment({"description": "Friends"}, SALT, {"user"}, found) == found | {
        "description": "Friends"
    }
    wrong = {"anyone": 1, "salt": "other", "description": 5, "any": [[has("user", "in", [1])], "x"]}
    with pytest.raises(Invalid) as refusal:
        read_segment(wrong, SALT, {"user"}, found)
    assert len(refusal.value.reasons) == 4
    with pytest.raises(Invalid, match="not valid"):
        read_segment({"any": [[has("x", "in", ["y" * 200] * 9999)]]}, SALT, set())
    with pytest.raises(Invalid, match="1 to 100 lists"):
        check_environment({}, {"beta": read_segment({"any": 7}, SALT, set())})


def test_an_environment_is_checked_as_a_whole():
    check_environment({"f": flag(rules=[rule("r", {"segment": "beta"})])}, {"beta": BETA})
    with pytest.raises(Invalid, match="no segment"):
        check_environment({"f": flag(rules=[rule("r", {"segment": "beta"})])}, {})
    with pytest.raises(Invalid, match="segment beta"):
        check_environment({}, {"beta": {"any": []}})
    circle = {"a": flag(prerequisites=[{"flag": "a", "variants": ["on"]}])}
    with pytest.raises(Invalid, match="circle"):
        check_environment(circle, {})
    assert using_segment("beta", {"f": flag(rules=[rule("r", {"not_segment": "beta"})]), "g": flag()}) == [
        "f"
    ]


def test_listed_people_travel_as_hashes_and_are_found():
    listed = flag(
        rules=[
            rule("people", has("user", "in", ["ada"])),
            rule("but", has("email", "not_equals", "eve@acme.com"), has("plan", "in", ["pro"])),
            rule("beta", {"segment": "beta"}),
        ]
    )
    segment = read_segment(
        BETA | {"any": [*BETA["any"], [has("age", "in", [7])], [has("user", "prefix", "t-")]]}, SALT, set()
    )
    route, travels = published_route("f", listed, 3), published_segment(segment, {"user", "age"})
    assert not {"ada", "eve@acme.com", "ada@acme.com"} & set(texts([route, travels]))
    assert {"pro", "acme", "t-"} <= set(texts([route, travels]))
    decide = compile_routes({"f": route}, {"beta": travels})["f"]
    assert [decide(unit, {}).variant for unit in ("ada", "bob", "t-1")] == ["on", "off", "on"]
    assert decide("bob", {"email": "ada@acme.com"}).variant == "on"
    assert decide("bob", {"email": "eve@acme.com", "plan": "pro"}).variant == "off"


def texts(value):
    if isinstance(value, dict):
        yield from texts(list(value.values()))
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    else:
        yield value


# why


@given(
    first=forms,
    unit=st.integers(0, 9999),
    x=st.sampled_from([None, "1", "2"]),
    y=st.sampled_from([None, "1"]),
)
def test_the_explanation_names_what_decides(first, unit, x, y):
    environment = Environment.compiled({"f": flag(**first)}, {})
    found = explain(environment, "f", str(unit), {"x": x, "y": y})
    assert found.decision == environment.decide("f", str(unit), {"x": x, "y": y})
    deciding = [step for step in found.steps if step.holds]
    if not first["enabled"]:
        assert deciding == []
    else:
        assert [step.id for step in deciding] == [found.decision.rule or "split"]


def test_each_condition_says_what_it_found():
    flags = {
        "base": flag(unit="organisation", split="on"),
        "f": flag(
            prerequisites=[{"flag": "base", "variants": ["on"]}],
            rules=[
                rule("one", {"segment": "beta"}, {"not_segment": "beta"}),
                rule("two", has("user", "in", list("abcdefg")), {"flag": "base", "variants": ["on"]}),
            ],
        ),
    }
    environment = Environment.compiled(flags, {"beta": BETA})
    found = explain(environment, "f", "a", {"organisation": "acme", "email": "x"})
    assert (found.decision.rule, found.decision.variant) == ("two", "on")
    asked = [[holds for _, holds in step.conditions] for step in found.steps]
    assert asked == [[True], [True, False], [True, True], []]
    assert "a, b, c, d, e … (7 in all) (it is 'a')" in found.steps[2].conditions[0][0]
    refused = explain(environment, "f", "a", {})
    assert [step.holds for step in refused.steps] == [False, None, None, None]
    assert "its unit is not known" in refused.steps[0].conditions[0][0]
    assert (
        "unknown"
        in explain(
            Environment.compiled({"f": flag(rules=[rule("r", has("x", "equals", 1))])}, {}), "f", "a", {}
        )
        .steps[0]
        .conditions[0][0]
    )


# stale

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "seen", "age_days", "ids"),
    [
        ({"split": {"on": 0.5}}, Seen(last_at=NOW, variants=frozenset({"on", "off"})), 90, []),
        ({"split": {"on": 0.5}}, Seen(), 5, []),
        ({"split": {"on": 0.5}}, Seen(), 90, ["unseen"]),
        ({"split": {"on": 0.5}}, Seen(last_at=NOW - timedelta(days=40)), 90, ["unseen"]),
        ({"split": {"on": 0.5}}, Seen(last_at=NOW, variants=frozenset({"on"})), 90, ["one_variant"]),
        ({"split": "on"}, Seen(last_at=NOW, variants=frozenset({"on"})), 90, ["one_variant"]),
        ({"split": "on", "permanent": True}, Seen(last_at=NOW, variants=frozenset({"on"})), 90, []),
        ({"split": {"on": 0.5}, "enabled": False}, Seen(last_at=NOW), 90, ["one_variant"]),
        ({"split": {"on": 0.5}, "ends_on": "2026-11-01"}, Seen(last_at=NOW), 5, ["ended"]),
        ({"split": {"on": 0.5}, "ends_on": "2026-12-01"}, Seen(last_at=NOW), 5, []),
    ],
)
def test_a_flag_is_stale_for_named_reasons(form, seen, age_days, ids):
    found = stale_reasons(flag(**form), NOW - timedelta(days=age_days), seen, NOW, 30)
    assert [reason.id for reason in found] == ids


def test_a_kept_flag_can_be_replaced_field_by_field():
    assert replace(flag(), owner="x").owner == "x"
