import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.delivery.domain import (
    decimal_text,
    detectability,
    parse_plan,
    plan_document,
    undetectable,
    units_needed,
    units_to_find,
)
from assent.delivery.domain.sampling import read_wanted
from assent.kernel.canonical import digest
from assent.kernel.errors import Invalid

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


def plan_form(**changes):
    form = {
        "steps": [
            {"share": 0.05, "min_time_s": 600, "max_time_s": 7200},
            {"share": 0.25, "min_time_s": 600, "max_time_s": 7200, "min_units": 30, "gate": True},
            {"share": 1, "min_time_s": 600},
        ],
        "guards": [{"metric": "error", "margin": 0.01}],
        "detect": {"metric": "error", "from": 0.01, "to": 0.05},
        "expected_units_per_s": 2,
    }
    return {**form, **changes}


def faults(form) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse_plan(form)
    return {reason.id: reason.message for reason in caught.value.reasons}


def test_a_plan_is_read_with_its_defaults():
    plan = parse_plan(plan_form())
    assert plan.first_share == 0.05
    assert (plan.alpha, plan.window_s, plan.block_s, plan.unit) == (0.05, 600, 60, "user")
    assert [step.gate for step in plan.steps] == [False, True, False]
    assert plan.steps[0].advance == "no_harm"
    assert plan.guards[0].weight == 1


def test_the_canonical_form_of_a_plan_reads_back_to_the_same_plan_and_digest():
    form = plan_form(
        guards=[{"metric": "error", "weight": 0.3}, {"metric": "thumbs_down", "weight": 0.7}],
        slo=[{"metric": "error", "max": 0.2}],
        start_at="2026-03-03T09:00:00+01:00",
        accept_undetectable="a drill",
    )
    plan = parse_plan(form)
    document = plan_document(plan)
    assert parse_plan(document) == plan
    assert digest(plan_document(parse_plan(document))) == digest(document)
    assert document["steps"][0]["share"] == "0.05"
    assert document["start_at"] == "2026-03-03T08:00:00.000000Z"
    assert plan.start_at == datetime(2026, 3, 3, 8, tzinfo=UTC)


def test_a_shadow_is_a_first_step_that_answers_nobody():
    form = plan_form(shadow={"share": 0.1, "min_time_s": 3600, "min_units": 500})
    plan = parse_plan(form)
    first = plan.steps[0]
    assert (first.share, first.shadow, first.min_units, first.gate) == (0, 0.1, 500, False)
    assert (len(plan.steps), plan.entry_share) == (4, 0.05)
    document = plan_document(plan)
    assert document["shadow"] == {
        "share": "0.1", "min_time_s": 3600, "min_units": 500, "max_time_s": 86_400, "gate": False,
    }  # fmt: skip
    assert len(document["steps"]) == 3
    assert parse_plan(document) == plan
    assert "shadow" not in plan_document(parse_plan(plan_form()))
    assert detectability(plan).ok


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"shadow": {"min_time_s": 1}}, "shadow.share"),
        ({"shadow": {"share": 0, "min_time_s": 1}}, "shadow.share"),
        ({"shadow": {"share": 0.1}}, "shadow.min_time_s"),
        ({"shadow": {"share": 0.1, "min_time_s": 9, "max_time_s": 8}}, "shadow.max_time_s"),
        ({"shadow": {"share": 0.1, "min_time_s": 9, "audience": []}}, "shadow.audience"),
        ({"shadow": 0.1}, "shadow"),
        (
            {
                "strategy": "ab_test",
                "experiment": {"primary": "error"},
                "steps": [{"share": 0.5, "min_time_s": 600}],
                "shadow": {"share": 0.1, "min_time_s": 9},
            },
            "shadow",
        ),
    ],
)
def test_a_shadow_out_of_form_is_a_fault(change, path):
    assert path in faults(plan_form(**change))


def test_conversations_end_on_their_version_only_where_they_stick():
    plan = parse_plan(plan_form(unit="conversation", pin_s=1800))
    assert (plan.pin_s, plan_document(plan)["pin_s"]) == (1800, 1800)
    assert parse_plan(plan_document(plan)) == plan
    assert "pin_s" not in plan_document(parse_plan(plan_form()))
    assert "pin_s" in faults(plan_form(pin_s=1800))
    assert "pin_s" in faults(plan_form(unit="conversation", pin_s=-1))


def test_every_fault_of_a_plan_is_named_at_once():
    found = faults(
        {
            "steps": [
                {"share": 2, "min_time_s": -1},
                {"share": 0.1234567, "min_time_s": 1, "advance": "hope", "gate": "yes"},
                {"share": "0.1", "min_time_s": 9, "max_time_s": 3, "speed": 1},
            ],
            "guards": [{"metric": "vibes"}, {"margin": True}],
            "detect": {"metric": "error"},
            "alpha": "NaN",
            "window_s": 1.5,
            "expected_units_per_s": 0,
            "unit": 3,
            "start_at": "tomorrow",
            "accept_undetectable": " ",
            "surprise": 1,
        }
    )
    assert set(found) == {
        "steps[0].share", "steps[0].min_time_s", "steps[1].share", "steps[1].advance", "steps[1].gate",
        "steps[2].share", "steps[2].max_time_s", "steps[2].speed", "guards[0].metric", "guards[1].metric",
        "guards[1].margin", "detect.from", "detect.to", "alpha", "window_s", "expected_units_per_s", "unit",
        "start_at", "accept_undetectable", "surprise",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"steps": []}, "steps"),
        ({"steps": "canary"}, "steps"),
        ({"steps": [3]}, "steps[0]"),
        ({"steps": [{1: 2}]}, "steps[0]"),
        ({"steps": [{"min_time_s": 1}]}, "steps[0].share"),
        ({"steps": [{"share": "x", "min_time_s": 1}]}, "steps[0].share"),
        ({"steps": [{"share": [1], "min_time_s": 1}]}, "steps[0].share"),
        ({"steps": [{"share": 1}]}, "steps[0].min_time_s"),
        ({"steps": [{"share": 0.5, "min_time_s": 1}]}, "steps[0].share"),
        (
            {
                "steps": [
                    {"share": 0.5, "min_time_s": 1},
                    {"share": 0.5, "min_time_s": 1},
                    {"share": 1, "min_time_s": 1},
                ]
            },
            "steps[1].share",
        ),
        ({"steps": [{"share": k / 102, "min_time_s": 1} for k in range(1, 103)]}, "steps"),
        ({"guards": []}, "guards"),
        ({"guards": [{"metric": "error"}, {"metric": "error"}]}, "guards[1].metric"),
        ({"guards": [{"metric": "error", "weight": 0.5}]}, "guards"),
        ({"guards": [{"metric": "error", "weight": 0.5}, {"metric": "refusal"}]}, "guards"),
        ({"guards": [{"metric": "refusal"}]}, "detect.metric"),
        ({"detect": None}, "detect"),
        ({"detect": "errors"}, "detect"),
        ({"detect": {"metric": "error", "from": 0.05, "to": 0.01}}, "detect.to"),
        ({"detect": {"metric": "error", "from": 0.05, "to": 1}}, "detect.to"),
        ({"start_at": "2026-03-03T09:00:00"}, "start_at"),
        ({"start_at": datetime(1, 1, 1, tzinfo=UTC).replace(tzinfo=None)}, "start_at"),
        ({"start_at": "0001-01-01T00:00:00+09:00"}, "start_at"),
        ({"alpha": "1e999999999"}, "alpha"),
        ({"alpha": 10**400}, "alpha"),
        ({"accept_undetectable": "x" * 501}, "accept_undetectable"),
    ],
)
def test_a_fault_is_named_by_its_path(change, path):
    assert path in faults(plan_form(**change))


def test_a_plan_that_is_no_mapping_says_so():
    assert set(faults([1])) >= {"plan"}


@PATIENT
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_whatever_is_given_is_a_plan_or_a_clear_refusal(value):
    assert faults(value)


@PATIENT
@given(
    st.dictionaries(
        st.sampled_from(
            sorted(plan_form() | {"alpha": 0, "window_s": 0, "slo": 0, "unit": 0, "start_at": 0})
        ),
        st.none()
        | st.booleans()
        | st.floats()
        | st.integers()
        | st.text()
        | st.datetimes()
        | st.lists(
            st.dictionaries(
                st.sampled_from(["share", "metric", "min_time_s", "weight"]),
                st.floats() | st.integers() | st.text(),
            )
        ),
    )
)
def test_rubbish_in_known_fields_is_refused_or_reads_back_the_same(change):
    try:
        plan = parse_plan(plan_form(**change))
    except Invalid as error:
        found = error.reasons
    else:
        assert parse_plan(plan_document(plan)) == plan
        return
    assert found
    assert all(reason.message and reason.remedy for reason in found)


def test_figures_without_an_end_stay_words():
    assert decimal_text(math.inf) == "inf"
    assert decimal_text(1e-7) == "0.0000001"


def test_a_switch_at_once_needs_no_guards_and_compares_nothing():
    plan = parse_plan({"steps": [{"share": 1, "min_time_s": 0}]})
    assert units_needed(plan) is None
    assert detectability(plan).ok is True
    assert detectability(plan).steps == ()
    assert plan_document(plan)["detect"] is None


@pytest.mark.parametrize(("harmful", "units"), [(0.0125, 10_243), (0.015, 2_737), (0.02, 766), (0.05, 73)])
def test_the_bound_on_units_equals_the_published_figures(harmful, units):
    # The published figures round to the nearest unit, the bound to the next whole unit.
    assert units <= units_to_find(0.01, harmful, alpha=0.05) <= units + 1


def test_a_guard_with_half_the_weight_needs_the_units_of_half_the_alpha():
    plan = parse_plan(plan_form(guards=[{"metric": "error"}, {"metric": "slow"}]))
    assert (
        units_needed(plan) == units_to_find(0.01, 0.05, alpha=0.025) > units_to_find(0.01, 0.05, alpha=0.05)
    )


def test_detectability_counts_only_units_whose_score_window_closes_in_time():
    found = detectability(parse_plan(plan_form()))
    assert found.units_needed == 73
    assert [reach.units for reach in found.steps] == [660, 660 + 3300]
    assert found.ok is True
    assert math.isclose(found.steps[0].expected_s, 600 + 73 / 0.1)


def test_a_first_step_that_is_too_short_is_undetectable_and_says_which():
    slow = detectability(parse_plan(plan_form(expected_units_per_s=0.2)))
    assert slow.ok is False
    assert [reach.reaches for reach in slow.steps] == [False, True]
    (reason,) = undetectable(slow)
    assert (reason.have, reason.need) == (66, 73)
    assert "Step 1" in reason.message


def test_unknown_traffic_is_unknown():
    plan = parse_plan(plan_form(expected_units_per_s=None))
    assert detectability(plan).ok is None
    assert [reach.reaches for reach in detectability(plan).steps] == [None, None]
    assert undetectable(detectability(plan))[0].id == "detectability"


def test_of_a_judged_harm_only_sampled_units_are_seen_and_no_more_than_are_judged_a_day():
    guards = [{"metric": "judge"}]
    plan = parse_plan(plan_form(guards=guards, detect={"metric": "judge", "from": 0.01, "to": 0.05}))
    assert (plan.is_judged, detectability(plan).ok) == (True, True)
    fifth = read_wanted("polite", 0.2, 1_000_000, 7)
    seen = detectability(plan, fifth)
    assert [reach.units for reach in seen.steps] == [132, 132 + 660]
    assert seen.ok is True
    few = detectability(plan, replace(fifth, per_day=1_000))
    assert [reach.units for reach in few.steps] == [50, 50 + 250]
    assert (few.ok, [reach.reaches for reach in few.steps]) == (False, [False, True])
