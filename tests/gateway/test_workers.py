"""Several workers behind one socket: each acknowledges, dead ones come back, all drain."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from plane import STREAM_HEAD, chunk, chunked, events, settings, until

from assent.gateway.workers import settings_of

HEADERS = {"authorization": "Bearer sk-app-1"}
BODY = {"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]}


class Running:
    """A gateway of several workers in a process of its own."""

    def __init__(self, process):
        self.process = process
        self.log = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        until(lambda: self.port, "the port")

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)

    @property
    def port(self):
        found = [line for line in self.log if "listening on" in line]
        return int(found[0].rpartition(":")[2]) if found else None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self):
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def ask(self):
        """Ask on a connection of its own, so that any worker may answer."""
        return httpx.post(
            self.url + "/v1/chat/completions", json=BODY, headers=HEADERS, verify=False, timeout=8
        )


@contextmanager
def running(world, **changes):
    given = {"drain_s": 5.0, "n_workers": 2} | changes
    script = f"""
import logging, pathlib, sys
from assent.gateway import GatewaySettings, Limits, run
logging.basicConfig(level="INFO")
run(GatewaySettings(server_url={world.server.url!r}, token="gw-token", project="acme", environment="production",
                    data_dir=pathlib.Path({str(world.folder)!r}), port=0, n_workers={given["n_workers"]},
                    observation_interval_s=0.05, limits=Limits(drain_s={given["drain_s"]})))
"""
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as process:
        try:
            gateway = Running(process)
            yield gateway
        finally:
            process.kill()
            process.wait()
            gateway.reader.join(8)


def acknowledged(world):
    return {ack["gateway"] for ack in world.server.acks if ack["serial"] == world.serial}


def refuses(gateway):
    """Tell whether nobody listens on the gateway's port any more."""
    try:
        socket.create_connection(("127.0.0.1", gateway.port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def two(world):
    world.publish()
    with running(world) as gateway:
        until(lambda: acknowledged(world) == {"gateway-1", "gateway-2"}, "both acknowledgements")
        yield gateway


def test_each_worker_acknowledges_every_serial_and_has_a_folder_of_its_own(world, two):
    world.publish()
    until(lambda: acknowledged(world) == {"gateway-1", "gateway-2"}, "both acknowledgements")
    assert {two.ask().status_code for _ in range(10)} == {200}
    for number in (1, 2):
        assert (world.folder / f"worker-{number}" / "observations").is_dir()
    assert (world.folder / "unit.key").exists()
    assert (world.folder / "root.json").exists()
    world.calls(10)
    assert {batch["gateway"] for batch in world.server.batches.values()} <= {"gateway-1", "gateway-2"}
    assert len({row["unit"] for row in world.server.rows()}) == 10


def test_a_worker_that_dies_is_started_again_and_the_other_serves_meanwhile(world, two):
    before = two.workers
    os.kill(before[0], signal.SIGKILL)
    answers = [two.ask().status_code for _ in range(5)]
    until(lambda: len(two.workers) == 2 and before[0] not in two.workers, "a new worker")
    assert answers == [200] * 5
    assert any("ended with -9" in line for line in two.log)
    world.publish()
    until(lambda: acknowledged(world) == {"gateway-1", "gateway-2"}, "both acknowledgements")


def test_sigterm_lets_all_workers_drain(world, two):
    held = []

    def answer(transport, asked):
        transport.write(STREAM_HEAD + chunked(*events(chunk("a")), end=False))
        held.append(transport)

    world.upstream.answer = answer
    received = []

    def stream():
        with httpx.stream("POST", two.url + "/v1/chat/completions", json=BODY | {"stream": True}, headers=HEADERS,
                          verify=False, timeout=8) as answer:  # fmt: skip
            received.append(b"".join(answer.iter_bytes()))

    threads = [threading.Thread(target=stream) for _ in range(6)]
    for thread in threads:
        thread.start()
    until(lambda: len(held) == 6, "six streams")
    two.process.terminate()
    until(lambda: refuses(two), "the end of listening while streams are open")
    for transport in held:
        world.upstream.do(transport.write, chunked(*events("[DONE]")))
    for thread in threads:
        thread.join(8)
    assert two.process.wait(10) == 0
    assert [one.endswith(b"data: [DONE]\n\n") for one in received] == [True] * 6
    assert len(world.calls(6)) == 6


def test_workers_end_when_their_parent_is_killed(world, two):
    workers = two.workers
    two.process.kill()
    two.process.wait(5)
    until(lambda: not any(is_there(pid) for pid in workers), "the end of the workers")


def test_workers_start_without_the_server_on_what_one_of_them_kept(world, two):
    two.process.terminate()
    assert two.process.wait(10) == 0
    world.server.envelope = b""
    world.server.streaming = False
    with running(world, n_workers=3) as gateway:
        until(
            lambda: sum("from disk" in line for line in gateway.log) == 3,
            "three from disk, one a borrowed one",
        )
        assert {gateway.ask().status_code for _ in range(6)} == {200}


def test_a_folder_that_cannot_be_used_ends_the_start_with_the_reason(world):
    world.publish()
    (world.folder / "worker-2").write_text("in the way")
    with running(world) as gateway:
        assert gateway.process.wait(10) == 1
        until(lambda: any("worker 2 cannot start" in line for line in gateway.log), "the reason")


def test_a_worker_has_its_own_name_and_folder_and_shares_the_rest(tmp_path):
    whole = settings("http://127.0.0.1:1", tmp_path, n_workers=4)
    own = settings_of(whole, 3)
    assert (own.name, own.data_dir, own.common_dir) == ("gateway-3", tmp_path / "worker-3", tmp_path)
    assert whole.common_dir == tmp_path
