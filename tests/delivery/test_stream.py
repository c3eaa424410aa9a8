import asyncio
import json
import time

import httpx
import pytest

from assent.delivery import service
from assent.delivery.http import snapshots
from assent.delivery.service import feed, watch
from assent.identity import service as identity
from assent.kernel.tx import SYSTEM
from tests.delivery.releases import BAD, PROJECT, approve, until

CLIENTS = 200


@pytest.fixture
def running(desk):
    desk.adopt()
    rollout = desk.file()
    approve(desk, rollout)
    return desk.act(service.start, rollout)


class Listener:
    """One client of the stream: every snapshot that it was sent, with the time of arrival."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str, bytes]] = []
        self.arrived = asyncio.Event()

    async def listen(self, http: httpx.AsyncClient, address: str) -> None:
        async with http.stream("GET", address) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            event_id = ""
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    event_id = line[4:]
                elif line.startswith("data: "):
                    self.seen.append((time.monotonic(), event_id, line[6:].encode()))
                    self.arrived.set()

    async def count(self, n: int, deadline_s: float = 20.0) -> None:
        async with asyncio.timeout(deadline_s):
            while len(self.seen) < n:
                self.arrived.clear()
                await self.arrived.wait()


def listening(served, n, scenario):
    """Run `scenario` while `n` clients listen."""

    async def run():
        limits = httpx.Limits(max_connections=n + 1)
        async with httpx.AsyncClient(headers=served.headers(), limits=limits, timeout=30) as http:
            listeners = [Listener() for _ in range(n)]
            tasks = [
                asyncio.create_task(one.listen(http, served.address("snapshot/stream"))) for one in listeners
            ]
            try:
                await asyncio.gather(*(one.count(1, 20) for one in listeners))
                return await scenario(listeners)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def test_a_rollback_arrives_after_its_commit_with_a_higher_serial(served, running):
    desk = served.desk

    async def scenario(listeners):
        committed = await asyncio.to_thread(lambda: (desk.step(running, BAD), time.monotonic())[1])
        await listeners[0].count(2)
        return committed, listeners[0].seen

    committed, seen = listening(served, 1, scenario)
    before, after = (desk.verified(envelope) for _, _, envelope in seen)
    assert set(before.payload.versions) == {running.subject, running.stable}
    assert set(after.payload.versions) == {running.stable}
    assert after.position > before.position
    assert seen[1][1] == f"1.{after.payload.serial}"
    assert seen[1][0] - committed < 1.0


def test_two_hundred_clients_get_a_kill(served, running):
    async def scenario(listeners):
        place = service.Place(project=PROJECT, environment="production", name="support")
        await asyncio.to_thread(served.desk.do, service.kill, place, "a drill")
        await asyncio.gather(*(one.count(2) for one in listeners))
        return [one.seen for one in listeners]

    everybody = listening(served, CLIENTS, scenario)
    last = {seen[-1][2] for seen in everybody}
    assert len(last) == 1
    assert served.desk.verified(last.pop()).routes == {}


def test_a_commit_of_another_process_arrives_too(served, running):
    """No signal is given here: the database itself tells."""
    desk = served.desk

    def elsewhere():
        with desk.begin() as tx:
            service.pause(tx, service.Ask(rollout=running.id))
            service.roll_back(tx, service.Ask(rollout=running.id))

    async def scenario(listeners):
        await asyncio.to_thread(elsewhere)
        await listeners[0].count(2)
        return listeners[0].seen[-1][2]

    assert set(desk.verified(listening(served, 1, scenario)).payload.versions) == {running.stable}


def test_what_does_not_concern_the_environment_is_not_sent(served, running):
    desk = served.desk

    async def scenario(listeners):
        await asyncio.to_thread(desk.do, identity.create_group, PROJECT, "oncall", actor=SYSTEM)
        await asyncio.to_thread(desk.step, running, BAD)
        await listeners[0].count(2)
        return len(listeners[0].seen)

    assert listening(served, 1, scenario) == 2


def test_a_snapshot_is_sent_anew_before_it_expires(served, running):
    desk = served.desk

    async def scenario(listeners):
        desk.clock.advance(desk.runtime.settings.snapshot_ttl_s * 0.6)
        await listeners[0].count(2)
        return [json.loads(envelope)["payload"] for _, _, envelope in listeners[0].seen]

    first, second = listening(served, 1, scenario)
    assert first != second


def test_a_feed_that_cannot_compile_goes_on_and_says_so(served, running, caplog):
    desk = served.desk
    pin = desk.folder / "ledger" / "checkpoint"

    async def scenario(listeners):
        good = pin.read_text()
        pin.write_text("rubbish\n")
        await asyncio.to_thread(desk.act, service.pause, running)
        await asyncio.to_thread(until, lambda: "no new snapshot" in caplog.text, "the complaint")
        pin.write_text(good)
        await asyncio.to_thread(desk.step, running, BAD)
        for n in (2, 3):
            await listeners[0].count(n)
            newest = desk.verified(listeners[0].seen[-1][2])
            if set(newest.payload.versions) == {running.stable}:
                return True
        return False

    assert listening(served, 1, scenario)


def test_a_feed_whose_watch_breaks_begins_again(served, running, monkeypatch, caplog):
    desk = served.desk
    watches = []

    class Breaking(
        watch.SqliteWatch if desk.runtime.settings.database.startswith("sqlite") else watch.PostgresWatch
    ):
        def wait(self, wake, most_s):
            if len(watches) == 1:
                raise OSError("the connection is gone")
            return super().wait(wake, most_s)

    def opened(engine):
        watches.append(Breaking(engine))
        return watches[-1]

    monkeypatch.setattr(feed, "watch_of", opened)

    async def scenario(listeners):
        await asyncio.to_thread(desk.step, running, BAD)
        await listeners[0].count(2)
        return listeners[0].seen[-1][2]

    assert set(desk.verified(listening(served, 1, scenario)).payload.versions) == {running.stable}
    assert "the watch on the database broke" in caplog.text


def test_a_quiet_stream_sends_comments_and_ends_at_its_time(served, running, monkeypatch):
    monkeypatch.setattr(snapshots, "KEEP_ALIVE_S", 0.01)
    monkeypatch.setattr(snapshots, "STREAM_MOST_S", 0.1)
    with httpx.Client(headers=served.headers()) as http:
        text = http.get(served.address("snapshot/stream")).text
    frames = text.strip().split("\n\n")
    assert frames[0].startswith("event: snapshot\nid: 1.")
    assert set(frames[1:]) == {": still here"}


def test_a_client_that_does_not_read_gets_the_newest_only(served, running):
    async def scenario():
        slot = snapshots.Slot()
        scope = service.Scope(PROJECT, "production", "gateway")
        first = served.desk.snapshot()[0]
        slot.put(first)
        newest = service.Feed(served.desk.runtime).current(scope)
        slot.put(newest)
        return await slot.take(5), newest, await slot.take(0.01)

    taken, newest, nothing = asyncio.run(scenario())
    assert taken is newest
    assert nothing is None


def test_a_stream_of_nowhere_is_not_opened(served):
    address = served.address("snapshot/stream").replace("production", "nowhere")
    with httpx.Client(headers=served.headers()) as http:
        assert http.get(address).status_code == 404
