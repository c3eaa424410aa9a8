"""What environments ask for, its change by two people, and the backtest."""

import html

from assent.approvals import service as approvals
from tests.approvals.shop import GROUND, PROJECT
from tests.approvals.test_policies import STRICT, register, released
from tests.console.shop import words_of

ADDRESS = "/projects/shop/policies"


def proposed(console):
    console.bind()
    console.adopt()
    request = released(console)
    version = register(console, "strict", STRICT)
    console.do("root", approvals.bind_policy, PROJECT, "production", version.ref)
    return request


def test_each_environment_says_what_it_asks_for_and_of_whom_it_is(console):
    console.bind()
    console.person("aud", "auditor")

    words = words_of(console.signed_in("aud").get(ADDRESS))

    assert "production Asks for ground@1.0.0" in words
    assert "staging Asks for assent-none" in words
    assert "which is shipped with Assent" in words
    assert "regression suite" in words
    assert "max age days: 30" in words


def test_a_proposal_is_tested_on_the_past_and_confirmed_by_a_second_person(console):
    request = proposed(console)
    root, rita = console.signed_in("root"), console.signed_in("rita")
    assert "/confirmations" not in root.get(ADDRESS).text

    page = rita.get(ADDRESS, params={"policy": "strict@1.0.0", "environment": "production"})
    words = words_of(page)
    assert "It would have stopped 1 of 1 releases." in words
    assert "Safety suite is passed: no verdict on this digest" in words
    assert f"/projects/shop/requests/{request.id}" in page.text
    answer = rita.submit(page, f"{ADDRESS}/production/confirmations")
    assert answer.status_code == 303
    assert console.read(approvals.in_force, PROJECT, "production").ref == "strict@1.0.0"


def test_what_cannot_be_confirmed_is_said_on_the_page(console):
    proposed(console)
    rita = console.signed_in("rita")
    page = rita.get(ADDRESS)
    console.do("rita", approvals.confirm_policy, console_confirmation())

    answer = rita.submit(page, f"{ADDRESS}/production/confirmations")

    assert answer.status_code == 404
    assert "No policy is proposed for production" in words_of(answer)


def test_a_backtest_of_nothing_and_of_what_there_is_not_are_explained(console):
    console.bind()
    rita = console.signed_in("rita")

    nothing = rita.get(ADDRESS, params={"policy": "ground", "environment": "staging"})
    missing = rita.get(ADDRESS, params={"policy": "<b>x</b>@1.0.0", "environment": "production"})
    nowhere = rita.get(ADDRESS, params={"policy": "ground", "environment": "nowhere"})

    assert "0 of 0 releases" in words_of(nothing)
    assert (missing.status_code, nowhere.status_code) == (404, 404)
    assert html.escape("<b>x</b>") in missing.text
    assert "<b>x</b>" not in missing.text


def test_the_pages_of_a_project_are_linked_for_whom_they_are(console):
    console.bind("ground", GROUND)
    rita = console.signed_in("rita")

    assert f'<a href="{ADDRESS}" aria-current="page">Policies</a>' in rita.get(ADDRESS).text
    assert console.signed_in("rita").get("/").text.count("aria-current") == 0


def console_confirmation():
    return approvals.Confirmation(project=PROJECT, environment="production", policy="strict")


def test_a_group_that_is_too_small_for_its_policy_is_named(console):
    console.bind()
    conditions = [{"kind": "approvals", "factors": [{"group": "reviewers", "n": 9}]}]
    version = register(console, "many", {"title": "Many", "conditions": conditions})
    browser = console.signed_in("root")
    assert "Votes are missing for ground@1.0.0" not in words_of(browser.get(ADDRESS))
    console.do("root", approvals.bind_policy, PROJECT, "staging", version.ref)
    assert "Votes are missing for many@1.0.0: reviewers: 9 votes are asked for" in words_of(
        browser.get(ADDRESS)
    )
