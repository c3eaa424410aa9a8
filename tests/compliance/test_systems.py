"""Systems: who answers, how risky, how long records are kept, what people state."""

import pytest

from assent.compliance import service
from assent.compliance.domain import Standing
from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import SYSTEM
from assent.ledger import replay
from tests.approvals.shop import PROJECT
from tests.cards.conftest import NAME
from tests.compliance.conftest import ANSWERS

PLACE = (PROJECT, NAME)


def assign(office, role="owner", person="ada", reason="she built it"):
    return office.do(service.assign, PLACE, role, person, reason)


def test_a_person_answers_for_a_system_until_another_does(anywhere):
    assign(anywhere)
    assign(anywhere, person="rita", reason="ada moved on")
    (held,) = anywhere.read(service.roles_of, PROJECT, NAME).values()
    assert held.person == anywhere.desk.people["rita"].id


def test_only_people_hold_known_roles_of_systems_that_there_are(anywhere):
    with pytest.raises(Invalid, match="no role 'king'"):
        assign(anywhere, role="king")
    with pytest.raises(NotFound):
        assign(anywhere, person="nobody")
    with pytest.raises(Invalid, match="needs a reason"):
        assign(anywhere, reason=" ")
    anywhere.do(identity.add_service, "robot", who=SYSTEM)
    with pytest.raises(Invalid, match="service account"):
        assign(anywhere, person="robot")
    with pytest.raises(NotFound, match="no model ghost"):
        anywhere.do(service.assign, (PROJECT, "ghost"), "owner", "ada", "why not")


def test_the_newest_classification_counts_and_its_reason_is_an_erasable_body(anywhere):
    assert anywhere.read(service.classification_of, PROJECT, NAME) is None
    assert anywhere.classify().tier == "minimal"
    found = anywhere.classify(talks="yes")
    assert (found.tier, found.questionnaire) == ("limited", "risk-tier-1")
    assert anywhere.read(service.classification_of, PROJECT, NAME) == found
    with anywhere.runtime.session.read() as reader:
        assert b"we asked around" in reader.blobs.get(found.reason)


def test_answers_with_mistakes_record_nothing(anywhere):
    with pytest.raises(Invalid, match="2 mistakes") as refused:
        anywhere.classify(talks="perhaps", colour="blue")
    assert {reason.id: reason.message.partition(".")[0] for reason in refused.value.reasons} == {
        "colour": "There is no question 'colour'",
        "talks": "Answer yes, no or unsure",
    }
    with pytest.raises(Invalid, match="needs a reason"):
        anywhere.do(service.classify, PLACE, ANSWERS, None)
    with pytest.raises(NotFound):
        anywhere.classify("ghost")
    assert anywhere.read(service.classification_of, PROJECT, NAME) is None


def test_the_inventory_says_what_is_live_who_answers_and_whose_tier_is_too_low(anywhere):
    (before,) = anywhere.read(service.inventory, PROJECT)
    assert (before.n_versions, before.version, before.why) == (2, "2.1.0", "the newest; nothing is live")
    assert (before.roles, before.classified, before.below) == ({}, None, False)
    assign(anywhere)
    anywhere.classify(employment="yes")
    (after,) = anywhere.read(service.inventory, PROJECT)
    assert (after.roles, after.tier, after.classified, after.below) == (
        {"owner": "ada"},
        "limited",
        "high",
        True,
    )
    rows = anywhere.rows(catalogue="eu-ai-act")
    assert rows["eu-ai-act 6"].standing is Standing.NOT_MET
    assert "the version says limited, the questionnaire high" in rows["eu-ai-act 6"].have


def test_retention_is_set_by_project_within_bounds_and_read_by_coverage(anywhere):
    def retain(*days, reason="the law"):
        return anywhere.do(service.retain, PROJECT, days, reason)

    assert anywhere.read(service.retention_of, PROJECT) is None
    assert (retain(400, 4000).logs_days, anywhere.read(service.retention_of, PROJECT).records_days) == (
        400,
        4000,
    )
    anywhere.classify(employment="yes")
    assert anywhere.rows()["eu-ai-act 18"].standing is Standing.MET
    retain(30, 4000)
    assert anywhere.rows()["eu-ai-act 26(6)"].standing is Standing.NOT_MET
    for days in ((0, 1), (1, 40_000)):
        with pytest.raises(Invalid, match="A retention is"):
            retain(*days)
    with pytest.raises(NotFound):
        anywhere.read(service.retention_of, "ghost")


def test_a_statement_is_made_of_organisational_rows_only_and_ends(anywhere):
    def attest(catalogue="nist-ai-600-1", row="MG-2.4-001", days=30, reason="the plan is in the handbook"):
        return anywhere.do(service.attest, PLACE, (catalogue, row, days), reason)

    assign(anywhere)
    assert anywhere.rows()["nist-ai-600-1 MG-2.4-001"].standing is Standing.UNKNOWN
    attest()
    assert anywhere.rows()["nist-ai-600-1 MG-2.4-001"].standing is Standing.MET
    anywhere.desk.installation.clock.advance(31 * 86_400)
    assert anywhere.rows()["nist-ai-600-1 MG-2.4-001"].standing is Standing.UNKNOWN
    with pytest.raises(Invalid, match="shown by records, not by statements"):
        attest(row="GV-1.3-002")
    with pytest.raises(NotFound, match="no row"):
        attest(row="GV-9")
    with pytest.raises(NotFound, match="no catalogue"):
        attest(catalogue="sr-11-7")
    for days in (0, 367):
        with pytest.raises(Invalid, match="holds 1 to 366 days"):
            attest(days=days)


def test_coverage_is_of_the_live_version_of_the_named_one_or_of_the_newest(office):
    def subject(which):
        return office.read(service.coverage, PROJECT, which).subject

    assert (subject(NAME).version.number, subject(NAME).why) == ("2.1.0", "the newest; nothing is live")
    assert (subject(f"{NAME}@2.0.0").version.number, subject(f"{NAME}@2.0.0").why) == ("2.0.0", "named")
    with pytest.raises(NotFound):
        subject("ghost")
    with pytest.raises(NotFound):
        office.read(service.coverage, PROJECT, NAME, "sr-11-7")


def test_the_records_of_one_version_do_not_count_for_another(office):
    measured, other = office.rows(f"{NAME}@2.1.0"), office.rows(f"{NAME}@2.0.0")
    assert measured["owasp-aisvs 3.2.3"].standing is Standing.MET
    assert other["owasp-aisvs 3.2.3"].standing is Standing.UNKNOWN
    leaves = {leaf for check in measured["owasp-aisvs 3.2.3"].checks for leaf in check.leaves}
    assert leaves


def test_evidence_that_was_only_claimed_shows_no_gate_before_its_run(office):
    claim = {
        "suite": "imported@1.0.0",
        "kind": "regression",
        "verdict": "pass",
        "low": "1",
        "high": "2",
        "n": "9",
    }
    digest = office.desk.version("2.0.0").digest
    office.do(evidence.record, project=PROJECT, kind="suite.verdict", subject=digest, value=claim, who=SYSTEM)
    rows = office.rows(f"{NAME}@2.0.0")
    assert rows["nist-ai-600-1 GV-1.3-002"].standing is Standing.UNKNOWN


def test_a_replay_gives_the_same_rows(anywhere):
    assign(anywhere)
    anywhere.classify()
    anywhere.do(service.retain, PROJECT, (400, 4000), "the law")
    anywhere.do(service.attest, PLACE, ("eu-ai-act", "72", 30), "we have a plan")
    anywhere.issue(NAME)
    with anywhere.runtime.session.read() as reader:
        found = replay.check(reader)
    assert found.equal, found.differences
