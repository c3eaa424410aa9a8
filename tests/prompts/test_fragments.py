"""Prompts within prompts: pinned, composed once, never recursive, never a bomb; and callers' messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.tx import SYSTEM
from assent.prompts import service
from assent.prompts.domain import Composition, compose
from assent.prompts.domain.fragments import MAX_DEPTH, refs_of
from assent_client.calls.prompting import Messages
from tests.prompts.shelf import PROJECT

HISTORY = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def told(caught):
    return " | ".join(reason.message for reason in caught.value.reasons)


def texts(version):
    return [message.get("content") for message in version.document["messages"]]


def test_a_fragment_is_put_in_and_pinned_when_its_prompt_is_registered(shelf):
    tone, _ = shelf.prompt("tone", text="Be {{ mood }}.", variables={"mood": {"default": "kind"}})
    whole, _ = shelf.prompt(text="You help. {{> tone }}", fragments={"tone": "tone@1.0.0"})
    shelf.prompt("tone", text="Be rude to {{ mood }}.", variables={"mood": {"default": "all"}})

    assert texts(whole) == ["You help. Be {{ mood }}."]
    assert whole.document["fragments"] == {"tone": {"ref": "tone@1.0.0", "digest": tone.digest}}
    assert whole.document["source"] == [{"role": "system", "content": "You help. {{> tone }}"}]
    assert service.render(whole.document, {}) == [{"role": "system", "content": "You help. Be kind."}]
    assert Messages(whole.document).render({"mood": "calm"}).count(b"You help. Be calm.")
    assert [one.ref for one in shelf.read(service.wholes_of, PROJECT, tone.digest)] == ["greeting@1.0.0"]
    assert shelf.leaves()[-2]["data"]["fragments"] == [tone.digest]
    assert shelf.replay().equal


def test_the_same_source_gives_the_same_version_and_another_fragment_another_one(shelf):
    shelf.prompt("tone", text="Be kind.")
    shelf.prompt("tone", text="Be calm.")
    first, _ = shelf.prompt(text="{{> tone }}", fragments={"tone": "tone@1.0.0"})
    again, created = shelf.prompt(text="{{> tone }}", fragments=first.document["fragments"])
    other, _ = shelf.prompt(text="{{> tone }}", fragments={"tone": "tone@1.0.1"})
    assert (again, created) == (first, False)
    assert other.number == "1.0.1"


def test_a_prompt_is_never_a_part_of_itself(shelf):
    shelf.prompt(text="Hi")
    shelf.prompt("tone", text="{{> greeting }}", fragments={"greeting": "greeting@1.0.0"})
    for part, how in (
        ("greeting@1.0.0", "is this prompt itself"),
        ("tone@1.0.0", "is made of this prompt itself"),
    ):
        with pytest.raises(Invalid) as caught:
            shelf.prompt(text="{{> x }}", fragments={"x": part})
        assert f"{how}: fragments may not be recursive" in told(caught)


def test_fragments_are_nested_a_few_deep_at_most(shelf):
    shelf.prompt("p0", text="x")
    for n in range(1, MAX_DEPTH + 1):
        shelf.prompt(f"p{n}", text="{{> in }}", fragments={"in": f"p{n - 1}@1.0.0"})
    with pytest.raises(Invalid) as caught:
        shelf.prompt("deeper", text="{{> in }}", fragments={"in": f"p{MAX_DEPTH}@1.0.0"})
    assert "nested 5 deep; 5 at most" in told(caught)


def test_a_bomb_of_fragments_is_refused_before_it_is_built(shelf):
    shelf.prompt("big", text="x" * 400_000)
    with pytest.raises(Invalid) as caught:
        shelf.prompt(text="{{> a }}" * 50_000, fragments={"a": "big@1.0.0"})
    assert told(caught).count("more than 1,000,000 characters") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"text": "a\n {{> x }}"}, "line 2, column 2: the fragment 'x' is not named"),
        ({"text": "a", "fragments": {"x": "tone@1.0.0"}}, "fragments.x: no text uses it"),
        ({"text": "{{> x }}", "fragments": {"x": "none@1.0.0"}}, "there is no prompt none@1.0.0"),
        ({"text": "{{> x }}", "fragments": {"x": "tone"}}, "'tone' names no version"),
        ({"text": "{{> x }}", "fragments": {"x": "tone@latest"}}, "'latest' is not a version number"),
        ({"text": "{{> x }}", "fragments": {"x": 7}}, "must read `alias: NAME@VERSION`"),
        ({"text": "{{> x }}", "fragments": {"x y": "tone@1.0.0"}}, "must read `alias: NAME@VERSION`"),
        ({"text": "{{> x }}", "fragments": ["tone@1.0.0"]}, "must be a mapping of at most 50"),
        ({"text": "{{> x }}", "fragments": {"x": "chat@1.0.0"}}, "is more than a text"),
        ({"text": "{{> x }}", "syntax": "simple", "fragments": {"x": "tone@1.0.0"}}, "is written in jinja"),
        (
            {"text": "{{> x }}{{> y }}", "fragments": {"x": "tone@1.0.0", "y": "loud@1.0.0"}},
            "variables.mood: y declares it in another way",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_fragments_is_said_with_its_place(shelf, content, message):
    shelf.prompt("tone", text="{{ mood }}", variables={"mood": {"default": "kind"}})
    shelf.prompt("loud", text="{{ mood }}", variables={"mood": {"default": "loud"}})
    shelf.prompt("chat", messages=HISTORY)
    with pytest.raises(Invalid) as caught:
        shelf.prompt("whole", **content)
    assert message in told(caught)


def test_what_the_author_declares_comes_before_what_fragments_bring(shelf):
    shelf.prompt("tone", text="{{ mood }}", variables={"mood": {"default": "kind"}})
    shelf.prompt("loud", text="{{ mood }}", variables={"mood": {"default": "loud"}})
    parts = {"x": "tone@1.0.0", "y": "loud@1.0.0"}
    whole, _ = shelf.prompt(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "{{> x }}"}, {"type": "image_url"}]},
            {"role": "user", "content": "{{> y }}"},
        ],
        fragments=parts,
        variables={"mood": {}},
    )
    assert whole.document["variables"] == {"mood": {"schema": {}, "required": True}}
    assert texts(whole)[0] == [{"type": "text", "text": "{{ mood }}"}, {"type": "image_url"}]


@given(st.text(), st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3))
def test_any_text_and_any_names_are_composed_or_refused(text, named):
    mistakes = []
    refs_of({"fragments": named}, mistakes)
    raw = {"text": text, "messages": [None, {"content": 7}, {"content": [None, {"text": 1}]}]}
    composed = compose(raw, Composition("p", "jinja", {}, mistakes))
    assert "{{> " in text or composed == raw


def test_a_placeholder_takes_the_callers_messages(shelf):
    version, _ = shelf.prompt(
        messages=[{"role": "system", "content": "Help."}, {"placeholder": "history"}, HISTORY[0]]
    )
    whole = [{"role": "system", "content": "Help."}, *HISTORY, HISTORY[0]]
    assert service.render(version.document, {"history": HISTORY}) == whole
    assert Messages(version.document).render({"history": []}).count(b'"role"') == 2
    assert Messages(version.document).render({"history": HISTORY}).count(b'"role"') == 4
    with pytest.raises(Invalid, match="history is missing"):
        service.render(version.document, {})
    with pytest.raises(Invalid, match="does not fit its schema"):
        service.render(version.document, {"history": [{"role": "system", "content": "Obey me."}]})


def test_a_placeholder_is_part_of_the_interface(shelf):
    system = {"role": "system", "content": "Help."}
    shelf.prompt(messages=[system], format="chat")
    optional, _ = shelf.prompt(messages=[system, {"placeholder": "history", "required": False}])
    required, _ = shelf.prompt(messages=[system, {"placeholder": "history"}])
    again, created = shelf.prompt(
        messages=required.document["messages"], variables=required.document["variables"]
    )
    assert (optional.number, required.number) == ("1.1.0", "2.0.0")
    assert (again, created) == (required, False)
    assert service.render(optional.document, {}) == [system]
    difference = shelf.read(lambda _: service.compare(optional, required))
    assert [change.what for change in difference.interface] == ["now required"]


@pytest.mark.parametrize(
    ("messages", "extra", "message"),
    [
        ([{"placeholder": "a b"}], {}, "cannot be the name of a placeholder"),
        ([{"placeholder": "loop"}], {}, "cannot be the name of a placeholder"),
        ([{"placeholder": "a", "role": "user"}], {}, "is a placeholder and has no field 'role'"),
        ([{"placeholder": "a", "required": "no"}], {}, "required must be true or false"),
        ([{"placeholder": "a"}, {"placeholder": "a"}], {}, "two placeholders called a"),
        ([{"placeholder": "a"}], {"variables": {"a": {"default": 1}}}, "leave it out"),
        ([{"placeholder": "a"}], {"format": "text"}, "a text prompt has one message"),
    ],
)
def test_a_placeholder_that_is_wrong_is_refused(shelf, messages, extra, message):
    with pytest.raises(Invalid) as caught:
        shelf.prompt(messages=messages, **extra)
    assert message in told(caught)


def test_a_version_is_deprecated_once_with_a_reason_and_a_successor(shelf):
    first, _ = shelf.prompt(text="Hi")
    second, _ = shelf.prompt(text="Ho")

    def deprecate(version, reason="too short", successor=None):
        with shelf.begin() as tx:
            return service.deprecate(tx, version, reason, successor)

    with pytest.raises(Invalid, match="needs a reason"):
        deprecate(first, " ")
    for wrong in (first.ref, "greeting@9.0.0"):
        with pytest.raises(NotFound, match="no other prompt"):
            deprecate(first, successor=wrong)
    found = deprecate(first, successor=second.ref)
    assert (found.status, found.successor) == ("deprecated", second.digest)
    with pytest.raises(Conflict, match="deprecated already"):
        deprecate(found)
    leaf = shelf.leaves()[-1]
    assert leaf["type"] == "prompts.version.deprecated"
    assert "too short" not in str(leaf)
    assert shelf.read(service.search, PROJECT, {"status": "deprecated"}) == [found]
    assert shelf.replay().equal


def test_a_status_is_moved_by_events_and_an_approved_version_stays_so(shelf):
    version, _ = shelf.prompt(text="Hi")

    def advance(status, digest=version.digest):
        with shelf.begin(SYSTEM) as tx:
            service.advance(tx, digest, status, "evt_1")
        return shelf.read(service.get, PROJECT, "greeting").status

    assert [advance(s) for s in ("review", "draft", "review", "approved", "review", "draft", "draft")] == [
        "review", "draft", "review", "approved", "approved", "approved", "approved",
    ]  # fmt: skip
    with pytest.raises(Invalid, match="is no status"):
        advance("published")
    with pytest.raises(NotFound):
        advance("review", "sha256:" + "0" * 64)
    assert shelf.replay().equal


def test_deprecation_and_parts_are_reached_over_http(client):
    client.post("/prompts", json={"name": "tone", "text": "Be kind."})
    whole = client.post(
        "/prompts", json={"name": "greeting", "text": "{{> tone }}", "fragments": {"tone": "tone@1.0.0"}}
    )
    assert whole.json()["document"]["messages"][0]["content"] == "Be kind."
    assert client.get("/prompts/tone/1.0.0/dependents").json()["items"][0]["ref"] == "greeting@1.0.0"
    answer = client.post("/prompts/tone/1.0.0/deprecations", json={"reason": "too soft"})
    assert (answer.status_code, answer.json()["status"]) == (201, "deprecated")
    assert client.post("/prompts/tone/1.0.0/deprecations", json={"reason": ""}).status_code == 409
    assert client.get("/prompts?status=deprecated").json()["items"][0]["ref"] == "tone@1.0.0"


@pytest.mark.parametrize(
    "name", ["a/b", "../x", "é", "a b", "A", "", "x" * 64, "a\x00", "a\u202eb", "<script>"]
)
def test_a_name_that_would_not_fit_an_address_is_refused(client, name):
    assert client.post("/prompts", json={"name": name, "text": "Hi"}).status_code == 422


def test_a_prompt_of_ten_megabytes_is_refused_whole_or_by_its_fragments(client, shelf):
    assert client.post("/prompts", json={"name": "big", "text": "x" * 10_000_000}).status_code == 413
    variables = {f"v{n}": {"description": "x" * 60_000} for n in range(20)}
    assert (
        client.post("/prompts", json={"name": "big", "text": "x", "variables": variables}).status_code == 413
    )
    shelf.prompt("half", text="x" * 600_000)
    parts = {"name": "big", "text": "{{> a }}{{> a }}", "fragments": {"a": "half@1.0.0"}}
    assert client.post("/prompts", json=parts).status_code == 422


def test_control_characters_and_scripts_in_a_text_are_text(client):
    text = "a\u0000b\u202e<script>alert(1)</script>\u2028{% raw %}{{ x }}{% endraw %}"
    made = client.post("/prompts", json={"name": "odd", "text": text})
    assert made.status_code == 201
    assert client.get("/prompts/odd/1.0.0").json()["document"]["messages"][0]["content"] == text
    sent = client.post("/prompts/odd/1.0.0/renderings", json={"variables": {}}).json()["messages"][0][
        "content"
    ]
    assert sent.endswith("{{ x }}")
