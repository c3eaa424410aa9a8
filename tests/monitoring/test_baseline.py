"""What is live beside its evaluation: drift, and the watch over refusals and slow answers."""

import pytest

from assent.delivery.service import Place
from assent.evaluation import jobs as evaluations
from assent.evaluation import service as evaluation
from assent.kernel.errors import Invalid
from assent.monitoring import jobs
from assent.monitoring import service as monitoring
from assent.monitoring.domain.kinds import FINISHES, Kind
from assent.providers import service as providers
from assent.providers.domain import Upstream
from tests.approvals.shop import PROJECT
from tests.console.conftest import console, furnished  # noqa: F401 -- fixtures
from tests.console.test_monitoring import serve
from tests.evaluation.conftest import upstream  # noqa: F401 -- a fixture

HERE = Place(project=PROJECT, environment="production", name="support")
N_CASES = 220


@pytest.fixture
def evaluated(console, upstream):  # noqa: F811
    """A shop whose live version passed a suite of 220 cases."""
    console.adopt()
    console.do("root", providers.set_provider, PROJECT, "acme", Upstream(base_url=upstream.url))
    upstream.answer = lambda question, n: upstream.Reply(upstream.completion("b"))
    cases = [{"id": str(n), "input": f"a{n}", "target": "b"} for n in range(N_CASES)]
    console.do("ada", evaluation.register_dataset, evaluation.NewVersion(PROJECT, "cases", cases))
    gate = {"metric": "exact", "threshold": 0.5}
    suite = {"dataset": "cases", "scorers": [{"kind": "exact"}], "gate": gate}
    console.do("ada", evaluation.register_suite, evaluation.NewVersion(PROJECT, "quality", suite))
    run = console.do("ada", evaluation.submit, evaluation.NewRun(PROJECT, "quality", "support@2.0.0"))
    evaluations.run(console.desk.runtime, run_id=run.id)
    assert console.read(evaluation.get_run, run.id).verdict == "pass"
    return console, run


def compared(console, suite="quality"):  # noqa: F811
    return console.read(monitoring.drift.compare_with_run, HERE, suite)


def alert(console, **condition):  # noqa: F811
    new = monitoring.alerts.NewAlert("shift", "production", condition, "support")
    console.do("otto", monitoring.alerts.set_, PROJECT, new)


def look(console, seconds=0):  # noqa: F811
    console.clock.advance(seconds)
    jobs.watch_live(console.desk.runtime)
    jobs.alert(console.desk.runtime)
    return console.read(monitoring.alerts.get, PROJECT, "shift")


def test_a_run_tells_lengths_endings_refusals_and_latency(evaluated):
    console, run = evaluated  # noqa: F811
    version = console.version("2.0.0").digest
    found = console.read(monitoring.baseline.find, PROJECT, version, "quality")
    assert (found.run.id, found.n_answers, found.n_refused) == (run.id, N_CASES, 0)
    assert all(sum(counts.values()) == N_CASES for counts in found.histograms.values())
    assert found.histograms[Kind.FINISH] == {FINISHES.index("stop"): N_CASES}
    assert len(found.latencies_s) == N_CASES
    assert min(found.latencies_s) <= found.slow_above_s <= max(found.latencies_s)
    assert console.read(monitoring.baseline.find, PROJECT, version, "other") is None


def test_longer_questions_than_those_evaluated_are_found(evaluated):
    console, run = evaluated  # noqa: F811
    (usage,) = {
        (one.answer.n_prompt_tokens, one.answer.n_completion_tokens)
        for one in console.read(evaluation.records_of, console.read(evaluation.get_run, run.id).journal)
    }
    alert(console, kind="drift", suite="quality")
    assert (
        look(console).last_says
        == "nothing drifted; support: too few calls or cases to compare; 0 comparisons"
    )
    serve(console, 220, tokens_in=usage[0], tokens_out=usage[1])
    assert compared(console).drifted == []
    assert look(console, 300).holds is False
    serve(console, 400, tokens_in=30 * usage[0], tokens_out=usage[1])
    found = monitoring.drift.document(compared(console))
    assert found["drifted"] == ["tokens_in"]
    assert found["reference"] == {"from_at": None, "to_at": None, "run": run.id, "suite": "quality@1.0.0"}
    assert found["n_comparisons"] == 3
    told = look(console, 300)
    assert told.firing
    assert told.last_says.startswith("support: tokens_in (PSI")
    assert console.read(monitoring.drift.compare_with_run, HERE, "other") is None


def test_a_version_without_a_passed_run_is_not_known(evaluated):
    console, _ = evaluated  # noqa: F811
    alert(console, kind="drift", suite="other")
    found = look(console)
    assert found.holds is None
    assert "support: passed no run of other" in found.last_says
    with pytest.raises(Invalid, match="suite is"):
        alert(console, kind="drift", suite="Not a name")


def test_the_watch_compares_refusals_and_slow_answers_with_the_run(evaluated):
    console, run = evaluated  # noqa: F811
    alert(console, kind="regression", suite="quality")
    look(console)
    (watch,) = console.read(monitoring.watch_report.list_, PROJECT)[0]
    metrics = {one["metric"]: one for one in watch.metrics}
    assert set(metrics) == {"refusal", "slow"}
    assert metrics["refusal"]["source"] == run.id
    assert (metrics["refusal"]["reference_n"], metrics["refusal"]["reference_rate"]) == (N_CASES, "0.000000")
    assert float(metrics["slow"]["reference_rate"]) == pytest.approx(0.05, abs=0.01)
    serve(console, 100, latency_s=1e-6)
    look(console, 700)
    assert look(console).holds is False
    serve(console, 100, finish_reason="content_filter", latency_s=1e-6)
    told = look(console, 700)
    assert told.firing
    assert "support: refusal 1.000" in told.last_says


def test_nothing_is_compared_with_a_run_that_is_not_there(evaluated):
    console, _ = evaluated  # noqa: F811
    alert(console, kind="regression", suite="other")
    assert look(console).last_says == "support: nothing to compare with"
