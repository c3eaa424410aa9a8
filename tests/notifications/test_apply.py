"""Section `hooks` of `assent apply`, against a server on the loopback."""

import json

import pytest

from assent.notifications import service
from assent.notifications.domain.subscriptions import DEFAULT_KINDS, Channel
from assent_client.cli.main import main
from tests.notifications.conftest import PROJECT, office_in
from tests.notifications.test_http import api, operator, url  # noqa: F401 -- fixtures

FILE = """\
assent: 1
project: {{name: shop}}
hooks:
- {{name: oncall, kinds: [default, identity.group.created], url: "env:ONCALL_URL"}}
- {{name: chat, channel: slack, url: "{chat}"}}
"""


@pytest.fixture
def run(url, operator, monkeypatch, capsys, tmp_path, receiver):  # noqa: F811 -- pytest's way
    for name, value in (("ASSENT_URL", url), ("ASSENT_TOKEN", operator), ("ONCALL_URL", receiver.url)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "assent.yaml"

    def call(text, *words, as_json=True):
        path.write_text(text)
        code = main(["apply", "-f", str(path), *words, *(["--json"] if as_json else [])])
        out, err = capsys.readouterr()
        assert receiver.url not in out + err
        assert "whsec_" not in out + err
        value = json.loads(out or err) if as_json else {}
        changes = {one["name"]: (one["action"], one["differs"]) for one in value.get("changes", [])}
        changes.pop(PROJECT, None)
        return code, changes, err

    return call


def test_hooks_are_added_once_and_neither_targets_nor_secrets_are_printed(run, receiver, api):  # noqa: F811
    text = FILE.format(chat=receiver.url)
    planned = {"oncall": ("create", []), "chat": ("create", [])}
    assert run(text, "--check")[:2] == (1, planned)
    assert api.get(api.path("subscriptions"))["items"] == []
    assert run(text)[:2] == (0, planned)
    api.delete(api.path("subscriptions", "oncall"))
    code, _, err = run(text, as_json=False)
    assert (code, "assent hook rotate oncall" in err, "rotate chat" in err) == (0, True, False)
    unchanged = {"oncall": ("unchanged", []), "chat": ("unchanged", [])}
    assert run(text)[:2] == run(text, "--check")[:2] == (0, unchanged)


def test_kinds_and_targets_are_brought_to_what_the_file_says(run, receiver, api, monkeypatch):  # noqa: F811
    text = FILE.format(chat=receiver.url)
    run(text)
    reordered = text.replace("default, identity.group.created", "identity.group.created, default")
    assert run(reordered)[1]["oncall"] == ("unchanged", [])
    monkeypatch.setenv("ONCALL_URL", receiver.url + "/elsewhere")
    changed = text.replace("default, identity.group.created", "delivery.*")
    assert run(changed, "--check")[:2] == (
        1,
        {"oncall": ("update", ["kinds", "target"]), "chat": ("unchanged", [])},
    )
    assert run(changed)[0] == 0
    assert api.get(api.path("subscriptions", "oncall"))["kinds"] == ["delivery.*"]
    only_kinds = changed.replace("delivery.*", "delivery.*, cards.*")
    assert run(only_kinds)[1]["oncall"] == ("update", ["kinds"])
    assert run(only_kinds, "--check")[0] == 0
    assert len(api.get(api.path("subscriptions"))["items"]) == 2


def test_what_a_hook_cannot_be_is_refused_with_its_line(run, receiver, monkeypatch):
    text = FILE.format(chat=receiver.url)
    run(text)
    moved = text.replace("name: oncall,", "name: oncall, channel: slack,")
    assert (run(moved)[0], "hook oncall: channel" in run(moved)[2]) == (15, True)
    for wrong in (
        text.replace('url: "env:ONCALL_URL"', "addresses: [ada@example.com]"),
        text.replace("name: oncall,", "name: oncall, channel: email, addresses: [ada@example.com],"),
    ):
        assert "assent.yaml:4: a hook by" in run(wrong)[2]
    monkeypatch.delenv("ONCALL_URL")
    assert "the environment variable ONCALL_URL is not set" in run(text)[2]
    assert run("assent: 1\nproject: {name: shop}\n")[1] == {}


def test_addresses_are_compared_as_a_set_and_kinds_by_what_default_stands_for(tmp_path):
    mail = {"smtp_host": "127.0.0.1", "smtp_security": "none", "smtp_from": "assent@example.com"}
    with office_in(tmp_path, smtp_port=1, **mail) as office:
        office.hook(
            None, kinds=("default",), channel=Channel.EMAIL, emails=("ada@example.com", "bo@example.com")
        )

        def differs(kinds, *addresses, url=None):
            with office.runtime.session.read() as reader:
                found, key = service.get(reader, PROJECT, "oncall"), office.runtime.signers.secret
                return service.differences(reader, key, found, kinds, url, addresses)

        assert differs(DEFAULT_KINDS, "bo@example.com", "ada@example.com", "ada@example.com ") == []
        assert differs(None) == []
        assert differs(["default"], "ada@example.com") == ["target"]
        assert differs(["*"], url="https://example.com/") == ["kinds", "target"]
