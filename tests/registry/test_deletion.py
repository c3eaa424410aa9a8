"""Deleting drafts: the number and the content never come back; what is in use stays."""

import pytest

from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.errors import Conflict, Gone, NotFound, Refused
from assent.kernel.tx import SYSTEM
from assent.registry import service
from assent.registry.service import Change, Pointer
from tests.prompts.shelf import PROJECT


def delete(shelf, number="1.0.0", name="support"):
    with shelf.begin() as tx:
        service.delete_version(tx, PROJECT, name, number, "not needed")


def refused(shelf, number="1.0.0"):
    with pytest.raises(Refused, match="cannot be deleted") as caught:
        delete(shelf, number)
    assert all(reason.remedy for reason in caught.value.reasons)
    return [reason.id for reason in caught.value.reasons]


def test_a_deleted_draft_is_gone_from_every_list(shelf):
    version, _ = shelf.model()
    delete(shelf)
    for question, *args in (
        (service.get, "support", "1.0.0"),
        (service.get, "support"),
        (service.get_by_digest, version.digest),
        (service.list_versions, "support"),
    ):
        with pytest.raises(NotFound):
            shelf.read(question, PROJECT, *args)
    assert shelf.read(service.list_models, PROJECT) == []
    leaf = shelf.leaves()[-1]
    assert (leaf["type"], leaf["data"]["subject"]) == ("registry.version.deleted", version.digest)
    assert shelf.replay().equal


def test_a_number_is_never_used_again(shelf):
    shelf.model()
    delete(shelf)
    with pytest.raises(Conflict, match="was deleted, and its number is never used again") as caught:
        shelf.model(upstream_model="other")
    assert "1.0.1" in caught.value.remedy
    assert shelf.model("1.0.1")[0].supersedes is None


def test_content_that_was_deleted_does_not_come_back_under_another_number(shelf):
    shelf.model(upstream_model="m")
    delete(shelf)
    for number in ("1.0.0", "1.0.1"):
        with pytest.raises(Gone, match=r"was support@1\.0\.0 and was deleted"):
            shelf.model(number, upstream_model="m")
    with pytest.raises(NotFound):
        delete(shelf)


def test_a_successor_does_not_hold_its_predecessor(shelf):
    shelf.model()
    second, _ = shelf.model("2.0.0")
    delete(shelf)
    assert shelf.read(service.get, PROJECT, "support") == second
    third, _ = shelf.model("3.0.0")
    delete(shelf, "3.0.0")
    assert shelf.read(service.lineage, PROJECT, second.digest)[1] == []
    assert third.supersedes == second.digest


def test_what_is_no_draft_stays(shelf):
    version, _ = shelf.model()
    with shelf.begin() as tx:
        service.advance(tx, version.digest, "approval", "evt_1")
    assert refused(shelf) == ["version.status"]


def test_what_is_live_stays(shelf):
    version, _ = shelf.model()
    with shelf.begin(SYSTEM) as tx:
        identity.create_environment(tx, PROJECT, "production", protected=True)
        value = {"environment": "production", "name": "support"}
        evidence.record(tx, project=PROJECT, kind="live", subject=version.digest, value=value)
    assert refused(shelf) == ["version.live", "version.referenced"]


def test_what_is_or_was_labelled_stays(shelf):
    shelf.model()
    shelf.model("2.0.0")
    for number in ("1.0.0", "2.0.0"):
        with shelf.begin() as tx:
            pointer = Pointer(project=PROJECT, name="support", label="champion")
            service.move_label(tx, Change(pointer=pointer), number)
    assert refused(shelf) == refused(shelf, "2.0.0") == ["version.labelled"]


def test_what_another_is_built_from_stays(shelf):
    shelf.model()
    shelf.model("2.0.0", built_from=["support@1.0.0"])
    assert refused(shelf) == ["version.referenced"]
    delete(shelf, "2.0.0")
    assert refused(shelf) == ["version.referenced"], "the record of what was built from it stays"


def test_what_evidence_speaks_of_stays(shelf):
    version, _ = shelf.model()
    with shelf.begin() as tx:
        evidence.record(tx, project=PROJECT, kind="suite.verdict", subject=version.digest, value={})
    assert refused(shelf) == ["version.referenced"]


def test_deleting_over_http_needs_its_permission(shelf):
    shelf.model()
    with shelf.client(shelf.person("rita", "reviewer")) as reviewer:
        assert reviewer.delete("/models/support/1.0.0").status_code == 403
    with shelf.client() as client:
        assert client.delete("/models/support/1.0.0", params={"reason": "wrong"}).status_code == 204
        assert client.delete("/models/support/1.0.0").status_code == 404
        assert client.get("/models/support/1.0.0").status_code == 404
