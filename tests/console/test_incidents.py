"""Incidents by form: opened, noted, over, reviewed; and those that guards open."""

from assent.monitoring import service as monitoring
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of

ADDRESS = f"/projects/{PROJECT}/incidents"
NEW = {"title": "wrong <b>language", "environment": "production", "severity": "high", "name": "support"}


def test_an_incident_is_opened_and_carried_to_its_review(console):
    console.adopt()
    browser = console.signed_in("otto")
    page = browser.get(ADDRESS)
    assert "There has been none." in words_of(page)
    answer = browser.submit(page, ADDRESS, **NEW)
    assert answer.status_code == 303
    here = answer.headers["location"]
    for step, typed in (
        ("acknowledge", {}), ("note", {"text": "since noon"}), ("mitigate", {}), ("resolve", {"text": "rolled back"}),
    ):  # fmt: skip
        page = browser.get(here)
        console.clock.advance(60)
        assert browser.submit(page, f"{here}/{step}", **typed).status_code == 303, step
    page = browser.get(here)
    wrong = browser.submit(page, f"{here}/review", text="why", causes="haste", actions="no owner")
    assert wrong.status_code == 422
    assert "names no owner" in words_of(wrong)
    assert ">why</textarea>" in wrong.text
    assert (
        browser.submit(
            page, f"{here}/review", text="why", causes="haste\n", actions="ada: add cases"
        ).status_code
        == 303
    )
    page = browser.get(here)
    words = words_of(page)
    assert "<b>language" not in page.text
    assert "Reviewed" in words
    assert "Acknowledged after 1 min Mitigated after 3 min Resolved after 4 min" in words
    assert "add cases ada not set" in words
    assert "2.0.0 adopted in production" in words
    assert "“since noon”" in words
    assert "4 min" in words_of(browser.get(ADDRESS))


def test_what_is_wrong_is_said_beside_what_was_typed(console):
    browser = console.signed_in("otto")
    page = browser.get(ADDRESS)
    answer = browser.submit(page, ADDRESS, **{**NEW, "title": " ", "severity": "bad"})
    assert answer.status_code == 422
    assert "is no severity" in words_of(answer)
    assert 'value="support"' in answer.text
    opened = console.do("otto", monitoring.incidents.open_, PROJECT, monitoring.incidents.NewIncident(
        environment="production", title="x"))  # fmt: skip
    here = f"{ADDRESS}/{opened.id}"
    fields = browser.fields(browser.get(here), f"{here}/note")
    answer = browser.post(f"{here}/dance", data=fields, headers={"origin": "http://127.0.0.1:8400"})
    assert answer.status_code == 409
    assert browser.get(f"{ADDRESS}/inc_none").status_code == 404


def test_a_guards_incident_shows_its_figures_and_its_rollout(console):
    rollout = console.running(block_s=1)
    console.traffic(rollout, 20, canary_down=1.0)
    (found,) = console.read(monitoring.incidents.list_, PROJECT)[0]
    page = console.signed_in("rita").get(f"{ADDRESS}/{found.id}")
    words = words_of(page)
    assert "evidence" in words
    assert "Mitigated after 0 s" in words
    assert f"/rollouts/{rollout.id}" in page.text
    assert "Rollout rolled back (guard)" in words
    assert "I am on it" not in words
