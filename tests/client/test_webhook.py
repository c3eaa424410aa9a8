"""Webhooks verify where they are what the holder of the secret has just sent, and not otherwise."""

import base64
import json
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from assent_client.verify.webhook import WebhookError, secret_bytes, sign, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"type": "a.b.c", "timestamp": "2021-02-25T15:02:10Z", "data": {"project": "shop"}}'

VECTORS = [
    # The specification's own example, then ours: secret, id, timestamp, body, signature.
    (SECRET, ID, AT, b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    (
        "whsec_" + base64.b64encode(bytes(range(32))).decode(),
        "msg_1",
        1764115200,
        b"{}",
        "v1,eZd9XmhABYcP8oJvfCu2W9Z7xEJxwwoOhEeQSwxwr6A=",
    ),
]


def headers(secrets=(SECRET,), body=BODY, id_=ID, at=AT):
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(at),
        "webhook-signature": sign(secrets, id_, at, body),
    }


@pytest.mark.parametrize(("secret", "id_", "at", "body", "signature"), VECTORS)
def test_the_vectors_are_met(secret, id_, at, body, signature):
    assert sign([secret], id_, at, body) == signature


@given(
    st.binary(min_size=24, max_size=64),
    st.text("abcdef_0123456789", min_size=1, max_size=40),
    st.binary(max_size=200),
)
def test_the_signatures_are_those_of_the_specification_s_own_library(key, id_, body):
    secret = "whsec_" + base64.b64encode(key).decode()
    text = json.dumps({"x": base64.b64encode(body).decode()})
    theirs = standardwebhooks.Webhook(secret).sign(id_, datetime.fromtimestamp(AT, UTC), text)
    assert sign([secret], id_, AT, text.encode()) == theirs


def test_what_we_sign_is_verified_by_the_specification_s_own_library():
    now = int(time.time())
    said = standardwebhooks.Webhook(SECRET).verify(BODY, headers((OTHER, SECRET), at=now))
    assert said["type"] == "a.b.c"


def test_what_their_library_signs_is_verified_by_us():
    text = BODY.decode()
    signature = standardwebhooks.Webhook(SECRET).sign(ID, datetime.fromtimestamp(AT, UTC), text)
    sent = {"Webhook-Id": ID, "WEBHOOK-TIMESTAMP": str(AT), "Webhook-Signature": signature}
    assert verify_webhook(BODY, sent, SECRET, now=AT).data == {"project": "shop"}


@pytest.mark.parametrize("mine", [SECRET, OTHER, (OTHER, "whsec_" + "A" * 40)])
def test_during_a_rotation_either_secret_verifies(mine):
    webhook = verify_webhook(BODY, headers((SECRET, OTHER)), mine, now=AT)
    assert (webhook.id, webhook.at, webhook.type, webhook.timestamp) == (
        ID,
        AT,
        "a.b.c",
        "2021-02-25T15:02:10Z",
    )


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_no_byte_of_the_body_can_be_changed(place, change):
    forged = bytearray(BODY)
    forged[place] ^= change
    with pytest.raises(WebhookError, match="no signature fits"):
        verify_webhook(bytes(forged), headers(), SECRET, now=AT)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"webhook-id": "msg_other"}, "no signature"),
        ({"webhook-id": ""}, "webhook-id is missing"),
        ({"webhook-id": "a.b"}, "not one"),
        ({"webhook-id": "a" * 201}, "not one"),
        ({"webhook-timestamp": str(AT + 1)}, "no signature"),
        ({"webhook-timestamp": "soon"}, "seconds"),
        ({"webhook-timestamp": "1614265330.0"}, "seconds"),
        ({"webhook-timestamp": "-1"}, "seconds"),
        ({"webhook-timestamp": "\u0661"}, "seconds"),
        ({"webhook-timestamp": "9" * 13}, "seconds"),
        ({"webhook-signature": ""}, "webhook-signature is missing"),
        ({"webhook-signature": "v1,"}, "no signature"),
        ({"webhook-signature": "v1,AAAA"}, "no signature"),
        ({"webhook-signature": "v1,\ud800"}, "no signature"),
        ({"webhook-signature": "v2," + sign([SECRET], ID, AT, BODY)[3:]}, "no signature"),
        ({"webhook-signature": sign([SECRET], ID, AT, BODY)[3:]}, "no signature"),
        ({"webhook-signature": sign([OTHER], ID, AT, BODY)}, "no signature"),
        ({"webhook-signature": "v1,x " * 16 + sign([SECRET], ID, AT, BODY)}, "no signature"),
    ],
)
def test_forged_headers_are_refused(changed, words):
    with pytest.raises(WebhookError, match=words):
        verify_webhook(BODY, headers() | changed, SECRET, now=AT)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(missing):
    sent = headers()
    del sent[missing]
    with pytest.raises(WebhookError, match=missing):
        verify_webhook(BODY, sent, SECRET, now=AT)


@pytest.mark.parametrize(("away", "words"), [(301, "ago"), (-301, "ahead")])
def test_a_replay_after_five_minutes_is_refused(away, words):
    with pytest.raises(WebhookError, match=words):
        verify_webhook(BODY, headers(), SECRET, now=AT + away)
    assert verify_webhook(BODY, headers(), SECRET, now=AT + away, tolerance_s=400).id == ID
    assert verify_webhook(BODY, headers(), SECRET, now=AT + (300 if away > 0 else -300)).id == ID


def test_a_replay_within_the_tolerance_shows_the_same_id():
    assert (
        verify_webhook(BODY, headers(), SECRET, now=AT).id
        == verify_webhook(BODY, headers(), SECRET, now=AT + 9).id
    )


def test_the_time_of_day_is_the_machine_s_where_none_is_given():
    assert verify_webhook(BODY, headers(at=int(time.time())), SECRET).id == ID
    with pytest.raises(WebhookError, match="ago"):
        verify_webhook(BODY, headers(), SECRET)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"type": 1, "timestamp": 2, "data": 3}', b"[" * 100_000]
)
def test_a_signed_body_of_another_shape_is_refused(body):
    with pytest.raises(WebhookError, match="signed, but is not"):
        verify_webhook(body, headers(body=body), SECRET, now=AT)


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_",
        "whsec_!!!!",
        "whsec_" + base64.b64encode(b"s" * 23).decode(),
        "whsec_" + base64.b64encode(b"s" * 65).decode(),
        "whsec_\u00e4",
    ],
)
def test_a_secret_that_is_none_is_refused(secret):
    with pytest.raises(WebhookError, match="secret"):
        verify_webhook(BODY, headers(), secret, now=AT)
    with pytest.raises(WebhookError):
        sign([secret], ID, AT, BODY)


def test_a_secret_may_come_without_its_prefix():
    assert secret_bytes(SECRET) == secret_bytes(SECRET.removeprefix("whsec_"))
