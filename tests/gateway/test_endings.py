"""Versions that end: headers on every answer, brown-outs, and 410 after the sunset, by a clock we turn."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from forge import NOW

START = datetime(2027, 1, 1, tzinfo=UTC)
SUNSET = START + timedelta(days=30)
BROWNOUT = (START + timedelta(days=10), START + timedelta(days=10, minutes=5))


class Hands:
    now = START

    def __call__(self):
        return self.now


@pytest.fixture
def hands(world):
    hands = Hands()
    payload = world.payload()
    end = {"at": NOW.isoformat(), "sunset_at": SUNSET.isoformat(), "successor": "assistant@2.1.0",
           "brownouts": [[one.isoformat() for one in BROWNOUT]], "is_retired": False}  # fmt: skip
    for version in payload["versions"].values():
        version["deprecation"] = end
    world.publish_payload(payload)
    world.start(now=hands)
    return hands


def headers_of_an_ending(answer):
    return tuple(answer.headers.get(name) for name in ("deprecation", "sunset", "link"))


EXPECTED = (
    f"@{int(NOW.timestamp())}",
    format_datetime(SUNSET, usegmt=True),
    '<urn:assent:assistant@2.1.0>; rel="successor-version"',
)


def test_answers_of_a_deprecated_version_say_when_it_ends_and_what_follows(world, hands):
    answer = world.ask()
    assert answer.status_code == 200
    assert headers_of_an_ending(answer) == EXPECTED


def test_in_a_brown_out_the_version_is_refused_with_the_time_to_come_back(world, hands):
    hands.now = BROWNOUT[0]
    refused = world.ask()
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "300"
    assert headers_of_an_ending(refused) == EXPECTED
    error = refused.json()["error"]
    assert error["code"] == "model_brown_out"
    assert "assistant@2.1.0" in error["message"]
    hands.now = BROWNOUT[1] - timedelta(microseconds=1)
    assert world.ask().headers["retry-after"] == "1"
    hands.now = BROWNOUT[1]
    assert world.ask().status_code == 200


def test_from_the_sunset_on_the_version_is_gone_and_the_upstream_is_not_asked(world, hands):
    hands.now = SUNSET - timedelta(microseconds=1)
    assert world.ask().status_code == 200
    n_asked = len(world.upstream.asked)
    hands.now = SUNSET
    gone = world.ask()
    assert gone.status_code == 410
    assert headers_of_an_ending(gone) == EXPECTED
    assert gone.json()["error"]["code"] == "model_retired"
    assert "Use assistant@2.1.0 instead." in gone.json()["error"]["message"]
    assert len(world.upstream.asked) == n_asked


def test_refused_calls_are_observed_so_that_ignored_deprecations_show(world, hands):
    hands.now = SUNSET
    world.ask()
    (row,) = world.calls()
    assert (row["status"], row["error_class"], row["application"]) == (410, "model_retired", "app-1")


def test_a_version_that_does_not_end_has_no_such_headers(live):
    assert headers_of_an_ending(live.ask()) == (None, None, None)


def test_answers_that_used_a_deprecated_prompt_say_so_and_the_version_itself_does_not_end(world):
    payload = world.payload()
    (version,) = payload["versions"].values()
    for successor, then in (("greeting@1.1.0", '; successor="greeting@1.1.0"'), (None, "")):
        version["deprecated_prompts"] = [
            {"ref": "greeting@1.0.0", "at": NOW.isoformat(), "successor": successor}
        ]
        payload["serial"] += 1
        world.publish_payload(payload)
        if world.gateway is None:
            world.start()
        answer = world.ask()
        expected = f"greeting@1.0.0; at=@{int(NOW.timestamp())}{then}"
        assert (answer.status_code, answer.headers["x-assent-deprecated-prompt"]) == (200, expected)
        assert headers_of_an_ending(answer) == (None, None, None)
