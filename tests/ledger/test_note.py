import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assent_client.verify.merkle import VerificationError
from assent_client.verify.note import (
    Checkpoint,
    make_vkey,
    parse_checkpoint,
    parse_vkey,
    read_unverified,
    sign_note,
    verify_note,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ORIGIN = "log.example/assent"
VKEY = make_vkey(ORIGIN, PUBLIC)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
OTHER_PUBLIC = OTHER.public_key().public_bytes_raw()
CHECKPOINT = Checkpoint(ORIGIN, 20852163, bytes(range(32)))
NOTE = sign_note(CHECKPOINT.text, ORIGIN, PUBLIC, KEY.sign)

# Source: documentation of golang.org/x/mod/sumdb/note (package example).
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_text_of_a_checkpoint_is_origin_size_and_root():
    assert CHECKPOINT.text == "log.example/assent\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert parse_checkpoint(CHECKPOINT.text) == CHECKPOINT


def test_a_signed_checkpoint_verifies_under_its_key():
    assert verify_note(NOTE, [VKEY]) == CHECKPOINT
    assert read_unverified(NOTE) == CHECKPOINT


def test_a_key_and_signature_made_by_go_are_read():
    key = parse_vkey(GO_VKEY)
    assert (key.name, key.hash.hex(), str(key)) == ("PeterNeumann", "c74f20a3", GO_VKEY)
    with pytest.raises(VerificationError, match="an origin, a size"):
        verify_note(GO_NOTE, [GO_VKEY])  # the signature holds; the text is no checkpoint
    with pytest.raises(VerificationError, match="signature of PeterNeumann"):
        verify_note(GO_NOTE.replace("answer", "Answer"), [GO_VKEY])


def test_extension_lines_belong_to_the_signed_text():
    note = sign_note(CHECKPOINT.text + "extension\n", ORIGIN, PUBLIC, KEY.sign)
    assert verify_note(note, [VKEY]) == CHECKPOINT
    refuse(note.replace("extension", "Extension"), "does not match")


def test_signatures_of_others_are_passed_over_and_counted_for_nothing():
    foreign = sign_note(CHECKPOINT.text, "witness", OTHER_PUBLIC, OTHER.sign)
    both = NOTE + foreign.split("\n\n")[1]
    assert verify_note(both, [VKEY]) == CHECKPOINT
    assert verify_note(both, [VKEY, make_vkey("witness", OTHER_PUBLIC)]) == CHECKPOINT
    assert verify_note(NOTE + NOTE.split("\n\n")[1], [VKEY]) == CHECKPOINT
    with pytest.raises(VerificationError, match=f"no trusted key of {ORIGIN} has signed"):
        verify_note(both, [make_vkey("witness", OTHER_PUBLIC)])
    with pytest.raises(VerificationError, match="no trusted key"):
        verify_note(NOTE, [])


def test_a_key_of_the_same_name_is_another_key():
    with pytest.raises(VerificationError, match="no trusted key"):
        verify_note(NOTE, [make_vkey(ORIGIN, OTHER_PUBLIC)])


def test_a_key_does_not_speak_for_another_origin():
    other = Checkpoint("other.example/log", 1, bytes(32))
    note = sign_note(other.text, ORIGIN, PUBLIC, KEY.sign)
    refuse(note, "no trusted key of other.example/log")


def test_a_wrong_signature_under_one_known_key_refuses_the_note():
    forged = sign_note(CHECKPOINT.text, "witness", OTHER_PUBLIC, lambda _: bytes(64))
    both = NOTE + forged.split("\n\n")[1]
    with pytest.raises(VerificationError, match="signature of witness"):
        verify_note(both, [VKEY, make_vkey("witness", OTHER_PUBLIC)])


def test_every_flipped_bit_of_a_signed_checkpoint_is_found():
    content = NOTE.encode()
    for place in range(len(content)):
        for bit in range(8):
            changed = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
            refuse(changed.decode("utf-8", "surrogateescape"))


def test_every_cut_of_a_signed_checkpoint_is_found():
    for length in range(len(NOTE)):
        refuse(NOTE[:length])
        refuse(NOTE[length + 1 :])


@settings(max_examples=300)
@given(st.text(max_size=200))
def test_reading_is_total(text):
    refuse(text)
    refuse(text + "\n\n— a b\n")
    refuse(CHECKPOINT.text + "\n" + text)
    for read in (parse_vkey, parse_checkpoint, read_unverified):
        with pytest.raises(VerificationError):
            read(text)


@given(st.binary(min_size=32, max_size=32), st.from_regex(r"[a-z./\-]{1,40}", fullmatch=True))
def test_a_key_is_written_and_read_back(public, name):
    key = parse_vkey(make_vkey(name, public))
    assert (key.name, key.public) == (name, public)


@pytest.mark.parametrize(
    ("vkey", "message"),
    [
        ("", "has no space"),
        ("a", "form name"),
        ("a b" + VKEY, "has no space"),
        (VKEY.replace("+", "", 1), "form name"),
        (VKEY.upper(), "form name|match"),
        (VKEY[:-1], "base64"),
        (VKEY + "=", "base64"),
        (VKEY.replace("assent", "Assent"), "hash in the verifier key"),
        ("a+00000000+" + base64.b64encode(b"\2" + bytes(32)).decode(), "not an Ed25519 key"),
        ("a+00000000+" + base64.b64encode(b"\1" + bytes(31)).decode(), "not an Ed25519 key"),
        ("a+00000000+" + base64.b64encode(b"\1" + bytes(32)).decode(), "does not match its bytes"),
        ("\ud800+00000000+AA==", "has no space"),
    ],
)
def test_a_malformed_key_is_refused(vkey, message):
    with pytest.raises(VerificationError, match=message):
        parse_vkey(vkey)


@pytest.mark.parametrize(
    ("name", "public"), [("", PUBLIC), ("a b", PUBLIC), ("a+b", PUBLIC), ("a\nb", PUBLIC), ("a", b"")]
)
def test_a_key_that_cannot_be_written_is_refused(name, public):
    with pytest.raises(VerificationError):
        make_vkey(name, public)


@pytest.mark.parametrize("text", ["", "no newline", "an\n\nempty line\n"])
def test_a_text_that_cannot_be_signed_is_refused(text):
    with pytest.raises(VerificationError, match="ends with a newline"):
        sign_note(text, ORIGIN, PUBLIC, KEY.sign)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a\n1\n", "an origin, a size"),
        ("a\n1\nAA==", "an origin, a size"),
        ("\n1\nAA==\n", "an origin, a size"),
        ("a\n01\nAA==\n", "not a number of leaves"),
        ("a\n-1\nAA==\n", "not a number of leaves"),
        ("a\n\u0661\nAA==\n", "not a number of leaves"),
        (f"a\n{2**63}\nAA==\n", "not a number of leaves"),
        ("a\n1\nAA==\n", "not a SHA-256"),
        ("a\n1\nAB==\n", "not canonical base64"),
        ("a\n1\nä\n", "not base64"),
    ],
)
def test_a_malformed_checkpoint_is_refused(body, message):
    with pytest.raises(VerificationError, match=message):
        parse_checkpoint(body)


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (CHECKPOINT.text, "a signed note is"),
        (CHECKPOINT.text + "\n", "a signed note is"),
        (NOTE[:-1], "a signed note is"),
        (NOTE.replace("— ", "- "), "not a signature line"),
        (CHECKPOINT.text + "\n— name\n", "not a signature line"),
        (CHECKPOINT.text + "\n— na+me AAAAAAA=\n", "has no space"),
        (CHECKPOINT.text + "\n— name AAAAAA==\n", "too short"),
        (NOTE.replace("\n", "\r\n"), "control character"),
        (NOTE + "\ud800", "control character"),
        (NOTE + NOTE.split("\n\n")[1] * 100, "more than 100"),
        ("a" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_a_malformed_note_is_refused(note, message):
    refuse(note, message)


def refuse(note, message=None):
    with pytest.raises(VerificationError, match=message):
        verify_note(note, [VKEY])
