"""A version whose answers a judge finds worse is taken back: live calls, gateway, server, worker's ticks, judge."""

import sys
import threading
from decimal import Decimal
from pathlib import Path

import httpx
import sqlalchemy as sa

from assent.app import create_app
from assent.delivery import service as delivery
from assent.delivery.domain.sampling import Wanted
from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.ledger import replay
from assent.monitoring import jobs
from assent.monitoring import service as monitoring
from assent.monitoring.store.sample_tables import contents
from assent.providers import service as providers
from tests.delivery.releases import PROJECT, set_up, until
from tests.flows.releasing import OPERATOR, start_rollout
from tests.monitoring.conftest import listening
from tests.monitoring.judging import calibrate, document, judging

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("gateway", "client")]
from plane import Gateway, settings  # noqa: E402 -- found on the path set above

PLACE = delivery.Place(project=PROJECT, environment="production", name="support")
PLAN = {
    "steps": [{"share": 0.5, "min_time_s": 60, "max_time_s": 600}, {"share": 1, "min_time_s": 1}],
    "guards": [{"metric": "judge"}],
    "detect": {"metric": "judge", "from": 0.05, "to": 0.9},
    "expected_units_per_s": 10,
    "window_s": 2,
    "block_s": 1,
}


class Jobs(list):
    """Jobs that nobody does: what this story is about is done by ticks."""

    def enqueue(self, _conn, job, arguments):
        self.append((job, arguments))


def populate(runtime, judge):
    """Make the system with 2.0.0 live, and have the judge grade all of its calls; gives both tokens."""
    with runtime.session.begin(SYSTEM) as tx:
        set_up(tx)
        for name in ("acme", "judges"):
            providers.set_provider(tx, PROJECT, name, providers.Upstream(base_url=judge.url))
        gateway = identity.add_service(tx, "gateway-1")
        identity.bind(tx, gateway.id, "gateway")
        token = identity.issue_token(tx, gateway.id, "gateway", None)
        key = identity.issue_key(tx, PROJECT, "production", "traffic", ["*"])
        calibrate(tx, document(), project=PROJECT, system="support")
    live = {"project": PROJECT, "environment": "production", "subject": "support@2.0.0"}
    wanted = Wanted(judge="polite", share=Decimal(1), per_day=10_000, keep_days=7)
    with runtime.session.begin(OPERATOR) as tx:
        delivery.adopt(tx, delivery.Adoption(**live, reason="it was live"))
        delivery.set_sampling(tx, PLACE, wanted, runtime.signers.secret, "to watch")
    return token, key


def traffic(url, key, ended):
    """Ask as ever new users until it has ended."""
    with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=10, trust_env=False) as http:
        n = 0
        while not ended.wait(0.05):
            n += 1
            said = {"model": "support", "messages": [{"role": "user", "content": f"I am u{n}@example.com"}]}
            assert http.post(f"{url}/v1/chat/completions", json={**said, "user": f"u{n}"}).status_code == 200


def test_a_canary_whose_answers_the_judge_finds_worse_is_rolled_back_on_live_calls(tmp_path, monkeypatch):
    monkeypatch.setenv("K", "sk-provider")
    installed = load(data_dir=tmp_path / "data")
    prepare(installed)
    with judging() as judge, opened(installed, enqueue=Jobs()) as runtime:
        token, key = populate(runtime, judge)
        judge.says = lambda asked: "bad" if "support-2.1.0" in asked else "good"
        with listening(create_app(runtime)) as port:
            place = {"project": PROJECT, "token": token}
            gateway = Gateway(settings(f"http://127.0.0.1:{port}", tmp_path / "gateway", **place))
            ended = threading.Event()
            users = threading.Thread(target=traffic, args=(gateway.url, key, ended))
            try:
                ready = gateway.url + "/readyz"
                until(lambda: httpx.get(ready, trust_env=False).json()["ready"], "readiness")
                rollout = start_rollout(runtime, "support@2.1.0", PLAN)
                users.start()
                state = until(lambda: tick(runtime, rollout), "the end of the rollout", 60)
            finally:
                ended.set()
                users.join(15)
                gateway.stop()
        with runtime.session.read() as reader:
            (incident,), _ = monitoring.incidents.list_(reader, PROJECT)
            kept = reader.conn.execute(sa.select(contents.c.sealed)).scalars().all()
            figures = monitoring.live.rollout_figures(reader, PROJECT, rollout)
            assert replay.check(reader).differences == []
    assert (state, incident.guard) == ("rolled_back", "judge")
    assert any("I am [email]" in asked and "I am support-2.1.0." in asked for asked in judge.asked)
    assert not any("example.com" in asked for asked in judge.asked if "BEGIN" in asked)
    assert kept
    assert not any("support" in sealed for sealed in kept)
    (guard,) = figures["guards"]
    assert float(guard["canary_rate"]) > 0.9
    assert float(guard["stable_rate"]) < 0.1
    assert figures["alarms"] == []


def tick(runtime, rollout):
    """Do what the worker does, and give the rollout's state once it has ended."""
    jobs.judge(runtime)
    jobs.watch(runtime)
    with runtime.session.read() as reader:
        found = str(delivery.get(reader, rollout).state)
    return found if found in {"promoted", "rolled_back", "aborted"} else None
