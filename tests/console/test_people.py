"""People and groups of a project, and changes that take a second person."""

import html

from assent.identity import service as identity
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of

ADDRESS = "/projects/shop/people"
MEMBERS = f"{ADDRESS}/members"


def waiting(console):
    """A policy names the reviewers; an administrator asks for bob to join them."""
    console.bind()
    root = console.signed_in("root")
    answer = root.submit(root.get(ADDRESS), MEMBERS, group="reviewers", person="bob", verb="add")
    assert answer.status_code == 303
    (change,) = console.read(identity.list_changes, PROJECT)
    return change


def members(console, group="reviewers"):
    return console.read(identity.members_of, PROJECT, group)


def test_it_shows_who_may_do_what_and_who_is_in_which_group(console):
    words = words_of(console.signed_in("rita").get(ADDRESS))

    assert "otto person operator (everywhere)" in words
    assert "reviewers rita since" in words
    assert "Change a group" not in words


def test_a_group_that_no_policy_names_is_changed_at_once(console):
    root = console.signed_in("root")

    for verb, is_in in (("add", True), ("remove", False)):
        answer = root.submit(root.get(ADDRESS), MEMBERS, group="risk", person="ada", verb=verb)
        assert answer.status_code == 303
        assert (console.people["ada"].id in members(console, "risk")) is is_in


def test_a_group_that_a_policy_names_takes_a_second_person(console):
    change = waiting(console)
    confirmation = f"{ADDRESS}/changes/{change.id}/confirmations"
    assert console.people["bob"].id not in members(console)
    assert confirmation not in console.signed_in("root").get(ADDRESS).text
    rita = console.signed_in("rita")
    page = rita.get(ADDRESS)
    assert "bob joins reviewers , asked by root" in words_of(page)

    assert rita.submit(page, confirmation).status_code == 303

    assert console.people["bob"].id in members(console)
    again = rita.submit(page, confirmation) if confirmation in rita.get(ADDRESS).text else None
    assert again is None


def test_a_change_is_withdrawn_and_then_cannot_be_confirmed(console):
    change = waiting(console)
    rita = console.signed_in("rita")
    page = rita.get(ADDRESS)

    assert rita.submit(page, f"{ADDRESS}/changes/{change.id}/withdrawals").status_code == 303
    answer = rita.submit(page, f"{ADDRESS}/changes/{change.id}/confirmations")

    assert answer.status_code == 409
    assert "That was not done" in words_of(answer)
    assert console.people["bob"].id not in members(console)


def test_who_is_not_there_is_said_with_what_was_typed(console):
    root = console.signed_in("root")
    hostile = '"><script>alert(1)</script>'

    answer = root.submit(root.get(ADDRESS), MEMBERS, group="risk", person=hostile, verb="remove")

    assert answer.status_code == 404
    assert hostile not in answer.text
    assert f'value="{html.escape(hostile).replace("&quot;", "&#34;")}"' in answer.text
