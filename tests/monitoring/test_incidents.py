import pytest

from assent.identity import service as identity
from assent.identity.domain import ProjectCreated
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.monitoring.domain.events import IncidentOpened
from assent.monitoring.service import incidents


def opened(desk, *names, rollout="ro_1"):
    for name in names:
        desk.record(
            IncidentOpened(
                incident=name,
                project="acme",
                environment="production",
                rollout=rollout,
                route="assistant",
                subject="sha256:" + "cc" * 32,
                guard="error",
                total="21",
                threshold="20",
                summary="error: canary 0.5",
                last_block=3,
            )
        )


def act(desk, function, *arguments):
    with desk.writing() as tx:
        return function(tx, "acme", *arguments)


def test_an_incident_goes_from_open_to_reviewed(desk):
    opened(desk, "inc_1")
    assert incidents.state_of(desk.read(incidents.get, "acme", "inc_1")) == "open"
    assert incidents.state_of(act(desk, incidents.acknowledge, "inc_1")) == "acknowledged"
    resolved = act(desk, incidents.resolve, "inc_1", "  rolled back by the guard ")
    assert incidents.state_of(resolved) == "resolved"
    assert desk.read(incidents.text_of, resolved.note) == "rolled back by the guard"
    reviewed = act(desk, incidents.review, "inc_1", "the suite lacks such cases")
    assert incidents.state_of(reviewed) == "reviewed"
    assert desk.read(incidents.text_of, reviewed.review) == "the suite lacks such cases"
    assert reviewed.reviewed_by == "system:assent"


def test_nothing_happens_to_an_incident_twice_or_out_of_order(desk):
    opened(desk, "inc_1")
    with pytest.raises(Conflict, match="still open"):
        act(desk, incidents.review, "inc_1", "early")
    act(desk, incidents.acknowledge, "inc_1")
    with pytest.raises(Conflict, match="acknowledged by"):
        act(desk, incidents.acknowledge, "inc_1")
    act(desk, incidents.resolve, "inc_1", "done")
    with pytest.raises(Conflict, match="resolved by"):
        act(desk, incidents.resolve, "inc_1", "again")
    act(desk, incidents.review, "inc_1", "learned")
    with pytest.raises(Conflict, match="reviewed by"):
        act(desk, incidents.review, "inc_1", "again")


def test_an_incident_of_another_project_is_not_there(desk):
    opened(desk, "inc_1")
    with pytest.raises(NotFound):
        desk.read(incidents.get, "other", "inc_1")


@pytest.mark.parametrize("text", ["", "   ", "x" * 20_001])
def test_a_note_says_something_and_is_bounded(desk, text):
    opened(desk, "inc_1")
    with pytest.raises(Invalid, match="characters"):
        act(desk, incidents.resolve, "inc_1", text)


def test_an_erased_note_is_gone_and_the_incident_stays(desk):
    opened(desk, "inc_1")
    found = act(desk, incidents.resolve, "inc_1", "names somebody")
    desk.session.ports.blobs.erase(found.note)
    assert desk.read(incidents.text_of, found.note) is None
    assert incidents.state_of(desk.read(incidents.get, "acme", "inc_1")) == "resolved"


def test_incidents_are_listed_newest_first_by_pages(desk):
    opened(desk, "inc_1", "inc_2")
    opened(desk, "inc_3", rollout="ro_2")
    first, cursor = desk.read(incidents.list_, "acme", limit=2)
    assert ([i.id for i in first], cursor) == (["inc_3", "inc_2"], "inc_2")
    rest, cursor = desk.read(incidents.list_, "acme", limit=2, cursor=cursor)
    assert ([i.id for i in rest], cursor) == (["inc_1"], None)
    assert [i.id for i in desk.read(incidents.list_, "acme", rollout="ro_2")[0]] == ["inc_3"]


@pytest.fixture
def place(running):
    running.record(ProjectCreated(project="acme", title="Acme"))
    with running.writing() as tx:
        identity.create_environment(tx, "acme", "production", protected=True)
    return running


def test_a_person_opens_an_incident_and_the_clock_runs(place):
    new = incidents.NewIncident(environment="production", title=" wrong language ", route="assistant")
    found = act(place, incidents.open_, new)
    assert (found.guard, found.severity, found.route) == (None, "high", "assistant")
    assert place.read(incidents.text_of, found.title) == "wrong language"
    place.clock.advance(60)
    act(place, incidents.acknowledge, found.id)
    place.clock.advance(120)
    assert incidents.state_of(act(place, incidents.mitigate, found.id)) == "mitigated"
    with pytest.raises(Conflict, match="mitigated or resolved"):
        act(place, incidents.mitigate, found.id)
    place.clock.advance(420)
    ended = act(place, incidents.resolve, found.id, "a new prompt")
    place.clock.advance(1000)
    assert incidents.clock(ended, place.clock.now()) == {
        "to_acknowledge_s": 60, "to_mitigate_s": 180, "to_resolve_s": 600, "open_s": 600,
    }  # fmt: skip


def test_a_guards_incident_is_mitigated_by_the_rollback_it_comes_with(desk):
    opened(desk, "inc_1")
    clock = incidents.clock(desk.read(incidents.get, "acme", "inc_1"), desk.clock.now())
    assert (clock["to_mitigate_s"], clock["to_acknowledge_s"]) == (0, None)


def test_its_timeline_is_drawn_from_the_ledger(place):
    new = incidents.NewIncident(environment="production", title="slow", rollout="ro_1")
    found = act(place, incidents.open_, new)
    assert (found.route, found.subject) == ("assistant", "sha256:" + "cc" * 32)
    act(place, incidents.note, found.id, "the provider says so")
    act(place, incidents.resolve, found.id, "the provider mended it")
    place.clock.advance(60)
    types = [leaf.type for leaf in place.read(incidents.timeline, found)]
    assert types[:3] == ["delivery.version.adopted", "delivery.rollout.planned", "delivery.rollout.started"]
    assert types[3:] == [f"monitoring.incident.{what}" for what in ("opened", "noted", "resolved")]
    lonely = act(place, incidents.open_, incidents.NewIncident(environment="production", title="?"))
    assert [leaf.type for leaf in place.read(incidents.timeline, lonely)] == ["monitoring.incident.opened"]


def test_what_an_incident_lacks_is_said_at_once(place):
    with pytest.raises(Invalid) as wrong:
        act(
            place, incidents.open_, incidents.NewIncident(environment="production", title=" ", severity="bad")
        )
    assert {reason.id for reason in wrong.value.reasons} == {"title", "severity"}
    for new in (
        incidents.NewIncident(environment="nowhere", title="x"),
        incidents.NewIncident(environment="production", title="x", rollout="ro_none"),
        incidents.NewIncident(environment="production", title="x", alert="none"),
    ):
        with pytest.raises(NotFound):
            act(place, incidents.open_, new)


def test_a_review_has_causes_and_actions_with_owners(desk):
    opened(desk, "inc_1")
    act(desk, incidents.resolve, "inc_1", "over")
    with pytest.raises(Invalid, match="needs an owner"):
        act(desk, incidents.review, "inc_1", incidents.Review("x", (), (incidents.Action("do it", " "),)))
    assert desk.read(lambda r: incidents.review_of(r, incidents.get(r, "acme", "inc_1"))) is None
    learned = incidents.Review("x", ("haste",), (incidents.Action("add cases", "ada", "2026-12-01"),))
    found = act(desk, incidents.review, "inc_1", learned)
    assert desk.read(incidents.review_of, found) == {
        "text": "x", "causes": ["haste"], "actions": [{"what": "add cases", "owner": "ada", "due": "2026-12-01"}],
    }  # fmt: skip
