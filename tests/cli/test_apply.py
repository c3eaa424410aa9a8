"""`assent apply` and the nouns of identity, against the real routes over HTTP."""

import json

import pytest
import sqlalchemy as sa

from assent.identity import http as identity_http
from assent.identity import service as identity
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.web.routing import routes_of
from assent_client.cli.main import main
from tests.databases import prepared
from tests.ledger.conftest import open_installation
from tests.serving import api_of, listening

ROUTES = routes_of([identity_http.router])

TEXT = """\
assent: 1
project:
  name: support
  title: Customer support
environments:
- name: staging
  protected: false
- name: production
people:
- name: ada
  called: Ada Lovelace
  roles: [engineer]
- name: rita
  roles: [reviewer]
services:
- name: ci
  roles: [engineer]
groups:
- name: reviewers
  members: [rita]
keys:
- name: web
  environment: production
  models: [assistant]
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    with prepared("sqlite", tmp_path) as database:
        installed = open_installation(database, tmp_path)
    with installed.session.begin(SYSTEM) as tx:
        token = identity.bootstrap(tx, "root")
    app = api_of(Runtime(load(data_dir=tmp_path), installed.session, installed.signers), ROUTES)
    with listening(app) as port:
        monkeypatch.setenv("ASSENT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("ASSENT_TOKEN", token)
        yield installed.session
    installed.session.engine.dispose()


@pytest.fixture
def run(session, capsys):
    """Run one command with --json; give its exit code and value."""

    def call(*args):
        code = main([*args, "--json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out or captured.err or "null")

    return call


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "assent.yaml"
    path.write_text(TEXT)
    return path


def n_leaves(session):
    with session.read() as reader:
        return reader.conn.execute(sa.text("select size from ledger_head")).scalar() or 0


def test_a_file_is_applied_once_and_the_second_time_changes_nothing(run, file, session):
    code, first = run("apply", "-f", str(file))
    assert (code, first["n_create"], first["n_unchanged"], first["applied"]) == (0, 8, 0, True)
    assert [one["kind"] for one in first["changes"]] == [
        "project", "environment", "environment", "person", "person", "service", "group", "key",
    ]  # fmt: skip
    assert list(first["secrets"]) == ["key production/web"]
    size = n_leaves(session)
    code, second = run("apply", "-f", str(file))
    assert (code, second["n_create"], second["n_update"], second["n_unchanged"]) == (0, 0, 0, 8)
    assert second["secrets"] == {}
    assert n_leaves(session) == size


def test_what_was_made_before_an_error_is_told_with_its_secrets(run, file, session, capsys):
    file.write_text(file.read_text() + "- {name: worse, environment: production, models: ['no name']}\n")
    assert main(["apply", "-f", str(file), "--json"]) != 0
    told, refused = map(json.loads, capsys.readouterr())
    assert (told["applied"], told["n_create"], list(told["secrets"])) == (False, 8, ["key production/web"])
    assert "no name" in json.dumps(refused)

    assert main(["apply", "-f", str(file)]) != 0
    assert capsys.readouterr().out == ""


def test_check_changes_nothing_and_says_by_its_exit_code_whether_it_would(run, file, session):
    size = n_leaves(session)
    code, planned = run("apply", "-f", str(file), "--check")
    assert (code, planned["n_create"], planned["applied"], planned["secrets"]) == (1, 8, False, {})
    assert n_leaves(session) == size
    run("apply", "-f", str(file))
    assert run("apply", "-f", str(file), "--check")[0] == 0


def test_the_names_on_the_server_are_those_of_the_file(run, file):
    run("apply", "-f", str(file))
    assert [one["name"] for one in run("env", "list", "--project", "support")[1]] == ["production", "staging"]
    ada = run("user", "get", "ada")[1]
    assert (ada["display_name"], ada["roles"]) == (
        "Ada Lovelace",
        [{"role": "engineer", "project": "support"}],
    )
    assert run("group", "get", "reviewers", "--project", "support")[1]["members"][0]["name"] == "rita"
    (key,) = run("key", "list", "--project", "support")[1]
    assert (key["name"], key["environment"], key["names"]) == ("web", "production", ["assistant"])


def test_roles_and_members_are_brought_to_what_the_file_says(run, file):
    run("apply", "-f", str(file))
    file.write_text(
        TEXT.replace("members: [rita]", "members: [ada]").replace("[reviewer]", "[reviewer, operator]")
    )
    code, changed = run("apply", "-f", str(file))
    updates = {one["name"]: one["differs"] for one in changed["changes"] if one["action"] == "update"}
    assert (code, updates) == (0, {"rita": ["+ operator"], "reviewers": ["+ ada", "- rita"]})
    assert run("apply", "-f", str(file), "--check")[0] == 0


def test_a_group_without_members_in_the_file_keeps_its_own(run, file):
    run("apply", "-f", str(file))
    file.write_text(TEXT.replace("  members: [rita]\n", ""))
    assert run("apply", "-f", str(file), "--check")[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("protected: false", "protected: true", "environment.staging"),
        ("title: Customer support", "title: Other", "project.support"),
        ("models: [assistant]", "models: ['*']", "key.production/web"),
        ("services:\n- name: ci", "services:\n- name: ada", "service.ada"),
    ],
)
def test_what_cannot_change_is_refused_before_anything_is_changed(run, file, session, old, new, reason):
    run("apply", "-f", str(file))
    size = n_leaves(session)
    file.write_text(TEXT.replace(old, new).replace("members: [rita]", "members: []"))
    code, problem = run("apply", "-f", str(file))
    assert (code, [one["id"] for one in problem["reasons"]]) == (15, [reason])
    assert n_leaves(session) == size


def test_an_error_of_the_server_names_the_line_and_the_thing(run, file):
    file.write_text(TEXT.replace("members: [rita]", "members: [nobody]"))
    code, problem = run("apply", "-f", str(file))
    assert code == 13
    assert f"{file}:19: group reviewers: " in problem["detail"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("project: {name: a}\n", ":1: the first line must be `assent: 1`"),
        ("assent: 2\nproject: {name: a}\n", ":1: the first line must be `assent: 1`"),
        ("[]", "must be a mapping of sections"),
        ("assent: 1\n", "the section `project` is missing"),
        ("assent: 1\nproject: {name: a}\nmodel: []\n", ":3: there is no section 'model'"),
        ("assent: 1\nproject: {name: a}\ngroups: {}\n", ":3: `groups` must be a list"),
        ("assent: 1\nproject: {name: a}\ngroups:\n- a\n", ":4: must be a mapping"),
        ("assent: 1\nproject: {name: a}\ngroups:\n- members: [x]\n", ":4: the field `name` is missing"),
        (
            "assent: 1\nproject: {name: a}\ngroups:\n- name: x\n  member: [y]\n",
            ":5: there is no field 'member'",
        ),
        (
            "assent: 1\nproject: {name: a}\ngroups:\n- name: x\n  members: y\n",
            ":5: `members` must be a list of texts",
        ),
        ("assent: 1\nproject: {name: 1.5}\n", ":2: `name` must be text; put it in quotes"),
        ("assent: 1\nproject: {name: ''}\n", ":2: `name` must be text"),
        (
            "assent: 1\nproject: {name: a}\nenvironments:\n- name: x\n  protected: yes\n",
            ":5: `protected` must be true",
        ),
        ("assent: 1\nproject: {name: a}\ngroups:\n- name: x\n- name: x\n", ":5: 'x' is described twice"),
        ("assent: 1\nproject: {name: a\n", "not YAML"),
    ],
)
def test_a_file_with_mistakes_is_refused_with_lines_before_anything_is_sent(run, file, session, text, said):
    size = n_leaves(session)
    file.write_text(text)
    code, problem = run("apply", "-f", str(file))
    assert code == 10
    assert said in " ".join([problem["detail"], *(one["message"] for one in problem["reasons"])])
    assert n_leaves(session) == size


def test_every_mistake_is_listed_at_once(run, file):
    file.write_text("assent: 1\nproject: {nam: a}\ngroups:\n- {}\nother: 1\n")
    assert len(run("apply", "-f", str(file))[1]["reasons"]) == 4


def test_the_project_of_the_file_is_meant_and_no_other(run, file):
    code, problem = run("apply", "-f", str(file), "--project", "other")
    assert code == 10
    assert "'support'" in problem["detail"]
    assert run("apply", "-f", str(file), "--project", "support")[0] == 0


def test_people_read_a_plan_with_counts(session, file, capsys):
    assert main(["apply", "-f", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].split() == ["create", "project", "support", "-"]
    assert "key production/web: " in captured.out
    assert captured.err == "8 created, 0 updated, 0 unchanged.\n"


def test_nouns_of_identity_do_what_they_say(run):
    assert run("project", "create", "shop", "--title", "Shop")[0] == 0
    assert [one["name"] for one in run("project", "list")[1]] == ["shop"]
    assert run("project", "get", "shop")[1]["title"] == "Shop"
    assert run("env", "create", "dev", "--no-protected", "--project", "shop")[1]["protected"] is False
    assert run("user", "add", "ann", "--role", "engineer", "--in", "shop")[1]["roles"][0]["project"] == "shop"
    assert run("user", "add", "bot", "--service")[1]["kind"] == "service"
    assert run("user", "bind", "ann", "auditor")[1]["roles"][0] in [
        {"role": "auditor", "project": "*"},
        {"role": "engineer", "project": "shop"},
    ]
    assert len(run("user", "unbind", "ann", "auditor")[1]["roles"]) == 1
    assert run("user", "link", "ann")[1]["url"].startswith("http")
    assert {"ann", "bot", "root"} <= {one["name"] for one in run("user", "list")[1]}
    assert run("user", "me")[1]["name"] == "root"
    assert run("group", "create", "risk", "--project", "shop")[0] == 0
    assert run("group", "add", "risk", "ann", "--project", "shop")[1]["members"][0]["name"] == "ann"
    assert run("group", "remove", "risk", "ann", "--project", "shop")[1]["members"] == []
    assert [one["name"] for one in run("group", "list", "--project", "shop")[1]] == ["risk"]
    assert run("group", "get", "none", "--project", "shop")[0] == 13


def test_a_key_is_issued_listed_and_revoked(run):
    run("project", "create", "shop")
    run("env", "create", "dev", "--project", "shop")
    assert run("key", "issue", "dev", "web", "--project", "shop")[1]["key"]
    (key,) = run("key", "list", "--env", "dev", "--project", "shop")[1]
    limits = {"requests_per_minute": 60, "tokens_per_day": 5000}
    asked = ("--requests-per-minute", "60", "--tokens-per-day", "5000", "--project", "shop")
    assert run("key", "limit", key["id"], *asked)[1]["limits"] == limits
    assert run("key", "list", "--project", "shop")[1][0]["limits"] == limits
    assert run("key", "limit", key["id"], "--cost-per-day", "50", "--project", "shop")[1]["limits"] == {
        "cost_per_day": "50", "currency": "USD",
    }  # fmt: skip
    assert run("key", "show", key["id"], "--project", "shop")[1]["limits"]["cost_per_day"] == "50"
    assert run("key", "limit", key["id"], "--project", "shop")[0] == 10
    assert run("key", "limit", key["id"], "--none", "--project", "shop")[1]["limits"] == {}
    assert run("key", "revoke", key["id"], "--project", "shop")[1] == {"id": key["id"], "revoked": True}
    assert run("key", "list", "--project", "shop")[1][0]["revoked_at"] is not None


def test_a_token_is_issued_used_listed_and_revoked(run, monkeypatch):
    run("user", "add", "bot", "--service", "--role", "auditor")
    issued = run("token", "issue", "nightly", "--for", "bot", "--days", "1")[1]
    assert set(issued) == {"token", "expires_at"}
    assert "identity.self.read" in run("token", "permissions")[1]
    with monkeypatch.context() as as_bot:
        as_bot.setenv("ASSENT_TOKEN", issued["token"])
        assert run("user", "me")[1]["name"] == "bot"
        (own,) = run("token", "list")[1]
        assert run("token", "revoke", own["id"])[0] == 0
        assert run("user", "me")[0] == 11


def test_without_the_permission_a_command_ends_with_forbidden(run, monkeypatch):
    run("user", "add", "bot", "--service", "--role", "auditor")
    monkeypatch.setenv("ASSENT_TOKEN", run("token", "issue", "x", "--for", "bot")[1]["token"])
    code, problem = run("project", "create", "mine")
    assert (code, problem["code"]) == (12, "forbidden")


def test_tables_of_identity_read_well(session, capsys):
    main(["user", "add", "ann", "--role", "engineer"])
    main(["user", "list"])
    out = capsys.readouterr().out
    assert "engineer" in out
    assert "NAME" in out
