"""Subscriptions: what may be asked for, what is kept where, and secrets that are shown once."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from assent.identity import service as identity
from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.db import metadata
from assent.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from assent.kernel.settings import load
from assent.ledger import service as ledger
from assent.notifications import jobs, service
from assent.notifications.domain.subscriptions import DEFAULT_KINDS, Channel
from assent.notifications.service import subscriptions
from assent_client.verify.webhook import WebhookError, secret_bytes, verify_webhook
from tests.conftest import KeptJobs
from tests.notifications.conftest import LOCAL, PROJECT, Answer, Office, office_in

EMAIL = {"channel": Channel.EMAIL, "emails": ("ada@example.com", "bo@example.com")}
MAIL = {"smtp_host": "127.0.0.1", "smtp_from": "assent@example.com"}


def everything(office):
    """All that the database holds, as text."""
    with office.runtime.session.engine.connect() as conn:
        rows = [row for table in metadata.sorted_tables for row in conn.execute(sa.select(table))]
    return "\n".join(str(value) for row in rows for value in row)


def test_a_subscription_is_added_with_its_event_and_nothing_secret_in_it(office, receiver):
    added, secret = office.hook(receiver.url, kinds=("default",))

    assert (added.kinds, added.state, added.channel) == (DEFAULT_KINDS, "enabled", "webhook")
    assert len(secret_bytes(secret)) == 32
    leaf = office.ask(lambda reader: ledger.leaves(reader, 0, 100)[-1])
    assert leaf.type == "notifications.subscription.added"
    assert f"http://127.0.0.1:{receiver.port}".encode() in leaf.entry


def test_neither_secrets_nor_urls_nor_addresses_stand_in_the_database_or_the_ledger(tmp_path, receiver):
    with office_in(tmp_path, **MAIL) as office:
        _, first = office.hook(receiver.url)
        office.hook(receiver.url, "slack", channel=Channel.SLACK)
        office.hook(None, "mail", **EMAIL)
        second, _ = office.do(service.rotate, office.key, PROJECT, "oncall", 24)
        office.happen("a")
        office.tick()

        text = everything(office) + "".join(
            str(path.read_bytes()) for path in (tmp_path / "data/blobs").rglob("*") if path.is_file()
        )
        for secret in (
            first,
            second,
            first.removeprefix("whsec_"),
            "s3cret",
            "ada@example.com",
            "bo@example.com",
        ):
            assert secret not in text
        assert "2 addresses" in text


def test_a_sealed_secret_opens_with_the_key_folder_only_and_for_its_subscription_only(office, receiver):
    first, _ = office.hook(receiver.url)
    second, _ = office.hook(receiver.url, "second")
    with pytest.raises(Unavailable, match="key folder"):
        office.ask(service.courier, b"x" * 32, first)

    with office.begin() as tx:
        from assent.notifications import store  # noqa: PLC0415 -- somebody moves rows behind the product's back

        ((number, sealed),) = store.list_sealed(tx, first.id, store.SIGNING)
        store.keep_sealed(tx, second.id, store.SIGNING, number, sealed)
    with pytest.raises(Unavailable):
        office.ask(service.courier, office.key, second)
    office.happen("a")
    office.tick()
    assert len(receiver.got) == 1
    jobs.deliver(office.runtime)
    assert len(receiver.got) == 1


def test_a_name_is_taken_once_and_free_again_after_removal(office, receiver):
    office.hook(receiver.url)
    with pytest.raises(Conflict, match="has a subscription 'oncall'"):
        office.hook(receiver.url)
    office.do(service.remove, PROJECT, "oncall")
    office.hook(receiver.url)


@pytest.mark.parametrize("name", ["", "On Call", "a/b", "x" * 64])
def test_a_name_is_one(office, receiver, name):
    with pytest.raises(Invalid, match="not a name for a subscription"):
        office.hook(receiver.url, name)


def test_a_project_must_exist_and_has_a_hundred_at_most(office, receiver, monkeypatch):
    with pytest.raises(NotFound):
        office.hook(receiver.url, project="nowhere")
    monkeypatch.setattr(subscriptions, "MAX_SUBSCRIPTIONS", 1)
    office.hook(receiver.url)
    with pytest.raises(Conflict, match="has 1 subscriptions"):
        office.hook(receiver.url, "second")


def test_a_target_that_leads_inside_is_refused_before_anything_is_kept(tmp_path):
    with office_in(tmp_path, hook_allow=()) as office:
        with pytest.raises(Invalid, match="loopback") as refusal:
            office.hook("http://127.0.0.1:1/x")
        assert "ASSENT_HOOK_ALLOW" in refusal.value.remedy
        assert office.ask(service.list_, PROJECT) == []


def test_what_was_allowed_once_is_judged_again_at_each_delivery(office, receiver):
    office.hook(receiver.url)
    office.happen("a")
    office.tail()
    strict = replace(office.outside, settings=office.runtime.settings.model_copy(update={"hook_allow": ()}))
    with office.begin() as tx:
        lease, (subscription,) = service.lease(tx)
    jobs.serve(office.runtime, strict, lease, subscription)

    assert receiver.got == []
    (delivery,) = office.deliveries()
    assert (delivery.state, delivery.status) == ("pending", None)
    assert "loopback" in delivery.error


@pytest.mark.parametrize(
    ("channel", "url", "emails", "words"),
    [
        (Channel.EMAIL, "http://127.0.0.1/x", (), "not to a URL"),
        (Channel.EMAIL, None, (), "0 addresses"),
        (Channel.EMAIL, None, ("ada@example.com",), "sends no e-mail"),
        (Channel.WEBHOOK, None, (), "one URL"),
        (Channel.WEBHOOK, "http://127.0.0.1/x", ("ada@example.com",), "one URL"),
        (Channel.SLACK, "", (), "one URL"),
    ],
)
def test_a_target_fits_its_channel(office, channel, url, emails, words):
    with pytest.raises(Invalid, match=words):
        office.hook(url, channel=channel, emails=emails)


def test_kinds_and_target_change_and_the_secret_stays(office, receiver):
    _, secret = office.hook("http://127.0.0.1:1/old", kinds=("identity.project.created",))
    target = service.judge_target(office.outside, Channel.WEBHOOK, receiver.url, ())
    changed = office.do(service.change, office.key, PROJECT, "oncall", None, target)
    assert changed.kinds == ("identity.project.created",)
    changed = office.do(service.change, office.key, PROJECT, "oncall", ["identity.group.created"], None)
    assert changed.target == f"http://127.0.0.1:{receiver.port}"

    office.happen("a")
    office.tick()

    (got,) = receiver.got
    verify_webhook(got.body, got.headers, secret, now=office.clock.now().timestamp())
    slack = service.judge_target(office.outside, Channel.SLACK, receiver.url, ())
    with pytest.raises(Invalid, match="told by webhook"):
        office.do(service.change, office.key, PROJECT, "oncall", None, slack)
    with pytest.raises(Invalid, match="No event"):
        office.do(service.change, office.key, PROJECT, "oncall", ["x.y.z"], None)


def test_states_follow_each_other(office, receiver):
    office.hook(receiver.url)
    with pytest.raises(Conflict, match="is enabled"):
        office.do(service.resume, PROJECT, "oncall")
    assert office.do(service.pause, PROJECT, "oncall").state == "paused"
    with pytest.raises(Conflict, match="is paused"):
        office.do(service.pause, PROJECT, "oncall")
    assert office.do(service.resume, PROJECT, "oncall").state == "enabled"
    for action in (service.pause, service.resume, service.remove):
        with pytest.raises(NotFound, match="it has: oncall"):
            office.do(action, PROJECT, "nobody")


def test_two_secrets_sign_during_a_rotation_and_one_afterwards(office, receiver):
    _, old = office.hook(receiver.url)
    new, ends_at = office.do(service.rotate, office.key, PROJECT, "oncall", 24)
    assert ends_at == office.clock.now() + timedelta(hours=24)

    office.happen("during")
    office.tick()
    office.pass_time(24 * 3600)
    office.happen("after")
    office.tick()
    jobs.prune(office.runtime)

    during, after = receiver.got
    now = office.clock.now().timestamp()
    for secret in (old, new):
        verify_webhook(during.body, during.headers, secret, now=now - 24 * 3600)
    verify_webhook(after.body, after.headers, new, now=now)
    with pytest.raises(WebhookError):
        verify_webhook(after.body, after.headers, old, now=now)
    with office.read() as reader:
        assert service.courier(reader, office.key, service.get(reader, PROJECT, "oncall")).secrets == (new,)


def test_no_more_than_two_secrets_are_ever_in_force(office, receiver):
    _, first = office.hook(receiver.url)
    second, _ = office.do(service.rotate, office.key, PROJECT, "oncall", 100)
    third, _ = office.do(service.rotate, office.key, PROJECT, "oncall", 100)
    found = office.ask(service.get, PROJECT, "oncall")
    assert office.ask(service.courier, office.key, found).secrets == (third, second)
    fourth, _ = office.do(service.rotate, office.key, PROJECT, "oncall", 0)
    assert office.ask(service.courier, office.key, found).secrets == (fourth,)
    assert len({first, second, third, fourth}) == 4


@pytest.mark.parametrize("hours", [-1, 169])
def test_a_rotation_overlaps_for_a_week_at_most(office, receiver, hours):
    office.hook(receiver.url)
    with pytest.raises(Invalid, match="0 to 168"):
        office.do(service.rotate, office.key, PROJECT, "oncall", hours)


def test_slack_gets_its_payload_without_a_signature_and_has_no_secret(office, receiver):
    _, secret = office.hook(receiver.url, channel=Channel.SLACK)
    office.happen("risk")
    office.tick()

    (got,) = receiver.got
    assert secret is None
    assert got.json["text"] == "[shop] group created: risk"
    assert got.json["blocks"][0]["type"] == "section"
    assert not [name for name in got.headers if name.startswith("webhook-")]
    with pytest.raises(Invalid, match="not signed"):
        office.do(service.rotate, office.key, PROJECT, "oncall", 1)


def test_a_test_is_sent_at_once_signed_and_queued_nowhere(office, receiver):
    _, secret = office.hook(receiver.url)
    office.do(service.pause, PROJECT, "oncall")
    receiver.answers = [Answer(200, {}, b"well received")]

    id_, outcome = service.send_test(office.runtime, PROJECT, "oncall")

    (got,) = receiver.got
    webhook = verify_webhook(got.body, got.headers, secret, now=office.clock.now().timestamp())
    assert (outcome.ok, outcome.answer, webhook.id) == (True, "well received", id_)
    assert webhook.data["link"] == "https://assent.example/projects/shop/notifications"
    assert webhook.data["leaf"] is None
    assert office.deliveries() == []


def test_deliveries_are_listed_in_pages_by_subscription_and_state(office, receiver):
    office.hook(receiver.url)
    office.hook(receiver.url, "second")
    for i in range(3):
        office.happen(f"g{i}")
    office.tick()

    page, before = office.ask(service.list_deliveries, PROJECT, service.Asked(name="second", limit=2))
    rest, end = office.ask(
        service.list_deliveries, PROJECT, service.Asked(name="second", limit=2, before=before)
    )
    assert [len(page), len(rest), end] == [2, 1, None]
    assert [one.leaf for one in [*page, *rest]] == sorted((one.leaf for one in [*page, *rest]), reverse=True)
    assert len(office.deliveries()) == 6
    assert office.deliveries(state="dead") == []
    for asked, words in ((service.Asked(state="lost"), "lost"), (service.Asked(limit=0), "1 to 200")):
        with pytest.raises(Invalid, match=words):
            office.ask(service.list_deliveries, PROJECT, asked)
    with pytest.raises(NotFound):
        office.ask(service.list_deliveries, PROJECT, service.Asked(name="nobody"))


def test_one_delivery_is_sent_again_whatever_became_of_it(office, receiver):
    office.hook(receiver.url)
    office.hook(receiver.url, "second", kinds=("identity.environment.created",))
    office.happen("a")
    office.tail()
    (waiting,) = office.deliveries()
    with pytest.raises(Conflict, match="about to be sent"):
        office.do(service.redeliver, PROJECT, "oncall", waiting.id)
    office.tick()

    assert office.do(service.redeliver, PROJECT, "oncall", waiting.id) == 1
    office.tick()

    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == waiting.id
    assert first.body == second.body
    for name, id_ in (("second", waiting.id), ("oncall", "msg_none")):
        with pytest.raises(NotFound):
            office.do(service.redeliver, PROJECT, name, id_)
    assert office.do(service.redeliver, PROJECT, "oncall", None) == 0


def test_a_delivery_of_another_project_is_not_found(office, receiver):
    office.do(identity.create_project, "other")
    office.hook(receiver.url)
    office.happen("a")
    office.tick()
    with pytest.raises(NotFound, match="other has no delivery"):
        office.ask(service.get_delivery, "other", office.deliveries()[0].id)


def test_what_a_worker_cannot_do_is_logged_without_a_secret(office, receiver, monkeypatch, caplog):
    office.hook(receiver.url)
    office.happen("a")

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(service, "send", broken)
    office.tick()

    assert "deliveries of sub_" in caplog.text
    assert "s3cret" not in caplog.text
    monkeypatch.undo()
    office.pass_time(91)
    office.tick()
    assert office.deliveries()[0].state == "delivered"


def test_a_receiver_that_keeps_a_tick_busy_is_left_after_a_while(office, receiver, monkeypatch):
    office.hook(receiver.url)
    office.happen("a")
    office.happen("b")
    monkeypatch.setattr(jobs, "MAX_BUSY_S", -1.0)
    office.tick()
    assert len(receiver.got) == 1
    office.tick()
    assert len(receiver.got) == 2


def test_after_the_key_folder_was_lost_a_subscription_begins_anew(tmp_path, receiver):
    with office_in(tmp_path) as office:
        office.hook(receiver.url)
        office.happen("a")
    (tmp_path / "data/keys/secret").write_bytes(b"z" * 32)
    settings = load(
        data_dir=tmp_path / "data",
        database_url=f"sqlite:///{tmp_path}/assent.db",
        origin="log.example/assent",
        **LOCAL,
    )
    with opened(settings, clock=FakeClock(), enqueue=KeptJobs()) as runtime:
        office = Office(runtime, None)
        office.tick()
        assert receiver.got == []

        target = service.judge_target(office.outside, Channel.WEBHOOK, receiver.url, ())
        office.do(service.change, office.key, PROJECT, "oncall", None, target)
        secret, _ = office.do(service.rotate, office.key, PROJECT, "oncall", 0)
        office.pass_time(91)
        office.tick()

        (got,) = receiver.got
        verify_webhook(got.body, got.headers, secret, now=office.clock.now().timestamp())


def test_a_pause_stops_what_is_under_way_after_the_delivery_that_is(office, receiver):
    office.hook(receiver.url)
    for i in range(3):
        office.happen(f"g{i}")
    receiver.meanwhile = lambda: office.do(service.pause, PROJECT, "oncall")

    office.tick()

    assert [one.state for one in office.deliveries()] == ["pending", "pending", "delivered"]
    assert len(receiver.got) == 1


def test_how_a_receiver_does_is_known(office, receiver):
    subscription, _ = office.hook(receiver.url)
    office.happen("a")
    receiver.answers = [Answer(503)]
    office.tick()
    found = office.ask(service.standing, subscription)
    assert (found.n_failures, found.failing_since) == (1, office.clock.now())
    assert found.retry_at > office.clock.now()
    office.pass_time(7)
    office.tick()
    assert office.ask(service.standing, subscription) == service.Standing(0, None, None)
