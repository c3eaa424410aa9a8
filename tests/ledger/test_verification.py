import pytest
import sqlalchemy as sa

from assent.identity.domain import GroupCreated
from assent.kernel.errors import Frozen
from assent.ledger import verification
from assent_client.verify.merkle import VerificationError, leaf_hash
from assent_client.verify.note import verify_note


def verified(installed, **options):
    with installed.session.read() as reader:
        return verification.check(reader, **options)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 513])
def test_an_untouched_ledger_verifies(installed, size):
    if size:
        installed.fill(size)
    seen = []
    found = verified(installed, on_progress=lambda done, of: seen.append((done, of)))
    assert (found.size, found.pinned_size) == (size, None)
    assert seen[-1:] == ([(size, size)] if size else [])
    checkpoint = verify_note(installed.checkpoint(), [installed.vkey])
    assert (verified(installed).root, verified(installed).pinned_size) == (checkpoint.root, size)


def set_entry(index, entry, *, rehash):
    change = (
        "UPDATE ledger_leaves SET entry = :e" + (", leaf_hash = :h" if rehash else "") + " WHERE idx = :i"
    )
    values = {"e": entry, "i": index} | ({"h": leaf_hash(entry)} if rehash else {})
    return sa.text(change).bindparams(**values)


EDITS = {
    "entry": (set_entry(2, b"{}", rehash=False), "leaf 2: the entry does not have the hash", 2),
    "entry and hash": (set_entry(2, b"{}", rehash=True), "leaf 2 is not an entry", 2),
    "no JSON": (set_entry(2, b"\xff", rehash=True), "leaf 2 is not an entry", 2),
    "a list": (set_entry(2, b"[]", rehash=True), "leaf 2 is not an entry", 2),
    "hash": ("UPDATE ledger_leaves SET leaf_hash = (SELECT leaf_hash FROM ledger_leaves WHERE idx = 1) WHERE idx = 2", "leaf 2: the entry", 2),
    "type": ("UPDATE ledger_leaves SET type = 'x' WHERE idx = 3", "leaf 3: the row does not say", 3),
    "actor": ("UPDATE ledger_leaves SET actor = 'x' WHERE idx = 3", "leaf 3: the row does not say", 3),
    "project": ("UPDATE ledger_leaves SET project = NULL WHERE idx = 3", "leaf 3: the row does not say", 3),
    "event": ("UPDATE ledger_leaves SET event_id = 'x' WHERE idx = 3", "leaf 3: the row does not say", 3),
    "time": ("UPDATE ledger_leaves SET at = '2020-01-01T00:00:00.000000Z' WHERE idx = 3", "leaf 3: the row does not say", 3),
    "a row": ("DELETE FROM ledger_leaves WHERE idx = 4", "leaf 4 is missing", 4),
    "the last row": ("DELETE FROM ledger_leaves WHERE idx = 256", "counts 257 leaves, the table holds 256", 256),
    "a mention": ("DELETE FROM ledger_mentions WHERE idx = 0", "leaf 0 is not found by", 0),
    "a false mention": ("INSERT INTO ledger_mentions VALUES ('x', 7)", "leaf 7 is not found by", 7),
    "a tile": ("DELETE FROM ledger_nodes", "the tile over leaf 0 is wrong or missing", 0),
    "a tile's hash": ("UPDATE ledger_nodes SET hash = (SELECT leaf_hash FROM ledger_leaves WHERE idx = 1)", "the tile over leaf 0", 0),
    "size down": ("UPDATE ledger_head SET size = 256", "counts 256 leaves, the table holds 257", 256),
    "root": ("UPDATE ledger_head SET root = (SELECT leaf_hash FROM ledger_leaves WHERE idx = 1)", "head is not the root", None),
    "frontier": (sa.text("UPDATE ledger_head SET frontier = :f").bindparams(f=b"\0" * 64), "head is not the root", None),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_found_and_the_first_bad_leaf_named(installed, name):
    edit, message, index = EDITS[name]
    installed.record(GroupCreated(project="a", name="reviewers"))
    installed.fill(257)
    installed.behind_the_back(edit)
    with pytest.raises(VerificationError, match=message) as caught:
        verified(installed)
    assert caught.value.index == index


def test_a_tile_beyond_the_end_is_found(installed):
    installed.fill(3)
    installed.behind_the_back(sa.text("INSERT INTO ledger_nodes VALUES (1, 0, :h)").bindparams(h=b"\0" * 32))
    with pytest.raises(VerificationError, match="1 tiles beyond the end"):
        verified(installed)


def test_the_first_wrong_tile_is_named(installed):
    installed.fill(512)
    installed.behind_the_back("DELETE FROM ledger_nodes WHERE idx = 1")
    with pytest.raises(VerificationError, match="the tile over leaf 256 is wrong or missing"):
        verified(installed)


def test_two_exchanged_leaves_are_found(installed):
    installed.fill(5)
    installed.behind_the_back(
        "UPDATE ledger_leaves SET idx = 99 WHERE idx = 1",
        "UPDATE ledger_leaves SET idx = 1 WHERE idx = 2",
        "UPDATE ledger_leaves SET idx = 2 WHERE idx = 99",
    )
    with pytest.raises(VerificationError, match="head is not the root"):
        verified(installed)


def test_a_ledger_that_was_rewritten_without_trace_disagrees_with_the_pin(installed):
    installed.fill(3)
    installed.checkpoint()
    pinned = installed.pin.read_text()
    installed.behind_the_back(
        "DELETE FROM ledger_leaves",
        "DELETE FROM ledger_mentions",
        "DELETE FROM ledger_head",
        "DELETE FROM identity_projects",
    )
    installed.pin.unlink()
    forger = installed.reopened()
    forger.session.ports.clock.advance(1)
    forger.fill(3)
    assert verified(forger).size == 3
    forger.pin.write_text(pinned)
    with pytest.raises(Frozen, match="was edited"):
        verified(forger)
    forger.session.engine.dispose()
