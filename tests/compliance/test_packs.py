"""Packs of a real installation: complete, deterministic, erasable, refused when changed or foreign."""

import io
import json
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.compliance.domain import Record, statement_of
from assent.compliance.domain.statements import APPROVAL, DENIAL, SVR, TEST_RESULT
from assent.kernel.errors import NotFound, TooLarge
from assent.ledger import service as ledger
from assent_client.verify.merkle import VerificationError
from assent_client.verify.note import make_vkey
from assent_client.verify.pack import verify_pack
from tests.cards.conftest import NAME
from tests.compliance.records import NOW

REF = f"{NAME}@2.1.0"
WHY = "we asked around"


def root_of(office):
    return json.dumps(dict(ledger.root_document(office.runtime.signers)))


def opened(office, about=REF):
    return verify_pack(office.pack(about), root_of(office))


def test_a_pack_of_a_version_holds_its_card_runs_votes_decisions_and_proofs(office):
    found = opened(office)
    assert found.trusted
    assert (found.about["ref"], found.absent) == (REF, ())
    types = {entry.content["type"] for entry in found.entries}
    assert {
        "registry.version.registered", "evaluation.suite.registered", "evaluation.run.submitted",
        "evaluation.run.closed", "evidence.claim.recorded", "cards.card.published", "approvals.vote.cast",
        "approvals.decision.made",
    } <= types  # fmt: skip
    assert {"documents/card.md", "documents/coverage.json", "documents/readme.txt"} <= found.files.keys()
    document = office.desk.version().content.encode()
    assert document in found.files.values()


def test_its_statements_are_test_results_decisions_and_approvals(office):
    kinds = [one.predicate_type for one in opened(office).statements.values()]
    assert sorted(set(kinds)) == sorted({TEST_RESULT, SVR, APPROVAL})
    assert kinds.count(TEST_RESULT) == 2


def test_a_pack_of_a_version_holds_no_run_vote_or_statement_of_another(office):
    """The suite and the policy are shared; what was done with them is not."""
    office.desk.evaluate(number="2.0.0")
    office.desk.publish(number="2.0.0")
    other = office.desk.version("2.0.0").digest

    found = opened(office)

    foreign = [e.content for e in found.entries if e.content["data"].get("subject") == other]
    assert {one["type"] for one in foreign} <= {"registry.version.advanced"}
    assert len([e for e in found.entries if e.content["type"] == "evaluation.run.submitted"]) == 2
    assert {name for one in found.statements.values() for name in one.subjects} == {REF, f"card of {REF}"}
    assert office.issue(f"{NAME}@2.0.0") > 0


def test_a_pack_of_a_system_holds_all_its_versions(office):
    found = opened(office, NAME)
    assert set(found.about["versions"]) == {REF, f"{NAME}@2.0.0"}
    registered = [e for e in found.entries if e.content["type"] == "registry.version.registered"]
    assert len(registered) == 2


def test_the_same_records_give_the_same_bytes_and_no_statement_is_issued_twice(office):
    first = office.pack(REF)
    assert office.issue(REF) == 0
    assert office.build(REF) == first


def test_what_was_erased_is_absent_and_the_pack_still_verifies(office):
    found = office.classify()
    before = opened(office)
    assert WHY.encode() in b"".join(before.files.values())
    office.runtime.blobs.erase(found.reason)
    after = opened(office)
    assert WHY.encode() not in b"".join(after.files.values())
    assert after.absent == (found.reason,)


def test_a_card_whose_text_was_erased_is_absent_too(office):
    office.pack(REF)
    (leaf,) = [e for e in opened(office).entries if e.content["type"] == "cards.card.published"]
    office.runtime.blobs.erase(leaf.content["data"]["digest"])
    after = opened(office)
    assert leaf.content["data"]["digest"] in after.absent
    assert "documents/card.md" not in after.files


def test_a_pack_of_another_installation_is_refused(office):
    stranger = make_vkey("log.example/assent", Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    root = json.dumps({"origin": "log.example/assent", "log_vkey": stranger})
    with pytest.raises(VerificationError, match=r"^root\.json: issued by"):
        verify_pack(office.pack(REF), root)


@pytest.fixture(scope="module")
def kept(request):
    """A real pack, made once by the first test that asks."""
    return {}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_byte_changed_anywhere_in_a_real_pack_is_refused(office, kept, data):
    if not kept:
        kept["pack"], kept["root"] = office.pack(REF), root_of(office)
    pack = kept["pack"]
    at = data.draw(st.integers(0, len(pack) - 1))
    changed = pack[:at] + bytes([pack[at] ^ data.draw(st.integers(1, 255))]) + pack[at + 1 :]
    with pytest.raises(VerificationError):
        verify_pack(changed, kept["root"])


def test_packs_open_with_any_zip_program(office):
    with zipfile.ZipFile(io.BytesIO(office.pack(REF))) as archive:
        assert archive.testzip() is None
        coverage = json.loads(archive.read("documents/coverage.json"))
    assert coverage["ref"] == REF
    assert coverage["says"] == "what the record shows, not a legal assessment"


def test_a_pack_is_bounded(office, monkeypatch):
    monkeypatch.setattr("assent.compliance.service.packs.MAX_ENTRIES", 3)
    with pytest.raises(TooLarge, match="a pack holds 3"):
        office.pack(REF)
    monkeypatch.setattr("assent.compliance.service.packs.MAX_ENTRIES", 5000)
    monkeypatch.setattr("assent.compliance.service.packs.MAX_PACK_BYTES", 1000)
    with pytest.raises(TooLarge, match="over 1,000 bytes"):
        office.pack(REF)


def test_there_is_no_pack_of_what_there_is_not(office):
    for about in ("ghost", f"{NAME}@9.9.9"):
        with pytest.raises(NotFound):
            office.pack(about)


def record(kind, /, **fields):
    return Record(
        index=1, id="evt_" + "0" * 32, type=kind, at=NOW, fields={"subject": "sha256:" + "a" * 64, **fields}
    )


def test_a_denial_and_an_inconclusive_run_say_so():
    denied = statement_of(record("approvals.decision.made", effect="rejected"), REF, "log")
    assert denied.predicate_type == DENIAL
    value = {"suite": "s@1.0.0", "verdict": "inconclusive", "low": "0.1"}
    open_ = record("evidence.claim.recorded", value=value, kind="suite.verdict")
    said = statement_of(open_, REF, "log").predicate
    assert (said["result"], said["warnedTests"], said["passedTests"]) == ("WARNED", ["s@1.0.0"], [])
    assert said["configuration"] == [{"name": "s@1.0.0"}]


def test_no_statement_is_made_of_other_claims_and_entries():
    assert statement_of(record("evidence.claim.recorded"), REF, "log") is None
    assert statement_of(record("delivery.rollout.planned"), REF, "log") is None
