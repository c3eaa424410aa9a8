from datetime import UTC, datetime, timedelta

import pytest

from assent.evidence import service as evidence
from assent.kernel.errors import Conflict, Invalid, Refused
from assent.kernel.tx import Actor
from assent.providers import service as providers
from assent.registry import service as registry
from assent.retirement import jobs, service, store
from assent.retirement.domain import State, WaiverKind
from tests.delivery.releases import PROJECT

SECOND = Actor("usr_second", "person")
REASON = "worse answers"


@pytest.fixture
def version(desk):
    desk.adopt()
    return desk.read(registry.get, PROJECT, "support", "2.0.0")


def sunset(desk, days=30):
    return desk.clock.now() + timedelta(days=days)


def announce(desk, version, days=30, **said):
    wanted = {"successor": "support@2.1.0", "reason": REASON, "sunset_at": sunset(desk, days)} | said
    return desk.do(service.deprecate, version, service.Announcement(**wanted))


def status(desk):
    return desk.read(registry.get, PROJECT, "support", "2.0.0").status


def test_a_deprecation_shows_in_status_evidence_and_the_verified_snapshot(desk, version):
    found = announce(desk, version)
    assert (status(desk), found.state, found.successor_ref) == (
        "deprecated",
        State.DEPRECATED,
        "support@2.1.0",
    )
    _, snapshot = desk.snapshot()
    end = snapshot.payload.versions[version.digest].deprecation
    assert (end.at, end.sunset_at, end.successor) == (desk.clock.now(), sunset(desk), "support@2.1.0")
    assert end.brownouts == list(found.brownouts)
    assert [b - a for a, b in end.brownouts] == [timedelta(minutes=5), timedelta(minutes=30)]


def test_a_move_does_not_take_an_announced_end_back(desk, version):
    announce(desk, version)
    desk.do(registry.advance, version.digest, "monitoring", "evt_1")
    assert status(desk) == "deprecated"


def test_until_the_sunset_a_deprecation_is_undone_and_the_snapshot_forgets_it(desk, version):
    announce(desk, version)
    assert desk.do(service.undo, version, "needed on").state == State.UNDONE
    assert status(desk) == "approved"
    _, snapshot = desk.snapshot()
    assert snapshot.payload.versions[version.digest].deprecation is None
    assert announce(desk, version).state == State.DEPRECATED


def test_after_the_sunset_nothing_is_undone(desk, version):
    announce(desk, version)
    desk.clock.advance(30 * 86_400)
    with pytest.raises(Conflict, match=r"sunset of support@2\.0\.0 is over"):
        desk.do(service.undo, version, "too late")


def test_retirement_names_every_reason_and_a_waiver_by_another_person_lets_it_go(desk, version):
    announce(desk, version)
    with pytest.raises(Refused) as early:
        desk.do(service.retire, version, REASON)
    assert [one.id for one in early.value.reasons] == ["sunset", "live"]
    until = sunset(desk, 60)
    waiver = (WaiverKind.ACCEPTS_OUTAGE, until, "they know")
    with pytest.raises(Refused, match="does not waive"):
        desk.do(service.waive, version, *waiver)
    desk.do(service.waive, version, *waiver, actor=SECOND)
    desk.clock.advance(30 * 86_400)
    assert desk.do(service.retire, version, REASON).state == State.RETIRED
    assert status(desk) == "retired"
    _, snapshot = desk.snapshot()
    gone = snapshot.payload.gone["support"]
    assert (gone.status, gone.successor) == (410, "support@2.1.0")


def test_a_waiver_that_is_over_waives_nothing(desk, version):
    announce(desk, version)
    desk.do(service.waive, version, WaiverKind.MOVES_LATER, sunset(desk, 10), "soon", actor=SECOND)
    desk.clock.advance(31 * 86_400)
    with pytest.raises(Refused, match=r"production/support serves it"):
        desk.do(service.retire, version, REASON)


def test_what_nobody_depends_on_retires_after_its_sunset(desk, version):
    unused = desk.do(lambda tx: registry.get(tx, PROJECT, "support", "2.1.0"))
    announce(desk, unused, successor="support@2.0.0")
    desk.clock.advance(30 * 86_400)
    assert desk.do(service.retire, unused, REASON).state == State.RETIRED
    assert desk.do(registry.advance, unused.digest, "monitoring", "evt_1").status == "retired"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"days": 0}, "must lie in the future"),
        ({"days": 6 * 366}, "within five years"),
        ({"reason": " "}, "needs a reason"),
        ({"successor": "support@2.0.0"}, "cannot succeed"),
        (
            {"brownouts": [(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 1, tzinfo=UTC))]},
            "in the past",
        ),
    ],
)
def test_a_deprecation_that_makes_no_sense_is_refused(desk, version, said, error):
    with pytest.raises(Invalid, match=error):
        announce(desk, version, **said)


def test_what_is_deprecated_is_not_deprecated_again(desk, version):
    announce(desk, version)
    with pytest.raises(Conflict, match="is deprecated or retired already"):
        announce(desk, version)


def test_notices_name_who_still_depends_each_once_and_missed_ones_are_not_repeated(desk, version):
    found = announce(desk, version, days=40)
    for days, expected in ((0, []), (10, [30]), (5, [30]), (27, [30, 1]), (8, [30, 1, 0])):
        desk.clock.advance(days * 86_400 if days != 27 else 24 * 86_400)
        jobs.notify(desk.runtime)
        jobs.notify(desk.runtime)
        assert [one["days"] for one in desk.read(service.list_notices, found)] == expected
    (first, *_) = desk.read(service.list_notices, found)
    assert first["dependents"] == ["production/support"]


def test_each_brown_out_is_told_of_a_day_before_once_and_not_when_it_is_over(desk, version):
    start = desk.clock.now() + timedelta(days=10)
    spans = [(start + timedelta(days=n), start + timedelta(days=n, hours=1)) for n in (0, 1, 5)]
    found = announce(desk, version, days=40, brownouts=spans)

    def told(advance_days):
        desk.clock.advance(advance_days * 86_400)
        jobs.notify(desk.runtime)
        jobs.notify(desk.runtime)
        return desk.read(store.told_brownouts, found.id)

    assert told(8.9) == []
    assert told(0.2) == [spans[0][0]]
    assert told(4.8) == [spans[0][0]]  # the second went by while nobody looked; the third is not near
    assert told(0.2) == [spans[0][0], spans[2][0]]
    assert desk.events("retirement.brownout.") == ["retirement.brownout.neared"] * 2


def test_versions_whose_base_model_ends_are_listed_and_told_once(desk, version):
    base = version.base_model or version.upstream_model
    ends_on = (desk.clock.now() + timedelta(days=80)).date()
    desk.do(providers.date_base_model, base, ends_on, "https://example.com/ends")
    assert desk.read(service.touched, PROJECT, timedelta(days=79)) == []
    found = desk.read(service.touched, PROJECT, timedelta(days=80))
    assert [(one.version.ref, one.ends_on, one.live) for one in found] == [
        ("support@2.0.0", ends_on, ("production",)),
    ]
    jobs.notify(desk.runtime)
    jobs.notify(desk.runtime)
    assert desk.events("retirement.") == ["retirement.base_model.neared"]


def test_the_claim_of_an_end_holds_no_reason_and_no_person(desk, version):
    announce(desk, version, reason="secret words")
    claim = desk.read(evidence.latest, PROJECT, "deprecation", version.digest)
    assert set(claim.value) == {"name", "state", "at", "sunset_at", "successor", "brownouts"}
    assert "secret words" not in str(claim.value)
