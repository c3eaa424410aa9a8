"""Watches over what is live, looked at by people."""

from assent.monitoring import jobs
from assent.monitoring import service as monitoring
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of
from tests.console.test_monitoring import serve

ADDRESS = f"/projects/{PROJECT}/watches"


def watched(console):
    condition = {"kind": "regression", "above": "0.05", "metrics": "error,refusal"}
    new = monitoring.alerts.NewAlert("worse", "production", condition)
    console.do("otto", monitoring.alerts.set_, PROJECT, new)
    jobs.watch_live(console.desk.runtime)


def later(console, seconds=700):
    console.clock.advance(seconds)
    jobs.watch_live(console.desk.runtime)


def test_what_became_worse_is_drawn_beside_its_reference_with_intervals(console):
    browser = console.signed_in("ada")
    assert "Nothing is watched yet." in words_of(browser.get(ADDRESS))
    console.adopt()
    watched(console)
    page = browser.get(ADDRESS)
    assert "Unknown" in words_of(page)
    serve(console, 60)
    later(console)
    serve(console, 60, status=500)
    later(console)
    page = browser.get(ADDRESS)
    assert "support@2.0.0 Breach production" in words_of(page)
    (watch,) = console.read(monitoring.watch_report.list_, PROJECT)[0]
    page = browser.get(f"{ADDRESS}/{watch.id}")
    words = words_of(page)
    assert page.status_code == 200
    assert "Errors, per unit" in words
    assert "allowed 5 %" in words
    assert "50.00 % [" in words
    assert "support: error 1.000 (" in words
    assert page.text.count('<figure class="intervals">') == 3
    assert '<figure class="evidence">' in page.text
    assert browser.get(f"{ADDRESS}/wch_none").status_code == 404
