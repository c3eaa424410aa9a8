"""Conversations that end on their version: ids that say when they began, and pins that believe them."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils
from forge import route
from hypothesis import given
from hypothesis import strategies as st

from assent_client.conversations import begun_ms, new_conversation
from assent_client.decide import RouteError, bucket, compile_route

CHANGED = datetime(2027, 3, 1, 12, tzinfo=UTC)
MS = round(CHANGED.timestamp() * 1000)


def conversation(n, **earlier):
    """A UUIDv7 of so long before the change."""
    at = round((CHANGED - timedelta(**earlier)).timestamp() * 1000)
    number = at << 80 | 7 << 76 | 2 << 62 | n
    return str(uuid.UUID(int=number))


def pin(**changes):
    return {
        "variant": "ending", "start": 0, "end": 400_000, "salt": "old", "before": MS, "until": MS + 3_600_000,
    } | changes  # fmt: skip


def pinned_route(*pins, **changes):
    variants = {"stable": "sha256:new", "ending": "sha256:old"}
    return route("sha256:new", pins=list(pins), **({"variants": variants, "unit": "conversation"} | changes))


@pytest.mark.parametrize("form", ["{}", "conv_{}", "chat-{}", "a/b:{}"])
def test_ids_say_when_a_conversation_began(form):
    now = datetime.now(UTC).timestamp() * 1000
    one = uuid_utils.uuid7()
    for text in (str(one), one.hex, str(one).upper()):
        assert abs(begun_ms(form.format(text)) - now) < 60_000
    assert (
        begun_ms(form.format("01ARZ3NDEKTSV4RRFFQ69G5FAV")) == 1_469_922_850_259
    )  # the example of ULID's text
    assert begun_ms(form.format("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")) == 1_645_557_742_000  # of RFC 9562


@pytest.mark.parametrize(
    "text",
    ["", "chat-17", str(uuid.UUID(int=4 << 76 | 2 << 62)), "x" + "0" * 32, "01ARZ3NDEKTSV4RRFFQ69G5FAU",
     "a01ARZ3NDEKTSV4RRFFQ69G5FAV", "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f"],
)  # fmt: skip
def test_other_ids_say_nothing(text):
    assert begun_ms(text) is None


@given(st.text(max_size=80))
def test_no_id_is_too_odd_to_be_read(text):
    found = begun_ms(text)
    assert found is None or found >= 0


def test_a_new_conversation_begins_now_and_is_like_no_other():
    ids = {new_conversation() for _ in range(1000)}
    assert len(ids) == 1000
    now = datetime.now(UTC).timestamp() * 1000
    for one in ids:
        assert uuid.UUID(hex=one.removeprefix("conv_")).version == 7
        assert uuid.UUID(hex=one.removeprefix("conv_")).variant == uuid.RFC_4122
        assert abs(begun_ms(one) - now) < 60_000


def test_who_began_before_the_change_stays_by_the_buckets_of_then():
    decide = compile_route(pinned_route(pin()))
    before = [conversation(n, minutes=5) for n in range(500)]
    for unit in before:
        found = decide(unit, {})
        place = bucket("old", unit)
        stays = place < 400_000
        assert (found.variant, found.reason) == (("ending", "pinned") if stays else ("stable", "static"))
        assert found.value == ("sha256:old" if stays else "sha256:new")
        assert found.bucket == (place if stays else None)
    assert 150 <= sum(decide(unit, {}).variant == "ending" for unit in before) <= 250


def test_who_began_later_or_is_unbelievably_old_or_says_nothing_moves():
    decide = compile_route(pinned_route(pin(end=1_000_000)))
    assert decide(conversation(1, seconds=1), {}).variant == "ending"
    assert decide(conversation(1, days=29), {}).variant == "ending"
    for unit in (conversation(1), conversation(1, seconds=-1), conversation(1, days=31), "chat-17"):
        assert decide(unit, {}).variant == "stable"


def test_the_first_pin_that_fits_decides_and_rules_go_before_pins():
    variants = {"stable": "s", "canary": "c", "ending": "e"}
    pins = [pin(before=MS - 3_600_000, end=1_000_000), pin(variant="canary", end=1_000_000)]
    rule = {
        "id": "staff",
        "variant": "canary",
        "when": [{"attribute": "staff", "op": "equals", "value": True}],
    }
    decide = compile_route(pinned_route(*pins, variants=variants, rules=[rule]))
    assert decide(conversation(1, hours=2), {}).variant == "ending"
    assert decide(conversation(1, minutes=2), {}).variant == "canary"
    assert decide(conversation(1, hours=2), {"staff": True}).reason == "rule"


def test_a_name_that_is_switched_off_pins_nobody():
    decide = compile_route(pinned_route(pin(end=1_000_000), enabled=False))
    assert decide(conversation(1, minutes=5), {}).reason == "disabled"


@pytest.mark.parametrize(
    "wrong",
    [{"variant": "none"}, {"start": -1}, {"end": 1_000_001}, {"start": 5, "end": 5}, {"salt": ""},
     {"before": 1.5}, {"until": None}, {"more": 1}],
)  # fmt: skip
def test_pins_out_of_form_are_refused(wrong):
    with pytest.raises(RouteError, match="the pins are objects"):
        compile_route(pinned_route(pin(**wrong)))
    with pytest.raises(RouteError, match="the pins are objects"):
        compile_route(pinned_route() | {"pins": {}})
