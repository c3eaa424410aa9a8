"""The process around the calls: snapshots coming and going, restarts, an orderly end."""

import json
import pickle
import signal
import subprocess
import sys
import threading

import httpx
import pytest
from forge import Forge, model_document
from plane import STREAM_HEAD, Gateway, chunk, chunked, completion, events, http, settings, until

from assent.kernel.errors import Conflict, Invalid, Unavailable


def test_without_a_snapshot_calls_wait_politely(world):
    world.start()
    assert world.http.get(world.gateway.url + "/readyz").status_code == 503
    answer = world.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_snapshot")
    world.publish()
    assert world.ask().status_code == 200


def test_the_root_is_pinned_at_the_first_start(live):
    live.gateway.stop()
    live.server.forge = Forge()  # a server that was taken over shows another root; the gateway keeps its own
    serial = live.serial
    live.start()
    assert live.ready()["serial"] == serial
    live.server.publish(live.server.forge.sign(live.payload()))
    live.publish()


def test_a_root_document_may_be_given(world, tmp_path):
    world.publish()
    path = tmp_path / "given.json"
    with pytest.raises(Invalid, match="no root document"):
        world.start(root_path=path)
    path.write_bytes(world.forge.root.to_json())
    world.start(root_path=path)
    assert world.ask().status_code == 200
    assert not (world.folder / "root.json").exists()


def test_a_damaged_root_document_stops_the_start(world):
    (world.folder / "root.json").write_text("{}")
    with pytest.raises(Invalid, match="root document"):
        world.start()


def test_the_last_snapshot_serves_when_the_server_is_away(live):
    live.gateway.stop()
    live.server.envelope = b""
    live.gateway = Gateway(settings("http://127.0.0.1:1", live.folder))
    assert live.ready()["serial"] == live.serial
    assert live.ask().status_code == 200


def test_serials_are_acknowledged(live):
    live.publish()
    until(
        lambda: {"gateway": "gateway", "epoch": 1, "serial": live.serial} in live.server.acks,
        "the acknowledgement",
    )


def test_an_acknowledgement_without_an_answer_holds_up_no_rollback(live):
    live.gateway.stop()
    live.start(poll_s=60.0)
    live.server.acknowledging.clear()
    try:
        for _ in range(2):
            live.publish()  # waits until it is served
    finally:
        live.server.acknowledging.set()
    newest = {"gateway": "gateway", "epoch": 1, "serial": live.serial}
    until(lambda: newest in live.server.acks, "the acknowledgement of the newest")


def test_a_bad_or_older_snapshot_changes_nothing(live):
    good = live.serial
    older = live.payload() | {"serial": good - 1, "gone": {"assistant": {"status": 404, "reason": "x"}}}
    for envelope in (Forge().sign(live.payload()), live.forge.sign(older), b"{}"):
        live.server.publish(envelope)
        assert live.ask().status_code == 200
    assert live.ready()["serial"] == good


def test_snapshots_still_come_when_the_stream_does_not(world):
    world.server.streaming = False
    world.publish()
    world.start()
    world.publish(model_document(upstream_model="second"))
    world.ask()
    assert world.upstream.asked[0].body["model"] == "second"


def test_a_gateway_may_refuse_to_serve_a_stale_snapshot(world):
    world.publish()
    world.start(max_staleness_s=10.0)
    answer = world.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "snapshot_stale")


def test_a_call_under_way_ends_on_the_version_it_began_with(live):
    held = []
    live.upstream.answer = lambda transport, asked: held.append(transport)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(live.ask()))
    thread.start()
    until(lambda: held)
    began = live.serial
    live.publish(gone={"assistant": {"status": 404, "reason": "killed"}})
    live.upstream.do(held[0].write, http(completion()))
    thread.join(8)
    assert answers[0].status_code == 200
    assert answers[0].headers["x-assent-serial"] == str(began)
    assert live.ask().status_code == 404


def test_observations_wait_for_a_server_that_is_away_and_survive_a_restart(live):
    live.server.observing = 503
    for _ in range(5):
        live.ask()
    until(lambda: list((live.folder / "observations").glob("*.json")), "the spool")
    live.gateway.stop()
    live.server.observing = 202
    live.start()
    assert len(live.calls(5)) == 5
    until(lambda: not list((live.folder / "observations").glob("*.json")), "the empty spool")


def test_batches_name_the_environment_and_what_was_lost(live):
    live.ask()
    live.calls()
    batch = next(iter(live.server.batches.values()))
    assert {key: batch[key] for key in ("project", "environment", "gateway", "n_dropped")} == {
        "project": "acme", "environment": "production", "gateway": "gateway", "n_dropped": 0,
    }  # fmt: skip


def test_stopping_lets_calls_finish(live):
    started = []

    def answer(transport, asked):
        transport.write(STREAM_HEAD + chunked(*events(chunk("a")), end=False))
        started.append(transport)

    live.upstream.answer = answer
    received = []
    thread = threading.Thread(target=lambda: received.append(live.ask(stream=True)))
    thread.start()
    until(lambda: started)
    stopping = threading.Thread(target=live.gateway.stop)
    stopping.start()
    live.upstream.do(started[0].write, chunked(*events(chunk("b"), "[DONE]")))
    thread.join(8)
    stopping.join(8)
    assert received[0].text.endswith("data: [DONE]\n\n")
    assert live.calls()[0]["status"] == 200


def test_stopping_does_not_wait_for_ever(live):
    started = []

    def answer(transport, asked):
        transport.write(STREAM_HEAD + chunked(*events(chunk("a")), end=False))
        started.append(transport)

    live.upstream.answer = answer
    payload = live.payload()
    payload["providers"]["main"]["idle_timeout_s"] = 60
    live.publish_payload(payload)
    errors = []

    def ask():
        try:
            live.ask(stream=True)
        except httpx.HTTPError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: started)
    live.gateway.stop()
    thread.join(8)
    assert len(errors) == 1


def test_a_port_in_use_is_a_clear_error(live, tmp_path):
    with pytest.raises(Conflict, match=f"cannot listen on 127.0.0.1:{live.gateway.port}") as error:
        Gateway(settings(live.server.url, tmp_path / "other", port=live.gateway.port))
    assert "--port" in error.value.remedy


def test_a_folder_that_cannot_be_used_is_a_clear_error(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot use"):
        Gateway(settings(world.server.url, tmp_path / "file" / "x"))


def test_a_ca_file_that_is_not_there_is_a_clear_error(world, tmp_path):
    with pytest.raises(Unavailable, match="cannot use"):
        Gateway(settings(world.server.url, tmp_path, upstream_ca=tmp_path / "none.pem"))


def test_units_are_hashed_alike_by_gateways_that_share_a_key(world, tmp_path):
    world.publish()
    units = []
    for name in ("one", "two"):
        world.folder = tmp_path / name
        world.start(unit_key="shared")
        world.ask(user="u")
        units.append(world.calls(len(units) + 1)[-1]["unit"])
        world.gateway.stop()
    assert units[0] == units[1]
    assert json.dumps(units).count("u") == 0


def test_a_process_of_its_own_ends_well_on_sigterm(world):
    world.publish()
    script = f"""
import logging, pathlib
from assent.gateway import GatewaySettings, run
logging.basicConfig(level="INFO")
run(GatewaySettings(server_url={world.server.url!r}, token="gw-token", project="acme", environment="production",
                    data_dir=pathlib.Path({str(world.folder)!r}), port=0))
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        port = next(line for line in lines if "listening on" in line).rpartition(":")[2].strip()
        until(lambda: world.http.get(f"http://127.0.0.1:{port}/readyz").status_code == 200, "readiness")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_settings_can_be_handed_to_another_process(tmp_path):
    one = settings("http://127.0.0.1:1", tmp_path)
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_snapshot_taken_from_disk_is_acknowledged_at_once_not_at_the_next_look(live):
    live.gateway.stop()
    live.server.acks.clear()
    live.start(poll_s=60.0)
    ours = {"gateway": "gateway", "epoch": 1, "serial": live.serial}
    until(lambda: ours in live.server.acks, "the acknowledgement")
