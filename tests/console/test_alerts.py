"""Alerts by form: set, silenced, heard again, removed."""

from assent.monitoring import jobs
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of
from tests.console.test_monitoring import serve

ADDRESS = f"/projects/{PROJECT}/alerts"
NEW = {
    "name": "errors", "environment": "production", "route": "", "kind": "threshold", "metric": "error_rate",
    "above": "0.1", "budget": "", "factor": "", "window_s": "60", "min_n": "10",
}  # fmt: skip


def test_an_alert_is_set_fires_is_silenced_and_removed(console):
    browser = console.signed_in("otto")
    page = browser.get(ADDRESS)
    assert "Nothing is watched yet." in words_of(page)
    assert browser.submit(page, ADDRESS, **NEW).status_code == 303
    serve(console, 40, status=500)
    jobs.alert(console.desk.runtime)

    page = browser.get(ADDRESS)
    assert "errors Firing error_rate 1" in words_of(page)
    assert "Alert: errors" in words_of(browser.get(f"/projects/{PROJECT}/monitoring"))
    wrong = browser.submit(page, f"{ADDRESS}/errors/silence", length="5", reason="x")
    assert (wrong.status_code, "Say for how long" in words_of(wrong)) == (422, True)
    assert (
        browser.submit(page, f"{ADDRESS}/errors/silence", length="7200", reason="known <b>").status_code
        == 303
    )
    page = browser.get(ADDRESS)
    assert "Silenced" in words_of(page)
    assert "otto: “known <b>”" in words_of(page)
    assert browser.submit(page, f"{ADDRESS}/errors/unsilence").status_code == 303
    page = browser.get(ADDRESS)
    assert browser.submit(page, f"{ADDRESS}/errors/removal").status_code == 303
    assert "Nothing is watched yet." in words_of(browser.get(ADDRESS))


def test_every_mistake_is_said_beside_what_was_typed(console):
    browser = console.signed_in("otto")
    answer = browser.submit(
        browser.get(ADDRESS), ADDRESS, **{**NEW, "above": "much", "window_s": "soon", "route": "support"}
    )
    words = words_of(answer)
    assert answer.status_code == 422
    assert "above is 'much'." in words
    assert "window_s is 'soon'." in words
    assert 'value="support"' in answer.text


def test_who_may_only_read_sees_no_form(console):
    console.person("ines", "auditor")
    page = console.signed_in("ines").get(ADDRESS)
    assert "Set an alert" not in words_of(page)
    serve(console, 1)
