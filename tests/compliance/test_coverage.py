"""What the record shows: present and in its window, missing, old, of another digest, contradicting."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.compliance.domain import CHECKS, DISCLAIMER, Standing, judge, parse_catalogue, summary
from assent.compliance.service import catalogues, find_catalogue
from assent.kernel.errors import NotFound
from tests.compliance.records import (
    NOW,
    OTHER,
    PROJECT,
    SUBJECT,
    SUITE,
    facts,
    incident,
    record,
    run,
    system,
    verdict,
    version,
    whole,
)

WHOLE = whole()
ALL = catalogues()


def look(check, records, **changes):
    return CHECKS[check].look(facts(records, **changes))


def without(*types):
    return [r for r in WHOLE if r.type not in types]


def rows(records, **changes):
    return {
        (one.id, result.row.id): result for one in ALL for result in judge(one, facts(records, **changes))
    }


STANDINGS = {key: result.standing for key, result in rows(WHOLE).items()}


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_is_met_by_the_whole_record_and_unknown_by_none(check):
    assert look(check, WHOLE).standing is Standing.MET
    assert look(check, []).standing is Standing.UNKNOWN


def test_every_row_names_what_it_needs_and_the_command_that_gives_it():
    for result in rows([]).values():
        assert result.standing is Standing.UNKNOWN
        for check in result.checks:
            assert check.need
            assert check.remedy.startswith("assent ")
            assert "{" not in check.remedy


def test_with_the_whole_record_every_row_is_met_but_what_people_do():
    for result in rows(WHOLE).values():
        expected = Standing.UNKNOWN if result.row.organisational else Standing.MET
        assert result.standing is expected, (result.row.id, result.have)


def test_what_people_do_is_met_only_by_their_statement_and_until_it_ends():
    row = ("eu-ai-act", "72")
    until = (NOW + timedelta(days=10)).isoformat()
    stated = system("compliance.control.attested", catalogue=row[0], row=row[1], expires_at=until)
    assert rows([*WHOLE, stated])[row].standing is Standing.MET
    assert rows([*WHOLE, stated], now=NOW + timedelta(days=11))[row].standing is Standing.UNKNOWN
    assert rows([stated])[row].standing is Standing.UNKNOWN
    elsewhere = replace(stated, fields={**stated.fields, "row": "73(2)"})
    assert rows([*WHOLE, elsewhere])[row].standing is Standing.UNKNOWN


def test_high_risk_duties_are_not_asked_of_a_limited_system_and_unknown_until_it_is_classified():
    row = ("eu-ai-act", "9(8)")
    limited = rows(whole("limited"))[row]
    assert (limited.standing, limited.checks) == (Standing.NOT_APPLICABLE, ())
    assert "asked from tier high on" in limited.have
    unclassified = rows(without("compliance.system.classified"))[row]
    assert unclassified.standing is Standing.UNKNOWN
    assert unclassified.have.startswith("whether it applies is not known; the system was not classified")
    assert unclassified.checks[0].remedy.startswith("assent compliance classify")
    strange = system("compliance.system.classified", tier="huge")
    assert rows([*without("compliance.system.classified"), strange])[row].standing is Standing.UNKNOWN
    failed = [*without("compliance.system.classified"), verdict(verdict="fail")]
    assert rows(failed)[row].standing is Standing.NOT_MET


def test_counts_are_those_of_the_rows():
    catalogue = find_catalogue("eu-ai-act")
    counts = summary(judge(catalogue, facts(WHOLE)))
    assert sum(counts.values()) == len(catalogue.rows)
    assert counts["not_met"] == counts["not_applicable"] == 0
    with pytest.raises(NotFound, match="no catalogue"):
        find_catalogue("sr-11-7")


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, len(WHOLE) - 1)), st.integers(0, len(WHOLE) - 1))
def test_a_record_taken_away_never_makes_a_row_met_unless_it_spoke_against_it(gone, more):
    kept = [r for i, r in enumerate(WHOLE) if i not in gone]
    _compare(kept, WHOLE[more])


BAD = (
    verdict(verdict="fail"),
    verdict("safety", "run_2", verdict="inconclusive"),
    verdict(low=None),
    verdict(days=400),
    verdict(suite_digest=OTHER),
    version("approvals.decision.made", request="req_1", kind="release", effect="rejected"),
    version("approvals.decision.made", request="req_9", kind="release", effect="approved", voters=["usr_9"]),
    version("approvals.decision.made", request="req_1", kind="card", effect="approved", voters=["usr_9"]),
    version("approvals.decision.made", request="req_1", kind="release", effect="approved", voters=["usr_4"]),
    version("approvals.break_glass.opened", break_glass="bg_1"),
    version("approvals.break_glass.reviewed", break_glass="bg_1"),
    version("cards.card.published", card="card_2"),
    version("cards.card.drafted", card="card_2", complete=False, missing=[6]),
    version(
        "delivery.rollout.planned", rollout="ro_2", request="req_9", plan={"steps": [{}]}, plan_digest=OTHER
    ),
    version("delivery.rollout.started", rollout="ro_2", receipt=None),
    *incident(days=40, reviewed_after=None, number="inc_2"),
    *incident(days=1, reviewed_after=None, number="inc_3"),
    *incident(days=40, reviewed_after=30, number="inc_4", subject=OTHER),
    system("compliance.system.classified", tier="minimal", questionnaire="risk-tier-0"),
    system("compliance.system.classified", tier="prohibited", questionnaire="risk-tier-1"),
    record("compliance.retention.set", project=PROJECT, logs_days=30, records_days=30),
    system("delivery.route.killed", days=1, environment="production"),
    system("delivery.route.killed", days=500, environment="staging"),
    system("delivery.route.restored", days=499, environment="staging"),
    system("registry.version.registered", digest=SUBJECT, tier="minimal", number="2.1.0"),
)
EVERY = [*WHOLE, *BAD]
some = st.lists(st.sampled_from(EVERY), unique_by=lambda r: r.id)


@settings(max_examples=100, deadline=None)
@given(some, st.sampled_from(EVERY))
def test_the_same_holds_among_records_that_contradict_and_are_old(kept, gone):
    _compare([r for r in kept if r.id != gone.id], gone)


def _compare(kept, gone):
    """Compare without and with one record; it stands where it would stand in the ledger."""
    present = sorted([*kept, gone], key=lambda r: r.index or 10**9)
    less = sorted([r for r in kept if r.id != gone.id], key=lambda r: r.index or 10**9)
    before, after = rows(present), rows(less)
    for key, result in after.items():
        if result.standing is Standing.MET and before[key].standing is not Standing.MET:
            assert gone in before[key].against, (key, gone.type, before[key].have)


@settings(max_examples=100, deadline=None)
@given(some)
def test_a_record_for_another_digest_or_system_never_counts(kept):
    def elsewhere(r):
        fields = {key: OTHER if value == SUBJECT else value for key, value in r.fields.items()}
        moved = {"name": "another", "project": "elsewhere", "route": "another"}
        return replace(r, fields={**fields, **{k: v for k, v in moved.items() if k in fields}})

    foreign = [elsewhere(r) for r in kept]
    assert all(result.standing is not Standing.MET for result in rows(foreign).values())
    for key, result in rows([*WHOLE, *foreign]).items():
        assert result.standing is STANDINGS[key]


def test_the_newest_verdict_of_a_suite_decides_and_old_ones_are_unknown():
    fails = look("run_with_bounds", [*WHOLE, verdict(verdict="fail")])
    assert (fails.standing, fails.have) == (Standing.NOT_MET, "regression@1.0.0: fail")
    assert look("run_with_bounds", [verdict(verdict="fail"), verdict()]).standing is Standing.MET
    open_ = look("safety_run", [*WHOLE, verdict("safety", "run_2", verdict="inconclusive")])
    assert open_.standing is Standing.UNKNOWN
    old = look("run_with_bounds", [verdict(days=181)])
    assert (old.standing, old.have) == (Standing.UNKNOWN, "a run that is 181 days old")
    assert look("run_with_bounds", [verdict(low=None)]).standing is Standing.UNKNOWN
    broken = replace(verdict(), fields={**verdict().fields, "value": "?"})
    assert look("run_with_bounds", [broken]).standing is Standing.UNKNOWN


def test_a_gate_that_was_registered_after_its_run_contradicts():
    late = [*run(), record("evaluation.suite.registered", digest=SUITE), verdict()]
    seen = look("gate_before_run", late)
    assert (seen.standing, len(seen.against)) == (Standing.NOT_MET, 1)
    assert look("gate_before_run", [verdict()]).standing is Standing.UNKNOWN


def test_who_worked_on_a_version_does_not_count_as_its_voter():
    asked = version("approvals.request.submitted", request="r", requester="usr_3", contributors=["usr_4"])
    made = {"request": "r", "kind": "release", "effect": "approved", "policy_ref": "p@1.0.0"}
    for voters in (["usr_3", "usr_5"], ["usr_4"]):
        decision = version("approvals.decision.made", voters=voters, **made)
        assert look("independent_vote", [asked, decision]).standing is Standing.NOT_MET
    two = look("independent_vote", [asked, version("approvals.decision.made", voters=["a", "b"], **made)])
    assert two.have == "approved under p@1.0.0 by 2 independent votes"
    assert look("signed_report", [asked, verdict()]).standing is Standing.UNKNOWN
    assert look("signed_report", [*run(), verdict()]).standing is Standing.UNKNOWN


def test_break_glass_contradicts_until_somebody_has_looked_back():
    opened = version("approvals.break_glass.opened", break_glass="bg_1")
    assert look("independent_vote", [*WHOLE, opened]).standing is Standing.NOT_MET
    reviewed = version("approvals.break_glass.reviewed", break_glass="bg_1")
    assert look("independent_vote", [*WHOLE, opened, reviewed]).standing is Standing.MET


def test_all_traffic_at_once_contradicts_a_staged_release():
    plan = {"rollout": "r", "plan": {"steps": [{"share": "1"}]}}
    big = [version("delivery.rollout.planned", **plan), version("delivery.rollout.started", rollout="r")]
    assert look("staged_release", big).standing is Standing.NOT_MET
    assert look("staged_release", big[:1]).standing is Standing.UNKNOWN
    assert look("rollback_ready", big).standing is Standing.UNKNOWN


def test_an_open_incident_contradicts_and_one_reviewed_in_time_supports():
    assert look("guarded", [*WHOLE, *incident(1, None, "inc_9")]).standing is Standing.NOT_MET
    assert look("incident_15_days", incident(20, None)).standing is Standing.NOT_MET
    assert look("incident_15_days", incident(20, 16)).standing is Standing.NOT_MET
    assert look("incident_15_days", incident(1, None)).standing is Standing.UNKNOWN
    assert look("incident_2_days", incident(5, 3)).standing is Standing.NOT_MET
    assert look("incident_10_days", incident(20, 9)).standing is Standing.MET


def test_a_card_published_without_what_its_tier_needs_contradicts():
    card = [
        version("cards.card.drafted", card="c", complete=False, missing=[6, 7]),
        version("cards.card.published", card="c"),
    ]
    seen = look("card_table", card)
    assert (seen.standing, seen.have) == (Standing.NOT_MET, "published without sections 6, 7")
    assert look("card_table", card[1:]).standing is Standing.UNKNOWN


@pytest.mark.parametrize(
    ("own", "asked", "standing"),
    [
        ("high", "high", Standing.MET),
        ("high", "minimal", Standing.MET),
        ("limited", "high", Standing.NOT_MET),
        ("high", "prohibited", Standing.NOT_MET),
        ("prohibited", "prohibited", Standing.NOT_MET),
        ("huge", "high", Standing.NOT_MET),
        ("high", "huge", Standing.NOT_MET),
    ],
)
def test_a_version_below_the_tier_of_the_questionnaire_is_not_met(own, asked, standing):
    given_tier = system("compliance.system.classified", tier=asked, questionnaire="risk-tier-1")
    registered = system("registry.version.registered", digest=SUBJECT, tier=own)
    assert look("tier_floor", [given_tier, registered]).standing is standing
    assert look("tier_floor", [registered]).have == "the system was not classified"
    assert look("tier_floor", [given_tier]).have == "no registration"


def test_an_older_questionnaire_leaves_the_tier_open():
    for check in ("tier_floor", "classified"):
        assert look(check, WHOLE, questionnaire="risk-tier-2").standing is Standing.UNKNOWN


def test_a_drill_counts_for_a_year_and_only_with_its_end():
    killed = system("delivery.route.killed", days=400, environment="production")
    back = system("delivery.route.restored", days=399, environment="production")
    assert look("kill_drill", [killed, back]).have == "switched off and on again, 400 days old"
    assert look("kill_drill", [killed, back]).standing is Standing.UNKNOWN
    assert look("kill_drill", [killed]).standing is Standing.UNKNOWN
    staging = replace(back, fields={**back.fields, "environment": "staging"})
    assert look("kill_drill", [killed, staging]).standing is Standing.UNKNOWN


def test_a_retention_that_is_too_short_contradicts():
    short = record("compliance.retention.set", project=PROJECT, logs_days=182, records_days=3652)
    for check in ("logs_kept", "records_kept"):
        assert look(check, [*WHOLE, short]).standing is Standing.NOT_MET


def test_parts_of_a_story_do_not_pass_for_it():
    assert "without versions, owner, tier" in look("inventory", []).have
    assert look("lifecycle", without("registry.version.advanced")).have == "registered, without a stage"
    assert look("plan_and_policy", without("approvals.decision.made")).standing is Standing.UNKNOWN
    assert look("observed", WHOLE, now=NOW + timedelta(days=8)).standing is Standing.UNKNOWN
    assert look("accountable_owner", []).have == "nobody holds the role owner"


def raw(**changes):
    row = {"id": "1", "says": "x", "checks": ["observed"], **changes}
    head = {"id": "c", "title": "C", "as_of": "2026-11-25", "source": "s", "secondary": True}
    return {**head, "rows": [row]}


@pytest.mark.parametrize("changes", [{"checks": ["magic"]}, {"checks": []}, {"applies_from": "huge"}])
def test_a_row_names_known_checks_and_a_known_tier(changes):
    with pytest.raises(ValueError, match="the row 1 names"):
        parse_catalogue(raw(**changes))


def test_no_row_stands_twice():
    twice = raw()
    twice["rows"] *= 2
    with pytest.raises(ValueError, match="a row twice"):
        parse_catalogue(twice)


def test_the_catalogues_hold_the_rows_of_the_design_with_their_date_and_source():
    known = {one.id: {row.id for row in one.rows} for one in ALL}
    wanted = {
        "eu-ai-act": "9(6) 9(8) 12(1) 12(2) 19 26(6) 18 13(3) 15(3) 15(1) 14(4)(e) 17(1)(d) 17(1)(k) 20 26(5) 72",
        "nist-ai-600-1": "GV-1.3-002 MG-1.3-001 MS-4.2-001 MG-2.4-001 MG-2.4-002 MG-2.4-003 MG-2.4-004",
        "iso-42001": "A.6.2.4 A.6.2.5 A.6.2.6 A.6.2.8",
        "owasp-aisvs": "3.1.1 3.2.3 3.3.1 6.1.3 6.2.1 9.2.1 9.2.2 9.2.8 12.3.1 12.4.3 12.5.3",
    }
    for catalogue, ids in wanted.items():
        assert set(ids.split()) <= known[catalogue]
    assert {"Annex IV 2(g)", "Annex IV 2(f)", "Annex IV 6", "73(2)", "73(3)", "73(4)"} <= known["eu-ai-act"]
    rmf = {"GOVERN 1.6", "GOVERN 1.7", "MEASURE 1.3", "MEASURE 2.1", "MEASURE 2.13"}
    assert rmf | {"MANAGE 1.1", "MANAGE 2.4", "MANAGE 4.1"} <= known["nist-ai-rmf"]
    assert all(one.secondary and one.source for one in ALL)
    assert "not a legal assessment" in DISCLAIMER
