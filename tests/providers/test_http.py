"""Providers over HTTP, by command and by file."""

import json

import httpx
import pytest

from assent_client.cli.main import main
from assent_client.errors import Forbidden, Invalid, NotFound
from tests.providers.conftest import PROJECT

MAIN = {"base_url": "https://api.example.com/v1", "api_key": "env:EXAMPLE_KEY"}
FILE = """\
assent: 1
project: {name: shop}
providers:
- name: main
  base_url: https://api.example.com/v1/
  api_key: env:EXAMPLE_KEY
- {name: own, base_url: "http://127.0.0.1:8409/v1", connect_timeout_s: 1}
"""


@pytest.fixture
def api(served):
    with served.api() as api:
        yield api


@pytest.fixture
def run(served, monkeypatch, capsys):
    """Run one command with --json; give its exit code and value."""
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.admin)
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)

    def call(*args):
        code = main([*args, "--json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out or captured.err or "null")

    return call


def test_a_provider_is_put_read_listed_and_deleted(api):
    made = api.put(api.path("providers", "main"), MAIN)
    assert made == {
        **MAIN,
        "name": "main",
        "kind": "openai",
        "connect_timeout_s": 2.0,
        "first_token_timeout_s": 60.0,
        "idle_timeout_s": 60.0,
        "set_at": made["set_at"],
        "set_by": "root",
    }
    assert api.get(api.path("providers", "main")) == made
    assert list(api.pages(api.path("providers"))) == [made]
    assert api.delete(api.path("providers", "main")) is None
    with pytest.raises(NotFound):
        api.get(api.path("providers", "main"))


def test_the_first_time_is_201_and_a_change_is_200(served):
    headers = {"authorization": f"Bearer {served.admin}"}
    with httpx.Client(base_url=served.url, headers=headers) as client:
        path = f"/v1/projects/{PROJECT}/providers/main"
        bodies = (MAIN, MAIN, {**MAIN, "connect_timeout_s": 1})
        assert [client.put(path, json=body).status_code for body in bodies] == [201, 200, 200]
    assert len(served.desk.events()) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base_url": "http://169.254.169.254/latest"}, "link-local or metadata"),
        ({"api_key": "sk-proj-1234567890"}, "must be a reference"),
        ({"kind": "soap"}, "no kind 'soap'"),
        ({"key": "x"}, "Extra inputs"),
        ({"connect_timeout_s": 0}, "connect_timeout_s must be"),
        ({"base_url": None}, "valid string"),
    ],
)
def test_a_mistake_is_told_and_records_nothing(served, api, change, said):
    with pytest.raises(Invalid, match=said) as refusal:
        api.put(api.path("providers", "main"), MAIN | change)
    assert "sk-proj" not in str(refusal.value)
    assert served.desk.events() == []


def test_an_engineer_reads_but_does_not_change(served):
    with served.api() as admin:
        admin.put(admin.path("providers", "main"), MAIN)
    with served.api(served.token("engineer")) as engineer:
        assert engineer.get(engineer.path("providers", "main"))["name"] == "main"
        assert list(engineer.pages(engineer.path("base-models")))
        for change in (
            lambda: engineer.put(engineer.path("providers", "main"), MAIN),
            lambda: engineer.delete(engineer.path("providers", "main")),
            lambda: engineer.put("/v1/base-models/m", {"ends_on": None, "source": "https://a.example"}),
            lambda: engineer.delete("/v1/base-models/m"),
        ):
            with pytest.raises(Forbidden):
                change()


def test_the_end_of_a_base_model_is_put_and_taken_back(api):
    body = {"ends_on": "2030-01-01", "source": "https://acme.example/contract"}
    assert api.put("/v1/base-models/acme/own-7b", body)["is_override"] is True
    ends = {end["base_model"]: end for end in api.pages(api.path("base-models"))}
    assert ends["acme/own-7b"]["ends_on"] == "2030-01-01"
    assert ends["gpt-4-32k"]["source"].startswith("https://")
    api.delete("/v1/base-models/acme/own-7b")
    with pytest.raises(NotFound):
        api.delete("/v1/base-models/acme/own-7b")


def test_the_commands_set_show_and_remove_a_provider(run):
    code, made = run(
        "provider",
        "add",
        "main",
        "--base-url",
        MAIN["base_url"],
        "--api-key",
        "env:K",
        "--connect-timeout-s",
        "1.5",
    )
    assert (code, made["connect_timeout_s"], made["idle_timeout_s"]) == (0, 1.5, 60.0)
    assert run("provider", "get", "main") == (0, made)
    assert run("provider", "list") == (0, [made])
    assert run("provider", "remove", "main", "--yes") == (0, {"name": "main", "removed": True})
    code, problem = run("provider", "get", "main")
    assert (code, problem["code"]) == (13, "not_found")
    code, problem = run("provider", "add", "main", "--base-url", "http://169.254.1.1")
    assert (code, problem["reasons"][0]["id"]) == (10, "base_url")


def test_the_commands_date_base_models(run):
    source = ("--source", "https://a.example/b")
    code, end = run("provider", "end", "acme/own-7b", "--on", "2030-01-01", *source)
    assert (code, end["base_model"], end["ends_on"]) == (0, "acme/own-7b", "2030-01-01")
    code, end = run("provider", "end", "acme/own-7b", "--never", *source)
    assert (code, end["ends_on"]) == (0, None)
    assert "acme/own-7b" in [one["base_model"] for one in run("provider", "ends")[1]]
    assert run("provider", "end", "acme/own-7b", "--forget")[0] == 0
    assert "acme/own-7b" not in [one["base_model"] for one in run("provider", "ends")[1]]
    assert run("provider", "end", "m")[0] == 10
    assert run("provider", "end", "m", "--never", "--forget")[0] == 10


def test_a_table_of_ends_reads_well(served, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.admin)
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)
    assert main(["provider", "end", "gpt-4-32k", "--never", "--source", "https://a.example/b"]) == 0
    assert main(["provider", "ends"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("gpt-4-32k " in line and "not at all" in line for line in lines)


def test_a_file_is_applied_once_and_the_second_time_changes_nothing(served, run, tmp_path):
    path = tmp_path / "assent.yaml"
    path.write_text(FILE)
    code, first = run("apply", "-f", str(path))
    assert (code, first["n_create"]) == (0, 2)
    assert [one["kind"] for one in first["changes"]] == ["project", "provider", "provider"]
    code, second = run("apply", "-f", str(path))
    assert (code, second["n_create"], second["n_update"], second["n_unchanged"]) == (0, 0, 0, 3)
    assert len(served.desk.events()) == 2


def test_a_changed_file_changes_what_it_names_and_keeps_the_rest(run, tmp_path):
    path = tmp_path / "assent.yaml"
    path.write_text(FILE)
    run("apply", "-f", str(path))
    path.write_text(
        FILE.replace("8409", "8410").replace(", connect_timeout_s: 1", "").replace("env:EXAMPLE_KEY", "env:B")
    )
    assert run("apply", "-f", str(path), "--check")[0] == 1
    code, plan = run("apply", "-f", str(path))
    assert (code, plan["n_update"]) == (0, 2)
    assert [one["differs"] for one in plan["changes"][1:]] == [["api_key"], ["base_url"]]
    own = run("provider", "get", "own")[1]
    assert (own["base_url"], own["connect_timeout_s"]) == ("http://127.0.0.1:8410/v1", 1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("base_url: https", "url: https"), "`base_url` is missing"),
        (("connect_timeout_s: 1", "connect_timeout_s: soon"), "`connect_timeout_s` must be a number"),
        (("connect_timeout_s: 1", "connect_timeout_s: true"), "`connect_timeout_s` must be a number"),
        (("connect_timeout_s: 1", "connect_timeout_s: 0"), "must be 0.001 to 3600"),
        (("api_key: env:EXAMPLE_KEY", "api_key: sk-proj-123"), "must be a reference"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(run, tmp_path, change, said):
    path = tmp_path / "assent.yaml"
    path.write_text(FILE.replace(*change))
    code, problem = run("apply", "-f", str(path))
    assert code == 10
    assert said in json.dumps(problem)
    assert "assent.yaml:" in json.dumps(problem)
