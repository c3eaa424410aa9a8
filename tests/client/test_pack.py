"""Packs verify offline, and no byte of them can be changed: by the client and by the single-file script."""

import io
import json
import runpy
import subprocess
import sys
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent_client.verify import pack as packing
from assent_client.verify.archive import read_archive, write_archive
from assent_client.verify.dsse import Statement, open_sealed, read_json
from assent_client.verify.merkle import VerificationError
from assent_client.verify.note import sign_note
from assent_client.verify.pack import CHECKPOINT_FILE, MANIFEST, ROOT_FILE, entry_file, verify_pack
from assent_client.verify.script import verifier_script
from tests.client.packs import BODY, CARD, SUBJECT, VOTE, Forge, Issuer, digest_of, leaf, written


@pytest.fixture(scope="module")
def forge():
    return Forge()


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The single file as written for whoever has no Assent."""
    path = tmp_path_factory.mktemp("script") / "verify_pack.py"
    path.write_text(verifier_script(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def by_script(script):
    """What the script makes of a pack: None where it holds, else what it says."""
    module = runpy.run_path(str(script))

    def look(content, root):
        try:
            module["verify_pack"](content, root)
        except module["VerificationError"] as error:
            return str(error)
        return None

    return look


def complaint(content, root=None):
    try:
        verify_pack(content, root)
    except VerificationError as error:
        return str(error)
    return None


def test_a_pack_verifies_against_the_root_that_is_held(forge):
    found = verify_pack(forge.pack(), forge.issuer.root)
    assert found.trusted
    assert [entry.index for entry in found.entries] == [0, 1, 2]
    assert found.statements[VOTE].subjects == {"support@2.1.0": SUBJECT}
    assert found.absent == ()


def test_without_a_root_a_pack_is_consistent_and_its_issuer_unknown(forge):
    assert not verify_pack(forge.pack()).trusted


def test_every_byte_flipped_is_refused_with_the_place_and_both_verifiers_agree(forge, by_script):
    pack, root = forge.pack(), forge.issuer.root
    assert by_script(pack, root) is None
    for at in range(len(pack)):
        changed = pack[:at] + bytes([pack[at] ^ (1 << at % 8)]) + pack[at + 1 :]
        said = complaint(changed, root)
        assert said is not None, f"byte {at} can be changed"
        assert said == by_script(changed, root)
        assert any(
            place in said for place in ("byte ", ".json", "checkpoint", "bodies/", "documents/", "called")
        )


@given(st.data())
def test_a_pack_cut_or_extended_anywhere_is_refused(data):
    pack = Forge().pack()
    cut = data.draw(st.integers(0, len(pack) - 1))
    assert complaint(pack[:cut]) is not None
    assert complaint(pack + data.draw(st.binary(min_size=1, max_size=40))) is not None


@given(st.binary(max_size=300))
def test_what_is_no_pack_is_refused_and_nothing_else_happens(content):
    assert complaint(content) is not None
    assert complaint(b"PK\x03\x04" + content) is not None


def test_a_pack_of_another_issuer_is_refused_with_the_place(forge, by_script):
    stranger = Forge(Issuer())
    said = complaint(stranger.pack(), forge.issuer.root)
    assert said == f"root.json: issued by {stranger.issuer.vkey}, but you trust {forge.issuer.vkey}"
    assert by_script(stranger.pack(), forge.issuer.root) == said


def test_a_stranger_cannot_put_our_root_into_their_pack(forge):
    stranger = Forge(Issuer())
    stranger.files[ROOT_FILE] = forge.issuer.root.encode()
    assert complaint(stranger.pack(), forge.issuer.root).startswith("MANIFEST.dsse.json: signed by")
    assert complaint(stranger.pack()).startswith("MANIFEST.dsse.json: signed by")


def test_a_root_document_that_is_none_is_refused(forge):
    for root in ("{}", "no json", json.dumps({"origin": "other", "log_vkey": forge.issuer.vkey})):
        assert "root document" in complaint(forge.pack(), root)


def changed(change):
    """Say what is wrong with a pack whose files were changed before its own key sealed it."""
    forge = Forge()
    change(forge)
    return complaint(forge.pack(), forge.issuer.root)


def drop(name):
    return lambda forge: forge.files.pop(name)


def put(name, content):
    return lambda forge: forge.files.__setitem__(name, content)


BODY_FILE = "bodies/" + digest_of(BODY).removeprefix("sha256:")
STATEMENT_FILE = f"statements/{VOTE}.dsse.json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop(ROOT_FILE), "root.json: missing from the pack"),
        (drop(CHECKPOINT_FILE), "checkpoint: missing from the pack"),
        (drop(STATEMENT_FILE), f"{STATEMENT_FILE}: issued, but missing"),
        (drop(entry_file(0)), f"{STATEMENT_FILE}: no entry of this pack"),
        (drop(entry_file(2)), f"{BODY_FILE}: no entry of the pack speaks of this body"),
        (put("stray.txt", b"x"), "stray.txt: a pack has no such file"),
        (put("extra/stray.txt", b"x"), "extra/stray.txt: a pack has no such file"),
        (put("documents/UPPER", b"x"), "documents/UPPER: a pack has no such file"),
        (put(BODY_FILE, b"other"), f"{BODY_FILE}: the body does not have the digest"),
        (put("bodies/short", b"other"), "bodies/short: the body does not have the digest"),
        (put(CHECKPOINT_FILE, b"\xff"), "checkpoint: "),
        (put("ledger/000000000009.json", b"{}"), "ledger/000000000009.json: not an entry"),
        (put("ledger/000000000009.json", b"[]"), "ledger/000000000009.json: not a JSON object"),
        (put("ledger/000000000009.json", b'{"index":NaN}'), "ledger/000000000009.json: not JSON"),
        (put("ledger/000000000009.json", b'{"index":1,"index":2}'), "ledger/000000000009.json: not JSON"),
        (put("statements/evt_x.dsse.json", b"{}"), "statements/evt_x.dsse.json: no entry of this pack"),
    ],
)
def test_a_pack_that_its_issuer_made_wrongly_is_refused_with_the_place(change, said):
    assert changed(change).startswith(said)


def test_an_entry_stands_in_the_file_of_its_index_and_its_proof_leads_to_the_root():
    def swap(forge):
        forge.files[entry_file(7)] = forge.files.pop(entry_file(2))

    def other(forge):
        proved = json.loads(forge.files[entry_file(2)])
        forge.files[entry_file(2)] = written({**proved, "entry": "e30="})

    assert changed(swap).startswith("ledger/000000000007.json: the entry has another index")
    assert changed(other).startswith("ledger/000000000002.json: the proof of leaf 2")


def test_a_pack_without_entries_is_refused():
    def empty(forge):
        for name in [name for name in forge.files if name.startswith(("ledger/", "statements/", "bodies/"))]:
            del forge.files[name]

    assert changed(empty) == "the pack holds no entry of the ledger"


def test_a_statement_is_the_one_whose_digest_is_in_the_ledger_and_of_its_subject():
    def another(forge):
        again = Statement({"support@2.1.0": SUBJECT}, "urn:test", {"event": "another"})
        forge.files[STATEMENT_FILE] = forge.issuer.seal(again)

    assert changed(another).endswith("the ledger holds another envelope of this statement")


def test_what_was_erased_is_listed_and_may_not_be_there():
    forge = Forge()
    del forge.files[BODY_FILE]
    forge.about["absent"] = [digest_of(BODY)]
    assert verify_pack(forge.pack(), forge.issuer.root).absent == (digest_of(BODY),)
    forge.files[BODY_FILE] = BODY
    assert "says that sha256:" in complaint(forge.pack())
    forge.about["absent"] = "all"
    assert "the list of absent bodies is not one" in complaint(forge.pack())


def test_a_manifest_names_every_file_and_no_other():
    forge = Forge()
    manifest = forge.manifest()
    more = packing.sealed_pack({**forge.files, "documents/more.txt": b"x"}, manifest)
    assert complaint(more) == "documents/more.txt: the manifest does not name it"
    del forge.files["documents/readme.txt"]
    assert complaint(packing.sealed_pack(forge.files, manifest)).startswith(
        "documents/readme.txt: the manifest names it"
    )
    other = forge.issuer.seal(Statement({"x": SUBJECT}, "urn:test", {}))
    assert (
        complaint(packing.sealed_pack(forge.files, other)) == "MANIFEST.dsse.json: not the manifest of a pack"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_zips_of_others_are_refused_so_that_nothing_can_swell(method):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("MANIFEST.dsse.json", b"0" * 10_000_000)
    with pytest.raises(VerificationError, match="byte 0"):
        read_archive(made.getvalue())


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "a/../b", "a//b", "", "a/b/c/d/e", "é", "a\\b", ".hidden", "a" * 300, "a\n"],
)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(VerificationError, match="cannot be called"):
        write_archive({name: b""})


def test_any_zip_reader_opens_a_pack(forge):
    with zipfile.ZipFile(io.BytesIO(forge.pack())) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {*forge.files, MANIFEST}
        assert archive.read(BODY_FILE) == BODY


def test_a_file_that_comes_twice_or_out_of_order_is_refused():
    one, two = write_archive({"a": b"1"}), write_archive({"b": b"2"})
    first, second = one[: one.index(b"PK\x01\x02")], two[: two.index(b"PK\x01\x02")]
    for wrong in (first + first, second + first):
        with pytest.raises(VerificationError, match="comes twice or out of order"):
            read_archive(wrong)


NAMES = ("a", "b.txt", "a-b", "a/b", "bodies/0", "A", "ledger/000000000001.json")


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=50)))
def test_what_is_written_is_read_again(files):
    written_once = write_archive(files)
    assert read_archive(written_once) == files
    assert write_archive(dict(reversed(list(files.items())))) == written_once


def test_limits_hold(monkeypatch):
    monkeypatch.setattr("assent_client.verify.archive.MAX_FILES", 2)
    with pytest.raises(VerificationError, match="at most 2 files"):
        write_archive({"a": b"", "b": b"", "c": b""})
    monkeypatch.setattr("assent_client.verify.archive.MAX_ARCHIVE_BYTES", 200)
    with pytest.raises(VerificationError, match="at most 200 bytes"):
        write_archive({"a": b"1" * 300})
    with pytest.raises(VerificationError, match="more than a pack may have"):
        read_archive(b"1" * 500)
    three = b"".join(write_archive({name: b""})[:31] for name in "abc")
    with pytest.raises(VerificationError, match="at most 2 files"):
        read_archive(three)


@pytest.mark.parametrize(
    "payload",
    [
        {
            "_type": "x",
            "subject": [{"name": "a", "digest": {"sha256": "1"}}],
            "predicateType": "t",
            "predicate": {},
        },
        {"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "t", "predicate": {}},
        {"_type": "https://in-toto.io/Statement/v1", "subject": [{}], "predicateType": "t", "predicate": {}},
        {"_type": "https://in-toto.io/Statement/v1", "subject": None, "predicateType": "t", "predicate": {}},
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "a", "digest": {"sha256": "1"}}],
            "predicateType": "t",
            "predicate": [],
        },
    ],
)
def test_what_is_signed_must_be_a_statement(payload, monkeypatch):
    issuer = Issuer()
    monkeypatch.setattr("assent_client.verify.dsse.encode_statement", lambda _: written(payload))
    envelope = issuer.seal(Statement({"a": SUBJECT}, "t", {}))
    with pytest.raises(VerificationError, match="place: not an in-toto statement"):
        open_sealed(envelope, issuer.vkey, "place")


@pytest.mark.parametrize(
    "envelope",
    [
        b"{}",
        b'{"payload":1,"signatures":[{"sig":"","keyid":""}]}',
        b'{"payload":"e30=","signatures":[]}',
        b'{"payload":"e30=","signatures":{"sig":""}}',
        b'{"payload":"e30=","signatures":[{"sig":"e30=","keyid":"x"}]}',
        b'{"payload":"?","signatures":[{"sig":"e30=","keyid":"x"}]}',
    ],
)
def test_envelopes_that_are_none_are_refused(envelope):
    with pytest.raises(VerificationError):
        open_sealed(envelope, Issuer().vkey, "place")


def test_a_deep_document_is_refused():
    with pytest.raises(VerificationError, match="not JSON"):
        read_json(b'{"a":' + b"[" * 100_000, "place")


def test_a_checkpoint_cannot_pass_for_a_statement():
    issuer = Issuer()
    with pytest.raises(VerificationError):
        sign_note("DSSEv1 28 application/vnd.in-toto+json\n\n", issuer.origin, issuer.public, issuer.key.sign)
    assert leaf(CARD, "x")


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-I", script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_script_runs_alone_and_its_exit_codes_are_those_of_the_command(script, forge, tmp_path):
    text = script.read_text(encoding="utf-8")
    assert "import assent" not in text
    assert "from assent" not in text
    pack, root, other = tmp_path / "pack.zip", tmp_path / "root.json", tmp_path / "other.json"
    pack.write_bytes(forge.pack())
    root.write_text(forge.issuer.root, encoding="utf-8")
    other.write_text(Issuer().root, encoding="utf-8")
    assert run(script, pack, "--trust", root)[0] == 0
    assert run(script, pack)[0] == 3
    code, said = run(script, pack, "--trust", other)
    assert (code, said.startswith("does not hold: root.json")) == (1, True)
    assert run(script, tmp_path / "nothing")[0] == 2
    assert run(script)[0] == 2


def test_the_script_imports_the_standard_library_and_cryptography_only(script):
    blocked = (
        "import sys, runpy\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.partition('.')[0]\n"
        "        allowed = {'cryptography', '_cffi_backend', 'cffi', 'typing_extensions'} | set(sys.stdlib_module_names)\n"
        "        if top not in allowed: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"runpy.run_path({str(script)!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", blocked], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
