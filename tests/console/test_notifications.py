"""The page of notifications: subscriptions, deliveries, and what is done about them."""

import html
import shutil
from datetime import timedelta

import pytest

from assent.identity import service as identity
from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.settings import load
from assent.notifications import jobs, service
from assent.notifications.domain.subscriptions import DEFAULT_KINDS, Channel
from assent.retirement import jobs as retirement_jobs
from assent.retirement import service as retirement
from tests.approvals.shop import PROJECT, Desk
from tests.conftest import KeptJobs
from tests.console.shop import Console, words_of
from tests.notifications.conftest import LOCAL, Answer, receiving

ADDRESS = "/projects/shop/notifications"


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def console(furnished, tmp_path):
    data, people, now = furnished
    shutil.copytree(data, tmp_path / "data")
    settings = load(data_dir=tmp_path / "data", origin="log.example/assent", **LOCAL)
    with opened(settings, clock=FakeClock(now), enqueue=KeptJobs()) as runtime:
        yield Console(Desk(runtime), dict(people))


def subscribe(console, receiver, name="oncall", kinds=("identity.group.created",)):
    runtime = console.desk.runtime
    target = service.judge_target(service.outside_of(runtime), Channel.WEBHOOK, receiver.url, ())
    with console.desk.begin() as tx:
        return service.add(tx, runtime.signers.secret, PROJECT, name, kinds, target)


def happen(console, name):
    with console.desk.begin() as tx:
        identity.create_group(tx, PROJECT, name)
    jobs.tail(console.desk.runtime)
    jobs.deliver(console.desk.runtime)


def test_it_says_how_to_begin_and_is_in_its_place(console):
    answer = console.signed_in("rita").get(ADDRESS)
    assert "Nobody is told of anything. assent hook add" in words_of(answer)
    assert f'<a href="{ADDRESS}" aria-current="page">Notifications</a>' in answer.text


def test_it_shows_subscriptions_and_deliveries_with_state_and_error_and_nothing_secret(console, receiver):
    _, secret = subscribe(console, receiver)
    receiver.answers = [Answer(), Answer(500, {}, b"<b>oh</b>")]
    happen(console, "first")
    happen(console, "second")

    answer = console.signed_in("otto").get(ADDRESS)

    words = words_of(answer)
    assert "Enabled" in words
    assert f"webhook to http://127.0.0.1:{receiver.port}" in words
    assert "Waiting The receiver answered 500. next try" in words
    assert "Delivered" in words
    assert "s3cret" not in answer.text
    assert secret not in answer.text
    assert (
        words_of(console.signed_in("otto").get(f"{ADDRESS}?state=delivered&name=oncall")).count("leaf ") == 2
    )


def test_a_test_is_sent_and_its_answer_shown_as_text(console, receiver):
    subscribe(console, receiver)
    otto = console.signed_in("otto")
    receiver.answers = [Answer(200, {}, b"<script>alert(1)</script>"), Answer(500)]

    answer = otto.submit(otto.get(ADDRESS), f"{ADDRESS}/oncall/tests")
    assert "The test of oncall arrived" in words_of(answer)
    assert "<script>alert" not in answer.text
    assert html.escape("<script>alert(1)</script>") in answer.text
    answer = otto.submit(otto.get(ADDRESS), f"{ADDRESS}/oncall/tests")

    assert "The test of oncall did not arrive The receiver answered 500." in words_of(answer)
    assert len(receiver.got) == 2


def test_a_subscription_is_paused_and_resumed(console, receiver):
    subscribe(console, receiver)
    otto = console.signed_in("otto")
    page = otto.get(ADDRESS)

    assert otto.submit(page, f"{ADDRESS}/oncall/pauses").status_code == 303
    again = otto.submit(page, f"{ADDRESS}/oncall/pauses")
    assert (again.status_code, "oncall is paused." in words_of(again)) == (409, True)
    assert otto.submit(otto.get(ADDRESS), f"{ADDRESS}/oncall/resumptions").status_code == 303

    assert console.read(service.get, PROJECT, "oncall").state == "enabled"


def test_one_delivery_and_all_that_were_given_up_are_sent_again(console, receiver):
    subscribe(console, receiver)
    receiver.answers = [Answer(410)]
    happen(console, "first")
    otto = console.signed_in("otto")
    assert "Disabled the receiver said that it is gone" in words_of(otto.get(ADDRESS))
    assert "redeliveries" not in otto.get(ADDRESS).text
    otto.submit(otto.get(ADDRESS), f"{ADDRESS}/oncall/resumptions")
    page = otto.get(ADDRESS)
    assert "Send all that were given up again" in words_of(page)

    assert otto.submit(page, f"{ADDRESS}/oncall/redeliveries").status_code == 303
    jobs.deliver(console.desk.runtime)
    assert len(receiver.got) == 2
    page = otto.get(ADDRESS)
    assert "Send all that were given up again" not in words_of(page)
    assert otto.submit(page, f"{ADDRESS}/oncall/redeliveries").status_code == 303
    jobs.deliver(console.desk.runtime)

    assert len(receiver.got) == 3
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_who_may_only_read_gets_no_buttons_and_a_form_from_elsewhere_does_nothing(console, receiver):
    subscribe(console, receiver)
    happen(console, "first")
    rita = console.signed_in("rita")
    page = rita.get(ADDRESS)
    assert "oncall" in words_of(page)
    assert "oncall/tests" not in page.text
    assert "redeliveries" not in page.text
    assert rita.post(f"{ADDRESS}/oncall/pauses", data={"x": "y"}).status_code == 403
    otto = console.signed_in("otto")
    assert otto.post(f"{ADDRESS}/oncall/pauses", data={"x": "y"}).status_code == 403
    assert (
        otto.post(
            f"{ADDRESS}/oncall/pauses", data={"x": "y"}, headers={"origin": "https://evil.example"}
        ).status_code
        == 403
    )
    assert console.read(service.get, PROJECT, "oncall").state == "enabled"


def test_deliveries_come_in_pages_and_an_unknown_question_is_refused(console, receiver, monkeypatch):
    from assent.console import notifications  # noqa: PLC0415 -- its page is made small

    monkeypatch.setattr(notifications, "PER_PAGE", 2)
    subscribe(console, receiver)
    for i in range(3):
        happen(console, f"g{i}")
    otto = console.signed_in("otto")

    page = otto.get(f"{ADDRESS}?name=oncall")
    older = html.unescape(page.text.split('<a class="button outline" href="')[1].split('"')[0])
    assert words_of(otto.get(older)).count("identity.group.created leaf") == 1
    assert otto.get(f"{ADDRESS}?state=lost").status_code == 422
    assert otto.get(f"{ADDRESS}?name=nobody").status_code == 404
    assert (
        otto.post(
            f"{ADDRESS}/nobody/tests",
            data=otto.fields(page, f"{ADDRESS}/oncall/tests"),
            headers={"origin": "http://127.0.0.1:8400"},
        ).status_code
        == 404
    )


def tick(console):
    jobs.tail(console.desk.runtime)
    jobs.deliver(console.desk.runtime)


def test_reviewers_requesters_and_on_call_hear_of_a_release_that_rolls_itself_back(console, receiver):
    subscribe(console, receiver, kinds=("default",))
    request, rollout = console.filed(block_s=1)
    tick(console)
    submitted = [got.json for got in receiver.got if got.json["type"] == "approvals.request.submitted"]
    page = f"https://assent.example/projects/shop/requests/{request.id}"
    assert [one["data"]["link"] for one in submitted] == [page]
    assert submitted[0]["data"]["subject"] == request.subject
    assert console.signed_in("rita").get(f"/projects/shop/requests/{request.id}").status_code == 200
    console.sign_in()
    console.vote("rita", request)
    started = console.start(rollout)
    console.traffic(started, 20, canary_down=1.0)
    tick(console)

    heard = {got.json["type"]: got.json["data"] for got in receiver.got}
    assert heard["approvals.decision.made"]["about"]["effect"] == "approved"
    opened, back = heard["monitoring.incident.opened"], heard["delivery.rollout.rolled_back"]
    assert opened["about"]["guard"] == back["about"]["guard"] == "thumbs_down"
    assert opened["link"].startswith("https://assent.example/projects/shop/incidents/inc_")
    assert back["link"] == f"https://assent.example/projects/shop/rollouts/{rollout.id}"
    said = b"".join(got.body for got in receiver.got)
    assert not [name for name, who in console.people.items() if who.id.encode() in said]


def test_owners_hear_of_a_deprecation_and_its_notices_with_brown_outs_and_dependents(console, receiver):
    console.bind()
    console.adopt()
    subscribe(console, receiver, kinds=("retirement.*",))
    version = console.version("2.0.0")
    sunset = console.clock.now() + timedelta(days=20)
    said = retirement.Announcement(sunset_at=sunset, reason="Ada said so")
    console.do("root", retirement.deprecate, version, said)
    retirement_jobs.notify(console.desk.runtime)
    tick(console)

    announced, notice = (got.json["data"] for got in receiver.got)
    assert len(announced["about"]["brownouts"]) == 2
    assert announced["link"] == "https://assent.example/projects/shop/versions/support/2.0.0"
    assert (notice["about"]["days"], notice["about"]["dependents"]) == (30, ["production/support"])
    assert b"Ada said so" not in b"".join(got.body for got in receiver.got)


def add(console, browser, **fields):
    typed = {"name": "oncall", "kinds": "default", "channel": "webhook", "target": "", **fields}
    return browser.submit(browser.get(ADDRESS), ADDRESS, **typed)


def test_a_webhook_is_added_by_form_and_its_secret_is_shown_this_once(console, receiver):
    otto = console.signed_in("otto")
    assert ">default</textarea>" in otto.get(ADDRESS).text

    answer = add(console, otto, kinds="default, identity.group.created", target=receiver.url)

    found = console.read(service.get, PROJECT, "oncall")
    assert found.kinds == (*DEFAULT_KINDS, "identity.group.created")
    key = console.desk.runtime.signers.secret
    (secret,) = console.read(service.courier, key, found).secrets
    assert (answer.status_code, f"<code>{secret}</code>" in answer.text) == (200, True)
    assert answer.headers["cache-control"] == "no-store"
    assert ">default, identity.group.created</textarea>" in otto.get(ADDRESS).text
    assert secret not in otto.get(ADDRESS).text
    assert "s3cret" not in otto.get(ADDRESS).text
    happen(console, "first")
    assert len(receiver.got) == 1


def test_slack_and_mail_have_no_secret_to_show(console, receiver):
    otto = console.signed_in("otto")
    assert add(console, otto, name="chat", channel="slack", target=receiver.url).status_code == 303
    assert console.read(service.get, PROJECT, "chat").channel == "slack"
    answer = add(console, otto, name="mail", channel="email", target="ada@example.com, bo@example.com")
    assert (answer.status_code, "sends no e-mail" in words_of(answer)) == (422, True)
    answer = add(console, otto, name="mail", channel="email", target="ada@example.com; nobody")
    assert "'nobody' is not an e-mail address" in html.unescape(words_of(answer))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "On Call"}, "On Call"),
        ({"kinds": "nothing.*"}, "No event is called"),
        ({"kinds": ""}, "No kind of event is named"),
        ({"channel": "pigeon"}, "No channel is chosen"),
        ({"target": "https://10.0.0.1/x"}, "private"),
        ({"target": ""}, "leads to one URL"),
        ({"target": "https://example.com/" + "x" * 6000}, "are allowed"),
    ],
)
def test_what_cannot_be_added_is_said_and_stays_as_it_was_typed(console, receiver, fields, words):
    otto = console.signed_in("otto")

    answer = add(console, otto, **{"target": receiver.url, **fields})

    assert (answer.status_code, words in words_of(answer)) == (422, True)
    kept = {"name": "oncall", "target": receiver.url, **fields}
    for name in ("name", "target"):
        assert f'name="{name}"' in answer.text
        assert f'value="{kept[name]}"' in answer.text
    assert f">{fields.get('kinds', 'default')}</textarea>" in answer.text
    assert console.read(service.list_, PROJECT) == []


def test_kinds_and_target_are_changed_by_form(console, receiver):
    subscribe(console, receiver)
    otto = console.signed_in("otto")
    changes = f"{ADDRESS}/oncall/changes"

    answer = otto.submit(otto.get(ADDRESS), changes, kinds="delivery.*", target="")
    assert answer.status_code == 303
    assert console.read(service.get, PROJECT, "oncall").kinds == ("delivery.*",)
    elsewhere = f"http://127.0.0.1:{receiver.port + 1}/x"
    assert otto.submit(otto.get(ADDRESS), changes, kinds="delivery.*", target=elsewhere).status_code == 303
    assert console.read(service.get, PROJECT, "oncall").target == f"http://127.0.0.1:{receiver.port + 1}"
    answer = otto.submit(otto.get(ADDRESS), changes, kinds="nothing.*", target=elsewhere)
    assert (answer.status_code, f'value="{elsewhere}"' in answer.text) == (422, True)
    assert ">nothing.*</textarea>" in answer.text
    assert ">default</textarea>" in answer.text


def test_who_may_only_read_is_given_no_form_to_add_or_change(console, receiver):
    subscribe(console, receiver)
    rita = console.signed_in("rita")
    page = rita.get(ADDRESS)
    assert "Add a subscription" not in page.text
    assert "/changes" not in page.text
    token = rita.fields(rita.get("/"), "/sign-out")
    for path in (ADDRESS, f"{ADDRESS}/oncall/changes"):
        answer = rita.post(path, data={**token, "name": "x"}, headers={"origin": "http://127.0.0.1:8400"})
        assert answer.status_code == 403
