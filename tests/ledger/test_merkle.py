from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.ledger.domain import EMPTY, grow
from assent_client.verify.merkle import (
    MAX_SIZE,
    VerificationError,
    extend_frontier,
    leaf_hash,
    root_of_frontier,
    root_of_inclusion,
    root_of_leaves,
    verify_consistency,
    verify_inclusion,
)
from assent_client.verify.tiles import Tile
from assent_client.verify.tree import Tree

HASHES = [leaf_hash(str(number).encode()) for number in range(600)]
_, FULL = grow(EMPTY, HASHES)


def fetch(tile):
    hashes = HASHES if tile.level == 0 else [node.hash for node in FULL if node.level == tile.level]
    return hashes[tile.first : tile.first + tile.width]


TREE = Tree(len(HASHES), fetch)
sizes = st.integers(1, len(HASHES))


def naive_root(hashes):
    """Source: RFC 6962 section 2.1, word by word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + naive_root(hashes[:k]) + naive_root(hashes[k:])).digest()


@given(st.integers(0, len(HASHES)))
def test_all_ways_to_a_root_agree(size):
    expected = naive_root(HASHES[:size])
    assert root_of_leaves(HASHES[:size]) == expected
    assert TREE.root(size) == expected
    assert grow(EMPTY, HASHES[:size])[0].root == expected


@given(sizes, st.data())
def test_a_tree_grown_in_parts_is_the_tree_grown_at_once(size, data):
    cut = data.draw(st.integers(0, size))
    first, full_before = grow(EMPTY, HASHES[:cut])
    second, full_after = grow(first, HASHES[cut:size])
    assert (second, [*full_before, *full_after]) == grow(EMPTY, HASHES[:size])
    assert extend_frontier(first.frontier, cut, HASHES[cut:size]) == list(second.frontier)


@settings(max_examples=200)
@given(sizes, st.data())
def test_every_inclusion_proof_verifies_and_no_mutation_of_it_does(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof, root = TREE.inclusion_proof(index, size), TREE.root(size)
    verify_inclusion(HASHES[index], index, size, proof, root)
    for changed in mutations(proof, data):
        refused(verify_inclusion, HASHES[index], index, size, changed, root)
    refused(verify_inclusion, flipped(HASHES[index], data), index, size, proof, root)
    refused(verify_inclusion, HASHES[index], index, size, proof, flipped(root, data))
    other = data.draw(st.integers(-1, size + 1).filter(lambda n: n != index))
    refused(verify_inclusion, HASHES[index], other, size, proof, root)


@settings(max_examples=200)
@given(sizes, st.data())
def test_every_consistency_proof_verifies_and_no_mutation_of_it_does(size2, data):
    size1 = data.draw(st.integers(1, size2))
    proof, root1, root2 = TREE.consistency_proof(size1, size2), TREE.root(size1), TREE.root(size2)
    verify_consistency(size1, size2, proof, root1, root2)
    for changed in mutations(proof, data):
        refused(verify_consistency, size1, size2, changed, root1, root2)
    refused(verify_consistency, size1, size2, proof, flipped(root1, data), root2)
    refused(verify_consistency, size1, size2, proof, root1, flipped(root2, data))
    if size1 != size2:
        refused(verify_consistency, size2, size1, proof, root2, root1)
        refused(verify_consistency, size1, size2, proof, root2, root1)


@given(st.integers(), st.integers(), st.lists(st.binary(max_size=40), max_size=70), st.binary(max_size=40))
def test_the_verifiers_are_total(number, size, proof, root):
    refused(verify_inclusion, root, number, size, proof, b"\0" * 32)
    refused(verify_consistency, number, size, [*proof, b""], root, b"\0" * 32)


def test_a_proof_for_the_largest_log_is_read_and_a_larger_log_is_not_a_log():
    root = root_of_inclusion(HASHES[0], 0, MAX_SIZE, HASHES[:63])
    verify_inclusion(HASHES[0], 0, MAX_SIZE, HASHES[:63], root)
    refused(verify_inclusion, HASHES[0], 0, MAX_SIZE + 1, HASHES[:63], root)


def test_an_empty_first_tree_proves_nothing():
    refused(verify_consistency, 0, 3, [], TREE.root(0), TREE.root(3))


def test_a_frontier_of_another_size_is_refused():
    with pytest.raises(VerificationError, match="5 leaves has 2 roots, not 1"):
        extend_frontier(HASHES[:1], 5, [])
    assert root_of_frontier(HASHES[:1]) == HASHES[0]


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 601), (0, 0)])
def test_a_tree_proves_no_leaf_that_it_does_not_have(index, size):
    with pytest.raises(VerificationError, match=f"no leaf {index} in"):
        TREE.inclusion_proof(index, size)


@pytest.mark.parametrize(("size1", "size2"), [(0, 3), (4, 3), (1, 601)])
def test_a_tree_proves_no_consistency_that_cannot_be(size1, size2):
    with pytest.raises(VerificationError, match="no proof from"):
        TREE.consistency_proof(size1, size2)


def test_a_tree_knows_its_size_and_needs_every_hash():
    assert TREE.inclusion_proof(5) == TREE.inclusion_proof(5, 600)
    assert TREE.consistency_proof(5) == TREE.consistency_proof(5, 600)
    assert TREE.root() == TREE.root(600)
    for size in (-1, 601):
        with pytest.raises(VerificationError, match="has 600 leaves"):
            TREE.root(size)
    with pytest.raises(VerificationError, match=r"tile 0/000.p/3 has 2 hashes, not 3"):
        Tree(3, lambda tile: HASHES[:2]).root()


def test_a_large_tree_reads_few_tiles():
    asked = []

    def recorded(tile: Tile):
        asked.append(tile)
        return [b"\0" * 32] * tile.width

    Tree(1_000_003, recorded).inclusion_proof(123_456)
    assert len(asked) <= 6


def mutations(proof, data):
    yield [*proof, b"\0" * 32]
    yield [b"\0" * 32, *proof]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        yield proof[:-1]
        yield proof[1:]
        yield [*proof[:place], flipped(proof[place], data), *proof[place + 1 :]]
        yield [*proof[:place], proof[place][:31], *proof[place + 1 :]]
        if len(set(proof)) > 1:
            yield proof[::-1]


def flipped(value, data):
    place = data.draw(st.integers(0, len(value) - 1))
    return value[:place] + bytes([value[place] ^ 1 << data.draw(st.integers(0, 7))]) + value[place + 1 :]


def refused(verify, *arguments):
    with pytest.raises(VerificationError):
        verify(*arguments)
