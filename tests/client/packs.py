"""Packs made by hand: a log of a few leaves, signed with keys of the test."""

import hashlib
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent_client.verify.dsse import Statement, seal
from assent_client.verify.merkle import leaf_hash, root_of_leaves
from assent_client.verify.note import Checkpoint, Key, make_vkey, sign_note
from assent_client.verify.pack import (
    CHECKPOINT_FILE,
    PACK_PREDICATE,
    ROOT_FILE,
    STATEMENT_ISSUED,
    encode_entry,
    entry_file,
    pack_digests,
    sealed_pack,
)
from assent_client.verify.tree import Tree

ORIGIN = "log.example/assent"
SUBJECT = "sha256:" + "5" * 64
VOTE, ISSUE, CARD = ("evt_" + digit * 32 for digit in "123")
BODY = b'{"kind":"card"}'


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def written(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass
class Issuer:
    """A log's key."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    origin: str = ORIGIN

    @property
    def public(self):
        return self.key.public_key().public_bytes_raw()

    @property
    def vkey(self):
        return make_vkey(self.origin, self.public)

    @property
    def root(self):
        return json.dumps({"origin": self.origin, "log_vkey": self.vkey, "snapshot_vkey": "unused"})

    def seal(self, statement):
        return seal(statement, Key(self.origin, self.public), self.key.sign)

    def checkpoint(self, hashes):
        text = Checkpoint(self.origin, len(hashes), root_of_leaves(hashes)).text
        return sign_note(text, self.origin, self.public, self.key.sign).encode()


def leaf(event, kind, **fields):
    return written({"id": event, "type": kind, "data": fields, "v": 1})


@dataclass
class Forge:
    """The files of a small pack; tests change them and have the manifest sealed again, or not."""

    issuer: Issuer = field(default_factory=Issuer)
    files: dict = field(default_factory=dict)
    about: dict = field(default_factory=lambda: {"ref": "support@2.1.0", "absent": []})

    def __post_init__(self):
        envelope = self.issuer.seal(Statement({"support@2.1.0": SUBJECT}, "urn:test", {"event": VOTE}))
        self.entries = [
            leaf(VOTE, "approvals.vote.cast", subject=SUBJECT),
            leaf(ISSUE, STATEMENT_ISSUED, about=VOTE, subject=SUBJECT, envelope=digest_of(envelope)),
            leaf(CARD, "cards.card.drafted", subject=SUBJECT, digest=digest_of(BODY)),
        ]
        hashes = [leaf_hash(entry) for entry in self.entries]
        tree = Tree(len(hashes), lambda tile: hashes[tile.first : tile.first + tile.width])
        self.files = {
            ROOT_FILE: self.issuer.root.encode(),
            CHECKPOINT_FILE: self.issuer.checkpoint(hashes),
            f"statements/{VOTE}.dsse.json": envelope,
            "bodies/" + digest_of(BODY).removeprefix("sha256:"): BODY,
            "documents/readme.txt": b"read me",
        }
        for index, entry in enumerate(self.entries):
            proved = encode_entry(index, entry, tree.inclusion_proof(index))
            self.files[entry_file(index)] = written(proved)

    def manifest(self):
        return self.issuer.seal(Statement(pack_digests(self.files), PACK_PREDICATE, self.about))

    def pack(self):
        return sealed_pack(self.files, self.manifest())
