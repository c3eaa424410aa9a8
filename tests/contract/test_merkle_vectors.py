"""The published vectors of transparency-dev/merkle, and the roots of RFC 6962's reference implementation."""

import base64
import json
from pathlib import Path

import pytest

from assent_client.verify.merkle import (
    EMPTY_ROOT,
    VerificationError,
    leaf_hash,
    root_of_leaves,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "merkle"
pytestmark_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason=f"no published vectors in {VECTORS}")

# Source: certificate-transparency-go, merkletree/merkle_tree_test.go: leaves and the root after each.
STANDARD_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
STANDARD_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def vectors(kind):
    return sorted((VECTORS / kind).rglob("*.json"))


def decoded(value):
    return base64.b64decode(value)


@pytestmark_vectors
@pytest.mark.parametrize("path", vectors("inclusion"), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_inclusion_vector_gives_its_published_verdict(path):
    vector = json.loads(path.read_text())
    proof = [decoded(node) for node in vector["proof"] or ()]
    leaf, root = decoded(vector["leafHash"]), decoded(vector["root"])
    assert (
        verdict(verify_inclusion, leaf, vector["leafIdx"], vector["treeSize"], proof, root)
        is vector["wantErr"]
    )


@pytestmark_vectors
@pytest.mark.parametrize("path", vectors("consistency"), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_consistency_vector_gives_its_published_verdict(path):
    vector = json.loads(path.read_text())
    proof = [decoded(node) for node in vector["proof"] or ()]
    root1, root2 = decoded(vector["root1"]), decoded(vector["root2"])
    assert (
        verdict(verify_consistency, vector["size1"], vector["size2"], proof, root1, root2)
        is vector["wantErr"]
    )


@pytestmark_vectors
def test_all_published_vectors_are_there():
    assert (len(vectors("inclusion")), len(vectors("consistency"))) == (98, 98)


@pytest.mark.parametrize("n_leaves", range(1, 9))
def test_the_standard_leaves_give_the_standard_roots(n_leaves):
    assert root_of_leaves(map(leaf_hash, STANDARD_LEAVES[:n_leaves])).hex() == STANDARD_ROOTS[n_leaves - 1]


def test_the_empty_tree_has_the_hash_of_nothing():
    assert root_of_leaves([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def verdict(verify, *arguments):
    try:
        verify(*arguments)
    except VerificationError:
        return True
    return False
