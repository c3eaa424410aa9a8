"""`assent judge`: what is sent, what is printed, how it exits."""

import json

import pytest

from assent_client.cli.main import main

FIGURES = {
    **{
        name: {"value": "0.8", "low": "0.7", "high": "0.9"}
        for name in ("sensitivity", "specificity", "youden", "kappa")
    },
    "table": {"unscorable": 1},
    "checked": {
        "table": {"unscorable": 2}, "human": "0.5", "judged": "0.4", "holds": True,
        "corrected": {"value": "0.51", "low": "0.4", "high": "0.6"},
    },
}  # fmt: skip
PASSPORT = {
    "id": "pass_1", "name": "refusal-judge", "state": "usable", "subject_ref": "assistant@1.0.0",
    "judge": "sha256:" + "a" * 64, "n_labels": 20, "figures": FIGURES, "issued_at": "2026-11-25T00:00:00Z",
}  # fmt: skip
UNUSABLE = {
    **PASSPORT,
    "state": "not usable",
    "figures": {**FIGURES, "checked": {**FIGURES["checked"], "corrected": None, "holds": None}},
}
AT = "/v1/projects/support"


@pytest.fixture
def assent(server, capsys, monkeypatch):
    monkeypatch.setenv("ASSENT_URL", server.url)
    monkeypatch.setenv("ASSENT_TOKEN", "assent_pat_secret")
    monkeypatch.setenv("ASSENT_PROJECT", "support")

    def run(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def files(tmp_path):
    (tmp_path / "judge.yaml").write_text("model: j\n")
    (tmp_path / "labels.jsonl").write_text(json.dumps({"id": "a", "human": "x", "reply": "y"}) + "\n")
    return tmp_path / "judge.yaml", tmp_path / "labels.jsonl"


@pytest.mark.parametrize(
    ("passport", "code", "words"), [(PASSPORT, 0, "0.510"), (UNUSABLE, 1, "nothing corrected")]
)
def test_a_calibration_exits_by_what_the_passport_says(assent, server, files, passport, code, words):
    judge, labels = files
    server.on("POST", f"{AT}/judge-passports", server.Answer(passport, 201))
    command = (
        "judge",
        "calibrate",
        "refusal-judge",
        judge,
        "--subject",
        "assistant@1.0.0",
        "--labels",
        labels,
    )
    ended, out, err = assent(*command)
    assert ended == code
    assert words in out
    assert ("Not usable" in out + err) is (code == 1)
    assert server.asked[-1].json == {
        "name": "refusal-judge",
        "judge": {"model": "j"},
        "subject": "assistant@1.0.0",
        "cases": [{"id": "a", "human": "x", "reply": "y"}],
        "valid_days": 180,
    }


def test_passports_are_listed_shown_and_checked(assent, server, files):
    server.on("GET", f"{AT}/judge-passports", server.Answer({"items": [PASSPORT], "next": None}))
    server.on("GET", f"{AT}/judge-passports/pass_1", server.Answer(PASSPORT))
    server.on("POST", f"{AT}/judge-checks", server.Answer(PASSPORT))
    assert "pass_1" in assent("judge", "list", "--name", "refusal-judge")[1]
    assert "0.800 [0.700, 0.900]" in assent("judge", "show", "pass_1")[1]
    code, out, _ = assent("judge", "check", "refusal-judge", files[0], "--subject", "assistant@1.0.0")
    assert (code, "off-format" in out) == (0, True)
