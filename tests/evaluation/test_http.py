"""Evaluation over HTTP and the command line: the same words, the exit codes that CI gates on."""

import json

import pytest

from assent_client.errors import Conflict, Forbidden, Invalid, NotFound

SUITE = """
name: quality
kind: regression
dataset: cases
scorers:
  - kind: exact
gate: {metric: exact, threshold: 0.5}
"""


def write_files(folder, n=40):
    lines = [json.dumps({"id": f"q{i}", "input": f"question {i}", "target": f"A{i}"}) for i in range(n)]
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "quality.yaml").write_text(SUITE)


@pytest.fixture
def story(command, tmp_path, desk):
    write_files(tmp_path)
    desk.model("1.0.0", "good")
    desk.model("2.0.0", "bad")
    good = desk.upstream.completion

    def answer(question, nth):
        model = desk.upstream.requests[-1][0]["model"]
        return desk.upstream.Reply(good(("A" if model == "good" else "B") + question.split()[-1]))

    desk.upstream.answer = answer
    assert command("dataset", "register", "cases", "cases.jsonl")[0] == 0
    assert command("suite", "register", "quality.yaml")[0] == 0
    return command


def test_a_run_exits_with_its_verdict(story, tmp_path):
    code, out = story("eval", "run", "quality", "--subject", "assistant@1.0.0")
    assert code == 0
    assert "pass" in out.out
    code, out = story("eval", "run", "quality", "--subject", "assistant@2.0.0", "--json")
    assert code == 1
    found = json.loads(out.out)
    assert found["verdict"] == "fail"
    write_files(tmp_path, 2)
    story("dataset", "register", "cases", "cases.jsonl")
    story("suite", "register", "quality.yaml")
    assert story("eval", "run", "quality", "-s", "assistant@1.0.0")[0] == 3


def test_a_run_is_listed_shown_looked_into_and_verified(story):
    found = json.loads(story("eval", "run", "quality@1.0.0", "-s", "assistant@2.0.0", "--json")[1].out)
    run = found["id"]
    assert run in story("eval", "list", "--verdict", "fail")[1].out
    shown = story("eval", "show", run)[1].out
    assert "wilson, n = 40" in shown
    assert "candidate 40 scored" in shown
    assert story("eval", "watch", run)[0] == 1
    cases = story("eval", "cases", run, "--limit", "3")[1]
    assert "q0" in cases.out
    assert "There are more" in cases.err
    page = json.loads(
        story("eval", "cases", run, "--outcome", "scored", "--side", "candidate", "--json")[1].out
    )
    assert [case["id"] for case in page["items"]] == [f"q{i}" for i in range(40)]
    assert page["items"][0]["answer"] == "B0"
    code, out = story("eval", "verify", run)
    assert code == 0
    assert "Everything agrees" in out.err


def test_cases_that_went_wrong_are_counted_and_where_to_look_is_said(story, served):
    served.desk.upstream.answer = lambda question, nth: served.desk.upstream.Reply(b"{}", status=400)
    code, out = story("eval", "run", "quality", "--subject", "assistant@1.0.0")
    assert code == 3
    assert "candidate 40 error" in out.out
    assert "--outcome error" in out.err


def test_datasets_and_suites_are_listed_shown_and_compared(story, tmp_path):
    assert "cases@1.0.0" in story("dataset", "list")[1].out
    assert "question 1" in story("dataset", "show", "cases")[1].out
    (tmp_path / "quality.yaml").write_text(SUITE.replace("0.5", "0.6"))
    assert story("suite", "register", "quality.yaml", "--version", "2.0.0")[0] == 0
    assert "quality@2.0.0" in story("suite", "list")[1].out
    assert "at least 0.6" in story("suite", "show", "quality")[1].out
    difference = json.loads(story("suite", "diff", "quality@1.0.0", "quality", "--json")[1].out)
    assert difference == [{"where": "gate.threshold", "before": 0.5, "after": 0.6}]
    code, out = story("suite", "register", "quality.yaml")
    assert code == 0
    assert "registered already" in out.err


def test_a_suites_mistakes_come_all_at_once_with_exit_ten(story, tmp_path):
    (tmp_path / "bad.yaml").write_text("name: bad\nkind: test\nscorers: []\ncolour: red\n")
    code, out = story("suite", "register", "bad.yaml")
    assert code == 10
    for place in ("kind", "scorers", "colour", "dataset", "gate"):
        assert f"✗ {place}:" in out.err
    (tmp_path / "list.yaml").write_text("- 1\n")
    assert story("suite", "register", "list.yaml")[0] == 10
    (tmp_path / "nameless.yaml").write_text("kind: safety\n")
    assert story("suite", "register", "nameless.yaml")[0] == 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"input": "a"}\n{"input": \n', "a.jsonl:2"),
        ("a.jsonl", '{"input": NaN}\n', "NaN"),
        ("a.jsonl", '{"input": "a"}\n{"input": "b", "colour": 1}\n', "row 2.colour"),
        ("a.jsonl", '{"input": "a"}\n{"input": "a"}\n', "says the same as row 1"),
        ("a.json", '{"a": 1}', "no list of rows"),
        ("a.csv", "question\nx\n", "no column `input`"),
        ("a.csv", "id,input\n1,x,y\n", "a.csv:2"),
        ("a.csv", 'id,input\n1,"x\n', "a.csv"),
        ("a.txt", "x", "of no kind"),
        ("a.jsonl", b"\xff\xfe", "not UTF-8"),
        ("missing.jsonl", None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(name, content, message, command, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out = command("dataset", "register", "cases", name)
    assert code == 10
    assert message in out.err


def test_tables_and_yaml_are_read_too(command, tmp_path, served):
    (tmp_path / "a.csv").write_text('id,input,target,tags,topic\n1,"a, b",x,one; two,t\n2,c,,,u\n')
    assert command("dataset", "register", "table", "a.csv")[0] == 0
    with served.api() as api:
        rows = api.get(api.path("datasets", "table", "latest", "rows"))["items"]
    assert (rows[0]["input"], rows[0]["tags"], rows[0]["metadata"]) == (
        "a, b",
        ["one", "two"],
        {"topic": "t"},
    )
    assert rows[1]["target"] is None
    (tmp_path / "a.yaml").write_text("rows:\n  - {id: '1', input: a}\n")
    assert command("dataset", "register", "listed", "a.yaml", "--version", "3.0.0")[0] == 0
    assert "listed@3.0.0" in command("dataset", "show", "listed@3.0.0", "--rows", "0")[1].out
    for wrong in ("@1.0.0", "x@"):
        assert command("dataset", "show", wrong)[0] == 10


def test_a_run_that_stopped_exits_unavailable_and_is_resumed(story, desk):
    good = desk.upstream.answer
    desk.upstream.answer = lambda q, n: desk.upstream.Reply(b"bad key", 401)
    code, out = story("eval", "run", "quality", "-s", "assistant@1.0.0")
    assert code == 21
    assert "refuses our key" in out.err
    run = out.err.split("assent eval resume ")[1].split()[0]
    desk.upstream.answer = good
    assert story("eval", "resume", run)[0] == 0
    assert story("eval", "resume", run)[0] == 15


def test_a_run_can_be_left_to_itself_and_given_up(story, desk):
    desk.upstream.answer = lambda q, n: desk.upstream.Reply(desk.upstream.completion("A"), delay_s=60)
    code, out = story("eval", "run", "quality", "-s", "assistant@1.0.0", "--no-wait", "--json")
    assert code == 0
    run = json.loads(out.out)["id"]
    assert story("eval", "cases", run)[0] == 13
    assert story("eval", "cancel", run)[0] == 0
    assert story("eval", "watch", run)[0] == 15
    assert "cancelled" in story("eval", "show", run)[1].out


def test_versions_answer_201_once_and_200_after(served):
    rows = {"name": "cases", "rows": [{"id": "1", "input": "a"}]}
    with served.api() as api:
        assert api.post(api.path("datasets"), rows, check=True)["exists"] is False
        first = api.post(api.path("datasets"), rows)
        again = api.post(api.path("datasets"), rows)
        assert (first["created"], again["created"]) == (True, False)
        assert api.post(api.path("datasets"), rows, check=True)["ref"] == "cases@1.0.0"
        suite = {
            "name": "s",
            "dataset": "cases",
            "scorers": [{"kind": "exact"}],
            "gate": {"metric": "refused", "threshold": 0.1},
        }
        assert api.post(api.path("suites"), suite, check=True)["exists"] is False
        made = api.post(api.path("suites"), suite)
        assert made["document"]["kind"] == "benchmark"
        assert made["dataset_ref"] == "cases@1.0.0"
        shown = api.get(api.path("suites", "s", "1.0.0"))
        assert api.post(api.path("suites"), {"name": "s", **shown["document"]})["created"] is False


def test_lists_come_in_pages(served):
    with served.api() as api:
        for n in range(5):
            api.post(api.path("datasets"), {"name": "cases", "rows": [{"id": "1", "input": f"{n}"}]})
        found = list(api.pages(api.path("datasets"), limit=2))
        assert [one["version"] for one in found] == ["1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"]
        with pytest.raises(Invalid, match="cursor"):
            api.get(api.path("datasets", "cases", "latest", "rows"), cursor="x")


def test_what_may_only_be_read_is_only_read(served):
    with served.api("auditor") as api:
        assert api.get(api.path("runs"))["items"] == []
        with pytest.raises(Forbidden):
            api.post(api.path("datasets"), {"name": "cases", "rows": []})
        with pytest.raises(Forbidden):
            api.post(api.path("runs"), {"suite": "s", "subject": "a@1.0.0"})


def test_runs_of_another_project_are_not_found(story, served, desk):
    found = json.loads(story("eval", "run", "quality", "-s", "assistant@1.0.0", "--json")[1].out)
    with served.api() as api:
        for path in (
            ("runs", found["id"]),
            ("runs", found["id"], "cases"),
            ("runs", found["id"], "verification"),
        ):
            assert api.get(api.path(*path))
            with pytest.raises(NotFound):
                api.get(api.path(*path).replace("demo", "other"))
        with pytest.raises(Conflict):
            api.post(api.path("runs", found["id"], "cancellations"))
        with pytest.raises(NotFound):
            api.get(api.path("runs", "run_none"))


def test_a_name_or_field_that_is_none_is_refused(served):
    with served.api() as api:
        for body in (
            {"name": "A b", "rows": []},
            {"name": "a", "rows": [], "colour": 1},
            {"name": "a"},
            {"name": "a", "rows": []},
        ):
            with pytest.raises(Invalid):
                api.post(api.path("datasets"), body)
