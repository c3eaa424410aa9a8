"""Groups that a policy names: two people change their members, whoever tries it alone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.identity import service as identity
from assent.identity.domain.memberships import Change, newly_named, why_ended, why_not_confirm
from assent.kernel.clock import FakeClock
from assent.kernel.errors import NotFound, Refused
from assent.ledger import replay

NOW = FakeClock().now()


@pytest.fixture
def people(desk):
    held = {name: desk.person(name, "admin") for name in ("root", "rita", "ada")}
    with desk.begin(held["root"]) as tx:
        identity.create_project(tx, "shop")
        identity.create_group(tx, "shop", "risk")
        identity.guard_groups(tx, "shop", ["risk", "later"])
    return held


def do(desk, who, action, *args):
    with desk.begin(who) as tx:
        return action(tx, *args)


def members(desk):
    with desk.read() as reader:
        return set(identity.members_of(reader, "shop", "risk"))


def ids_of(error):
    return {reason.id for reason in error.value.reasons}


def test_one_person_alone_changes_no_guarded_group(desk, people):
    with pytest.raises(Refused) as error:
        do(desk, people["root"], identity.add_member, "shop", "risk", "ada")
    assert ids_of(error) == {"two_people"}
    change = do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add")
    assert members(desk) == set()
    with pytest.raises(Refused) as error:
        do(desk, people["root"], identity.confirm_change, "shop", change.id)
    assert ids_of(error) == {"second_person"}
    assert members(desk) == set()


def test_another_person_confirms_and_it_is_done_once(desk, people):
    change = do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add")
    again = do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add")
    assert again == change
    desk.clock.advance(60)
    confirmed = do(desk, people["rita"], identity.confirm_change, "shop", change.id)
    assert (confirmed.state, confirmed.ended_by) == ("confirmed", people["rita"].id)
    with desk.read() as reader:
        assert identity.members_of(reader, "shop", "risk") == {people["ada"].id: desk.clock.now()}
        assert identity.list_changes(reader, "shop") == []
    with pytest.raises(Refused) as error:
        do(desk, people["rita"], identity.confirm_change, "shop", change.id)
    assert ids_of(error) == {"state"}
    assert do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add") is None


def test_leaving_takes_two_people_too(desk, people):
    change = do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add")
    do(desk, people["rita"], identity.confirm_change, "shop", change.id)
    with pytest.raises(Refused):
        do(desk, people["root"], identity.remove_member, "shop", "risk", "ada")
    leaving = do(desk, people["rita"], identity.ask_change, "shop", "risk", "ada", "remove")
    assert members(desk) == {people["ada"].id}
    do(desk, people["root"], identity.confirm_change, "shop", leaving.id)
    assert members(desk) == set()


def test_a_withdrawn_or_expired_change_is_not_confirmed(desk, people):
    change = do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add")
    assert do(desk, people["root"], identity.withdraw_change, "shop", change.id).state == "withdrawn"
    for action in (identity.confirm_change, identity.withdraw_change):
        with pytest.raises(Refused) as error:
            do(desk, people["rita"], action, "shop", change.id)
        assert ids_of(error) == {"state"}
    late = do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add")
    desk.clock.advance(7 * 86400)
    with pytest.raises(Refused) as error:
        do(desk, people["rita"], identity.confirm_change, "shop", late.id)
    assert ids_of(error) == {"expired"}
    with pytest.raises(NotFound):
        do(desk, people["rita"], identity.confirm_change, "shop", "chg_none")


def test_an_unguarded_group_changes_at_once_and_a_later_one_is_guarded_from_birth(desk, people):
    for group in ("open", "later"):
        do(desk, people["root"], identity.create_group, "shop", group)
    assert do(desk, people["root"], identity.ask_change, "shop", "open", "ada", "add") is None
    assert do(desk, people["root"], identity.ask_change, "shop", "open", "ada", "remove") is None
    assert do(desk, people["root"], identity.ask_change, "shop", "later", "ada", "add").state == "open"


def test_the_ledger_replays_to_the_same_rows(desk, people):
    change = do(desk, people["root"], identity.ask_change, "shop", "risk", "ada", "add")
    do(desk, people["rita"], identity.confirm_change, "shop", change.id)
    other = do(desk, people["root"], identity.ask_change, "shop", "risk", "rita", "add")
    do(desk, people["root"], identity.withdraw_change, "shop", other.id)
    with desk.read() as reader:
        assert replay.check(reader).equal


def change_of(state="open", asked_by="a", life=timedelta(days=1)):
    return Change("chg_1", "shop", "risk", "p", "add", state, asked_by, NOW, NOW + life, None, None)


@given(
    asker=st.sampled_from("abc"),
    confirmer=st.sampled_from("abc"),
    kind=st.sampled_from(["person", "service", "system"]),
    state=st.sampled_from(["open", "confirmed", "withdrawn"]),
    age=st.integers(0, 3),
)
def test_nobody_confirms_but_another_person_in_time(asker, confirmer, kind, state, age):
    change = change_of(state, asker)
    reasons = why_not_confirm(change, confirmer, kind, NOW + timedelta(days=age))
    fine = asker != confirmer and kind == "person" and state == "open" and age < 1
    assert (not reasons) == fine


def test_only_what_is_open_and_young_can_end():
    assert why_ended(change_of(), NOW) == []
    assert newly_named(["b", "a", "c"], {"a"}) == ["b", "c"]


def test_over_http_the_second_person_is_asked_for(any_door):
    door = any_door
    rita, ada = door.token("rita", "reviewer"), door.token("ada", "engineer")
    assert door("POST", "/v1/projects/shop/groups", json={"name": "risk"}).status_code == 201
    assert door("PUT", "/v1/projects/shop/groups/risk/members/ada").status_code == 204
    with door.installation.begin() as tx:
        identity.guard_groups(tx, "shop", ["risk"])
    asked = door("PUT", "/v1/projects/shop/groups/risk/members/rita")
    assert (asked.status_code, asked.json()["state"], asked.json()["person"]) == (202, "open", "rita")
    path = f"/v1/projects/shop/group-changes/{asked.json()['id']}"
    assert door("POST", f"{path}/confirmation").status_code == 409
    assert door("POST", f"{path}/confirmation", ada).status_code == 403
    assert [c["id"] for c in door("GET", "/v1/projects/shop/group-changes").json()["items"]] == [
        asked.json()["id"]
    ]
    done = door("POST", f"{path}/confirmation", rita)
    assert (done.status_code, done.json()["state"], done.json()["ended_by"]) == (201, "confirmed", "rita")
    assert door("POST", f"{path}/withdrawal").status_code == 409
    assert door("DELETE", "/v1/projects/shop/groups/risk/members/ada").status_code == 202
