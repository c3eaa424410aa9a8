"""Cards over HTTP and by the command line."""

import json

import httpx
import jsonschema
import pytest
import yaml
from huggingface_hub import ModelCard

from assent.cards import service
from assent.kernel.errors import NotFound as NotFoundHere
from assent_client.cli.main import main
from assent_client.errors import Forbidden, Invalid, NotFound
from tests.cards.conftest import FORM, NAME, PROJECT, measure
from tests.cards.test_bias import register

REF = f"{NAME}@2.1.0"
PUBLIC = f"/cards/{PROJECT}/{NAME}/2.1.0"


@pytest.fixture
def run(served, monkeypatch, capsys):
    """Run a command as ada: gives its code, what it printed, and what it told."""
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["ada"])
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)

    def call(*arguments):
        code = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def get(served, path, **headers):
    return httpx.get(served.url + path, headers=headers, trust_env=False)


def test_a_published_card_is_there_for_everybody_in_every_form(served):
    assert get(served, PUBLIC).status_code == 404
    served.publish()
    kinds = {
        "": "application/json",
        ".json": "application/json",
        ".md": "text/markdown; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".hf.md": "text/markdown; charset=utf-8",
        ".cdx.json": "application/vnd.cyclonedx+json; version=1.7",
        "?template=brief": "text/markdown; charset=utf-8",
    }
    for suffix, kind in kinds.items():
        answer = get(served, PUBLIC + suffix)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind), suffix
    assert get(served, PUBLIC, accept="text/html").text.startswith("<!doctype html>")
    assert ModelCard(get(served, f"{PUBLIC}.hf.md").text).data.model_name == "Customer Support Assistant"
    assert get(served, f"/cards/{PROJECT}/{NAME}/2.0.0").status_code == 404


def test_the_page_allows_its_own_style_and_nothing_else(served):
    served.publish()
    answer = get(served, f"{PUBLIC}.html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert f'content="{service.POLICY}"'.replace("'", "&#39;") in answer.text
    assert '<a href="2.1.0.cdx.json">' in answer.text


def test_a_card_in_json_follows_the_published_schema(served):
    schema = get(served, "/cards/schema.json").json()
    validator = jsonschema.Draft202012Validator(schema)
    served.do(register)
    for kind in ("bias", "judged"):
        served.do(measure, kind, f"{NAME}@2.1.0")
    served.publish()
    with served.api("ada") as api:
        newer = api.post(api.path("cards"), {"version": f"{NAME}@2.0.0"})
        draft = api.get(api.path("cards", newer["id"]))
    for card in (get(served, f"{PUBLIC}.json").json(), draft):
        assert [error.message for error in validator.iter_errors(card)] == []
    assert draft["completeness"] == {"complete": False, "n_met": 5, "n_asked": 21}


def test_a_card_is_exported_to_files_and_read_back(run, served, tmp_path):
    served.complete()
    for form, name in (
        ("huggingface", "README.md"),
        ("cyclonedx", "bom.json"),
        ("json", "card.json"),
        ("brief", "b.md"),
    ):
        assert run("card", "export", REF, "--format", form, "--out", tmp_path / name)[0] == 0
        code, _, told = run("card", "import", f"{NAME}@2.0.0", tmp_path / name, "--format", form)
        assert code == 0, told
        assert "not taken over" in told
        assert (
            served.document(served.read(service.get, PROJECT, f"{NAME}@2.0.0"))["declared"]["limitations"]
            == FORM["limitations"]
        )
    assert served.document(served.read(service.get, PROJECT, f"{NAME}@2.0.0"))["evaluations"] == []


def test_a_folder_takes_readme_and_eval_results(run, served, tmp_path):
    served.complete()
    code, out, _ = run("--json", "card", "export", REF, "--format", "huggingface", "--out", tmp_path)
    assert (code, len(json.loads(out)["written"])) == (0, 2)
    assert ModelCard.load(tmp_path / "README.md").data.license == "other"
    entries = yaml.safe_load((tmp_path / ".eval_results" / "assent.yaml").read_text(encoding="utf-8"))
    assert {one["task_id"] for one in (entry["dataset"] for entry in entries)} >= {
        "safety@1.0.0/hallucination"
    }


def test_without_a_file_the_form_is_printed(run, served):
    served.complete()
    assert run("card", "export", REF, "--format", "html")[1].startswith("<!doctype html>")
    assert run("card", "show", REF, "--format", "cyclonedx")[1].startswith("{")
    assert run("card", "export", REF, "--format", "pdf")[0] == 10
    assert run("card", "show", REF, "--format", "pdf")[0] == 10


def test_a_card_goes_its_way_by_the_command_line(run, served, tmp_path, monkeypatch):
    form = tmp_path / "card.yaml"
    code, _, told = run("card", "generate", f"{NAME}@2.1.0")
    assert (code, "Missing for tier limited" in told) == (0, True)
    assert "says this already" in run("card", "generate", REF)[2]
    form.write_text(run("card", "form", REF)[1].replace("contact:", 'contact: "team"'), encoding="utf-8")
    assert "Written." in run("card", "complete", REF, "-f", form)[2]
    assert "says this already" in run("card", "complete", REF, "-f", form)[2]
    form.write_text("- a list", encoding="utf-8")
    assert run("card", "complete", REF, "-f", form)[0] == 10
    assert run("card", "approve", REF)[0] == 15
    assert run("card", "submit", REF)[0] == 0
    assert run("card", "withdraw", REF)[0] == 0
    assert run("card", "submit", REF)[0] == 0
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["rita"])
    assert run("card", "reject", REF, "--comment", "vague")[0] == 0
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["ada"])
    assert "agrees with the records" in run("card", "status", REF)[1]
    assert json.loads(run("--json", "card", "show", REF)[1])["current"] is True
    assert "rejected" in run("card", "list", "--state", "rejected")[1]


def test_the_command_line_compares_and_lists(run, served):
    served.complete()
    served.complete({**FORM, "contact": "b"})
    code, out, _ = run("card", "diff", REF)
    assert code == 0
    assert f"{REF}#1 (draft) \N{RIGHTWARDS ARROW} {REF}#2 (draft)" in out
    assert "+ b" in out
    out = run("card", "diff", f"{REF}#1", REF)[1]  # from the first to the second
    assert f"{REF}#1 (draft) \N{RIGHTWARDS ARROW} {REF}#2 (draft)" in out
    assert "+ b" in out
    code, out, told = run("card", "diff", REF, f"{REF}#2")
    assert (code, "They say the same." in told) == (0, True)
    assert "nothing \N{RIGHTWARDS ARROW}" in run("card", "diff", f"{REF}#1")[1]
    out = run("card", "history", NAME)[1]
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["2", "1"]
    assert run("card", "history", f"{NAME}@2.0.0")[2].strip() == "No cards."


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ("huggingface", b"# no front matter", "has no front matter"),
        ("huggingface", b"---\na: &x [1]\nb: *x\n---\n", "anchors"),
        ("huggingface", b"---\nlicense: mit\nlicense: apache-2.0\n---\n", "twice"),
        ("json", b"{", "is not JSON"),
        ("json", b'{"kind": "card", "v": 1}', "holds nothing"),
        ("brief", b"\xff\xfe", "is not UTF-8"),
        ("brief", b"x" * 4_000_001, "larger than"),
        ("brief", b"## Limitations & Risks\n- " + b"x" * 5000, "5,000 characters"),
        ("brief", "## Limitations & Risks\n- a\N{RIGHT-TO-LEFT OVERRIDE}b".encode(), "U+202E"),
    ],
)
def test_a_file_that_is_no_card_changes_nothing(run, served, tmp_path, form, content, words):
    before = served.complete()
    (tmp_path / "card").write_bytes(content)
    code, _, told = run("card", "import", REF, tmp_path / "card", "--format", form)
    assert (code in {10, 18}, words in told) == (True, True), told
    assert served.read(service.get, PROJECT, REF) == before
    assert run("card", "import", REF, tmp_path / "none", "--format", "json")[0] == 10


def test_a_file_that_cannot_be_written_is_named(run, served, tmp_path):
    served.complete()
    (tmp_path / "file").write_text("x")
    code, _, told = run("card", "export", REF, "--out", tmp_path / "file" / "card.md")
    assert (code, "cannot be written" in told) == (10, True)


def test_sections_are_commented_on_while_the_card_is_under_review(run, served):
    served.complete()
    assert run("card", "comment", REF, "too early", "--section", "7")[0] == 15
    assert run("card", "comments", REF)[2].strip() == "No comments."
    card = served.submit()
    with served.api("rita") as api:
        path = api.path("cards", card.id, "comments")
        first = api.post(path, {"text": "How were <b>they</b> chosen?", "section": 7})
        api.post(path, {"text": "All good"})
        with pytest.raises(Invalid):
            api.post(path, {"text": "x", "section": 21})
    assert (first["heading"], first["by"]) == ("7 Evaluation", "rita")
    assert run("card", "comment", REF, "By lot.", "--answers", first["id"])[0] == 0
    out = json.loads(run("--json", "card", "comments", REF)[1])["items"]
    assert [(one["section"], one["text"], one["by"]) for one in out] == [
        (7, "How were <b>they</b> chosen?", "rita"),
        (None, "All good", "rita"),
        (7, "By lot.", "ada"),
    ]
    with pytest.raises(NotFoundHere, match="no section"):
        served.do(service.remark, PROJECT, REF, service.NewRemark(text="x", section=0), who="rita")


def test_reading_needs_the_permission_and_importing_another(served):
    card = served.complete()
    nobody = served.installation.person("nobody")
    served.tokens["nobody"] = served.installation.token(nobody)
    for who in ("nobody", "rita"):
        with served.api(who) as api:
            if who == "nobody":
                with pytest.raises(Forbidden):
                    api.get(api.path("cards", card.id, "differences"))
            with pytest.raises(Forbidden):
                api.post(api.path("cards", card.id, "imports"), {"format": "brief", "content": "x"})


def test_what_is_not_there_or_not_a_form_is_refused(served):
    served.complete()
    with served.api("ada") as api:
        with pytest.raises(NotFound):
            api.get(api.path("cards", REF, "differences"), against="card_none")
        with pytest.raises(Invalid):
            api.get(api.path("cards", REF), format="docx")
        with pytest.raises(Invalid):
            api.post(api.path("cards", REF, "imports"), {"format": "docx", "content": {}})
        assert api.post(
            api.path("cards", REF, "imports"), {"format": "brief", "content": "## Limitations & Risks\n- x"}
        )["created"]
        assert not api.post(
            api.path("cards", REF, "imports"), {"format": "brief", "content": "## Limitations & Risks\n- x"}
        )["created"]
