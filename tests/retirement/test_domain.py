"""The rules of deprecation and waivers, one by one."""

from datetime import UTC, datetime, timedelta

import pytest

from assent.kernel.errors import Conflict, Invalid, Refused
from assent.retirement.domain import (
    MAX_BROWNOUT,
    MAX_BROWNOUTS,
    MAX_SUNSET,
    MAX_WAIVER,
    brownouts_of,
    checked_sunset,
    expect_open,
    expect_waivable,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SUNSET = NOW + timedelta(days=60)
HOUR = timedelta(hours=1)


def hours(*spans):
    return [(NOW + begin * HOUR, NOW + end * HOUR) for begin, end in spans]


def test_brown_outs_are_taken_in_their_order():
    first, second = hours((1, 2), (5, 6))
    assert brownouts_of([second, first], NOW, SUNSET) == (first, second)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (hours((2, 2)), "must end after it begins"),
        ([(NOW + HOUR, NOW + 2 * HOUR + MAX_BROWNOUT)], "within a day"),
        (hours((-1, 1)), "in the past"),
        (hours((1, 3), (2, 4)), "within another one"),
        ([(SUNSET - HOUR, SUNSET + HOUR)], "after the sunset"),
        (hours(*((2 * i, 2 * i + 1) for i in range(1, MAX_BROWNOUTS + 2))), f"{MAX_BROWNOUTS} at most"),
    ],
)
def test_a_brown_out_that_makes_no_sense_is_refused(wanted, message):
    with pytest.raises(Invalid, match=message):
        brownouts_of(wanted, NOW, SUNSET)


def test_by_default_those_that_there_is_time_for_are_planned():
    assert brownouts_of(None, NOW, NOW + timedelta(minutes=1)) == ()
    far = brownouts_of(None, NOW, SUNSET)
    assert far
    assert all(NOW < start < end <= SUNSET for start, end in far)


@pytest.mark.parametrize("at", [NOW, NOW - HOUR, NOW + MAX_SUNSET + HOUR])
def test_a_sunset_lies_in_the_future_within_five_years(at):
    with pytest.raises(Invalid, match="within five years"):
        checked_sunset(NOW, at)


def test_what_is_not_deprecated_is_said_so():
    with pytest.raises(Conflict, match="is not deprecated"):
        expect_open(None, "support@1.0.0")


@pytest.mark.parametrize("days", [0, MAX_WAIVER.days + 1])
def test_a_waiver_ends_within_a_year_and_is_given_by_another(days):
    class Announced:
        by = "ada"

    with pytest.raises(Refused) as error:
        expect_waivable(Announced(), "ada", NOW + timedelta(days=days), NOW)
    assert {reason.id for reason in error.value.reasons} == {"waiver", "expires_at"}
