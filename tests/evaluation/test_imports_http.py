"""Imports over HTTP and the command line."""

import json

import pytest

from assent_client.errors import Forbidden, Invalid, NotFound, Refused, TooLarge

ROWS = [{"sample": f"q{i}", "metric": "correct", "value": i % 4 > 0} for i in range(40)]


@pytest.fixture
def rows(tmp_path, desk):
    desk.model("1.0.0", "good")
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    return path


def test_without_a_subject_a_file_is_checked_and_nothing_is_recorded(command, rows):
    code, out = command("eval", "import", "rows.jsonl", "--format", "jsonl")
    assert code == 0
    assert "0.75" in out.out
    assert "nothing was recorded" in out.err
    assert "No imports" in command("eval", "imports")[1].err


def test_with_a_subject_it_becomes_evidence_that_verifies(command, rows, served):
    words = ("eval", "import", "rows.jsonl", "-f", "jsonl", "-s", "assistant@1.0.0", "--suite", "facts")
    code, out = command(*words, "--json")
    assert code == 0
    found = json.loads(out.out)
    assert found["figures"][0]["value"] == "0.75"
    assert found["id"] in command("eval", "imports", "--suite", "facts", "-s", "assistant@1.0.0")[1].out
    assert found["id"] not in command("eval", "imports", "-s", "sha256:" + "0" * 64)[1].out
    code, out = command("eval", "verify-import", found["id"])
    assert code == 0
    assert "7 of 7 figures came out again" in out.err
    api = served.api("auditor")
    assert api.get(api.path("imports", found["id"]))["tool"] == "jsonl"
    with pytest.raises(Forbidden):
        api.post(api.path("imports"), b"x", format="jsonl")


def test_a_contradiction_is_printed_with_both_numbers(command, rows):
    rows.write_text(rows.read_text() + '\n{"totals":[{"metric":"correct","mean":0.8}]}')
    code, out = command("eval", "import", "rows.jsonl", "-f", "jsonl")
    assert code == Refused.exit_code
    assert "0.8" in out.err
    assert "0.75" in out.err


def test_the_files_of_one_lm_eval_run_are_taken_together(command, tmp_path, rows):
    stamp = "2026-11-23T17-28-10.5"
    lines = [{"doc_id": i, "filter": "none", "metrics": ["acc"], "acc": float(i > 1)} for i in range(4)]
    (tmp_path / f"samples_arc_{stamp}.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (tmp_path / "samples_arc_2020-01-01T00-00-00.1.jsonl").write_text("{}")
    results = tmp_path / f"results_{stamp}.json"
    results.write_text(json.dumps({"results": {"arc": {"acc,none": 0.5}}}))
    code, out = command("eval", "import", results.name, "-f", "lm-eval", "--json")
    assert code == 0, out.err
    said = json.loads(out.out)
    assert set(said["arrived"]) == {results.name, f"samples_arc_{stamp}.jsonl"}
    assert (said["figures"][0]["task"], said["figures"][0]["value"], said["n_totals"]) == ("arc", "0.5", 1)


def test_what_cannot_be_read_says_why(command, rows, served):
    assert command("eval", "import", "absent.xml", "-f", "junit")[0] == Invalid.exit_code
    assert command("eval", "import", "a.xml", "b.xml", "-f", "junit")[0] == Invalid.exit_code
    assert command("eval", "import", "rows.jsonl", "-f", "junit")[0] == Invalid.exit_code
    assert command("eval", "import", "rows.jsonl", "-f", "jsonl", "--suite", "x")[0] == Invalid.exit_code
    words = ("eval", "import", "rows.jsonl", "-f", "jsonl", "--suite", "x", "-s", "nobody@1.0.0")
    assert command(*words)[0] == NotFound.exit_code
    api = served.api()
    with pytest.raises(Invalid, match="format"):
        api.post(api.path("imports"), b"{}", format="xlsx")


def test_a_huge_file_is_not_sent(command, rows, monkeypatch):
    monkeypatch.setattr("assent_client.cli.eval_import.MAX_BYTES", 100)
    assert command("eval", "import", "rows.jsonl", "-f", "jsonl")[0] == TooLarge.exit_code
