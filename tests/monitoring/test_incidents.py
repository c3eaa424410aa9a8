import pytest

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
