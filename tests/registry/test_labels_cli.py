"""Labels, deletion, and the suites of prompts, on the command line over real HTTP."""

import json

import pytest

from assent.evaluation import service as evaluation
from assent.prompts import service as prompts
from tests.approvals.conftest import assent, furnished, served, shop  # noqa: F401 -- fixtures
from tests.approvals.shop import PROJECT


@pytest.fixture
def greetings(served):  # noqa: F811 -- pytest's way
    for text in ("Hello", "Hello!"):
        new = prompts.NewPrompt(project=PROJECT, name="greeting", content={"text": text})
        served.shop.do("ada", prompts.register, new)


@pytest.mark.parametrize(
    ("noun", "refs"),
    [("model", ("support@2.0.0", "support@2.1.0")), ("prompt", ("greeting@1.0.0", "greeting@1.0.1"))],
)
@pytest.mark.usefixtures("greetings")
def test_a_label_is_moved_shown_rolled_back_and_taken_away(served, assent, noun, refs):  # noqa: F811 -- pytest's way
    (first, second), name = refs, refs[0].partition("@")[0]

    def label(*words):
        code, out, err = assent("ada", noun, "label", *words, "--json")
        return code, json.loads(out or "null"), err

    assert label("list", name)[:2] == (0, [])
    code, moved, _ = label("move", first, "champion", "--reason", "best")
    assert (code, moved["ref"], moved["generation"]) == (0, first, 1)
    before = served.shop.clock.now()
    served.shop.clock.advance(60)
    assert label("move", second, "champion", "--generation", "0")[0] == 17
    assert label("move", name, "champion")[0] == 10
    assert label("move", second, "champion", "--generation", "1")[0] == 0
    assert label("show", name, "champion")[1]["ref"] == second
    assert [one["version"] for one in label("list", name)[1]] == [second.partition("@")[2]]
    assert label("at", name, "champion", before.isoformat())[1]["ref"] == first
    assert label("at", name, "champion", f"{before:%Y-%m-%d}")[1]["ref"] == second
    assert label("at", name, "champion", "yesterday")[0] == 10
    assert label("rollback", name, "champion", "--reason", "wrong tone")[1]["ref"] == first
    assert [one["rolled_back"] for one in label("history", name, "champion")[1]] == [True, False, False]
    assert label("remove", name, "champion", "--generation", "1")[0] == 17
    assert label("remove", name, "champion")[0] == 0
    assert label("list", name)[:2] == (0, [])


def test_a_draft_is_deleted_and_its_number_never_comes_back(served, assent):  # noqa: F811 -- pytest's way
    assert assent("ada", "model", "delete", "support", "--yes")[0] == 10
    assert assent("rita", "model", "delete", "support@2.1.0", "--yes")[0] == 12
    code, out, _ = assent("ada", "model", "delete", "support@2.1.0", "--reason", "wrong", "--yes", "--json")
    assert code == 0, out
    assert assent("ada", "model", "show", "support@2.1.0")[0] in {13, 14}
    served.shop.adopt()
    code, _, err = assent("ada", "model", "delete", "support@2.0.0", "--yes")
    assert (code, "production" in err) == (16, True)


@pytest.mark.usefixtures("greetings")
def test_a_suite_is_bound_to_a_prompt_and_unbound(served, assent):  # noqa: F811 -- pytest's way
    rows = [{"id": "q1", "input": "question", "target": "A"}]
    suite = {
        "kind": "regression", "dataset": "cases", "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "threshold": 0.5},
    }  # fmt: skip
    served.shop.do("ada", evaluation.register_dataset, evaluation.NewVersion(PROJECT, "cases", rows))
    served.shop.do("ada", evaluation.register_suite, evaluation.NewVersion(PROJECT, "tone", suite))
    served.shop.register("3.0.0", prompt="greeting@1.0.0")
    bind = ("prompt", "bind", "greeting", "--suite", "tone", "--through", "support@3.0.0", "--json")
    assert assent("rita", *bind)[0] == 12
    code, out, err = assent("ada", *bind)
    assert code == 0, err
    assert {"greeting", "tone@1.0.0"} <= set(json.loads(out).values())
    assert assent("ada", "prompt", "unbind", "greeting", "--suite", "tone")[0] == 0
    assert assent("ada", "prompt", "unbind", "greeting", "--suite", "tone")[0] == 13


@pytest.mark.parametrize("noun", ["model", "prompt"])
@pytest.mark.usefixtures("greetings")
def test_no_command_changes_a_version(served, assent, tmp_path, noun):  # noqa: F811 -- pytest's way
    contents = {
        "model": "name: support\nversion: 2.0.0\nprovider: acme\nupstream_model: other\ntier: minimal\n",
        "prompt": "name: greeting\ntext: other\n",
    }
    ref = {"model": "support@2.0.0", "prompt": "greeting@1.0.0"}[noun]
    before = assent("ada", noun, "show", ref, "--json")[1]
    (tmp_path / "other.yaml").write_text(contents[noun])
    number = ("--version", ref.partition("@")[2])
    code, _, err = assent("ada", noun, "register", "other.yaml", *(number if noun == "model" else ()))
    assert code == (15 if noun == "model" else 0), err
    assert json.loads(assent("ada", noun, "show", ref, "--json")[1]) == json.loads(before)
