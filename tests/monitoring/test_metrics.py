"""Figures of a version: what evaluation said, what production shows, and whose they are."""

import msgspec
import pytest

from assent.evaluation import jobs
from assent.evaluation import service as evaluation
from assent.kernel.tx import SYSTEM
from assent.monitoring import service as monitoring
from assent.prompts import service as prompts
from assent.providers import service as providers
from assent.providers.domain import Upstream
from tests.approvals.shop import PROJECT
from tests.console.conftest import console, furnished  # noqa: F401 -- fixtures
from tests.evaluation.conftest import upstream  # noqa: F401 -- a fixture


@pytest.fixture
def prompt(console):  # noqa: F811
    new = prompts.NewPrompt(PROJECT, "greeting", {"text": "Hi"})
    return console.do("ada", prompts.register, new)[0]


def figures(console, version):  # noqa: F811
    return console.read(monitoring.metrics.of_version, PROJECT, version.digest)


def test_a_prompt_shows_its_runs_and_the_calls_of_what_pins_it(console, prompt, upstream):  # noqa: F811
    console.do("root", providers.set_provider, PROJECT, "acme", Upstream(base_url=upstream.url))
    upstream.answer = lambda question, n: upstream.Reply(upstream.completion("b"))
    cases = [{"id": str(n), "input": f"a{n}", "target": "b"} for n in range(40)]
    console.do("ada", evaluation.register_dataset, evaluation.NewVersion(PROJECT, "cases", cases))
    suite = {
        "dataset": "cases",
        "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "threshold": 0.5},
    }
    console.do("ada", evaluation.register_suite, evaluation.NewVersion(PROJECT, "quality", suite))
    new = evaluation.NewRun(PROJECT, "quality", prompt.ref, through="support@2.0.0")
    for _ in range(2):
        run = console.do("ada", evaluation.submit, new)
        jobs.run(console.desk.runtime, run_id=run.id)
    console.register("3.0.0", prompt=prompt.ref)
    user = console.version("3.0.0")
    observe(console, user.digest)

    found = figures(console, prompt)

    assert found["used_by"] == ["support@3.0.0"]
    (row,) = found["evaluation"]
    assert (row["suite"], row["subject"], row["verdict"], row["n"]) == (
        "quality@1.0.0",
        prompt.ref,
        "pass",
        "40",
    )
    assert row["run"] == run.id
    (live,) = found["production"]
    assert (live["ref"], live["n_calls"], live["route"]) == ("support@3.0.0", 3, "support")
    own = figures(console, user)["production"]
    assert [(one["n_calls"], one["ref"]) for one in own] == [(3, None)]


def test_a_version_of_which_nothing_is_known_has_no_figures(console, prompt):  # noqa: F811
    found = figures(console, prompt)
    assert (found["evaluation"], found["production"], found["used_by"]) == ([], [], [])


def observe(console, version):  # noqa: F811
    at = console.clock.now().isoformat()
    calls = [
        {
            "kind": "call", "at": at, "environment": "production", "route": "support", "variant": "stable",
            "version": version, "serial": 1, "rule": None, "reason": "static", "rollout": None, "unit": f"u{n}",
            "sticky": True, "stream": False, "completion_id": f"c{n}", "status": 200, "error_class": None,
            "latency_s": 0.2, "ttft_s": None, "tokens_in": 1, "tokens_out": 1, "finish_reason": "stop",
            "response_model": "m", "as_approved": True, "application": "key_1",
        }
        for n in range(3)
    ]  # fmt: skip
    body = msgspec.json.encode(
        {"batch": "b1", "instance": "gateway", "project": PROJECT, "n_dropped": 0, "observations": calls}
    )
    taken = console.do(SYSTEM, lambda tx: monitoring.take(tx, monitoring.parse(body, tx.now()), body))
    assert not taken.get("wrong"), taken
