"""What is live, looked at by people: figures, pictures, periods."""

from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from assent.delivery.domain.events import SamplingSet
from assent.kernel.tx import SYSTEM
from assent.monitoring import service as monitoring
from assent.monitoring.store.sample_tables import samples
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of

ADDRESS = f"/projects/{PROJECT}/monitoring"


def serve(console, n, number="2.0.0", environment="production", **changes):
    """Have a version answer some calls."""
    digest, rows = console.version(number).digest, []
    for _ in range(n):
        console.n += 1
        row = {
            "kind": "call", "at": console.clock.now().isoformat(), "environment": environment, "route": "support",
            "variant": "stable", "version": digest, "serial": 1, "rule": None, "reason": "static",
            "rollout": None, "unit": f"u{console.n}", "sticky": True, "stream": False,
            "completion_id": f"c{console.n}", "status": 200, "error_class": None, "latency_s": 0.2,
            "ttft_s": 0.1, "tokens_in": 100, "tokens_out": 50, "finish_reason": "stop", "response_model": "m",
            "as_approved": True, "application": "key_1",
        }  # fmt: skip
        rows.append({**row, **changes})
    envelope = {"batch": f"b{console.n}", "instance": "g", "project": PROJECT, "n_dropped": 0}
    body = msgspec.json.encode({**envelope, "observations": rows})
    receipt = console.do(SYSTEM, lambda tx: monitoring.take(tx, monitoring.parse(body, tx.now()), body))
    assert receipt["n_accepted"] == n, receipt


@pytest.fixture
def served(console):
    console.register("3.0.0", base_model="gpt-4o", upstream_model="gpt-4o")
    serve(console, 150)
    serve(console, 120, "3.0.0", variant="canary")
    serve(console, 2, "3.0.0", status=500, environment="staging", unguarded=True)
    return console


def test_versions_stand_side_by_side_with_intervals_and_a_table(served):
    page = served.signed_in("ada").get(ADDRESS)
    words = words_of(page)
    assert page.status_code == 200
    assert "support@2.0.0" in words
    assert "support@3.0.0" in words
    assert page.text.count('<figure class="intervals">') >= 3
    assert "Latency, 95 of 100 calls are faster" in words
    assert "per 1,000 calls [" in words
    assert "gpt-4o: 2.5 in and 10 out per million tokens, USD, as of" in words
    assert "272 requests, cost" in words
    assert "2 calls passed a guardrail that gave no answer and fails open." in words
    assert 'aria-current="page">Monitoring' in page.text


def test_a_project_that_is_not_there_has_no_page(served):
    gone = served.signed_in("root").get("/projects/nowhere/monitoring")
    assert gone.status_code == 404
    assert "There is no project &#39;nowhere&#39;." in gone.text


def test_a_place_a_name_and_a_period_narrow_it(served):
    browser = served.signed_in("ada")
    words = words_of(browser.get(ADDRESS, params={"environment": "staging", "by": "variant"}))
    assert "2 requests" in words
    assert "support@3.0.0, stable" in words
    assert "too few calls for an interval" in words
    assert "Nothing was served" in words_of(browser.get(ADDRESS, params={"name": "other"}))
    served.clock.advance(2 * 3600)
    served.sign_in()
    browser = served.signed_in("ada")
    assert "Nothing was served" in words_of(browser.get(ADDRESS))
    assert "272 requests" in words_of(browser.get(ADDRESS, params={"period": "24h"}))
    start = served.clock.now() - timedelta(hours=3)
    asked = {"period": "custom", "start": f"{start:%Y-%m-%dT%H:%M}", "end": ""}
    assert "272 requests" in words_of(browser.get(ADDRESS, params=asked))


def test_what_is_no_time_is_said_and_the_live_part_comes_alone(served):
    browser = served.signed_in("ada")
    page = browser.get(ADDRESS, params={"period": "custom", "start": "soon"})
    assert page.status_code == 422
    assert "'soon' is no time." in words_of(page)
    part = browser.get(f"{ADDRESS}/live", params={"period": "7d"})
    assert "<html" not in part.text
    assert "period=7d" in part.text
    assert browser.get(ADDRESS, params={"period": "never"}).status_code == 200


def test_who_may_not_read_figures_is_refused(console):
    console.person("greta", "gateway")
    assert console.signed_in("greta").get(ADDRESS).status_code == 403


def test_judged_quality_stands_with_its_interval_and_its_judge(served):
    sample = {"id": "a" * 32, "sealed": "A" * 80, "n_redacted": 0, "is_cut": True}
    digest = served.version("2.0.0").digest
    row = {
        "kind": "sample", "at": served.clock.now().isoformat(), "environment": "production", "route": "support",
        "variant": "stable", "version": digest, "rule": None, "reason": "static", "rollout": None, "unit": "u1",
        "completion_id": "c1", **sample,
    }  # fmt: skip
    event = SamplingSet(
        project=PROJECT, environment="production", name="support", judge="polite", share="0.05", per_day=500,
        keep_days=7, enabled=True, salt="s", key="k",
    )  # fmt: skip
    served.do(SYSTEM, lambda tx: tx.record(event))
    body = msgspec.json.encode({"batch": "s1", "instance": "g", "project": PROJECT, "observations": [row]})
    served.do(SYSTEM, lambda tx: monitoring.take(tx, monitoring.parse(body, tx.now()), body))
    page = words_of(served.signed_in("ada").get(ADDRESS))
    assert "Judged quality" in page
    assert "support@2.0.0, stable production none yet 0 0 0 1 0 0 1" in page
    assert "support production polite may not grade 5 % 500 of 500" in page
    assert "the judge polite has no passport for support" in page
    scored = sa.update(samples).values(state="judged", score=0.25, judged_at=0.0)
    served.do(SYSTEM, lambda tx: tx.conn.execute(scored))
    page = served.signed_in("ada").get(ADDRESS)
    assert "0.250 [0.000, 0." in words_of(page)
    assert "What judges say, 1 is good" in page.text
    assert "Judged quality" not in words_of(served.signed_in("ada").get(ADDRESS, params={"name": "other"}))
