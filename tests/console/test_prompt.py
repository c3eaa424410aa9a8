import html
import re

import pytest

from assent.evaluation import service as evaluation
from assent.prompts import service as prompts
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of

PAGE = "/projects/shop/prompts/greeting"
NAMED = {"name": {"schema": {"type": "string"}}, "n": {"schema": {"type": "integer"}, "default": 1}}


@pytest.fixture
def prompt(console):
    def register(name="greeting", **content):
        return console.do("ada", prompts.register, prompts.NewPrompt(PROJECT, name, content))[0]

    return register


def test_the_list_shows_every_prompt_with_its_newest_version(console, prompt):
    browser = console.signed_in("rita")
    assert "No prompt yet" in words_of(browser.get("/projects/shop/prompts"))
    prompt(text="Hi")
    prompt(text="Ho")
    answer = browser.get("/projects/shop/prompts")
    assert f'<a href="{PAGE}">greeting</a>' in answer.text
    assert "1.0.1 Draft nowhere 2" in words_of(answer)
    assert 'href="/projects/shop/prompts"' in browser.get("/").text


def test_a_prompt_shows_its_text_its_variables_and_what_changed(console, prompt):
    prompt("tone", text="Be kind.")
    prompt(text="Hi {{ name }}", variables={"name": NAMED["name"]})
    prompt(text="Hello {{ name }} {{ n }} {{> t }}", variables=NAMED, fragments={"t": "tone@1.0.0"})
    browser = console.signed_in("rita")

    words = words_of(browser.get(PAGE))

    assert "Hello {{ name }} {{ n }} Be kind." in words
    assert "From 1.0.0 to 1.1.0: the interface asks for a minor version" in words
    assert "variables.n: added, optional (minor)" in words
    assert "removed:" in words
    assert "Fragment t tone@1.0.0" in words
    assert "Fragment of greeting@1.1.0" in words_of(browser.get("/projects/shop/prompts/tone"))
    old = browser.get(f"{PAGE}?version=1.0.0")
    assert "This is the first version" in words_of(old)
    assert "From 1.1.0 to 1.0.0" in words_of(browser.get(f"{PAGE}?version=1.0.0&against=1.1.0"))
    assert browser.get(f"{PAGE}?version=9.0.0").status_code == 404
    assert browser.get(f"{PAGE}?version=one").status_code in {404, 422}


def test_a_preview_fills_in_what_is_typed_and_says_what_is_missing(console, prompt):
    prompt(text="Hi {{ name }}, {{ n }}", variables=NAMED)
    browser = console.signed_in("rita")

    assert "What a model is sent" not in words_of(browser.get(PAGE))
    filled = browser.get(PAGE, params={"var.name": "12 <b>", "var.n": "7"})
    assert "Hi 12 <b>, 7" in html.unescape(filled.text)
    assert "<b>" not in filled.text
    missing = words_of(browser.get(PAGE, params={"var.name": "", "var.n": "x"}))
    assert "The prompt cannot be filled in" in missing
    assert "name is missing" in missing
    assert "n does not fit its schema" in missing
    assert "x is not declared" in words_of(browser.get(PAGE, params={"var.x": "1"}))


def test_a_preview_that_would_never_end_is_refused(console, prompt):
    loop = "{% for a in x %}{% for b in x %}{% for c in x %}{{ c }}{% endfor %}{% endfor %}{% endfor %}"
    prompt(text=loop, variables={"x": {}})
    browser = console.signed_in("rita")
    answer = words_of(browser.get(PAGE, params={"var.x": str(list(range(200)))}))
    assert "loops take more than 100,000 rounds" in answer
    assert "cannot be rendered" in words_of(browser.get(PAGE, params={"var.x": "1"}))
    assert browser.get(PAGE, params={"var.x": "[" * 20_000}).status_code == 200


def test_messages_of_every_kind_are_shown(console, prompt):
    prompt(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "parts"}]},
            {"placeholder": "history", "required": False},
        ],
        tools=[{"type": "function", "function": {"name": "look_up"}}],
        response_format={"type": "json_object"},
    )
    browser = console.signed_in("rita")
    words = words_of(browser.get(PAGE))
    assert '"text": "parts"' in words
    assert "those that the caller gives as history" in words
    assert "look_up" in words
    sent = browser.get(PAGE, params={"var.history": '[{"role": "user", "content": "earlier"}]'})
    assert "earlier" in words_of(sent).split("What a model is sent")[1]


def test_suites_tests_and_deprecation_are_shown(console, prompt):
    first, second = prompt(text="Hi"), prompt(text="Ho")
    console.do("ada", prompts.deprecate, first, "cold", second.ref)
    cases = [{"id": "1", "input": "a", "target": "b"}]
    console.do("ada", evaluation.register_dataset, evaluation.NewVersion(PROJECT, "cases", cases))
    suite = {
        "dataset": "cases",
        "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "threshold": 0.5},
    }
    console.do("ada", evaluation.register_suite, evaluation.NewVersion(PROJECT, "quality", suite))
    console.do(
        "ada", evaluation.bind_suite, evaluation.NewBinding(PROJECT, "greeting", "quality", "support@2.0.0")
    )
    browser = console.signed_in("rita")

    words = words_of(browser.get(f"{PAGE}?version=1.0.0"))

    assert "This version should not be taken up any more. Use 1.0.1 ." in words
    assert "Tested with quality@1.0.0 through support@2.0.0" in words
    assert "No test has ended" in words
    assert "Prompt version 1.0.0 deprecated" in words


def test_a_prompt_that_a_system_pins_is_shown_live_through_it(console, prompt):
    prompt(text="Hi")
    console.register("3.0.0", prompt="greeting@1.0.0")
    console.adopt("3.0.0")
    words = words_of(console.signed_in("rita").get(PAGE))
    assert "production: 100% of support, in support@3.0.0" in words


def test_hostile_text_is_shown_as_text(console, prompt):
    bad = '<script>alert("x")</script><img src=x onerror=alert(1)>\u202e'
    prompt(
        messages=[{"role": "system", "content": bad + "{{ v }}"}],
        variables={"v": {"schema": {"description": bad}, "description": bad, "default": bad}},
        description=bad,
        parameters={"stop": [bad]},
    )
    answer = console.signed_in("rita").get(PAGE, params={"var.v": bad, f"var.{bad}": bad})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", re.sub(r"&lt;.*?&gt;", "", answer.text))


def test_a_name_that_is_no_name_is_an_error_page(console):
    browser = console.signed_in("rita")
    for name in ("nothing", "a%2Fb", "%00", "%F0%9F%98%80"):
        assert browser.get(f"/projects/shop/prompts/{name}").status_code == 404
