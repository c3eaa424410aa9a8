"""`assent check`: names and snapshots of models in source, and nothing else."""

import json
import time

import pytest

from assent_client.cli.check.ignored import is_ignored, read_rules
from assent_client.cli.check.names import catalogue, recognise
from assent_client.cli.check.scan import MAX_FILE_BYTES, may_hold_a_name, scan
from assent_client.cli.main import main

SNAPSHOTS = [
    "gpt-4o-2024-08-06",
    "gpt-4-0613",
    "gpt-4-turbo-2024-04-09",
    "gpt-3.5-turbo-0125",
    "gpt-5-mini-2025-08-07",
    "o1-mini-2024-09-12",
    "o3-2025-04-16",
    "text-davinci-003",
    "gpt-35-turbo-0613",
    "azure/gpt-4o-2024-05-13",
    "openai/gpt-4.1-2025-04-14",
    "claude-3-5-sonnet-20241022",
    "claude-opus-4-20250514",
    "claude-3-haiku@20240307",
    "anthropic/claude-3-opus-20240229",
    "gemini-1.5-pro-002",
    "models/gemini-2.0-flash-001",
    "gemini-2.5-pro-preview-05-06",
    "chat-bison@002",
    "mistral-large-2411",
    "codestral-2405",
    "open-mistral-nemo-2407",
    "ministral-8b-2410",
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "meta.llama3-70b-instruct-v1:0",
    "mistral.mistral-large-2402-v1:0",
    "amazon.nova-pro-v1:0",
    "amazon.titan-text-express-v1",
    "cohere.command-r-plus-v1:0",
    "ft:gpt-4o-mini-2024-07-18:acme::AbC123",
]
NAMES = [
    "gpt-4",
    "gpt-4o",
    "GPT-4-turbo",
    "gpt-4o-mini",
    "gpt-5",
    "chatgpt-4o-latest",
    "o3-mini",
    "text-embedding-3-small",
    "whisper-1",
    "dall-e-3",
    "claude-3-5-sonnet-latest",
    "claude-sonnet-4-5",
    "claude-2.1",
    "gemini-2.5-flash",
    "gemini/gemini-1.5-pro",
    "gemini-pro",
    "mistral-small-latest",
    "open-mixtral-8x22b",
    "codestral-latest",
    "meta-llama/Llama-3.1-70B-Instruct",
    "llama-2-7b-chat-hf",
    "Meta-Llama-3.1-405B-Instruct",
    "llama-4-scout-17b-16e-instruct",
    "gemma-2-9b-it",
    "gpt-oss-120b",
    "https://generativelanguage.googleapis.com/v1/models/gemini-1.5-pro:generateContent",
]
OTHERS = [
    "gpt",
    "gpt-40",
    "gpt-4-is-good",
    "gpt-4.md",
    "mygpt-4",
    "gpt-4o/",
    "claude",
    "claude-monet",
    "claude-3",
    "gemini",
    "gemini-cricket",
    "mistral",
    "mistral-wind",
    "llama",
    "llama-farm",
    "llama3",
    "o1-visa",
    "o1.svg",
    "h1-2",
    "customer-support-assistant",
    "support-2024-08-06",
    "embedding",
    "text-embedding",
    "text-embedding-layer",
    "whisper",
    "command-line",
    "nova-pro",
    "amazon.com",
    "meta.title",
    "anthropic.com",
    "mistral.ai",
    "cohere.io",
    "meta.name",
    "us.anthropic.com",
    "gpt-4o-2024-08-06.json",
    "s3://bucket/gpt-4",
    "2024-08-06",
    "model-v1:0",
    "bert-base-uncased",
    "arn:aws:s3:::bucket",
    "https://example.org/models/list",
    "https://platform.openai.com/docs/models",
]


@pytest.mark.parametrize("text", SNAPSHOTS)
def test_a_snapshot_is_recognised_as_one(text):
    found = recognise(text)
    assert found is not None
    assert found.is_snapshot


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_recognised_and_is_no_snapshot(text):
    found = recognise(text)
    assert found is not None
    assert not found.is_snapshot


@pytest.mark.parametrize("text", [*SNAPSHOTS, *NAMES, "o1", "o3-mini"])
def test_the_quick_look_lets_every_name_pass(text):
    assert may_hold_a_name(f"x = '{text}'".encode())


@pytest.mark.parametrize("text", OTHERS)
def test_what_only_looks_like_one_is_none(text):
    assert recognise(text) is None


def test_the_data_says_when_it_was_true_and_where_it_is_from():
    assert catalogue()["as_of"] >= "2026-01-01"
    assert all(one["source"].startswith("https://") for one in catalogue()["providers"])


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()

    def put(**files):
        for name, text in files.items():
            path = root / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return root

    return put


def found_in(root, **options):
    found = scan(root, excluded=options.pop("excluded", []), limit_s=options.pop("limit_s", 60))
    return [(one.path, one.line, one.column, one.name.text) for one in found.findings]


PYTHON = '''"""Uses "gpt-4o" for everything; gpt-4 is fine too."""
# was "gpt-4o-2024-08-06" before
client.chat(model="gpt-4o-2024-08-06", é="é", other="gpt-4")  # not "gpt-5"
prose = "gpt-4 is a model of OpenAI"
name = f"gpt-4-{suffix}"
ok = "claude-3-5-sonnet-20241022"  # assent: allow
# assent: allow, the price list names it
ok = "gpt-4"
o1 = "o1"
llm = Model("o1")
'''


def test_python_is_read_as_a_program(tree):
    root = tree(app_DOT_py=PYTHON)
    assert found_in(root) == [
        ("app.py", 3, 19, "gpt-4o-2024-08-06"),
        ("app.py", 3, 53, "gpt-4"),
        ("app.py", 10, 13, "o1"),
    ]


def test_python_that_cannot_be_parsed_is_read_line_by_line(tree):
    assert found_in(tree(old_DOT_py='print "gpt-4"\n')) == [("old.py", 1, 8, "gpt-4")]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a_DOT_ts", 'const m = "gpt-4o"; // was "gpt-4"\n// "gpt-4"\n/* "gpt-4"\n * "gpt-4" */\n', [(1, 12)]),
        ("a_DOT_go", "x := `claude-3-5-haiku-20241022`\n", [(1, 7)]),
        ("a_DOT_yaml", "model: gpt-4o # the model\nbase_model: gpt-4\nlist:\n  - gpt-4\nnote: gpt-4 is good\n", [(1, 8), (4, 5)]),
        ("a_DOT_yaml", 'upstream_model: "gpt-4"\n"model": "gpt-4"\n', [(2, 11)]),
        ("_DOT_env", "export MODEL=gpt-4o\nOTHER=gpt-4o-visa\n", [(1, 14)]),
        ("Dockerfile", "ENV MODEL=gpt-4o\n", [(1, 11)]),
        ("a_DOT_json", '{"model": "gpt-4", "text": "I like gpt-4"}\n', [(1, 12)]),
        ("a_DOT_ipynb", '{"source": ["m = \\"gpt-4\\"\\n"]}\n', [(1, 20)]),
        ("a_DOT_toml", 'model = "o1"\nvisa = "o1"\n', [(1, 10)]),
        ("a_DOT_md", 'model: gpt-4 and "gpt-4"\n', []),
        ("a_DOT_txt", "gpt-4\n", []),
        ("package-lock_DOT_json", '"gpt-4"\n', []),
    ],
)  # fmt: skip
def test_other_files_are_read_by_their_strings_and_values(tree, name, text, found):
    assert [(line, column) for _, line, column, _ in found_in(tree(**{name: text}))] == found


def test_what_a_gitignore_leaves_out_is_not_read(tree):
    line = 'm = "gpt-4"\n'
    root = tree(
        _DOT_gitignore="build/\n*.gen.ts\n!keep.gen.ts\n/only.ts\n# note\n\\#x.ts\ndocs/**/deep.ts\n",
        build__a_DOT_ts=line, x_DOT_gen_DOT_ts=line, sub__keep_DOT_gen_DOT_ts=line, only_DOT_ts=line,
        sub__only_DOT_ts=line, docs__a__b__deep_DOT_ts=line, node_modules__x_DOT_ts=line,
        sub__own___DOT_gitignore="secret.ts\n", sub__own__secret_DOT_ts=line, sub__own__open_DOT_ts=line,
    )  # fmt: skip
    assert [path for path, *_ in found_in(root)] == ["sub/keep.gen.ts", "sub/only.ts", "sub/own/open.ts"]
    assert [path for path, *_ in found_in(root, excluded=["sub/own/**", "*.ts"])] == [
        "sub/keep.gen.ts",
        "sub/only.ts",
    ]


@pytest.mark.parametrize(
    ("line", "path", "ignored"),
    [
        ("*.py[co]", "a/b.pyc", True),
        ("*.py[!co]", "a/b.pyx", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("**/x", "q/w/x", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a/*/c", "a/b/b/c", False),
        ("trailing ", "trailing", True),
        ("dir/", "dir", False),
        ("[z-a]", "x", False),
        ("", "x", False),
    ],
)
def test_a_line_of_a_gitignore_means_what_git_says(tmp_path, line, path, ignored):
    (tmp_path / ".gitignore").write_text(f"{line}\n")
    assert is_ignored(path, read_rules(tmp_path, ""), is_folder=False) is ignored


def test_links_binaries_and_large_files_are_left_out_and_counted(tree, tmp_path):
    root = tree(
        a_DOT_py=b'm = "gpt-4"\0',
        big_DOT_js="x" * MAX_FILE_BYTES + '"gpt-4"',
        latin_DOT_js=b'"gpt-4" // \xe9\n',
    )
    (root / "link.py").symlink_to(root / "latin.js")
    (root / "loop").symlink_to(root)
    found = scan(root, excluded=[], limit_s=60)
    assert [one.path for one in found.findings] == ["latin.js"]
    assert (found.n_files, found.n_too_large) == (2, 1)


def test_hostile_source_is_survived(tree):
    root = tree(
        deep_DOT_py="(" * 5000 + '"gpt-4"', long_DOT_js='"' + "gpt-4" * 150_000,
        many_DOT_js='"gpt-4\' ' * 100_000, spaces_DOT_yaml="gpt-4: " + " " * 4000 + "x #",
    )  # fmt: skip
    began = time.monotonic()
    found_in(root)
    assert time.monotonic() - began < 20  # it ends at all; how fast is measured, not asserted


@pytest.fixture
def assent(capsys):
    def run(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def test_the_command_exits_by_what_it_found(assent, tree):
    root = tree(a_DOT_py='m = "gpt-4-0613"\n')
    code, out, err = assent("check", root)
    assert code == 1
    assert out == "a.py:1:5: gpt-4-0613: OpenAI snapshot in source [pinned-snapshot]\n"
    assert "1 found in 1 files" in err
    assert assent("check", root / "a.py")[0] == 1
    assert assent("check", root, "--exclude", "a.*")[0] == 0
    assert assent("check", root, "--exclude", "a.*", "--limit-s", "0")[0] == 0
    code, _, err = assent("check", root, "--limit-s", "0")
    assert (code, "the time of 0 s is over" in err) == (3, True)
    assert assent("check", root / "none")[0] == 10
    assert assent("check", root, "--format", "xml")[0] == 10


def test_findings_are_given_as_json_and_sarif(assent, tree):
    root = tree(a_DOT_py='m = "gpt-4"\n', **{"ü__b c_DOT_py": 'm = "gpt-4-0613"\n'})
    for words in (("--json",), ("--format", "json")):
        found = json.loads(assent("check", root, *words)[1])
        assert [one["rule"] for one in found["findings"]] == ["model-name", "pinned-snapshot"]
        assert found["names_as_of"] == catalogue()["as_of"]
    sarif = json.loads(assent("check", root, "--format", "sarif")[1])
    (run,) = sarif["runs"]
    assert (sarif["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "assent check")
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        (location,) = result["locations"]
        assert set(location["physicalLocation"]) == {"artifactLocation", "region"}
    places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
    assert places[1]["artifactLocation"]["uri"] == "%C3%BC/b%20c.py"
    assert places[0]["region"] == {"startLine": 1, "startColumn": 5, "endColumn": 10}
    stopped = json.loads(assent("check", root, "--format", "sarif", "--limit-s", "0")[1])
    assert stopped["runs"][0]["invocations"][0]["executionSuccessful"] is False
