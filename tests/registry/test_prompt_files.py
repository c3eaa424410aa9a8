"""Prompts beside the code: push is idempotent and says the bump, pull loses nothing, both check for CI."""

import json

import pytest

from assent.prompts import service as prompts
from assent_client.cli.prompt.files import written
from assent_client.cli.strict_yaml import parse
from assent_client.errors import NotFound
from tests.prompts.shelf import PROJECT
from tests.registry.test_cli import assent, shelf  # noqa: F401 -- fixtures

TONE = "name: tone\ntext: |\n  Be {{ mood }}.\nvariables:\n  mood: {default: kind}\n"
GREETING = "text: 'Hi {{ name }}. {{> tone }}'\nvariables: {name: {}}\nfragments: {tone: tone@1.0.0}\n"
DOCUMENTS = [
    {"text": "Hi"},
    {"text": "two\nlines\n", "tags": ["a"], "description": "no"},
    {"text": " leading: {{ x }} # not a comment\ttab\n\n", "variables": {"x": {"default": 1.5}}},
    {"text": "trailing \nspace", "parameters": {"temperature": 0, "stop": ["\n"]}},
    {"text": "é😀\u2028\u0085\x7f\u200b \ufeff", "syntax": "simple"},
    {"text": "yes"},
    {"text": "{{a}}", "syntax": "simple", "variables": {"a": {"schema": {"type": "string"}, "description": "2026-01-01"}}},
    {"messages": [{"role": "user", "content": "Hi"}]},
    {"messages": [{"role": "user", "content": "Hi"}], "format": "text"},
    {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "x"}]},
            {"placeholder": "history", "required": False},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_object"},
    },
    {"text": "{{> t }}", "fragments": {"t": "tone@1.0.0"}},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "prompts"
    made.mkdir()
    (made / "greeting.yaml").write_text(GREETING)
    (made / "tone.yml").write_text(TONE)
    return made


def versions(shelf, name="greeting"):  # noqa: F811
    return [one.number for one in shelf.read(prompts.list_versions, PROJECT, name)]


def test_a_folder_is_pushed_once_fragments_first(assent, shelf, folder):  # noqa: F811
    code, out, err = assent("prompt", "push", folder)
    assert code == 0, err
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["register", "tone", "1.0.0"],
        ["register", "greeting", "1.0.0"],
    ]
    code, out, err = assent("prompt", "push", folder)
    assert (code, "0 registered, 2 unchanged." in err) == (0, True)
    assert versions(shelf) == ["1.0.0"]


def test_a_check_knows_the_fragments_that_the_push_would_bring(assent, shelf, folder):  # noqa: F811
    code, out, err = assent("prompt", "push", folder, "--check")
    assert (code, "2 would be registered, 0 unchanged." in err) == (1, True)
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["register", "tone", "1.0.0"],
        ["register", "greeting", "-"],
    ]
    with pytest.raises(NotFound):
        versions(shelf, "tone")


def test_a_push_says_the_bump_that_the_interface_demands_and_checks_for_ci(assent, shelf, folder):  # noqa: F811
    assent("prompt", "push", folder)
    assert assent("prompt", "push", folder, "--check")[0] == 0
    (folder / "tone.yml").write_text(TONE.replace("mood", "attitude"))
    code, out, err = assent("prompt", "push", folder, "--check")
    assert (code, "1 would be registered, 1 unchanged." in err) == (1, True)
    assert "register  tone      2.0.0    major" in out
    assert "variables.attitude: added, optional; variables.mood: removed" in " ".join(out.split()) or (
        "variables.mood: removed" in out
    )
    assert versions(shelf, "tone") == ["1.0.0"]
    steps = json.loads(assent("prompt", "push", folder, "--json")[1])
    assert [(one["action"], one["version"]) for one in steps] == [("register", "2.0.0"), ("same", "1.0.0")]


def test_every_mistake_of_a_folder_is_told_with_its_file_and_the_rest_is_registered(assent, shelf, folder):  # noqa: F811
    (folder / "bad.yaml").write_text("text: '{{ x }} {{ y }}'\n")
    (folder / "worse.json").write_text('{"texts": 1}')
    code, _, err = assent("prompt", "push", folder)
    assert code == 10
    assert "2 were registered" in err
    assert (
        f"{folder / 'bad.yaml'}: messages[0].content, line 1, column 4: the variable 'x' is not declared"
        in err
    )
    assert "worse.json" in err
    assert versions(shelf) == ["1.0.0"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.yaml": "[1]"}, "holds no prompt"),
        ({"a.yaml": "name: ../a\ntext: x"}, "is no name"),
        ({"a b.yaml": "text: x"}, "is no name"),
        ({"a.yaml": "text: x", "b.yaml": "name: a\ntext: y"}, "are both the prompt a"),
        (
            {
                "a.yaml": "text: '{{> b }}'\nfragments: {b: b@1.0.0}",
                "b.yaml": "text: '{{> a }}'\nfragments: {a: a@1.0.0}",
            },
            "include each other: a, b",
        ),
        ({"a.yaml": "x: &a 1\ny: *a"}, "anchor"),
    ],
)
def test_a_folder_that_cannot_be_read_is_refused(assent, tmp_path, files, told):  # noqa: F811
    for name, text in files.items():
        (tmp_path / "p").mkdir(exist_ok=True)
        (tmp_path / "p" / name).write_text(text)
    code, _, err = assent("prompt", "push", tmp_path / "p")
    assert (code, told in err) == (10, True), err
    assert assent("prompt", "push", tmp_path / "none")[0] == 10


def test_what_is_pulled_and_pushed_again_is_what_was_there(assent, shelf, tmp_path):  # noqa: F811
    shelf.prompt("tone", text="kind")
    for number, document in enumerate(DOCUMENTS):
        shelf.prompt(f"p{number}", **document)
    folder = tmp_path / "pulled"
    code, _, err = assent("prompt", "pull", "--to", folder)
    assert (code, f"{len(DOCUMENTS) + 1} written, 0 unchanged." in err) == (0, True), err
    assert "0 registered" in assent("prompt", "push", folder)[2]
    assert assent("prompt", "pull", "--to", folder, "--check")[0] == 0
    assert (folder / "p1.yaml").read_text().startswith("# p1@1.0.0 sha256:")
    assert "text: |" in (folder / "p1.yaml").read_text()
    assert (folder / "p10.yaml").read_text().endswith("fragments:\n  t: tone@1.0.0\ntext: '{{> t }}'\n")


def test_a_pull_writes_named_versions_and_keeps_what_is_not_registered(assent, shelf, tmp_path):  # noqa: F811
    shelf.prompt(text="Hi")
    shelf.prompt(text="Ho", variables={})
    folder = tmp_path / "pulled"
    assert assent("prompt", "pull", "greeting@1.0.0", "--to", folder)[0] == 0
    file = folder / "greeting.yaml"
    assert "text: Hi" in file.read_text()
    assert assent("prompt", "pull", "--to", folder, "--check")[0] == 1
    assert assent("prompt", "pull", "--to", folder)[0] == 0
    assert "text: Ho" in file.read_text()
    file.write_text("text: Ho\nvariables: {}  # my own form of the same\n")
    assert "0 written, 1 unchanged." in assent("prompt", "pull", "--to", folder)[2]
    for mine in ("text: Mine\n", "text: '{{ broken'\n"):
        file.write_text(mine)
        code, _, err = assent("prompt", "pull", "--to", folder)
        assert (code, "holds changes that are not registered" in err) == (15, True)
        assert file.read_text() == mine
    assert assent("prompt", "pull", "--to", folder, "--force")[0] == 0
    assert "text: Ho" in file.read_text()
    assert assent("prompt", "pull", "nothing", "--to", folder)[0] == 13


def test_a_prompt_is_deprecated_and_listed_by_its_status(assent, shelf):  # noqa: F811
    shelf.prompt(text="Hi")
    shelf.prompt(text="Ho")
    words = ("prompt", "deprecate", "greeting@1.0.0", "--reason", "cold", "--successor", "greeting@1.0.1")
    assert assent(*words)[0] == 0
    assert assent(*words)[0] == 15
    assert "greeting@1.0.0" in assent("prompt", "list", "--status", "deprecated")[1]
    assert "status         deprecated" in assent("prompt", "show", "greeting@1.0.0")[1]


def test_a_fragment_is_shown(assent, shelf):  # noqa: F811
    shelf.prompt("tone", text="kind")
    shelf.prompt(
        messages=[{"role": "system", "content": "{{> t }}"}, {"placeholder": "past"}],
        fragments={"t": "tone@1.0.0"},
    )
    shown = assent("prompt", "show", "greeting")[1]
    assert "[messages: past]" in shown
    assert "tone@1.0.0" in shown


def test_what_yaml_would_not_give_back_is_written_as_json():
    for text in ("a", "a\nb", "\x85", "\ud800", "  a\n b", "~", "0x1F", "a: b", "- a", "\ta", "%", "\x00"):
        body = {"name": "p", "text": text}
        suffix, content = written(body, "p@1.0.0")
        back = json.loads(content) if suffix == ".json" else parse(content, "p").value
        assert back == body
