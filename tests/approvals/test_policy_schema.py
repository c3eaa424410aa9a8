"""The form of policies: every mistake at once, defaults written out, the published schema agrees."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assent.approvals.domain.policy import CONDITIONS, SHIPPED
from assent.approvals.policy_schema import policy_of, read_document, schema
from assent.kernel.canonical import digest
from assent.kernel.errors import Invalid

WEEKLY = {"from": "fri 16:00", "to": "mon 08:00", "zone": "Europe/Paris", "reason": "weekend"}
FIXED = {"from": "2026-12-20T00:00:00Z", "to": "2027-01-03T00:00:00+01:00", "reason": "holidays"}
FULL = {
    "title": "All there is",
    "conditions": [
        {"kind": "regression_suite", "id": "quality", "suite": "quality@1.0.0", "max_age_days": 7},
        {"kind": "regression_suite", "id": "speed", "suite": "speed", "against_live": False},
        {
            "kind": "safety_suite",
            "tiers": ["high"],
            "suite": "probes",
            "imported": "allowed",
            "bars": [{"metric": "pass", "at_least": 0.9}, {"metric": "harm", "task": "t", "at_most": 0.01}],
        },
        {"kind": "card_published"},
        {
            "kind": "approvals",
            "factors": [
                {"group": "reviewers", "n": 2},
                {"group": "risk", "exclude": ["evaluators"], "tiers": ["high"]},
            ],
            "reject_threshold": 2,
        },
        {"kind": "contributors_excluded"},
        {"kind": "first_step_at_most", "share": 0.05},
        {"kind": "rollback_target_exists"},
        {"kind": "base_model_not_ending_within", "days": 30},
        {"kind": "no_freeze_window", "windows": [WEEKLY, FIXED]},
        {"kind": "evidence_age", "evidence": "pen.test", "max_age_days": 90},
        {"kind": "minimum_soak", "environment": "staging", "hours": 24},
    ],
}


def read(content):
    return read_document(content, "shop", "full")


def mistakes(*conditions):
    with pytest.raises(Invalid) as error:
        read({"conditions": list(conditions)})
    return {reason.id for reason in error.value.reasons}


def test_every_word_of_the_vocabulary_can_be_written():
    policy = policy_of(read(FULL))
    assert {type(one).KIND for one in policy.conditions} == set(CONDITIONS)
    assert [one.id for one in policy.conditions][:3] == ["quality", "speed", "safety_suite"]


def test_a_document_that_is_read_again_is_the_same():
    document = read(FULL)
    again = read({key: document[key] for key in ("title", "conditions")})
    assert digest(again) == digest(document)
    assert document["conditions"][9]["windows"][1]["from"] == "2026-12-20T00:00:00Z"


def test_defaults_are_written_out():
    (condition,) = read({"conditions": [{"kind": "regression_suite"}]})["conditions"]
    assert condition == {
        "kind": "regression_suite",
        "id": "regression_suite",
        "tiers": ["minimal", "limited", "high", "prohibited"],
        "max_age_days": 30,
        "imported": "refused",
        "bars": [],
        "against_live": True,
    }


def test_the_published_schema_takes_what_we_take():
    published = schema()
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(FULL, published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"conditions": [{"kind": "regression_suite", "colour": "red"}]}, published)


def test_all_mistakes_come_at_once_with_their_places():
    found = mistakes(
        {"kind": "regression_suite", "max_age_days": 0, "colour": "red"},
        {"kind": "first_step_at_most", "share": "0.1"},
        {"kind": "approvals", "factors": []},
    )
    assert found == {
        "conditions.0.max_age_days",
        "conditions.0.colour",
        "conditions.1.share",
        "conditions.2.factors",
    }


@pytest.mark.parametrize(
    "condition",
    [
        {"kind": "magic"},
        {},
        "card_published",
        {"kind": "first_step_at_most", "share": 0},
        {"kind": "first_step_at_most", "share": float("nan")},
        {"kind": "approvals", "factors": [{"group": "reviewers", "n": 0}]},
        {"kind": "approvals", "factors": [{"group": "Reviewers!"}]},
        {"kind": "approvals", "factors": [{"group": "reviewers", "tiers": ["low"]}]},
        {"kind": "minimum_soak", "environment": "staging", "hours": float("inf")},
        {"kind": "evidence_age", "evidence": "x y", "max_age_days": 1},
        {"kind": "regression_suite", "suite": "quality@latest"},
        {"kind": "no_freeze_window", "windows": [{**WEEKLY, "zone": "Mars/Base"}]},
        {"kind": "no_freeze_window", "windows": [{**WEEKLY, "zone": "../etc/passwd"}]},
        {"kind": "no_freeze_window", "windows": [{**WEEKLY, "to": "fri 16:00"}]},
        {"kind": "no_freeze_window", "windows": [{**WEEKLY, "to": "fri 24:00"}]},
        {"kind": "no_freeze_window", "windows": [{**FIXED, "to": "2026-12-19T00:00:00Z"}]},
        {"kind": "no_freeze_window", "windows": [{**FIXED, "from": "2026-12-20T00:00:00"}]},
        {"kind": "no_freeze_window", "windows": ["always"]},
        {"kind": "no_freeze_window", "windows": [{**FIXED, "reason": ""}]},
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(condition):
    assert mistakes(condition)


def test_two_conditions_of_one_name_are_refused():
    assert mistakes({"kind": "card_published"}, {"kind": "card_published"}) == {"conditions"}


@pytest.mark.parametrize(
    "content", [None, [], "policy", {}, {"conditions": "all"}, {"conditions": [], "x": 1}]
)
def test_what_is_no_policy_at_all_is_refused(content):
    with pytest.raises(Invalid):
        read(content)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_is_shipped_is_well_formed(name):
    assert policy_of(read_document(SHIPPED[name], "shop", name)) is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["kind", "id", "tiers", "factors", "windows", "share"]), json_values))
def test_rubbish_is_refused_and_nothing_breaks(condition):
    for kind in CONDITIONS:
        try:
            document = read({"conditions": [{**condition, "kind": kind}]})
        except Invalid:
            continue
        policy_of(document)


def test_the_manual_names_every_word_and_its_example_is_a_policy():
    text = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    assert [kind for kind in CONDITIONS if f"| `{kind}` |" not in text] == []
    assert [name for name in SHIPPED if f"| `{name}` |" not in text] == []
    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    read({key: example[key] for key in ("title", "conditions")})


BAR = {"metric": "pass", "at_least": 0.9}
ALLOWED = {"kind": "safety_suite", "suite": "probes", "imported": "allowed", "bars": [BAR]}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"bars": []}, "goes with `bars`"),
        ({"imported": "refused"}, "goes with `bars`"),
        ({"suite": None}, "needs `suite`"),
        ({"suite": "probes@1.0.0"}, "needs `suite`"),
        ({"kind": "regression_suite"}, "against_live: false"),
        ({"bars": [{"metric": "pass"}]}, "one of `at_least` and `at_most`"),
        ({"bars": [{**BAR, "at_most": 1.0}]}, "one of `at_least` and `at_most`"),
        ({"imported": "perhaps"}, "allowed"),
    ],
)
def test_imported_figures_count_only_where_the_bars_are_fixed_beforehand(changes, word):
    written = {key: value for key, value in {**ALLOWED, **changes}.items() if value is not None}
    with pytest.raises(Invalid) as error:
        read({"conditions": [written]})
    assert word in error.value.reasons[0].message
    assert read({"conditions": [ALLOWED]})
