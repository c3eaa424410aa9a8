"""The verifier of a whole log is itself tested by mutation: whatever is changed must be found."""

from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent_client.errors import NotFound
from assent_client.verify.log import verify_entry, verify_log
from assent_client.verify.merkle import VerificationError, leaf_hash, root_of_leaves
from assent_client.verify.note import Checkpoint, make_vkey, sign_note
from assent_client.verify.tiles import (
    ENTRIES,
    pack_entries,
    root_of_tile,
    split_tile,
    tiles_of,
    tiles_of_level,
)
from assent_client.verify.tree import Tree

ORIGIN = "log.example/assent"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
VKEY = make_vkey(ORIGIN, PUBLIC)


def served(entries):
    """Give what a log of these entries serves, by path."""
    hashes = [leaf_hash(entry) for entry in entries]
    levels = {0: hashes}
    while len(levels[max(levels)]) >= 256:
        below = levels[max(levels)]
        levels[max(levels) + 1] = [
            root_of_tile(below[i : i + 256]) for i in range(0, len(below) // 256 * 256, 256)
        ]
    found = {"vkey": f"{VKEY}\n".encode(), "checkpoint": signed(len(entries), root_of_leaves(hashes))}
    for tile in tiles_of(len(entries)):
        found[f"tile/{tile.path}"] = b"".join(levels[tile.level][tile.first : tile.first + tile.width])
    for tile in tiles_of_level(ENTRIES, len(entries)):
        found[f"tile/{tile.path}"] = pack_entries(entries[tile.first : tile.first + tile.width])
    return found


def signed(size, root):
    return sign_note(Checkpoint(ORIGIN, size, root).text, ORIGIN, PUBLIC, KEY.sign).encode()


def fetch_from(content):
    def fetch(path):
        if path not in content:
            raise NotFound(path)
        return content[path]

    return fetch


def check(content, **options):
    return verify_log(fetch_from(content), vkey=VKEY, **options)


def entry(number):
    return b'{"id":"evt_%d"}' % number


ENTRIES_600 = [entry(number) for number in range(600)]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 600])
def test_an_honest_log_verifies(size):
    seen = []
    content = served(ENTRIES_600[:size])
    found = check(content, on_progress=lambda done, of: seen.append((done, of)))
    assert (found.checkpoint.size, found.trusted, found.seen_size) == (size, True, None)
    assert found.note == content["checkpoint"].decode()
    assert seen[-1:] == ([(size, size)] if size else [])


def test_a_log_of_three_levels_verifies_and_its_upper_tiles_are_checked():
    content = served([entry(number) for number in range(65_537)])
    assert check(content).checkpoint.size == 65_537
    for path in ("tile/1/000", "tile/2/000.p/1"):
        assert refuse({**content, path: flipped(content[path], 31, 1)}, "is wrong over leaf 0").index == 0


def test_without_a_key_of_its_own_the_caller_does_not_know_the_issuer():
    assert verify_log(fetch_from(served(ENTRIES_600[:3]))).trusted is False


def test_a_log_of_another_issuer_is_refused():
    other = make_vkey(
        ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32).public_key().public_bytes_raw()
    )
    with pytest.raises(VerificationError, match="no trusted key"):
        verify_log(fetch_from(served(ENTRIES_600[:3])), vkey=other)


def test_every_flipped_byte_of_a_small_log_is_found():
    content = served(ENTRIES_600[:5])
    for path in content.keys() - {"vkey"}:
        for place in range(len(content[path])):
            for bit in (1, 128):
                refuse({**content, path: flipped(content[path], place, bit)})


def test_flipped_bytes_of_a_large_log_are_found_and_name_the_leaf():
    content = served(ENTRIES_600)
    random = Random(7)
    for _ in range(60):
        path = random.choice(sorted(content.keys() - {"vkey", "checkpoint"}))
        place = random.randrange(len(content[path]))
        error = refuse({**content, path: flipped(content[path], place, 1 << random.randrange(8))})
        assert error.index is not None
        if path.startswith("tile/0/"):
            first = {"tile/0/000": 0, "tile/0/001": 256}.get(path, 512)
            assert error.index == first + place // 32
        elif path.startswith("tile/1/"):
            assert error.index == place // 32 * 256


def test_a_flipped_byte_within_an_entry_names_that_entry():
    content = served(ENTRIES_600)
    place = content["tile/entries/001"].index(entry(300)) + 3
    changed = {**content, "tile/entries/001": flipped(content["tile/entries/001"], place, 1)}
    assert refuse(changed, "leaf 300: entry and tile disagree").index == 300


def test_a_missing_tile_or_bundle_is_found():
    content = served(ENTRIES_600)
    for path, first in (("tile/0/001", 256), ("tile/entries/002.p/88", 512), ("tile/1/000.p/2", 0)):
        assert (
            refuse({key: value for key, value in content.items() if key != path}, "is missing").index == first
        )


def test_a_cut_or_lengthened_tile_is_found():
    content = served(ENTRIES_600)
    for path in content.keys() - {"vkey", "checkpoint"}:
        for changed in (content[path][:-1], content[path] + b"\0", b""):
            refuse({**content, path: changed})


def test_a_log_without_its_last_leaf_is_found():
    for size in (2, 256, 257, 600):
        shorter = served(ENTRIES_600[: size - 1])
        shorter["checkpoint"] = served(ENTRIES_600[:size])["checkpoint"]
        refuse(shorter, "is missing")


def test_exchanged_entries_are_found():
    entries = [*ENTRIES_600[:100], ENTRIES_600[101], ENTRIES_600[100], *ENTRIES_600[102:]]
    forged = served(entries)
    forged["checkpoint"] = served(ENTRIES_600)["checkpoint"]
    refuse(forged, "do not lead to the signed root")
    one_side = {**served(ENTRIES_600), "tile/entries/000": forged["tile/entries/000"]}
    assert refuse(one_side, "leaf 100").index == 100


def test_a_log_that_continues_what_was_seen_verifies():
    for size in (0, 1, 255, 256, 257, 512, 600):
        old = served(ENTRIES_600[:size])["checkpoint"].decode()
        assert check(served(ENTRIES_600), seen=old).seen_size == size


def test_an_old_checkpoint_shown_again_is_found():
    newer = served(ENTRIES_600)["checkpoint"].decode()
    assert refuse(served(ENTRIES_600[:300]), "shows 300 leaves, but had 600", seen=newer).index == 300


@pytest.mark.parametrize("size", [1, 256, 300, 600])
def test_a_rewritten_history_is_found_although_it_is_signed(size):
    old = served(ENTRIES_600[:size])["checkpoint"].decode()
    refuse(served([b"forged", *ENTRIES_600[1:]]), "history was rewritten", seen=old)


def test_a_seen_checkpoint_of_another_log_is_refused():
    refuse(served(ENTRIES_600[:3]), seen="rubbish")


def test_what_is_not_text_is_refused():
    refuse({**served(ENTRIES_600[:3]), "checkpoint": b"\xff"}, "checkpoint is not text")
    with pytest.raises(VerificationError, match="vkey is not text"):
        verify_log(fetch_from({"vkey": b"\xff"}))


def test_one_entry_is_verified_by_its_proof():
    content = served(ENTRIES_600)
    tree = Tree(600, lambda tile: split_tile(tile, content[f"tile/{tile.path}"]))
    note = content["checkpoint"].decode()
    proof = tree.inclusion_proof(300)
    assert verify_entry(entry(300), 300, proof, note, VKEY).size == 600
    for changed in (entry(301), entry(300) + b" ", b""):
        with pytest.raises(VerificationError, match="leaf 300"):
            verify_entry(changed, 300, proof, note, VKEY)
    with pytest.raises(VerificationError, match="does not match"):
        verify_entry(entry(300), 300, proof, note.replace("600", "601"), VKEY)


def flipped(content, place, mask):
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


def refuse(content, message=None, **options):
    with pytest.raises(VerificationError, match=message) as caught:
        check(content, **options)
    return caught.value
