"""The export for flagd: valid by its schemas, equal where it can be, honest where it cannot."""

import json

import httpx
import jsonschema
import pytest
from referencing import Registry, Resource

from assent.flags.domain import export_flagd, read_flag
from assent.flags.domain.document import route_of
from assent_client.decide import BUCKETS, compile_routes
from tests.architecture.house_rules import ROOT

SCHEMAS = ROOT.parents[0] / "shared" / "reference" / "flagd"
SALT = "0123456789abcdef" * 2
BETA = {"any": [[{"attribute": "organisation", "op": "in", "value": ["acme"]}]]}


def flag(**form):
    return read_flag(form, SALT)


def has(attribute, op, value):
    return {"attribute": attribute, "op": op, "value": value}


def rule(which, *conditions, **gives):
    return {"id": which, "when": list(conditions), **(gives or {"variant": "on"})}


CONDITIONS = {
    "in": has("country", "in", ["DE", "AT"]),
    "not_in": has("country", "not_in", ["DE"]),
    "equals": has("plan", "equals", "pro"),
    "not_equals": has("plan", "not_equals", "pro"),
    "prefix": has("email", "prefix", "ada"),
    "suffix": has("email", "suffix", ["@acme.com", "@zeta.com"]),
    "age": has("age", "ge", 18),
    "app": has("app", "semver_lt", "2.0.0"),
    "unit": has("user", "in", ["ada"]),
    "segment": {"segment": "beta"},
    "not_segment": {"not_segment": "beta"},
}
FLAGS = {
    "plain": flag(split={"on": 0.2}, owner="web"),
    "all": flag(split="on"),
    "off": flag(split="on", enabled=False),
    "texts": flag(
        variants={"a": "A", "b": "B", "c": "C"}, off="c", split={"a": 0.5, "b": 0.3}, unit="organisation"
    ),
    "numbers": flag(variants={"a": 1.5, "b": 2}, off="b", description="Two numbers"),
    "objects": flag(variants={"a": {"x": 1}, "b": {}}, off="b"),
    "many": flag(
        rules=[
            rule("a", CONDITIONS["in"], CONDITIONS["age"]),
            rule("b", CONDITIONS["app"], split={"on": 0.5}),
        ]
    ),
    **{name: flag(rules=[rule("r", condition)]) for name, condition in CONDITIONS.items()},
}


def check_by_schema(flags):
    if not SCHEMAS.exists():
        pytest.skip("flagd's schemas are not beside the repository")
    found = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
    targeting = Resource.from_contents(found["targeting.json"])
    # beside a $ref, draft 7 passes over the $id that the relative address would start from
    registry = Registry().with_resources([("./targeting.json", targeting)])
    jsonschema.Draft7Validator(found["flags.json"], registry=registry).validate(flags)


def test_it_is_valid_by_flagd_s_own_schemas():
    exported = export_flagd(FLAGS, {"beta": BETA}, "shop/staging")
    assert exported.left_out == {}
    check_by_schema(exported.flags)


def test_flagd_syncs_by_http_and_asks_in_vain_while_nothing_changes(served):
    served.flags.create(split={"on": 0.5})
    address = f"{served.base()}/flagd/flags.json"
    with httpx.Client(headers=served.headers()) as client:
        first = client.get(address)
        assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
        assert list(first.json()["flags"]) == ["new-search"]
        known = {"if-none-match": first.headers["etag"]}
        assert client.get(address, headers=known).status_code == 304
        served.flags.change(split={"on": 0.6})
        second = client.get(address, headers=known)
        assert second.status_code == 200
        assert second.headers["etag"] != first.headers["etag"]
        assert client.get(address.replace("staging", "nowhere")).status_code == 404
    for headers, status in ((None, 401), (served.headers("auditor"), 403)):
        assert httpx.get(address, headers=headers).status_code == status
    check_by_schema(first.json())


CONTEXTS = [
    {},
    {
        "country": "DE",
        "age": 18,
        "plan": "pro",
        "email": "ada@acme.com",
        "app": "1.9.0",
        "organisation": "acme",
    },
    {
        "country": "FR",
        "age": 17,
        "plan": "free",
        "email": "eve@x.org",
        "app": "2.0.0",
        "organisation": "zeta",
    },
    {"country": "AT", "age": 18.5, "app": "3.0.0-rc.1"},
]


def test_where_no_bucket_decides_flagd_says_the_same():
    flags = {name: one for name, one in FLAGS.items() if name not in {"plain", "texts", "many"}}
    exported = export_flagd(flags, {"beta": BETA}, "shop/staging")
    decide = compile_routes({name: route_of(name, one, 1) for name, one in flags.items()}, {"beta": BETA})
    for name, written in exported.flags["flags"].items():
        for unit in ("ada", "bob"):
            for context in CONTEXTS:
                given = (
                    logic(written.get("targeting"), {**context, "targetingKey": unit})
                    or written["defaultVariant"]
                )
                assert given == decide[name](unit, context).variant, (name, unit, context)


def logic(rule, found):
    """Work out JSONLogic, as far as the export uses it. Source: jsonlogic.com, flagd.dev."""
    if not isinstance(rule, dict):
        return rule
    ((op, given),) = rule.items()
    if op == "var":
        return found.get(given)
    if op == "if":
        return logic(given[1] if logic(given[0], found) else given[2], found)
    if op == "and":
        return all(logic(one, found) for one in given)
    values = [logic(one, found) for one in given]
    if op == "sem_ver":
        return isinstance(values[0], str) and values[0].split("-")[0].split(".") < values[2].split(".")
    return {
        "or": lambda: any(values),
        "!": lambda: not values[0],
        "in": lambda: values[0] in values[1],
        "!=": lambda: values[0] is not values[1],
        "===": lambda: values[0] == values[1],
        "!==": lambda: values[0] != values[1],
        ">=": lambda: values[0] >= values[1],
        "starts_with": lambda: str(values[0]).startswith(values[1]),
        "ends_with": lambda: str(values[0]).endswith(values[1]),
    }[op]()


def test_what_flagd_cannot_say_is_left_out_and_named():
    flags = {
        "pattern": flag(rules=[rule("r", has("x", "matches", "a+"))]),
        "date": flag(rules=[rule("r", has("x", "before", "2026-01-01"))]),
        "needs": flag(prerequisites=[{"flag": "date", "variants": ["on"]}]),
        "asks": flag(rules=[rule("r", {"flag": "date", "variants": ["on"]})]),
        "list": flag(variants={"on": [1], "off": []}),
    }
    exported = export_flagd(flags, {}, "shop/staging")
    assert exported.flags["flags"] == {}
    assert set(exported.left_out) == set(flags)
    assert "matches (x)" in exported.left_out["pattern"]


def test_the_predicted_disagreement_is_what_murmur_gives():
    """flagd's bucket: MurmurHash3 (32 bits) of flag key and targeting key, against the weights in their order."""
    exported = export_flagd({"plain": FLAGS["plain"], "texts": FLAGS["texts"]}, {}, "shop/staging")
    assert exported.disagreement == {"plain": 0.32, "texts": 0.62}
    decide = compile_routes({"plain": route_of("plain", FLAGS["plain"], 1)})["plain"]
    n = 4000
    differ = 0
    for unit in (f"user-{i}" for i in range(n)):
        place = murmur3(f"plain{unit}".encode()) * BUCKETS >> 32
        differ += ("on" if place < 200_000 else "off") != decide(unit, {}).variant
    assert abs(differ - 0.32 * n) < 4.5 * (n * 0.32 * 0.68) ** 0.5


def murmur3(content, seed=0):
    """Source: A. Appleby, MurmurHash3_x86_32."""
    word = 0xFFFFFFFF
    h = seed

    def mixed(k):
        k = k * 0xCC9E2D51 & word
        return ((k << 15 | k >> 17) & word) * 0x1B873593 & word

    end = len(content) & ~3
    for i in range(0, end, 4):
        h ^= mixed(int.from_bytes(content[i : i + 4], "little"))
        h = ((h << 13 | h >> 19) & word) * 5 + 0xE6546B64 & word
    if content[end:]:
        h ^= mixed(int.from_bytes(content[end:], "little"))
    h ^= len(content)
    h = (h ^ h >> 16) * 0x85EBCA6B & word
    h = (h ^ h >> 13) * 0xC2B2AE35 & word
    return h ^ h >> 16


def test_murmur_is_murmur():
    assert [murmur3(text) for text in (b"", b"test", b"Hello, world!")] == [0, 0xBA6BD213, 0xC0363E43]
