"""Observations: bounded, counted, delivered at least once."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import httpx
import pytest

from assent_client.observe import Exposure, HttpSink, Observations, Pace, hash_unit, load_unit_key
from assent_client.spool import Spool

AT = datetime(2026, 3, 1, tzinfo=UTC)


def row(n: int = 0) -> Exposure:
    return Exposure(
        at=AT,
        environment="production",
        route="r",
        variant="v",
        serial=n,
        rule=None,
        reason="split",
        rollout=None,
        unit="u",
    )


class Server:
    """A server that answers what it is told to, and keeps what it acknowledged."""

    def __init__(self):
        self.status = 202
        self.batches = {}
        self.seen = threading.Event()
        self.on_batch = lambda: None

    def __call__(self, batch, body):
        if self.status == 0:
            raise httpx.ConnectError("down")
        if 200 <= self.status < 300:
            self.batches[batch] = json.loads(body)
            self.seen.set()
        self.on_batch()
        return self.status

    def serials(self):
        return [o["serial"] for _, b in sorted(self.batches.items()) for o in b["observations"]]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def time_s():
    return [100.0]


@pytest.fixture
def observations(server, tmp_path, time_s):
    pace = Pace(capacity=50, batch_rows=10, now=lambda: time_s[0])
    return Observations(server, Spool(tmp_path), {"project": "acme"}, pace)


def test_rows_arrive_in_batches_in_their_order(observations, server):
    for n in range(25):
        observations.add(row(n))
    observations.flush()
    assert server.serials() == list(range(25))
    assert sorted(len(b["observations"]) for b in server.batches.values()) == [5, 10, 10]


def test_rows_that_come_while_a_batch_leaves_wait_for_the_next_turn(observations, server):
    coming = [row(2)]
    server.on_batch = lambda: observations.add(coming.pop()) if coming else None
    observations.add(row(1))
    observations.flush()
    assert server.serials() == [1]
    observations.flush()
    assert server.serials() == [1, 2]


def test_a_batch_names_itself_its_instance_and_its_kind_of_rows(observations, server):
    observations.add(row())
    observations.flush()
    (batch,) = server.batches.values()
    assert batch["batch"] in server.batches
    assert batch["project"] == "acme"
    assert batch["instance"] == observations.instance
    assert batch["observations"][0]["kind"] == "exposure"
    assert batch["observations"][0]["at"] == "2026-03-01T00:00:00Z"


def test_a_full_ring_drops_and_counts(observations, server):
    for n in range(60):
        observations.add(row(n))
    observations.flush()
    assert server.serials() == list(range(50))
    assert observations.n_dropped == 10
    assert {b["n_dropped"] for b in server.batches.values()} == {10}


def test_the_thread_delivers_by_itself_and_at_the_end(server, tmp_path):
    observations = Observations(server, Spool(tmp_path), {}, Pace(interval_s=0.01))
    observations.start()
    observations.add(row(1))
    assert server.seen.wait(5)
    observations.add(row(2))
    observations.close()
    assert server.serials() == [1, 2]


def test_what_a_server_does_not_take_waits_on_disk_and_survives_a_restart(observations, server, tmp_path):
    server.status = 0
    for n in range(25):
        observations.add(row(n))
    observations.flush()
    assert observations.n_waiting == 3
    server.status = 202
    again = Observations(server, Spool(tmp_path), {})
    again.flush()
    assert server.serials() == list(range(25))
    assert again.n_waiting == 0
    again.close()
    observations.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [301, 401, 403, 404, 409, 429, 500, 503])
def test_anything_but_2xx_is_no_acknowledgement(observations, server, status, time_s):
    server.status = status
    observations.add(row(7))
    observations.flush()
    assert observations.n_waiting == 1
    server.status = 200
    time_s[0] += 0.6
    observations.flush()
    assert server.serials() == [7]


def test_a_batch_that_is_never_taken_does_not_block_the_next(observations, server):
    server.status = 422
    observations.add(row(1))
    observations.flush()
    assert (observations.n_waiting, observations.n_dropped) == (0, 1)
    server.status = 200
    observations.add(row(2))
    observations.flush()
    assert server.serials() == [2]


def test_an_absent_server_is_not_asked_all_the_time(observations, server, time_s):
    server.status = 0
    observations.add(row())
    observations.flush()
    server.status = 200
    observations.flush()
    assert server.batches == {}
    time_s[0] += 0.6
    observations.flush()
    assert len(server.batches) == 1


def test_new_rows_do_not_overtake_those_on_disk(observations, server, time_s):
    server.status = 0
    observations.add(row(1))
    observations.flush()
    server.status = 200
    time_s[0] += 0.6
    observations.add(row(2))
    observations.flush()
    assert server.serials() == [1, 2]


def test_a_full_spool_gives_up_its_oldest_and_counts(server, tmp_path):
    spool = Spool(tmp_path, max_bytes=250)
    assert spool.put("01", 3, b"x" * 100) == 0
    assert spool.put("02", 4, b"x" * 100) == 0
    assert spool.put("03", 5, b"x" * 100) == 3
    assert spool.first()[:2] == ("02", 4)


def test_a_write_cut_short_is_swept_away(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f".01.1.json.{dead.pid}.part").write_bytes(b"{")
    assert len(Spool(tmp_path)) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_counts_the_rows_as_lost(server, tmp_path):
    observations = Observations(server, Spool(tmp_path / "s"), {})
    shutil.rmtree(tmp_path / "s")
    server.status = 0
    observations.add(row())
    observations.flush()
    assert observations.n_dropped == 1


def test_a_disk_that_refuses_loses_nothing_while_the_server_is_there(server, tmp_path):
    observations = Observations(server, Spool(tmp_path / "s"), {})
    shutil.rmtree(tmp_path / "s")
    observations.add(row(4))
    observations.flush()
    assert (server.serials(), observations.n_dropped) == ([4], 0)


def test_a_disk_without_room_for_a_life_keeps_observing(server, tmp_path):
    spool = Spool(tmp_path / "s")
    shutil.rmtree(tmp_path / "s")
    observations = Observations(server, spool, {})
    observations.add(row(5))
    observations.flush()
    observations.close()
    assert server.serials() == [5]


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from assent_client.observe import Exposure, Observations, Pace
from assent_client.spool import Spool

def row(n):
    return Exposure(at=datetime(2026, 3, 1, tzinfo=UTC), environment="production", route="r", variant="v",
                    serial=n, rule=None, reason="split", rollout=None, unit="u")

class Dying(Spool):
    def put(self, batch, n_rows, body):
        if sys.argv[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        n_lost = super().put(batch, n_rows, body)
        if sys.argv[2] == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return n_lost

seen = Observations(lambda batch, body: 503, Dying(Path(sys.argv[1])), {"project": "acme"}, Pace(capacity=9))
for n in range(10):
    seen.add(row(n))
seen.flush()
seen.add(row(10))
seen.add(row(11))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("moment", "n_kept", "n_lost"), [("before", 0, 9), ("after", 9, 0), ("later", 9, 2)])
def test_what_a_kill_takes_from_memory_is_reported_to_the_row(server, tmp_path, moment, n_kept, n_lost):
    """Nine rows fit the ring and a tenth is dropped; whatever the moment of the kill, nothing counts twice."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), moment], check=False)
    assert killed.returncode == -signal.SIGKILL
    for _ in range(2):
        after = Observations(server, Spool(tmp_path), {"project": "acme"})
        after.flush()
        after.close()
    assert server.serials() == list(range(n_kept))
    (gap,) = [batch for batch in server.batches.values() if not batch["observations"]]
    assert (gap["n_dropped"], gap["project"]) == (1 + n_lost, "acme")
    assert gap["instance"] != after.instance
    assert list(tmp_path.iterdir()) == []


def test_a_life_that_goes_on_is_reported_by_nobody(observations, server, tmp_path):
    observations.add(row(1))
    other = Observations(server, Spool(tmp_path), {})
    other.flush()
    assert server.batches == {}
    assert observations.n_dropped == 0


def test_a_part_that_another_process_writes_now_is_left_alone(tmp_path):
    part = tmp_path / f".01.1.json.{os.getppid()}.part"
    part.write_bytes(b"{")
    Spool(tmp_path)
    assert part.exists()


def test_a_listener_that_fails_stops_nothing(server, tmp_path):
    def fail(_rows):
        raise RuntimeError

    observations = Observations(server, Spool(tmp_path), {}, on_batch=fail)
    observations.add(row(3))
    observations.flush()
    assert server.serials() == [3]


def test_the_http_sink_sends_key_and_token():
    seen = []

    def answer(request):
        seen.append((request.url.path, request.headers["authorization"], request.headers["idempotency-key"]))
        return httpx.Response(202)

    sink = HttpSink("http://server/", "secret", transport=httpx.MockTransport(answer))
    assert sink("b1", b"{}") == 202
    assert seen == [("/v1/observations", "Bearer secret", "b1")]


def test_a_units_hash_depends_on_the_key_and_is_kept(tmp_path):
    key = load_unit_key(tmp_path / "x" / "unit.key")
    assert load_unit_key(tmp_path / "x" / "unit.key") == key
    assert hash_unit(key, "u") != hash_unit(load_unit_key(tmp_path, "shared"), "u")
    assert hash_unit(load_unit_key(tmp_path, "shared"), "u") == hash_unit(
        load_unit_key(tmp_path, "shared"), "u"
    )


def test_a_batch_that_was_delivered_is_let_go_without_the_collector():
    seen = []

    class Taking(httpx.BaseTransport):  # httpx's own for tests reads and keeps the body
        def handle_request(self, request):
            said = request.headers["content-length"], request.headers.get("transfer-encoding")
            seen.append((*said, sum(map(len, request.stream))))
            return httpx.Response(202)

    sink = HttpSink("http://server.example", "t", transport=Taking())
    body = bytes(1000)
    held = sys.getrefcount(body)
    gc.disable()
    try:
        assert sink("b1", body) == 202
        assert sys.getrefcount(body) == held
    finally:
        gc.enable()
        sink.close()
    assert seen == [("1000", None, 1000)]
