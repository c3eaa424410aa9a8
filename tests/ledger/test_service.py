import threading

import pytest
import sqlalchemy as sa

from assent.identity.domain import EnvironmentCreated, GroupCreated, ProjectCreated
from assent.kernel.errors import Frozen, Invalid, NotFound, Unavailable
from assent.kernel.tx import SYSTEM, Actor
from assent.ledger import service, store
from assent.ledger.domain import Query
from assent_client.verify.merkle import leaf_hash, root_of_leaves, verify_consistency, verify_inclusion
from assent_client.verify.note import verify_note
from assent_client.verify.tiles import ENTRIES, Tile, split_entries, split_tile, tiles_of, tiles_of_level


def all_leaves(installed):
    with installed.session.read() as reader:
        return service.leaves(reader, 0, 10_000)


def test_an_empty_ledger_has_a_signed_checkpoint(installed):
    checkpoint = verify_note(installed.checkpoint(), [installed.vkey])
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (
        "log.example/assent",
        0,
        root_of_leaves([]),
    )


def test_a_leaf_stands_at_the_size_of_the_tree_before_it(installed):
    installed.record(ProjectCreated(project="a", title="A"), ProjectCreated(project="b", title="B"))
    [third] = installed.record(ProjectCreated(project="c", title="C"))
    leaves = all_leaves(installed)
    assert [leaf.index for leaf in leaves] == [0, 1, 2]
    assert leaves[2].event_id == third.id
    assert [leaf.hash for leaf in leaves] == [leaf_hash(leaf.entry) for leaf in leaves]


def test_a_transaction_that_fails_leaves_no_leaf(installed):
    def fail():
        with installed.session.begin(SYSTEM) as tx:
            tx.record(ProjectCreated(project="a", title="A"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert all_leaves(installed) == []
    with installed.session.read() as reader:
        assert service.head(reader).size == 0


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 513])
def test_every_leaf_is_proved_at_tile_boundaries(installed, size):
    installed.fill(size)
    checkpoint = verify_note(installed.checkpoint(), [installed.vkey])
    assert checkpoint.size == size
    leaves = all_leaves(installed)
    assert checkpoint.root == root_of_leaves(leaf.hash for leaf in leaves)
    with installed.session.read() as reader:
        indices = sorted({0, size // 2, size - 1, min(size - 1, 255)})
        proofs = service.inclusion_proofs(reader, indices, size)
        for index, proof in zip(indices, proofs, strict=True):
            verify_inclusion(leaves[index].hash, index, size, proof, checkpoint.root)


def test_growing_one_by_one_gives_the_same_tiles_as_growing_at_once(installed):
    installed.fill(254)
    for size in (255, 256, 257):
        installed.fill(size)
    hashes = [leaf.hash for leaf in all_leaves(installed)]
    with installed.session.read() as reader:
        [node] = service.nodes(reader)
        assert (node.level, node.index, node.hash) == (1, 0, root_of_leaves(hashes[:256]))
        for tile in tiles_of(257):
            expected = hashes[tile.first : tile.first + tile.width] if tile.level == 0 else [node.hash]
            assert split_tile(tile, service.tile(reader, tile)) == expected
        for tile in tiles_of_level(ENTRIES, 257):
            bundle = split_entries(tile, service.tile(reader, tile))
            assert [leaf_hash(entry) for entry in bundle] == hashes[tile.first : tile.first + tile.width]


def test_partial_tiles_of_earlier_sizes_stay_and_later_ones_do_not_exist(installed):
    installed.fill(5)
    hashes = [leaf.hash for leaf in all_leaves(installed)]
    with installed.session.read() as reader:
        for width in range(1, 6):
            assert split_tile(Tile(0, 0, width), service.tile(reader, Tile(0, 0, width))) == hashes[:width]
        for tile in (Tile(0, 0, 6), Tile(0, 0), Tile(1, 0, 1), Tile(ENTRIES, 1, 1)):
            with pytest.raises(NotFound, match="has no tile"):
                service.tile(reader, tile)


def test_checkpoints_of_all_sizes_are_consistent(installed):
    checkpoints = []
    for size in (1, 3, 4, 256, 300):
        installed.fill(size)
        checkpoints.append(verify_note(installed.checkpoint(), [installed.vkey]))
    with installed.session.read() as reader:
        for old in checkpoints:
            for new in checkpoints:
                if old.size <= new.size:
                    proof = service.consistency_proof(reader, old.size, new.size)
                    verify_consistency(old.size, new.size, proof, old.root, new.root)


def test_proofs_that_cannot_be_are_refused(installed):
    installed.fill(3)
    with installed.session.read() as reader:
        for index, size in ((3, 3), (-1, 3), (0, 0), (0, 4)):
            with pytest.raises(Invalid, match="no such proof"):
                service.inclusion_proofs(reader, [index], size)
        for size1, size2 in ((0, 3), (3, 2), (1, 4)):
            with pytest.raises(Invalid, match="no such proof"):
                service.consistency_proof(reader, size1, size2)


def test_a_checkpoint_is_signed_once_for_a_tree(installed):
    installed.fill(2)
    first = installed.checkpoint()
    assert installed.checkpoint() == first == installed.pin.read_text()
    installed.fill(3)
    assert verify_note(installed.checkpoint(), [installed.vkey]).size == 3


def test_a_reader_that_began_before_the_last_signature_gets_the_newer_checkpoint_and_proofs(installed):
    installed.fill(2)
    with installed.session.read() as old:
        assert service.head(old).size == 2
        installed.fill(7)
        newer = installed.checkpoint()
        proof = service.prove(old, service.leaf_at(old, 1))
        assert proof.checkpoint == newer
        checkpoint = verify_note(proof.checkpoint, [installed.vkey])
        verify_inclusion(proof.leaf.hash, 1, checkpoint.size, proof.path, checkpoint.root)
        assert service.head(old).size == 2


def test_a_leaf_is_found_by_its_event_and_by_its_index(installed):
    [recorded] = installed.record(ProjectCreated(project="a", title="A"))
    with installed.session.read() as reader:
        leaf = service.leaf(reader, recorded.id)
        assert service.leaf_at(reader, 0) == leaf
        assert (leaf.type, leaf.actor, leaf.at, leaf.project) == (
            "identity.project.created",
            SYSTEM.id,
            recorded.at,
            "a",
        )
        with pytest.raises(NotFound, match="no event evt_x"):
            service.leaf(reader, "evt_x")
        with pytest.raises(NotFound, match="no leaf 1"):
            service.leaf_at(reader, 1)


def listed(installed, **query):
    with installed.session.read() as reader:
        found, _ = service.entries(reader, Query(**query))
        return [leaf.index for leaf in found]


def test_entries_are_listed_by_what_they_are_and_speak_of(installed):
    ann = Actor("usr_" + "a" * 32, "person")
    with installed.session.begin(ann) as tx:
        tx.record(ProjectCreated(project="a", title="A"))
    installed.session.ports.clock.advance(60)
    [env] = installed.record(EnvironmentCreated(project="a", name="production", protected=True))
    installed.session.ports.clock.advance(60)
    installed.record(GroupCreated(project="b", name="reviewers"))
    assert listed(installed) == [2, 1, 0]
    assert listed(installed, project="a") == [1, 0]
    assert listed(installed, actor=ann.id) == [0]
    assert listed(installed, type="identity.environment.created") == [1]
    assert listed(installed, type="identity.") == [2, 1, 0]
    assert listed(installed, type="identity_") == []
    assert listed(installed, subject="production") == [1]
    assert listed(installed, since=env.at) == [2, 1]
    assert listed(installed, until=env.at) == [0]
    assert listed(installed, project="a", subject="reviewers") == []


def test_pages_follow_each_other_without_gap_or_overlap(installed):
    installed.fill(7)
    seen, before = [], None
    with installed.session.read() as reader:
        while True:
            found, before = service.entries(reader, Query(limit=3, before=before))
            seen.extend(leaf.index for leaf in found)
            if before is None:
                break
        for limit in (0, 201):
            with pytest.raises(Invalid, match="1 to 200"):
                service.entries(reader, Query(limit=limit))
    assert seen == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("table", ["ledger_leaves", "ledger_mentions", "ledger_nodes"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET idx = idx + 1", "DELETE FROM {}"])
def test_rows_of_the_ledger_cannot_be_changed_or_removed(installed, table, verb):
    installed.record(GroupCreated(project="a", name="reviewers"))
    installed.fill(256)
    with installed.session.engine.connect() as conn, pytest.raises(sa.exc.DBAPIError, match="append-only"):
        conn.execution_options(assent_writes=True).execute(sa.text(verb.format(table)))


def test_both_databases_are_told_to_guard_the_rows():
    assert [text.split()[:6] for text in store.guards("t", "sqlite")] == [
        ["CREATE", "TRIGGER", "IF", "NOT", "EXISTS", "t_no_update"],
        ["CREATE", "TRIGGER", "IF", "NOT", "EXISTS", "t_no_delete"],
    ]
    function, trigger = store.guards("t", "postgresql")
    assert "RAISE EXCEPTION" in function
    assert "BEFORE UPDATE OR DELETE OR TRUNCATE ON t " in trigger


def test_writers_at_the_same_time_leave_no_gap(installed):
    n_threads, each = 8, 6
    failures = []

    def write(thread):
        for number in range(each):
            try:
                installed.record(ProjectCreated(project=f"t{thread}-{number}", title=""))
            except Unavailable as error:
                failures.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    leaves = all_leaves(installed)
    assert [leaf.index for leaf in leaves] == list(range(n_threads * each))
    with installed.session.read() as reader:
        assert service.head(reader).root == root_of_leaves(leaf.hash for leaf in leaves)


def test_signers_at_the_same_time_never_publish_a_smaller_tree_after_a_larger(installed):
    sizes = []

    def work(thread):
        for number in range(5):
            installed.record(ProjectCreated(project=f"t{thread}-{number}", title=""))
            sizes.append((thread, verify_note(installed.checkpoint(), [installed.vkey]).size))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for thread in range(4):
        own = [size for who, size in sizes if who == thread]
        assert len(own) == 5
        assert own == sorted(own)
    assert verify_note(installed.pin.read_text(), [installed.vkey]).size == 20


def test_a_truncated_ledger_is_frozen(installed):
    installed.fill(5)
    installed.checkpoint()
    installed.behind_the_back(
        "DELETE FROM ledger_leaves",
        "DELETE FROM ledger_head",
        "DELETE FROM ledger_mentions",
        "DELETE FROM identity_projects",
    )
    for opened in (installed, installed.reopened()):
        with pytest.raises(Frozen, match="0 leaves, but 5 were signed"):
            opened.checkpoint()
        with pytest.raises(Frozen, match="its end is missing"):
            opened.fill(1)
        opened.session.engine.dispose()


def test_a_ledger_that_was_rewritten_is_frozen_when_it_has_grown_beyond_the_signature(installed, tmp_path):
    installed.fill(3)
    installed.checkpoint()
    pinned = installed.pin.read_text()
    installed.pin.unlink()
    installed.behind_the_back(
        "DELETE FROM ledger_leaves",
        "DELETE FROM ledger_head",
        "DELETE FROM ledger_mentions",
        "DELETE FROM identity_projects",
    )
    forger = installed.reopened()
    forger.record(ProjectCreated(project="forged", title=""))
    forger.fill(6)
    installed.pin.write_text(pinned)
    victim = forger.reopened()
    with pytest.raises(Frozen, match="first 3 leaves are not those that were signed"):
        victim.checkpoint()
    with pytest.raises(Frozen, match="was edited"):
        victim.fill(7)
    victim.session.engine.dispose()


def test_an_edited_head_is_found_before_it_is_signed(installed):
    installed.fill(3)
    installed.behind_the_back(sa.text("UPDATE ledger_head SET root = :r").bindparams(r=b"\0" * 32))
    with pytest.raises(Frozen, match="head is not the root"):
        installed.checkpoint()


def test_an_edited_head_at_the_signed_size_is_found(installed):
    installed.fill(3)
    installed.checkpoint()
    installed.behind_the_back(sa.text("UPDATE ledger_head SET root = :r").bindparams(r=b"\0" * 32))
    with pytest.raises(Frozen, match="was edited"):
        installed.fill(4)


def test_a_missing_leaf_is_found_before_anything_is_signed(installed):
    installed.fill(3)
    installed.behind_the_back("DELETE FROM ledger_leaves WHERE idx = 1")
    with pytest.raises(Frozen, match="not the root"):
        installed.checkpoint()


def test_an_untouched_ledger_continues_after_a_restart(installed):
    installed.fill(3)
    installed.checkpoint()
    again = installed.reopened()
    with again.session.read() as reader:
        assert service.verify_pin(reader).size == 3
    again.fill(4)
    assert verify_note(again.checkpoint(), [again.vkey]).size == 4
    again.session.engine.dispose()


def test_a_ledger_that_signed_nothing_has_no_pin(installed):
    with installed.session.read() as reader:
        assert service.verify_pin(reader) is None


def test_a_pin_of_another_key_freezes(installed):
    installed.fill(1)
    installed.checkpoint()
    (installed.folder / "keys" / "ledger.pem").unlink()
    again = installed.reopened()
    with pytest.raises(Frozen, match="not one that this ledger signed"):
        again.checkpoint()
    again.session.engine.dispose()


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff\xfe", b"a\n1\nb\n\n"])
def test_a_damaged_pin_freezes(installed, content):
    installed.fill(1)
    installed.checkpoint()
    installed.pin.write_bytes(content)
    with pytest.raises(Frozen, match="not one that this ledger signed"):
        installed.checkpoint()


def test_a_pin_that_cannot_be_kept_freezes_and_nothing_is_published(installed):
    installed.fill(1)
    installed.pin.mkdir(parents=True)
    with pytest.raises(Frozen, match="cannot be read"):
        installed.checkpoint()
    installed.pin.rmdir()
    installed.pin.with_suffix(".lock").unlink()
    installed.pin.parent.rmdir()
    installed.pin.parent.write_text("")
    with pytest.raises(Frozen, match="cannot be"):
        installed.checkpoint()


def test_a_crash_between_signing_and_publishing_leaves_the_old_checkpoint(installed, monkeypatch):
    installed.fill(1)
    old = installed.checkpoint()
    installed.fill(2)

    def crash(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", crash)
        with pytest.raises(Frozen, match="No space left"):
            installed.checkpoint()
    assert installed.pin.read_text() == old
    assert sorted(path.name for path in installed.pin.parent.iterdir()) == ["checkpoint", "checkpoint.lock"]
    assert verify_note(installed.checkpoint(), [installed.vkey]).size == 2


def test_a_session_with_another_ledger_signs_nothing(installed):
    with installed.session.read() as reader:
        reader.ports = type("Other", (), {"ledger": object()})()
        with pytest.raises(TypeError, match="another ledger"):
            service.checkpoint(reader)


def test_the_root_document_names_origin_and_keys(installed):
    root = service.root_document(installed.signers)
    assert root["origin"] == "log.example/assent"
    assert root["log_vkey"].startswith("log.example/assent+")
    assert root["snapshot_vkey"].startswith("log.example/assent/snapshot+")
