"""Claims of a digest: recorded, found, replaced, expired."""

from datetime import timedelta

import pytest

from assent.evidence import service as evidence
from assent.evidence.domain import LIVE
from assent.kernel.canonical import digest_bytes
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Actor

ONE, TWO = digest_bytes(b"one"), digest_bytes(b"two")


def claim(desk, kind, subject, project="shop", expires_at=None, **value):
    with desk.begin(Actor("usr_1", "person")) as tx:
        return evidence.record(
            tx, project=project, kind=kind, subject=subject, value=value, expires_at=expires_at
        )


def ask(desk, question, *args):
    with desk.read() as reader:
        return question(reader, *args)


def test_a_claim_comes_back_with_who_when_and_its_leaf(installation):
    made = claim(installation, "evaluation", ONE, score=0.5, environment="production", name="bot")
    assert ask(installation, evidence.get, "shop", made.id) == made
    assert (made.by, made.issued_at, made.expires_at) == ("usr_1", installation.clock.now(), None)
    assert made.event.startswith("evt_")
    assert made.value == {"score": 0.5, "environment": "production", "name": "bot"}
    assert (made.environment, made.name) == ("production", "bot")


def test_a_claim_of_another_project_is_not_found(desk):
    made = claim(desk, "evaluation", ONE)
    for project, name in (("bank", made.id), ("shop", "evi_none")):
        with pytest.raises(NotFound, match="has no evidence"):
            ask(desk, evidence.get, project, name)
    assert ask(desk, evidence.latest, "bank", "evaluation", ONE) is None


@pytest.mark.parametrize("subject", ["", "bot@1.0.0", "sha256:" + "A" * 64])
def test_evidence_speaks_of_a_digest(desk, subject):
    with pytest.raises(Invalid, match="speaks of a digest"):
        claim(desk, "evaluation", subject)


def test_a_later_claim_takes_the_place_of_an_earlier_one_of_its_kind(desk):
    first = claim(desk, "evaluation", ONE, n=1)
    second = claim(desk, "evaluation", ONE, n=2)
    other = claim(desk, "card", ONE)
    claim(desk, "evaluation", TWO)
    assert ask(desk, evidence.latest, "shop", "evaluation", ONE) == second
    assert ask(desk, evidence.list_, "shop", ONE) == [other, second, first]
    assert ask(desk, evidence.list_, "shop", ONE, "evaluation") == [second, first]


def test_a_claim_about_an_environment_is_found_there_only(desk):
    here = claim(desk, "approval", ONE, environment="production")
    claim(desk, "approval", ONE, environment="staging")
    assert ask(desk, evidence.latest, "shop", "approval", ONE, "production") == here
    assert ask(desk, evidence.latest, "shop", "approval", ONE, "moon") is None


def test_an_environment_serves_the_version_of_the_newest_live_claim_of_its_name(desk):
    assert ask(desk, evidence.live, "shop", "production", "bot") is None
    claim(desk, LIVE, ONE, environment="production", name="bot")
    newest = claim(desk, LIVE, TWO, environment="production", name="bot")
    claim(desk, LIVE, ONE, environment="production", name="other")
    claim(desk, LIVE, ONE, environment="staging", name="bot")
    claim(desk, LIVE, ONE, "bank", environment="production", name="bot")
    assert ask(desk, evidence.live, "shop", "production", "bot") == TWO
    assert ask(desk, evidence.latest_in, "shop", "production", LIVE, "bot") == newest


def test_a_claim_holds_up_to_but_not_at_its_end(desk):
    now = desk.clock.now()
    made = claim(desk, "evaluation", ONE, expires_at=now + timedelta(days=1))
    assert made.holds(now + timedelta(days=1, microseconds=-1))
    assert not made.holds(now + timedelta(days=1))
    assert claim(desk, "evaluation", ONE).holds(now + timedelta(days=10_000))
    desk.clock.advance(2 * 86400)
    claim_again = ask(desk, evidence.latest, "shop", "evaluation", ONE)
    assert claim_again.expires_at is None
