"""Prompt versions are filtered in the language of models, labels included."""

import json

import pytest

from assent.prompts import service as prompts
from assent.registry import service
from assent.registry.service import Change, Pointer
from tests.approvals.conftest import assent, furnished, served, shop  # noqa: F401 -- fixtures
from tests.prompts.shelf import PROJECT


@pytest.fixture
def stock(shelf):
    """Versions 1.0.0 to 1.0.2 of a greeting and a chat; the first is labelled, the second deprecated."""
    for text in ("Hi", "Ho", "Hey"):
        shelf.clock.advance(3600)
        shelf.prompt(text=text, tags=["short"] if text != "Hey" else ["short", "new"])
    shelf.prompt(name="talk", messages=[{"role": "system", "content": "Be kind."}])
    pointer = Pointer(project=PROJECT, kind="prompt", name="greeting", label="champion")
    with shelf.begin() as tx:
        service.move_label(tx, Change(pointer=pointer), "1.0.0")
        second = prompts.get(tx, PROJECT, "greeting", "1.0.1")
        prompts.deprecate(tx, second, "too short")


def found(client, text):
    answer = client.get("/prompts", params={"filter": text})
    assert answer.status_code == 200, answer.text
    return [one["ref"] for one in answer.json()["items"]]


@pytest.mark.usefixtures("stock")
@pytest.mark.parametrize(
    ("text", "refs"),
    [
        ("name = greeting AND version >= 1.0.1", ["greeting@1.0.2", "greeting@1.0.1"]),
        ("name ~ TALK", ["talk@1.0.0"]),
        ("format = chat", ["talk@1.0.0"]),
        ("label = champion", ["greeting@1.0.0"]),
        ("NOT label = champion AND tag = short", ["greeting@1.0.2", "greeting@1.0.1"]),
        ("tag IN (new, old)", ["greeting@1.0.2"]),
        ("status = deprecated", ["greeting@1.0.1"]),
        ("status != deprecated AND (label = champion OR tag = new)", ["greeting@1.0.2", "greeting@1.0.0"]),
        ("registered_at < 2000-01-01", []),
        ("since >= 2000-01-01 AND version = 1.0.1", ["greeting@1.0.1"]),
        ("registered_by = ada AND tag = new", ["greeting@1.0.2"]),
        ("digest ~ sha256 AND name = talk", ["talk@1.0.0"]),
    ],
)
def test_every_field_is_compared(client, text, refs):
    assert sorted(found(client, text)) == sorted(refs)


@pytest.mark.usefixtures("stock")
def test_a_filter_goes_with_values_and_pages(client):
    whole = found(client, "tag = short")
    asked = {"filter": "tag = short", "limit": 2, "name": "greeting"}
    first = client.get("/prompts", params=asked).json()
    rest = client.get("/prompts", params={**asked, "cursor": first["next"]}).json()
    assert [one["ref"] for one in first["items"] + rest["items"]] == whole
    assert client.get("/prompts", params={**asked, "name": "talk"}).json()["items"] == []


@pytest.mark.usefixtures("stock")
@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("status = ", 9),
        ("status = gone", 10),
        ("colour = red", 1),
        ("registered_by = nobody", 17),
        ("(name = a", 10),
    ],
)
def test_what_does_not_parse_is_refused_with_its_place(client, text, position):
    answer = client.get("/prompts", params={"filter": text})
    assert answer.status_code == 422
    assert f"at character {position}" in answer.json()["detail"]


def test_prompts_are_filtered_on_the_command_line(served, assent):  # noqa: F811 -- pytest's way
    new = prompts.NewPrompt(project="shop", name="greeting", content={"text": "Hi", "tags": ["short"]})
    served.shop.do("ada", prompts.register, new)
    code, out, _ = assent("rita", "prompt", "list", "--filter", "tag = short AND status = draft", "--json")
    assert (code, [one["ref"] for one in json.loads(out)]) == (0, ["greeting@1.0.0"])
    assert assent("rita", "prompt", "list", "--filter", "tag = ")[0] == 10
