"""The commands for prompts and models, and their sections of assent.yaml, over real HTTP."""

import json

import pytest

from assent.identity import service as identity
from assent.kernel.tx import SYSTEM
from assent_client.cli.connection import OPTIONS
from assent_client.cli.main import main
from tests.databases import prepared
from tests.prompts.shelf import PROJECT, opened_shelf
from tests.serving import listening

PROMPT = """\
name: greeting
text: |
  Hi {{ name }},
  {{ closing }}
variables:
  name: {schema: {type: string}}
  closing: {default: "how can I help?"}
"""
MODEL = """\
name: support
version: 1.0.0
provider: acme
upstream_model: m-1
prompt: greeting@1.0.0
tier: limited
"""


@pytest.fixture
def shelf(tmp_path):
    with prepared("sqlite", tmp_path) as database, opened_shelf(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def assent(shelf, tmp_path, monkeypatch, capsys):
    """Run a command line as an administrator; gives its exit code, output and errors."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with shelf.begin(SYSTEM) as tx:
        identity.bind(tx, shelf.author.id, "admin")
    with shelf.begin() as tx:
        monkeypatch.setenv("ASSENT_TOKEN", identity.issue_token(tx, shelf.author.id, "tests", None))
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)
    OPTIONS.reset()

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    with listening(shelf.app()) as port:
        monkeypatch.setenv("ASSENT_URL", f"http://127.0.0.1:{port}")
        yield run
    OPTIONS.reset()


@pytest.fixture
def write(tmp_path):
    def written(text, name="file.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


def test_a_prompt_is_registered_shown_compared_and_rendered(assent, write):
    code, _, err = assent("prompt", "register", write(PROMPT), "--check")
    assert (code, "would be registered" in err) == (0, True), err
    assert "Registered." in assent("prompt", "register", write(PROMPT))[2]
    assert "already" in assent("prompt", "register", write(PROMPT))[2]
    assert "already" in assent("prompt", "register", write(PROMPT), "--check")[2]
    changed = PROMPT.replace("Hi", "Hello").replace("name: greeting\n", "")
    assert assent("prompt", "register", write(changed), "--name", "greeting", "--bump", "minor")[0] == 0
    assert [line.split()[0] for line in assent("prompt", "list")[1].splitlines()[1:]] == [
        "greeting@1.1.0",
        "greeting@1.0.0",
    ]
    shown = assent("prompt", "show", "greeting@1.0.0")[1]
    assert "[system]\nHi {{ name }}" in shown
    assert "how can I help?" in shown
    diff = assent("prompt", "diff", "greeting@1.0.0", "greeting")[1]
    assert "- Hi {{ name }}," in diff
    assert "+ Hello {{ name }}," in diff
    assert "This change needs a patch version." in diff
    assert "No difference" in assent("prompt", "diff", "greeting", "greeting")[2]
    made = assent("prompt", "render", "greeting", "--var", "name=Ada")[1]
    assert made == "\n[system]\nHello Ada,\nhow can I help?\n"
    variables = write(json.dumps({"name": "Bo"}), "v.json")
    code, out, _ = assent(
        "prompt", "render", "greeting", "--variables", variables, "--var", "closing=[1]", "--json"
    )
    assert (code, json.loads(out)["messages"][0]["content"]) == (0, "Hello Bo,\n[1]\n")


def test_a_model_is_registered_found_shown_and_compared(assent, write):
    assent("prompt", "register", write(PROMPT))
    assent("prompt", "register", write(PROMPT.replace("Hi", "Hello")))
    assert "would be" in assent("model", "register", write(MODEL), "--check")[2]
    assert "Registered." in assent("model", "register", write(MODEL))[2]
    assert "already" in assent("model", "register", write(MODEL))[2]
    assert "already" in assent("model", "register", write(MODEL), "--check")[2]
    again = ("model", "register", write(MODEL), "--version", "1.1.0", "--prompt", "greeting@1.0.1")
    assert assent(*again)[0] == 0
    assert assent("model", "list", "--name", "support")[1].count("support@") == 2
    code, out, _ = assent("model", "search", "tier=limited", "prompt=greeting@1.0.1", "--json")
    assert (code, [one["ref"] for one in json.loads(out)]) == (0, ["support@1.1.0"])
    assert "No version" in assent("model", "search", "tier=high")[2]
    assert "support@1.1.0" in assent("model", "search", "version > 1.0.0 OR owner = x", "--text", "m-1")[1]
    assert assent("model", "search", "--text", "acme", "--limit", "1")[1].count("support@") == 1
    shown = assent("model", "show", "support")[1]
    assert "supersedes" in shown
    assert "greeting@1.0.1" in shown
    diff = assent("model", "diff", "support@1.0.0", "support@1.1.0")[1]
    assert "~ prompt" in diff
    assert "+ Hello {{ name }}," in diff
    assert "No difference" in assent("model", "diff", "support", "support")[2]


@pytest.mark.parametrize(
    ("noun", "text", "words", "outcome"),
    [
        ("prompt", "[]", (), (10, "holds no prompt")),
        ("prompt", "text: Hi", (), (10, "gives no name")),
        ("prompt", "name: a\ntext: Hi", ("--bump", "huge"), (10, "is no bump")),
        ("prompt", "name: a\ntext: |\n  Hi\n  {{ nme }}", (), (10, "line 2, column 4")),
        ("prompt", "name: a\ntext: Hi\ncolour: red", (), (10, "no field 'colour'")),
        ("prompt", "name: a\ntext: Hi\n\tx", (), (10, "file.yaml:3")),
        ("model", "[]", (), (10, "holds no model")),
        ("model", "name: a", (), (10, "gives no version")),
        ("model", "name: a\nversion: 1.0.0", (), (10, "provider is missing")),
        ("model", MODEL, (), (13, "no prompt greeting@1.0.0")),
        ("model", MODEL, ("--prompt", "greeting"), (10, "names no version")),
    ],
)
def test_a_mistake_says_what_is_wrong(assent, write, noun, text, words, outcome):
    code, _, err = assent(noun, "register", write(text), *words)
    assert (code, outcome[1] in err) == (outcome[0], True), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model", "search", "colour=red"), "no field 'colour'"),
        (("model", "search", "tier = low"), "\n         ^\n"),
        (("prompt", "render", "a", "--var", "x"), "no NAME=VALUE"),
        (("prompt", "render", "a", "--variables", "{file}"), "holds no variables"),
        (("prompt", "show", "@"), "names nothing"),
    ],
)
def test_a_mistake_on_the_command_line_says_how_it_goes(assent, write, words, said):
    file = write("[]")
    code, _, err = assent(*(word.format(file=file) for word in words))
    assert code == 10
    assert said in err


def test_contents_in_parts_and_long_differences_are_shown(assent, write):
    parts = {"name": "p", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
    assent("prompt", "register", write(json.dumps(parts)))
    assert '"text": "Hi"' in assent("prompt", "show", "p")[1]
    lines = [f"line {n}" for n in range(30)]
    assent("prompt", "register", write(json.dumps({"name": "q", "text": "\n".join(lines)})))
    lines[15] = "another"
    extra = {"tools": [{"type": "function", "function": {"name": "f"}}], "parameters": {"n": 1}}
    assent("prompt", "register", write(json.dumps({"name": "q", "text": "\n".join(lines), **extra})))
    diff = assent("prompt", "diff", "q@1.0.0", "q")[1]
    assert diff.count("…") == 2
    assert "line 3\n" not in diff
    assert "interface: tools.f: added (minor)" in diff
    assert "tools" in assent("prompt", "show", "q")[1]


FILE = """\
assent: 1
project: {name: shop}
prompts:
- name: greeting
  version: 1.0.0
  file: greeting.txt
  variables: {name: {schema: {type: string}}}
models:
- name: support
  version: 1.0.0
  provider: acme
  upstream_model: m-1
  prompt: greeting@1.0.0
  tier: limited
"""


def test_one_file_registers_prompts_and_then_models_once(assent, write, shelf):
    write("Hi {{ name }}", "greeting.txt")
    file = write(FILE)
    code, out, _ = assent("apply", "-f", file, "--json")
    first = json.loads(out)
    assert (code, [one["name"] for one in first["changes"]][-2:]) == (0, ["greeting@1.0.0", "support@1.0.0"])
    n_leaves = len(shelf.leaves())
    code, out, _ = assent("apply", "-f", file, "--json")
    assert (code, json.loads(out)["n_create"]) == (0, 0)
    assert assent("apply", "-f", file, "--check")[0] == 0
    write("Hello {{ name }}", "greeting.txt")
    code, _, err = assent("apply", "-f", file)
    assert (code, "exists with other content" in err) == (15, True)
    write(FILE.replace("m-1", "m-2"))
    write("Hi {{ name }}", "greeting.txt")
    code, _, err = assent("apply", "-f", file)
    assert (code, "support@1.0.0 exists with other content" in err) == (15, True)
    assert len(shelf.leaves()) == n_leaves


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ("  file: greeting.txt", "  file: greeting.txt\n  text: Hi", (10, "one of them")),
        ("  file: greeting.txt", "  file: nowhere.txt", (10, "cannot be read")),
        ("  upstream_model: m-1\n", "", (10, "upstream_model is missing")),
        ("  version: 1.0.0\n  provider", "  provider", (10, "`version` is missing")),
        ("prompts:\n", "prompts:\n- {name: other, text: '{% if %}'}\n", (10, "Expected an expression")),
    ],
)
def test_a_mistake_in_the_file_changes_nothing(assent, write, shelf, old, new, outcome):
    write("Hi {{ name }}", "greeting.txt")
    n_leaves = len(shelf.leaves())
    code, _, err = assent("apply", "-f", write(FILE.replace(old, new)))
    assert (code, outcome[1] in err) == (outcome[0], True), err
    assert len(shelf.leaves()) == n_leaves
