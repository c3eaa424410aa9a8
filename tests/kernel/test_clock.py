"""Times as text, and the two clocks."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.kernel.clock import FakeClock, SystemClock, from_text, to_text

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST, LAST = (datetime.fromisoformat(day) for day in ("0001-01-02", "9999-12-30"))
MOMENTS = st.datetimes(FIRST, LAST, timezones=ZONES)


@given(MOMENTS)
def test_a_time_comes_back_from_its_text_in_utc(moment):
    text = to_text(moment)
    assert len(text) == 27
    assert from_text(text) == moment
    assert from_text(text).tzinfo is UTC


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_their_times_do(one, other):
    assert (to_text(one) < to_text(other)) == (one < other)


def test_a_time_without_a_zone_is_refused_both_ways():
    with pytest.raises(ValueError, match="names no time zone"):
        from_text("2026-11-24T02:15:12")
    with pytest.raises(ValueError, match="names no time zone"):
        to_text(datetime(2026, 11, 24))  # noqa: DTZ001 -- it is what is refused


def test_an_offset_is_read_as_utc():
    assert from_text("2026-11-24T03:15:12+01:00") == datetime(2026, 11, 24, 2, 15, 12, tzinfo=UTC)


def test_a_fake_clock_moves_only_when_told():
    clock = FakeClock()
    before = clock.now()
    assert clock.now() == before
    clock.advance(1.5)
    assert clock.now() - before == timedelta(seconds=1.5)


def test_the_machines_clock_tells_utc():
    assert SystemClock().now().tzinfo is UTC
