"""What samples are made of: redacted, cut and sealed."""

import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent_client.calls.edit import Ask
from assent_client.calls.sampling import question_of
from assent_client.credentials import SECRETS
from assent_client.personal import PERSONAL
from assent_client.redaction import CUT, NEEDS, cut, prepared, redact
from assent_client.sealed import open_sealed, seal_to

KEY = X25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mail ann@example.com or bob@example.org", "mail [email] or [email]"),
        ("card 4111 1111 1111 1111, not 4111 1111 1111 1112", "card [card], not 4111 1111 1111 1112"),
        ("call +44 20 7946 0958", "call [phone]"),
        ("sk-ant-" + "a" * 30, "[secret]"),
        ("nothing here", "nothing here"),
    ],
)
def test_secrets_and_personal_data_are_struck_out(text, clean):
    assert redact(text)[0] == clean


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
@pytest.mark.parametrize(("kind", "form"), [*SECRETS.items(), *PERSONAL.items()])
def test_no_form_is_passed_over(kind, form, data):
    assert re.search(NEEDS[kind], data.draw(st.from_regex(form, fullmatch=True)))


@given(st.text(max_size=200), st.integers(1, 100), st.booleans())
def test_a_cut_text_is_at_most_as_long_as_asked_and_says_so(text, most, keep_end):
    kept, is_cut = cut(text, most, keep_end=keep_end)
    clean = text.encode("utf-8", "replace").decode()
    assert is_cut == (len(clean.encode()) > most)
    if is_cut:
        bare = kept.removeprefix(CUT) if keep_end else kept.removesuffix(CUT)
        assert len(bare.encode()) <= most
        assert clean.endswith(bare) if keep_end else clean.startswith(bare)
    else:
        assert kept == clean


@pytest.mark.parametrize("keep_end", [False, True])
def test_what_stands_across_the_cut_is_struck_out_whole(keep_end):
    address = "someone@example.com"
    text = "x" * 95 + " " + address + " " + "y" * 20_000
    if keep_end:
        text = "y" * 20_000 + " " + address + " " + "x" * 95
    kept, n, is_cut = prepared(text, 100, keep_end=keep_end)
    assert "someone" not in kept
    assert "example" not in kept
    assert (n, is_cut) == (1, True)
    short, _, is_cut = prepared(f"{address} {address}{' z' * 9000}", 90_000, keep_end=keep_end)
    assert not is_cut
    assert "example" not in short


def test_what_became_short_only_by_what_was_struck_out_is_marked_as_cut():
    kept, _, is_cut = prepared(" ".join(["someone@example.com"] * 900), 8000)
    assert is_cut
    assert kept.endswith(CUT)


def test_a_box_is_opened_by_its_key_for_its_owner_only():
    box = seal_to(PUBLIC, "one", b"plain")
    assert open_sealed(KEY, "one", box) == b"plain"
    assert box != seal_to(PUBLIC, "one", b"plain")
    other = X25519PrivateKey.generate()
    for key, owner, sealed in (
        (other, "one", box),
        (KEY, "two", box),
        (KEY, "one", box[:-8]),
        (KEY, "one", "A"),
    ):
        with pytest.raises(ValueError, match=r"cannot be opened|32 bytes"):
            open_sealed(key, owner, sealed)


@pytest.mark.parametrize(
    ("body", "question"),
    [
        ({"messages": [{"role": "user", "content": "Hi?"}]}, "Hi?"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi?"}]}]}, "Hi?"),
        (
            {"system": "Be kind.", "messages": [{"role": "user", "content": "Hi?"}]},
            "system: Be kind.\nuser: Hi?",
        ),
        ({"input": "Hi?"}, "Hi?"),
        (
            {"instructions": "Be brief.", "input": [{"role": "user", "content": "Hi?"}]},
            "system: Be brief.\nuser: Hi?",
        ),
        ({"messages": [], "assent": {"variables": {"a": 1}}}, '{"a":1}'),
    ],
)
def test_a_question_is_one_text(body, question):
    assert question_of(Ask(json.dumps({"model": "m", **body}).encode())) == question
