"""Packs: one file, verified offline by the client and by a script that needs only `cryptography`."""

import json

from assent.ledger import service as ledger
from assent_client.verify.pack import verify_pack
from tests.cards.conftest import NAME

REF = f"{NAME}@2.1.0"


def root_of(office):
    return json.dumps(dict(ledger.root_document(office.runtime.signers)))


def test_a_pack_of_a_version_verifies_against_the_root(office):
    pack = office.pack(REF)
    found = verify_pack(pack, root_of(office))
    assert found.trusted
    assert found.about["ref"] == REF
    types = {entry.content["type"] for entry in found.entries}
    assert {
        "registry.version.registered",
        "evaluation.run.closed",
        "approvals.vote.cast",
        "cards.card.published",
    } <= types
    assert "documents/card.md" in found.files
