"""The routes and `assent hook`, against a server on the loopback."""

import json

import pytest

from assent.identity import service as identity
from assent.identity.domain import ROLES, Permission
from assent_client.api import Api
from assent_client.cli.main import main
from assent_client.errors import AssentError, Forbidden, Invalid, NotFound
from assent_client.verify.webhook import verify_webhook
from tests.notifications.conftest import PROJECT, Answer
from tests.serving import listening

PATH = f"/v1/projects/{PROJECT}"


@pytest.fixture
def url(office):
    with listening(office.app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def operator(office):
    return office.token(office.person("otto", "operator", project=PROJECT))


@pytest.fixture
def api(url, operator):
    with Api(url, operator, PROJECT) as found:
        yield found


@pytest.fixture
def assent(url, operator, monkeypatch, capsys, tmp_path):
    for name, value in (("URL", url), ("TOKEN", operator), ("PROJECT", PROJECT)):
        monkeypatch.setenv(f"ASSENT_{name}", value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*words, as_json=True):
        code = main(["hook", *words, *(["--json"] if as_json else [])])
        out, err = capsys.readouterr()
        return code, (json.loads(out or err) if as_json else out + err)

    return run


def wanted(receiver, **changed):
    return {"name": "oncall", "kinds": ["identity.*"], "channel": "webhook", "url": receiver.url} | changed


def test_a_subscription_lives_over_http(office, api, receiver):
    added = api.post(f"{PATH}/subscriptions", wanted(receiver))
    assert added["secret"].startswith("whsec_")
    assert "secret" not in api.get(f"{PATH}/subscriptions/oncall")
    office.happen("risk")
    office.tick()

    (delivery,) = api.get(f"{PATH}/deliveries", subscription="oncall")["items"]
    assert (delivery["state"], delivery["subscription"], delivery["due_at"]) == ("delivered", "oncall", None)
    assert api.get(f"{PATH}/deliveries/{delivery['id']}")["attempts"][0]["status"] == 204
    assert api.post(f"{PATH}/subscriptions/oncall/redeliveries", {"delivery": delivery["id"]}) == {
        "name": "oncall",
        "n_queued": 1,
    }
    office.tick()
    assert [got.headers["webhook-id"] for got in receiver.got] == [delivery["id"]] * 2
    (listed,) = api.get(f"{PATH}/subscriptions")["items"]
    assert (listed["n_delivered"], listed["n_pending"], listed["n_dead"]) == (1, 0, 0)
    assert "s3cret" not in json.dumps(listed)
    assert listed["added_by"] == "otto"
    assert api.patch(f"{PATH}/subscriptions/oncall", {"kinds": ["*"]})["kinds"] == ["*"]
    assert api.patch(f"{PATH}/subscriptions/oncall", {"url": receiver.url + "x"})["kinds"] == ["*"]
    with pytest.raises(Invalid, match="one URL"):
        api.patch(f"{PATH}/subscriptions/oncall", {"addresses": ["ada@example.com"]})
    api.delete(f"{PATH}/subscriptions/oncall")
    with pytest.raises(NotFound):
        api.get(f"{PATH}/subscriptions/oncall")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"url": "https://127.0.0.2/x"}, "loopback"),
        ({"url": "https://169.254.169.254/latest"}, "metadata"),
        ({"url": "https://[::ffff:10.0.0.1]/x"}, "private"),
        ({"kinds": ["nothing.*"]}, "No event"),
        ({"kinds": []}, "kinds"),
        ({"channel": "pigeon"}, "channel"),
        ({"secret": "mine"}, "secret"),
        ({"channel": "email", "url": None, "addresses": ["ada@example.com"]}, "sends no e-mail"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(api, receiver, changed, words):
    with pytest.raises(Invalid, match=words):
        api.post(f"{PATH}/subscriptions", wanted(receiver, **changed))
    assert api.get(f"{PATH}/subscriptions")["items"] == []


def test_operators_change_subscriptions_others_only_read(office, url, receiver):
    assert {role for role, held in ROLES.items() if Permission.SUBSCRIPTION_CHANGE in held} == {
        "admin",
        "operator",
    }
    with Api(url, office.token(office.person("ed", "engineer", project=PROJECT)), PROJECT) as engineer:
        assert engineer.get(f"{PATH}/subscriptions")["items"] == []
        for call in (
            lambda: engineer.post(f"{PATH}/subscriptions", wanted(receiver)),
            lambda: engineer.post(f"{PATH}/subscriptions/oncall/tests"),
            lambda: engineer.post(f"{PATH}/subscriptions/oncall/redeliveries", {}),
            lambda: engineer.delete(f"{PATH}/subscriptions/oncall"),
        ):
            with pytest.raises(Forbidden):
                call()


def test_who_belongs_to_one_project_sees_nothing_of_another(office, api, receiver):
    office.do(identity.create_project, "other")
    for path in ("/v1/projects/other/subscriptions", "/v1/projects/other/deliveries"):
        with pytest.raises(AssentError):
            api.get(path)


def test_the_command_line_from_add_to_remove(office, assent, receiver, monkeypatch):
    code, added = assent(
        "add", "oncall", "--kinds", "identity.group.created, notifications.*", "--url", receiver.url
    )
    assert (code, added["kinds"]) == (0, ["identity.group.created", "notifications.*"])
    receiver.answers = [Answer(200, {}, b"hello")]
    code, tested = assent("test", "oncall")
    assert (code, tested["ok"], tested["answer"]) == (0, True, "hello")
    receiver.answers = [Answer(500)]
    code, tested = assent("test", "oncall")
    assert (code, tested["error"]) == (1, "The receiver answered 500.")
    assert assent("pause", "oncall")[1]["state"] == "paused"
    assert assent("resume", "oncall")[1]["state"] == "enabled"
    code, rotated = assent("rotate", "oncall", "--overlap-hours", "1")
    office.happen("risk")
    office.tick()
    got = receiver.got[-1]
    for secret in (added["secret"], rotated["secret"]):
        verify_webhook(got.body, got.headers, secret, now=office.clock.now().timestamp())

    code, deliveries = assent("deliveries", "oncall", "--state", "delivered")
    assert {one["type"] for one in deliveries} >= {"identity.group.created", "notifications.secret.rotated"}
    assert assent("delivery", deliveries[0]["id"])[1]["id"] == deliveries[0]["id"]
    assert assent("redeliver", "oncall", deliveries[0]["id"])[1]["n_queued"] == 1
    assert assent("redeliver", "oncall", "--all-dead")[1]["n_queued"] == 0
    assert assent("redeliver", "oncall")[0] == 10
    assert assent("change", "oncall", "--kinds", "default")[1]["kinds"] == ["default"]
    assert assent("change", "oncall")[0] == 10
    assert [one["name"] for one in assent("list")[1]] == ["oncall"]
    assert assent("show", "oncall")[1]["channel"] == "webhook"
    assert assent("remove", "oncall", "--yes")[1]["removed"] is True
    assert assent("list")[1] == []


def test_a_url_is_read_from_standard_input_and_only_one_target_is_given(assent, receiver, monkeypatch):
    import io  # noqa: PLC0415 -- a pipe

    assert assent("add", "both", "--url", receiver.url, "--email", "a@example.com")[0] == 10
    assert assent("add", "none")[0] == 10
    monkeypatch.setattr("sys.stdin", io.StringIO(receiver.url + "\n"))
    code, text = assent("add", "chat", "--slack-url", "-", as_json=False)
    assert code == 0
    assert "secret" not in text
    assert "s3cret" not in text
    assert "sends no e-mail" in assent("add", "mail", "--email", "a@example.com", as_json=False)[1]
    assert "Keep the secret" in assent("add", "signed", "--url", receiver.url, as_json=False)[1]
    assert "no deliveries" in assent("deliveries", as_json=False)[1]
