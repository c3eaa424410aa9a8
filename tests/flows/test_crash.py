"""A server that is killed in mid-canary: traffic never notices, and the rollout goes on.

Five starts of processes and a canary of real seconds: 60 s on two busy cores, most of it the starts.
"""

import json
import threading

import httpx
import pytest

from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.ledger import replay
from assent.providers import service as providers
from examples.story import desk as desks
from examples.story.processes import children
from tests.delivery.releases import PROJECT, set_up, until
from tests.flows.releasing import OPERATOR, start_rollout

PLAN = {
    "steps": [
        {"share": 0.5, "min_time_s": 4, "min_units": 5, "max_time_s": 90},
        {"share": 1, "min_time_s": 3},
    ],
    "guards": [{"metric": "thumbs_down"}],
    "detect": {"metric": "thumbs_down", "from": 0.05, "to": 0.9},
    "expected_units_per_s": 10,
    "window_s": 1,
    "block_s": 1,
}
PAUSE_S = 0.1
READY_SERVER = r"server ready on (\S+)"


class Traffic:
    """Ten requests a second by ever new users, until stopped."""

    def __init__(self, url, key):
        self.answered = {}
        self.failed = []
        self._ask = (url, key)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(15)

    def _run(self):
        url, key = self._ask
        n = 0
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=10, trust_env=False) as http:
            while not self._stop.wait(PAUSE_S):
                n += 1
                body = {
                    "model": "support",
                    "messages": [{"role": "user", "content": "hello"}],
                    "assent": {"unit": f"user-{n}"},
                }
                self._once(http, url + "/chat/completions", body)

    def _once(self, http, url, body):
        try:
            answer = http.post(url, json=body)
        except httpx.HTTPError as error:
            self.failed.append(repr(error))
            return
        if answer.status_code != 200:
            self.failed.append(answer.text)
            return
        version = answer.headers["x-assent-version"]
        self.answered[version] = self.answered.get(version, 0) + 1


def populate(runtime, provider):
    """Make the project, with 2.0.0 live; gives the tokens of the gateway and of an application."""
    with runtime.session.begin(SYSTEM) as tx:
        set_up(tx)
        upstream = providers.Upstream(base_url=f"http://127.0.0.1:{provider}/v1")
        providers.set_provider(tx, PROJECT, "acme", upstream)
        gateway = identity.add_service(tx, "gateway-1")
        identity.bind(tx, gateway.id, "gateway")
        token = identity.issue_token(tx, gateway.id, "gateway", None)
        key = identity.issue_key(tx, PROJECT, "production", "traffic", ["*"])
    adoption = delivery.Adoption(
        project=PROJECT, environment="production", subject="support@2.0.0", reason="it was live"
    )
    with runtime.session.begin(OPERATOR) as tx:
        delivery.adopt(tx, adoption)
    return token, key


@pytest.fixture
def recordings(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(
        "".join(
            json.dumps({"model": f"support-{n}", "prompt": "hello", "completion": n}) + "\n"
            for n in ("2.0.0", "2.1.0")
        )
    )
    return path


def test_a_server_killed_in_mid_canary_costs_no_answer_and_the_rollout_goes_on(
    tmp_path, recordings, monkeypatch
):
    environment = desks.environment(tmp_path, desks.free_port())
    environment.pop("ASSENT_BOOTSTRAP_TOKEN")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load()
    prepare(settings)
    with children(tmp_path / "logs", environment) as running, opened(settings) as runtime:
        provider = running.start_all(desks.provider_of([recordings]))[0]
        token, key = populate(runtime, int(provider.ready[1]))
        running.start("server", ["server"], READY_SERVER)
        running.start("worker", ["worker"], "worker ready")
        at = {"ASSENT_URL": environment["ASSENT_PUBLIC_URL"], "ASSENT_TOKEN": token}
        command = ["gateway", f"{PROJECT}/production", "--port", "0", "--data-dir", str(tmp_path / "gateway")]
        gateway = running.start("gateway", [*command, "--observe-s", "0.25"], r"ready on (\S+/v1)", at)
        ready = gateway.ready[1].removesuffix("/v1") + "/readyz"
        until(lambda: httpx.get(ready, trust_env=False).status_code == 200, "the gateway's snapshot", 15)
        with Traffic(gateway.ready[1], key) as traffic:
            until(lambda: traffic.answered.get("support@2.0.0"), "an answer", 15)
            rollout = start_rollout(runtime, "support@2.1.0", PLAN)
            until(lambda: traffic.answered.get("support@2.1.0"), "an answer of the canary", 15)

            running.kill("server")
            assert state(runtime, rollout) == ("running", 0)
            n = sum(traffic.answered.values())
            until(lambda: sum(traffic.answered.values()) > n + 5, "answers without a server", 10)
            running.start("server", ["server"], READY_SERVER)

            until(
                lambda: state(runtime, rollout)[0] not in {"running", "paused"}, "the end of the rollout", 60
            )
            running.check()
        assert state(runtime, rollout)[0] == "promoted"
        assert traffic.failed == []
        with runtime.session.read() as reader:
            assert replay.check(reader).differences == []


def state(runtime, rollout):
    with runtime.session.read() as reader:
        found = delivery.get(reader, rollout)
    return str(found.state), found.step
