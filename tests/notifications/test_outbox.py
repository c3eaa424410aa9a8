"""Events become deliveries, none missed or doubled; deliveries are tried until they arrive or are given up."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from assent.identity import service as identity
from assent.kernel.errors import Conflict, NotFound
from assent.ledger import replay
from assent.ledger import service as ledger
from assent.notifications import jobs, service
from assent.notifications.domain.retries import Outcome
from assent.notifications.service import outbox
from assent_client.verify.webhook import WebhookError, verify_webhook
from tests.notifications.conftest import PROJECT, Answer, receiving


def test_an_event_arrives_signed_and_names_its_leaf(any_office, receiver):
    subscription, secret = any_office.hook(receiver.url)
    any_office.happen("risk")

    any_office.tick()

    (got,) = receiver.got
    now = any_office.clock.now().timestamp()
    webhook = verify_webhook(got.body, got.headers, secret, now=now)
    (leaf,) = any_office.ask(
        lambda reader: [one for one in ledger.leaves(reader, 0, 100) if one.type == "identity.group.created"]
    )
    assert webhook.type == "identity.group.created"
    assert webhook.data == {
        "project": PROJECT,
        "leaf": leaf.index,
        "event": leaf.event_id,
        "subject": None,
        "about": {"name": "risk"},
        "link": f"https://assent.example/projects/shop/ledger?before={leaf.index + 1}",
    }
    (delivery,) = any_office.deliveries()
    assert (delivery.state, delivery.id, delivery.status, len(delivery.attempts)) == (
        "delivered",
        webhook.id,
        204,
        1,
    )
    assert subscription.target == f"http://127.0.0.1:{receiver.port}"
    with pytest.raises(WebhookError):
        verify_webhook(got.body.replace(b"risk", b"Risk"), got.headers, secret, now=now)


def test_every_event_is_delivered_once_and_in_the_order_of_leaves(any_office, receiver):
    any_office.hook(receiver.url)
    for i in range(7):
        any_office.happen(f"g{i}")

    for _ in range(3):
        any_office.tick()

    assert [got.json["data"]["about"]["name"] for got in receiver.got] == [f"g{i}" for i in range(7)]


def test_what_happened_before_a_subscription_is_not_told(office, receiver):
    office.happen("before")
    office.hook(receiver.url)
    office.happen("after")

    office.tick()

    assert [got.json["data"]["about"]["name"] for got in receiver.got] == ["after"]


def test_only_the_kinds_that_are_wanted_are_told(office, receiver):
    office.hook(receiver.url, kinds=("identity.environment.created",))
    office.happen("risk")
    office.do(identity.create_environment, PROJECT, "production", protected=True)

    office.tick()

    assert [got.json["type"] for got in receiver.got] == ["identity.environment.created"]


def test_a_subscription_never_hears_of_another_project(office, receiver):
    office.do(identity.create_project, "other")
    with receiving() as others:
        office.hook(receiver.url, kinds=("*",))
        office.hook(others.url, kinds=("*",), project="other")
        office.happen("ours")
        office.happen("theirs", project="other")
        office.tick()

        assert {got.json["data"]["project"] for got in receiver.got} == {PROJECT}
        assert {got.json["data"]["project"] for got in others.got} == {"other"}
    assert b"theirs" not in b"".join(got.body for got in receiver.got)


def test_a_tick_that_dies_before_its_commit_neither_loses_nor_doubles(any_office, receiver):
    any_office.hook(receiver.url)
    any_office.happen("a")

    def die(tx):
        assert service.tail(tx) > 0
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        any_office.do(die)
    assert any_office.deliveries() == []

    any_office.tick()
    any_office.tick()

    assert len(receiver.got) == 1


def test_a_worker_that_dies_between_sending_and_settling_sends_again_under_the_same_id(
    office, receiver, monkeypatch
):
    office.hook(receiver.url)
    office.happen("a")
    office.tail()

    def die(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(service, "settle", die)
        with office.begin() as tx:
            lease, (subscription,) = service.lease(tx)
        with pytest.raises(SystemExit):
            jobs.serve(office.runtime, office.outside, lease, subscription)
    office.tick()
    assert len(receiver.got) == 1  # the dead worker's lease holds
    office.pass_time(31)
    office.tick()

    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.body == second.body
    assert office.deliveries()[0].state == "delivered"


def test_a_failure_is_tried_again_later_and_later(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    receiver.answers = [Answer(500), Answer(500)]

    office.tick()
    (delivery,) = office.deliveries()
    assert (delivery.state, delivery.status, delivery.error) == ("pending", 500, "The receiver answered 500.")
    office.pass_time(3)
    office.tick()
    assert len(receiver.got) == 1
    office.pass_time(4)
    office.tick()
    assert len(receiver.got) == 2
    office.pass_time(7)
    office.tick()
    assert len(receiver.got) == 2
    office.pass_time(20)
    office.tick()

    assert office.deliveries()[0].state == "delivered"
    assert [one["status"] for one in office.deliveries()[0].attempts] == [500, 500, 204]


def test_retry_after_is_respected_for_the_whole_receiver(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    office.happen("b")
    receiver.answers = [Answer(429, {"Retry-After": "600"})]

    office.tick()
    office.pass_time(599)
    office.tick()
    assert len(receiver.got) == 1
    office.pass_time(2)
    office.tick()

    assert {one.state for one in office.deliveries()} == {"delivered"}
    assert len(receiver.got) == 3


def test_one_message_that_is_refused_does_not_hold_back_the_next(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    office.happen("b")
    receiver.answers = [Answer(400)]

    office.tick()

    assert [one.state for one in office.deliveries()] == ["delivered", "pending"]


def test_after_ten_tries_a_delivery_is_dead_until_it_is_redelivered(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    receiver.answers = [Answer(500) for _ in range(10)]
    for _ in range(30):
        office.tick()
        office.pass_time(2 * 3600)

    (dead,) = office.deliveries(state="dead")
    assert (dead.n_tries, len(dead.attempts)) == (10, 10)
    assert office.do(service.redeliver, PROJECT, "oncall", None) == 1
    office.tick()

    assert office.deliveries()[0].state == "delivered"
    assert {got.headers["webhook-id"] for got in receiver.got} == {dead.id}


def test_a_long_failure_disables_the_subscription_as_an_event_that_others_hear(office, receiver):
    with receiving() as watching:
        office.hook(receiver.url)
        office.hook(watching.url, "watch", kinds=("notifications.subscription.disabled",))
        receiver.answers = [Answer(500) for _ in range(50)]
        for i in range(8):
            office.happen(f"g{i}")
            office.tick()
            office.pass_time(12 * 3600)
        office.tick()

        assert [got.json["data"]["about"] for got in watching.got] == [
            {
                "because": "failing",
                "name": "oncall",
                "subscription": office.ask(service.get, PROJECT, "oncall").id,
            }
        ]
    n = len(receiver.got)
    office.happen("later")
    office.tick()
    assert len(receiver.got) == n
    with pytest.raises(Conflict, match="disabled"):
        office.do(service.redeliver, PROJECT, "oncall", None)


def test_a_receiver_that_is_gone_disables_at_once(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    office.happen("b")
    receiver.answers = [Answer(410)]

    office.tick()

    found = office.ask(service.get, PROJECT, "oncall")
    assert (found.state, found.because) == ("disabled", "gone")
    assert [one.state for one in office.deliveries()] == ["pending", "dead"]
    assert len(receiver.got) == 1


def test_a_success_between_failures_keeps_a_subscription_alive(office, receiver):
    office.hook(receiver.url)
    for day in range(6):
        office.happen(f"g{day}")
        receiver.answers = [Answer(500)]
        office.tick()
        office.pass_time(24 * 3600)
        office.tick()

    assert office.ask(service.get, PROJECT, "oncall").state == "enabled"


def test_while_paused_nothing_is_told_and_nothing_of_it_later(office, receiver):
    office.hook(receiver.url)
    office.happen("queued")
    office.do(service.pause, PROJECT, "oncall")
    office.happen("unheard")
    office.tick()
    assert receiver.got == []

    office.do(service.resume, PROJECT, "oncall")
    office.happen("heard")
    office.tick()

    assert [got.json["data"]["about"]["name"] for got in receiver.got] == ["queued", "heard"]


def test_what_was_queued_before_a_pause_waits_for_its_end(office, receiver):
    office.hook(receiver.url)
    office.happen("queued")
    office.tail()
    office.do(service.pause, PROJECT, "oncall")
    office.tick()
    assert receiver.got == []

    office.do(service.resume, PROJECT, "oncall")
    office.tick()

    assert len(receiver.got) == 1


def test_leaves_before_a_pause_are_told_although_the_outbox_sees_them_after_it(office, receiver):
    office.hook(receiver.url)
    office.happen("before")
    office.do(service.pause, PROJECT, "oncall")

    office.tail()

    assert [one.type for one in office.deliveries()] == ["identity.group.created"]


def test_what_is_removed_is_forgotten(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    office.tail()

    office.do(service.remove, PROJECT, "oncall")
    office.tick()

    assert receiver.got == []
    assert office.deliveries() == []
    with pytest.raises(NotFound, match="it has: none"):
        office.ask(service.get, PROJECT, "oncall")


def test_a_subscription_that_is_removed_while_it_is_served_ends_quietly(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    office.tail()
    with office.begin() as tx:
        lease, (subscription,) = service.lease(tx)
    with office.read() as reader:
        _, ((delivery, heard),) = service.due(reader, office.key, lease, subscription)
    office.do(service.remove, PROJECT, "oncall")

    assert office.do(service.settle, lease, delivery, Outcome(ok=True, status=204)) is False
    jobs.serve(office.runtime, office.outside, lease, subscription)
    assert heard.index == delivery.leaf


def test_delivered_rows_go_after_a_week_and_dead_ones_after_a_month(office, receiver):
    office.hook(receiver.url)
    receiver.answers = [Answer(410)]
    office.happen("dead")
    office.tick()
    office.do(service.resume, PROJECT, "oncall")
    office.happen("arrives")
    office.tick()
    assert {one.state for one in office.deliveries()} == {"dead", "delivered"}

    jobs.prune(office.runtime)
    assert len(office.deliveries()) == 2
    office.pass_time(7 * 86_400 + 1)
    jobs.prune(office.runtime)
    assert [one.state for one in office.deliveries()] == ["dead"]
    office.pass_time(23 * 86_400 + 1)
    jobs.prune(office.runtime)

    assert office.deliveries() == []


def test_the_ledger_replays_to_the_same_subscriptions(any_office, receiver):
    any_office.hook(receiver.url)
    any_office.hook(receiver.url, "second", kinds=("default",))
    any_office.hook(receiver.url, "third")
    any_office.do(service.change, any_office.key, PROJECT, "oncall", ("identity.group.created",), None)
    any_office.do(service.pause, PROJECT, "second")
    any_office.do(service.rotate, any_office.key, PROJECT, "oncall", 1)
    any_office.do(service.remove, PROJECT, "third")
    receiver.answers = [Answer(410)]
    any_office.happen("a")
    any_office.tick()

    found = any_office.ask(replay.check)

    assert (found.n_differences, found.differences) == (0, [])
    assert any_office.ask(service.get, PROJECT, "oncall").state == "disabled"


def test_without_a_subscription_ticks_write_nothing(office):
    office.happen("a")
    office.tick()
    jobs.prune(office.runtime)
    assert office.do(service.tail) == 0
    assert office.deliveries() == []


def test_a_tick_reads_more_leaves_than_one_batch(office, receiver, monkeypatch):
    monkeypatch.setattr(outbox, "BATCH", 3)
    office.hook(receiver.url)
    for i in range(8):
        office.happen(f"g{i}")

    office.tick()

    assert len(receiver.got) == 8


def test_two_workers_at_once_neither_double_nor_lose(any_office, receiver):
    any_office.hook(receiver.url)
    any_office.hook(receiver.url, "second")
    for i in range(5):
        any_office.happen(f"g{i}")
    together(any_office.tail, any_office.tail, any_office.tail)
    assert len(any_office.deliveries()) == 10

    together(*(lambda: jobs.deliver(any_office.runtime) for _ in range(3)))
    any_office.tick()

    assert len(receiver.got) == 10
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 10
    assert {one.state for one in any_office.deliveries()} == {"delivered"}


def together(*actions):
    with ThreadPoolExecutor(len(actions)) as threads:
        for done in [threads.submit(action) for action in actions]:
            done.result()


def test_one_receiver_that_hangs_keeps_no_other_waiting(office, receiver):
    with receiving() as hanging:
        hanging.answers = [Answer(wait_s=30)]
        office.hook(hanging.url, "hangs")
        office.hook(receiver.url, "works")
        office.happen("a")
        office.tail()
        thread = threading.Thread(target=jobs.deliver, args=(office.runtime,), daemon=True)
        thread.start()
        for _ in range(500):
            if receiver.got and hanging.got:
                break
            time.sleep(0.01)
        is_waiting = thread.is_alive()
        hanging.released.set()
        thread.join(10)

    assert (len(receiver.got), is_waiting) == (1, True)


def test_while_a_receiver_is_down_its_other_deliveries_wait_with_it(office, receiver):
    office.hook(receiver.url)
    for i in range(3):
        office.happen(f"g{i}")
    receiver.answers = [Answer(503)]

    office.tick()
    assert len(receiver.got) == 1
    office.tick()
    assert len(receiver.got) == 1
    office.pass_time(7)
    office.tick()

    assert [got.json["data"]["about"]["name"] for got in receiver.got] == ["g0", "g0", "g1", "g2"]


def test_a_worker_that_lost_its_lease_delivers_nothing_more(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    office.happen("b")
    office.tail()
    with office.begin() as tx:
        lease, (subscription,) = service.lease(tx)
    receiver.meanwhile = lambda: office.pass_time(31)
    jobs.serve(office.runtime, office.outside, lease, subscription)
    assert len(receiver.got) == 1
    jobs.serve(office.runtime, office.outside, lease, subscription)
    assert len(receiver.got) == 1
    jobs.serve(office.runtime, office.outside, "lse_other", subscription)

    office.tick()

    assert [got.json["data"]["about"]["name"] for got in receiver.got] == ["a", "b"]


def test_receivers_take_turns(office, receiver, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_RECEIVERS", 1)
    monkeypatch.setattr(outbox, "MAX_AT_ONCE", 1)
    for name in ("first", "second"):
        office.hook(f"http://127.0.0.1:{receiver.port}/{name}", name)
    office.happen("a")
    office.happen("b")
    for _ in range(4):
        office.tick()
        office.pass_time(1)

    assert sorted(got.path for got in receiver.got[:2]) == ["/first", "/second"]
    assert len(receiver.got) == 4
