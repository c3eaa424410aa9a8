"""A regression that a suite finds in what is live is an alert."""

import pytest
import sqlalchemy as sa

from assent.evaluation import store
from assent.monitoring import jobs
from assent.monitoring import service as monitoring
from tests.approvals.shop import PROJECT


def run(console, id_, verdict, suite="quality"):
    """Put a closed run of a suite on what is live into the table, as its projection would."""
    version = console.version("2.0.0")
    row = {
        "id": id_, "project": PROJECT, "suite": f"sha256:{suite}", "suite_ref": f"{suite}@1.0.0",
        "subject": version.digest, "subject_ref": version.ref, "fresh": True, "state": "closed",
        "submitted_at": console.clock.now(), "submitted_by": "system:assent", "verdict": verdict,
    }  # fmt: skip
    with console.desk.begin() as tx:
        tx.conn.execute(sa.insert(store.runs).values(row))


@pytest.fixture
def look(console):
    new = monitoring.alerts.NewAlert("suites", "production", {"kind": "suite"}, "support")
    console.do("otto", monitoring.alerts.set_, PROJECT, new)
    console.adopt()

    def again():
        console.clock.advance(600)
        jobs.alert(console.desk.runtime)
        return console.read(monitoring.alerts.get, PROJECT, "suites")

    return again


def test_the_newest_verdict_of_each_suite_counts(console, look):
    found = look()
    assert (found.holds, found.firing) == (None, False)
    assert "no suite has a verdict" in found.last_says
    run(console, "run_1", "fail")
    found = look()
    assert (found.firing, found.last_says) == (True, "support@2.0.0 fails quality@1.0.0 (run_1)")
    run(console, "run_2", "inconclusive", "safety")
    run(console, "run_3", "pass")
    found = look()
    assert (found.firing, found.last_says) == (False, "what is live passes 1 suites")


def test_another_name_is_not_looked_at(console, look):
    console.do("otto", monitoring.alerts.set_, PROJECT, monitoring.alerts.NewAlert(
        "suites", "production", {"kind": "suite"}, "other"))  # fmt: skip
    run(console, "run_1", "fail")
    assert look().holds is None
