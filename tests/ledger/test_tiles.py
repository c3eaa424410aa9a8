import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent_client.verify.merkle import VerificationError, leaf_hash, root_of_leaves
from assent_client.verify.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    Tile,
    encode_index,
    exists,
    pack_entries,
    parse_path,
    root_of_tile,
    split_entries,
    split_tile,
    tiles_of,
    tiles_of_level,
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "0/000"),
        (Tile(0, 999), "0/999"),
        (Tile(0, 1000), "0/x001/000"),
        (Tile(1, 1234067), "1/x001/x234/067"),
        (Tile(5, 7, 1), "5/007.p/1"),
        (Tile(ENTRIES, 1000, 255), "entries/x001/000.p/255"),
    ],
)
def test_a_path_is_written_as_the_specification_says(tile, path):
    assert tile.path == path
    assert parse_path(path) == tile


@given(st.integers(-1, 5), st.integers(0, 2**55), st.integers(1, 256))
def test_every_tile_is_found_by_its_path(level, index, width):
    tile = Tile(level, index, width)
    if index < 10**18:
        assert parse_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "0", "0/", "0/00", "0/0000", "0/1000", "0/x000/001", "0/x001", "6/000", "00/000", "-1/000", "entry/000",
        "0/000.p", "0/000.p/", "0/000.p/0", "0/000.p/01", "0/000.p/256", "0/000.p/257", "0/000/", "/0/000", "0/000\n",
        "0/../000", "0/x001/x001", "0/\u0660\u0660\u0660", "entries/000.p/1.p/1",
    ],
)  # fmt: skip
def test_a_path_of_another_form_is_refused(path):
    with pytest.raises(VerificationError, match="path of a tile"):
        parse_path(path)


@given(st.text(max_size=40))
def test_reading_a_path_is_total(path):
    try:
        tile = parse_path(path)
    except VerificationError:
        return
    assert tile.path == path


@pytest.mark.parametrize(
    ("size", "paths"),
    [
        (0, []),
        (1, ["0/000.p/1"]),
        (255, ["0/000.p/255"]),
        (256, ["0/000", "1/000.p/1"]),
        (257, ["0/000", "0/001.p/1", "1/000.p/1"]),
        (
            70_000,
            [
                *(f"0/{encode_index(n)}" for n in range(273)),
                "0/273.p/112",
                "1/000",
                "1/001.p/17",
                "2/000.p/1",
            ],
        ),
    ],
)
def test_a_log_has_the_tiles_of_its_size(size, paths):
    assert [tile.path for tile in tiles_of(size)] == paths
    assert all(exists(tile, size) for tile in tiles_of(size))


def test_entry_bundles_lie_under_the_leaf_tiles():
    assert [tile.path for tile in tiles_of_level(ENTRIES, 257)] == ["entries/000", "entries/001.p/1"]
    assert list(tiles_of_level(0, 257, start=2)) == []
    assert not exists(Tile(ENTRIES, 1, 2), 257)


def test_indices_are_written_in_groups_of_three():
    assert [encode_index(n) for n in (0, 1000, 1_000_000)] == ["000", "x001/000", "x001/x000/000"]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=20))
def test_entries_are_packed_and_split_again(entries):
    tile = Tile(ENTRIES, 0, len(entries))
    packed = pack_entries(entries)
    assert split_entries(tile, packed) == entries
    for cut in range(len(packed)):
        with pytest.raises(VerificationError):
            split_entries(tile, packed[:cut])
    with pytest.raises(VerificationError) as caught:
        split_entries(tile, packed + b"\0\0")
    assert caught.value.index == len(entries)


def test_a_cut_bundle_names_its_first_bad_entry():
    tile = Tile(ENTRIES, 2, 3)
    with pytest.raises(VerificationError, match="ends within an entry") as caught:
        split_entries(tile, pack_entries([b"a", b"b"]) + b"\0")
    assert caught.value.index == 514


def test_an_entry_that_is_too_long_is_refused():
    assert len(pack_entries([b"x" * MAX_ENTRY_BYTES])) == MAX_ENTRY_BYTES + 2
    with pytest.raises(VerificationError, match="at most 65535"):
        pack_entries([b"x" * (MAX_ENTRY_BYTES + 1)])


def test_a_tile_of_another_length_is_refused():
    hashes = [leaf_hash(b"a"), leaf_hash(b"b")]
    assert split_tile(Tile(0, 0, 2), b"".join(hashes)) == hashes
    assert root_of_tile(hashes) == root_of_leaves(hashes)
    for content in (b"", b"".join(hashes)[:-1], b"".join(hashes) + b"\0"):
        with pytest.raises(VerificationError, match="not 64"):
            split_tile(Tile(0, 0, 2), content)
