import importlib.machinery
import json
import os
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest
import typer

from assent_client.cli import tree
from assent_client.cli.connection import connect, load_login, login_path, save_login
from assent_client.cli.main import log_path, main
from assent_client.cli.output import emit
from assent_client.errors import ERRORS, Forbidden, Invalid, Reason

ASSENT = [sys.executable, "-c", "import sys; from assent_client.cli.main import main; sys.exit(main())"]


@pytest.fixture
def noun(monkeypatch):
    """Add the noun `sample` with the given verbs, as a module of the client would."""

    def add(*verbs, is_noun=True):
        module = types.ModuleType("assent_client.cli.sample")
        module.__spec__ = importlib.machinery.ModuleSpec("assent_client.cli.sample", None)
        module.app = typer.Typer()
        for verb in verbs:
            module.app.command()(verb)
        monkeypatch.setitem(sys.modules, "assent_client.cli.sample", module)
        monkeypatch.setitem(tree.COMMANDS, "sample", tree.Entry("A sample.", noun=is_noun))

    return add


def test_help_lists_every_command_with_its_line(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "login" in out
    assert tree.COMMANDS["login"].help in out
    assert "ASSENT_URL" in out


def test_examples_are_printed_as_they_are_typed(capsys):
    assert main(["login", "--help"]) == 0
    assert (
        "\n  Example: assent login http://desk:8400 --name ada\n  Example: assent login --link"
        in capsys.readouterr().out
    )
    assert main(["model", "deprecate", "--help"]) == 0
    assert "--successor support@2.1.0 --sunset 2027-01-31 -r " in capsys.readouterr().out


def test_a_choice_that_is_none_is_told_without_the_librarys_words(capsys):
    assert main(["suite", "new", "--form", "foo"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: Invalid value for '--form': 'foo' is not one of 'gsm8k'"
    )


def test_a_reader_that_goes_away_is_no_failure_of_what_was_read():
    with subprocess.Popen(
        [*ASSENT, "check", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.close()
        assert running.wait(20) == 141
        assert running.stderr.read() == b""


def test_a_verb_is_listed_with_its_whole_first_sentence(capsys):
    assert main(["label", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Show the next answer that you have not labelled; neither whose it is nor what others said." in out


def test_help_in_a_pipe_holds_no_escape_sequences():
    done = subprocess.run([*ASSENT, "--help"], capture_output=True, timeout=20, check=True)
    assert b"\x1b" not in done.stdout


def test_help_loads_no_noun_and_no_http():
    code = (
        "import sys\nfrom assent_client.cli.main import main\nassert main(['--help']) == 0\n"
        "loaded = {'httpx', 'rich.table', 'assent_client.cli.login', 'assent'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, timeout=20, check=True)


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("assent 0.")


def test_no_command_shows_the_help_as_a_usage_error(capsys):
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["lgin"], ["login", "--nope"], ["login", "a", "b"], ["--url"]])
def test_a_wrong_command_line_is_usage_and_says_where_help_is(args, capsys):
    assert main(args) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "--help" in err


def test_a_typing_error_gets_a_suggestion(capsys):
    main(["lgin"])
    assert "'login'" in capsys.readouterr().err


@pytest.mark.parametrize("cls", ERRORS.values(), ids=list(ERRORS))
def test_every_error_has_its_exit_code_and_prints_all_reasons(cls, server, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_TOKEN", "t")
    reasons = [Reason("card", "the card is missing", "publish it"), Reason("votes", "too few", "", 0, 1)]
    server.on(
        "GET", "/healthz", server.Answer(cls("no", remedy="later", reasons=reasons).to_wire(), cls.status)
    )
    assert main(["login", server.url]) == cls.exit_code
    err = capsys.readouterr().err
    assert err.splitlines() == [
        "error: no",
        "  ✗ card: the card is missing",
        "      to do: publish it",
        "  ✗ votes: too few",
        "      have: 0   need: 1",
        "to do: later",
    ]


def test_a_reason_that_says_what_the_error_says_is_not_printed_twice(server, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_TOKEN", "t")
    wire = Invalid(
        "It ends too soon.", reasons=[Reason("filter", "It ends too soon.", "", {"at": 3})]
    ).to_wire()
    server.on("GET", "/healthz", server.Answer(wire, 422))
    assert main(["login", server.url]) == 10
    assert capsys.readouterr().err == "error: It ends too soon.\n"


def test_with_json_an_error_is_the_problem_document_and_stdout_stays_empty(server, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_TOKEN", "t")
    server.on("GET", "/healthz", server.Answer(Invalid("bad").to_wire("req_1"), 422))
    assert main(["login", "--json", server.url]) == 10
    captured = capsys.readouterr()
    problem = json.loads(captured.err)
    assert (captured.out, problem["code"], problem["request_id"]) == ("", "invalid", "req_1")


def test_a_defect_of_the_server_is_internal_and_names_the_request(server, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_TOKEN", "t")
    wire = {"code": "internal", "detail": "it broke", "request_id": "req_7"}
    server.on("GET", "/healthz", server.Answer(wire, 500))
    assert main(["login", server.url]) == 70
    assert "req_7" in capsys.readouterr().err
    assert main(["login", "--json", server.url]) == 70
    assert json.loads(capsys.readouterr().err)["code"] == "internal"


def test_a_defect_of_ours_gets_an_id_and_its_detail_goes_to_the_log(noun, capsys):
    def broken(secret: str) -> None:
        raise ZeroDivisionError

    noun(broken)
    assert main(["sample", "broken", "hunter2"]) == 70
    err = capsys.readouterr().err
    error_id = err.split("request: ")[1].strip()
    log = log_path().read_text()
    assert error_id in log
    assert "ZeroDivisionError" in log
    assert "hunter2" not in log
    assert stat.S_IMODE(log_path().stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_sends_the_detail_to_standard_error(noun, monkeypatch, tmp_path, capsys):
    def broken() -> None:
        raise ZeroDivisionError

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    noun(broken)
    assert main(["sample", "broken"]) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(noun):
    def wait() -> None:
        raise KeyboardInterrupt

    noun(wait)
    assert main(["sample", "wait"]) == 130


def test_an_interrupt_while_loading_ends_with_130(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*ASSENT, "--help"], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_an_aborted_question_ends_with_130(noun, capsys):
    def ask() -> None:
        raise typer.Abort

    noun(ask)
    assert main(["sample", "ask"]) == 130
    assert "aborted" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_verb_ends_with_the_code_it_chooses(noun, code):
    def judge() -> None:
        raise typer.Exit(code)

    noun(judge)
    assert main(["sample", "judge"]) == code


def test_a_noun_with_one_verb_still_needs_the_verb(noun, capsys):
    def show() -> None:
        """Show it."""

    noun(show)
    assert main(["sample", "show"]) == 0
    assert main(["sample"]) == 2
    assert "Show it." in capsys.readouterr().err


def test_a_command_without_verbs_runs_by_its_name(noun):
    def sample() -> None:
        raise typer.Exit(3)

    noun(sample, is_noun=False)
    assert main(["sample"]) == 3


@pytest.mark.parametrize(
    "args", [["--json", "sample", "show"], ["sample", "--json", "show"], ["sample", "show", "--json"]]
)
def test_json_works_wherever_it_is_written(noun, capsys, args):
    def show() -> None:
        emit({"name": "a"})

    noun(show)
    assert main(args) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "a"}


def test_a_verb_may_take_an_argument_named_like_a_shared_option(noun, capsys):
    def show(project: str, token: str = "none") -> None:
        sys.stdout.write(f"{project} {token}")

    noun(show)
    assert main(["sample", "show", "support", "--token", "mine"]) == 0
    assert capsys.readouterr().out == "support mine"


def test_a_login_is_kept_for_this_user_only_and_used_by_later_commands(server, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_TOKEN", "")
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("assent_pat_x\n"))
    server.on("GET", "/healthz", server.Answer({"ok": True}))
    assert main(["login", server.url, "--project", "support", "--json"]) == 0
    assert stat.S_IMODE(login_path().stat().st_mode) == 0o600
    assert load_login() == {"url": server.url, "token": "assent_pat_x", "project": "support"}
    assert "assent_pat_x" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mine", "chosen"), [(["support"], "support"), ([], None), (["search", "support"], None)]
)
def test_a_login_speaks_of_the_only_project_of_its_caller(server, monkeypatch, capsys, mine, chosen):
    monkeypatch.setenv("ASSENT_TOKEN", "t")
    server.on("GET", "/healthz", server.Answer({"ok": True}))
    server.on(
        "GET", "/v1/projects", server.Answer({"items": [{"name": one} for one in mine], "next_cursor": None})
    )
    assert main(["login", server.url]) == 0
    assert load_login().get("project") == chosen
    assert ("search, support" in capsys.readouterr().err) is (len(mine) > 1)


def test_a_login_anew_keeps_the_project_that_was_chosen_at_that_server(server, monkeypatch):
    monkeypatch.setenv("ASSENT_TOKEN", "t")
    server.on("GET", "/healthz", server.Answer({"ok": True}))
    server.on("GET", "/v1/projects", server.Answer(Forbidden("no").to_wire(), 403))
    save_login(server.url, "before", "support")
    assert main(["login", server.url]) == 0
    assert load_login() == {"url": server.url, "token": "t", "project": "support"}
    save_login("https://assent.example", "before", "support")
    assert main(["login", server.url]) == 0
    assert load_login() == {"url": server.url, "token": "t"}


def test_a_saved_token_goes_only_to_its_own_server(noun, server):
    def show() -> None:
        with connect() as api:
            api.get("/v1/x")

    noun(show)
    server.on("GET", "/v1/x", server.Answer({}))
    save_login("https://assent.example", "assent_pat_x")
    assert main(["sample", "show", "--url", server.url]) == 0
    save_login(server.url, "assent_pat_y")
    assert main(["sample", "show"]) == 0
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, "Bearer assent_pat_y"]


def test_options_win_over_environment_and_environment_over_the_login(noun, server, monkeypatch):
    def show() -> None:
        with connect() as api:
            api.get(api.path("x"))

    noun(show)
    for name in ("one", "two", "three", "default"):
        server.on("GET", f"/v1/projects/{name}/x", server.Answer({}))
    assert main(["sample", "show", "--url", server.url]) == 0
    save_login(server.url, "saved", "one")
    assert main(["sample", "show"]) == 0
    monkeypatch.setenv("ASSENT_PROJECT", "two")
    monkeypatch.setenv("ASSENT_TOKEN", "from-env")
    assert main(["sample", "show"]) == 0
    assert main(["sample", "show", "--project", "three", "--token", "given"]) == 0
    assert [asked.path.split("/")[3] for asked in server.asked] == ["default", "one", "two", "three"]
    assert [asked.headers.get("authorization") for asked in server.asked] == [
        None,
        "Bearer saved",
        "Bearer from-env",
        "Bearer given",
    ]


@pytest.mark.parametrize(("text", "mode"), [("{", 0o600), ("[]", 0o600), ("{}", 0o644)])
def test_a_login_that_is_damaged_or_open_to_others_is_refused(text, mode):
    login_path().parent.mkdir(parents=True)
    login_path().write_text(text)
    login_path().chmod(mode)
    with pytest.raises(Invalid) as caught:
        load_login()
    assert caught.value.remedy


def test_a_login_that_cannot_be_saved_says_why(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(Invalid, match="cannot be written"):
        save_login("http://127.0.0.1:1", "t")


def test_without_home_settings_files_stand_in_the_usual_places(monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert login_path() == Path.home() / ".config/assent/login.json"
    assert log_path() == Path.home() / ".local/state/assent/errors.log"


def test_without_the_extra_the_command_line_says_what_to_install(tmp_path):
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(\"No module named 'typer'\", name='typer')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*ASSENT, "--help"], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert "assent-client[cli]" in done.stderr


def test_a_missing_module_of_ours_is_a_defect_and_no_hint_to_install(tmp_path):
    (tmp_path / "typer.py").write_text("import nowhere_to_be_found")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*ASSENT, "--help"], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 70


def test_a_link_says_which_server_it_signs_in_at(server, capsys):
    server.on("POST", "/v1/sign-ins", server.Answer({"token": "assent_pat_x"}, 201))
    server.on("GET", "/healthz", server.Answer({"ok": True}))
    assert main(["login", "--link", f"{server.url}/sign-in/c0de", "--json"]) == 0
    assert server.asked[0].json == {"code": "c0de"}
    assert load_login()["url"] == server.url
    assert main(["login", server.url, "--link", "c0de", "--json"]) == 0
    assert [one.json for one in server.asked if one.method == "POST"] == [{"code": "c0de"}] * 2
