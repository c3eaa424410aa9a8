"""What Prometheus reads, parsed by its own library."""

import re
import socket
import urllib.request

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from assent.kernel.errors import Conflict
from assent.monitoring import service
from assent.monitoring.service import exposition
from tests.architecture.house_rules import ROOT
from tests.monitoring.conftest import CANARY, PLAN, STABLE
from tests.monitoring.judging import judging, sample, set_up, tick


def families(text):
    return {one.name: one.samples for one in text_string_to_metric_families(text)}


def test_the_server_tells_who_holds_a_token_and_nobody_else(served):
    desk = served.desk
    desk.send(desk.call("u1", status=500), desk.call("u2", "canary", ttft_s=0.1), n_dropped=3)
    url = f"{served.url}/metrics"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"authorization": f"Bearer {served.tokens['gateway']}"}).status_code == 403
    answer = httpx.get(url, headers={"authorization": f"Bearer {served.tokens['auditor']}"})
    assert answer.headers["content-type"].startswith("text/plain")
    found = families(answer.text)
    calls = {sample.labels["variant"]: sample.value for sample in found["assent_window_calls"]}
    assert calls == {"stable": 1, "canary": 1}
    assert [sample.value for sample in found["assent_observations_dropped"]] == [3]
    assert [sample.value for sample in found["assent_rollout_share"]] == [0.25]
    quantiles = {
        sample.labels["quantile"]: sample.value
        for sample in found["assent_window_latency_seconds"]
        if sample.labels["variant"] == "canary"
    }
    assert quantiles == pytest.approx({"0.50": 0.2, "0.95": 0.2, "0.99": 0.2}, rel=0.02)
    assert found["assent_ledger_leaves"][0].value > 3
    assert "process_resident_memory_bytes" in found


def test_what_judges_say_of_a_day_is_told_and_summed_up_once_a_minute(desk):
    desk.plan(PLAN, kind="model")

    def scraped():
        text = exposition.exposition(exposition.registry_of(desk.runtime)).decode()
        return {
            (name.removeprefix("assent_judged_"), one.labels["version"]): one.value
            for name, samples in families(text).items()
            if name.startswith("assent_judged_")
            for one in samples
        }

    def send(unit, variant, answer):
        call = desk.call(unit, variant)
        desk.send(call, sample(desk, call, answer))

    assert scraped() == {}
    with judging() as judge:
        set_up(desk, judge)
        for unit, answer in (("a", "Fine."), ("a", "BAD"), ("b", "Fine."), ("c", "vague")):
            send(unit, "stable", answer)
        send("d", "canary", "vague")
        judge.says = lambda asked: "hm" if "vague" in asked else "bad" if "BAD" in asked else "good"
        tick(desk)
    send("e", "canary", "Fine.")
    assert scraped() == {}, "a minute's figures stand"
    desk.clock.advance(60)
    none = dict.fromkeys(("waiting", "unreadable", "failed", "units"), 0)
    stable = {**none, "score": 0.75, "units": 2, "unreadable": 1}
    canary = {**none, "waiting": 1, "unreadable": 1}
    assert scraped() == {
        (name, version): value
        for version, found in ((STABLE, stable), (CANARY, canary))
        for name, value in found.items()
    }
    (shown,) = desk.read(service.quality.figures, "acme", (0, 2**40), {"variant": "stable"})
    assert (shown["score"]["mean"], shown["score"]["n"]) == (0.75, 2)
    desk.clock.advance(exposition.DAY_S)
    assert scraped() == {}


def test_every_metric_is_in_the_list_of_them(desk):
    text = exposition.exposition(exposition.registry_of(desk.runtime)).decode()
    told = set(re.findall(r"^# TYPE (assent_\w+)", text, re.MULTILINE))
    told |= {"assent_spans_behind_seconds", "assent_spans_lost"}  # where spans go to a collector
    rows = re.findall(r"^\| (`assent_.+?) \|", (ROOT / "docs/metrics.md").read_text("utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} == told


def test_other_engines_read_the_verdict_of_a_rollout_even_after_its_end(served):
    desk = served.desk

    def verdict():
        text = exposition.exposition(exposition.registry_of(desk.runtime)).decode()
        (one,) = families(text)["assent_rollout_verdict"]
        assert (one.labels["project"], one.labels["rollout"]) == ("acme", "ro_1")
        return one.value

    assert verdict() == 0
    desk.traffic(30, canary_down=0.9)
    assert desk.rollout().state == "rolled_back"
    assert verdict() == -1


def test_a_worker_tells_on_the_loopback_where_a_port_is_set(running):
    with exposition.listening(running.runtime, 0) as none:
        assert none is None
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        bound.listen()
        with pytest.raises(Conflict, match="cannot be served"), exposition.listening(running.runtime, port):
            pass
    with (
        exposition.listening(running.runtime, port) as open_port,
        urllib.request.urlopen(f"http://127.0.0.1:{open_port}/metrics") as answer,
    ):
        found = families(answer.read().decode())
    assert [sample.value for sample in found["assent_rollout_share"]] == [0.25]
