"""Prompt versions: numbered by what changed, immutable by every door, registered by many at once."""

import threading

import pytest
import sqlalchemy as sa

from assent.identity import service as identity
from assent.kernel.errors import Conflict, Invalid, NotFound, Refused, TooLarge
from assent.kernel.tx import SYSTEM
from assent.prompts import service, store
from assent.prompts.domain import Bump
from tests.prompts.shelf import PROJECT

NAME = {"variables": {"name": {"schema": {"type": "string"}}}}


def numbers(shelf, name="greeting"):
    return [version.number for version in shelf.read(service.list_versions, PROJECT, name)]


def test_numbers_follow_from_the_interface(shelf):
    shelf.prompt(text="Hi {{ name }}", **NAME)
    shelf.prompt(text="Hello {{ name }}", **NAME)
    shelf.prompt(text="Hello {{ name }}{{ mood }}", variables={**NAME["variables"], "mood": {"default": "!"}})
    shelf.prompt(text="Hello")
    shelf.prompt(text="Good day", bump=Bump.MAJOR)
    shelf.prompt(text="Good evening", number="3.4.0")
    assert numbers(shelf) == ["3.4.0", "3.0.0", "2.0.0", "1.1.0", "1.0.1", "1.0.0"]
    with pytest.raises(Refused, match="needs a major version"):
        shelf.prompt(text="Hi {{ name }}!", bump=Bump.PATCH, **NAME)


def test_the_tenth_patch_is_above_the_ninth(shelf):
    for n in range(12):
        shelf.prompt(text=f"Hi {n}", number=f"0.0.{n + 1}")
    assert shelf.read(service.get, PROJECT, "greeting").number == "0.0.12"
    assert shelf.prompt(text="more")[0].number == "0.0.13"


def test_the_same_content_is_the_same_version(shelf):
    first, created = shelf.prompt(text="Hi")
    again, anew = shelf.prompt(messages=[{"role": "system", "content": "Hi"}], format="text")
    assert (created, anew, again) == (True, False, first)
    n_leaves = len(shelf.leaves())
    assert shelf.prompt(text="Hi", number="1.0.0") == (first, False)
    with pytest.raises(Conflict, match=r"already, as 1\.0\.0"):
        shelf.prompt(text="Hi", number="1.0.1")
    assert len(shelf.leaves()) == n_leaves
    other, created = shelf.prompt("farewell", text="Hi")
    assert created
    assert other.digest != first.digest


def test_a_number_that_is_taken_is_refused_with_a_free_one(shelf):
    shelf.prompt(text="Hi")
    shelf.prompt(text="Ho")
    with pytest.raises(Conflict, match=r"greeting@1\.0\.0 exists with other content") as caught:
        shelf.prompt(text="Ha", number="1.0.0")
    assert "1.0.2" in caught.value.remedy


def test_an_old_content_gives_the_old_version_back(shelf):
    shelf.prompt(text="Hi")
    shelf.prompt(text="Ho")
    assert shelf.prompt(text="Hi")[0].number == "1.0.0"


def test_the_leaf_holds_the_digest_and_never_the_text(shelf):
    version, _ = shelf.prompt(text="A secret recipe", tags=["kitchen"])
    leaf = shelf.leaves()[-1]
    assert leaf["type"] == "prompts.version.registered"
    assert leaf["data"]["digest"] == version.digest
    assert "recipe" not in str(leaf)


def test_contributors_are_who_registers_and_the_authors_named(shelf):
    bob = shelf.person("bob")
    version, _ = shelf.prompt(text="Hi", authors=["bob"])
    assert version.contributors == sorted([shelf.author.id, bob.id])
    with pytest.raises(NotFound, match="nobody"):
        shelf.prompt(text="Ho", authors=["nobody"])


@pytest.mark.parametrize(
    "verb",
    [
        "UPDATE prompts_versions SET number = '9.9.9'",
        "DELETE FROM prompts_versions",
        "UPDATE prompts_tags SET tag = 'x'",
        "DELETE FROM prompts_tags",
        "UPDATE prompts_documents SET content = '{}'",
    ],
)
def test_the_database_itself_refuses_to_change_a_version(shelf, verb):
    version, _ = shelf.prompt(text="Hi", tags=["a"])
    with pytest.raises(sa.exc.DBAPIError, match="never changes"):
        shelf.behind_the_back(sa.text(verb))
    assert shelf.read(service.get, PROJECT, "greeting") == version


def test_a_document_that_was_swapped_in_the_database_is_noticed(shelf):
    version, _ = shelf.prompt(text="Hi")
    shelf.behind_the_back(sa.delete(store.documents))
    with pytest.raises(NotFound, match="erased"):
        assert shelf.read(service.get, PROJECT, "greeting").document
    changed = {"digest": version.digest, "content": '{"text":"Ho"}'}
    shelf.behind_the_back(sa.insert(store.documents).values(changed))
    with pytest.raises(Invalid, match="changed in the database"):
        assert shelf.read(service.get, PROJECT, "greeting").document


def test_an_erased_text_comes_back_when_it_is_registered_again(shelf):
    version, _ = shelf.prompt(text="Hi")
    shelf.behind_the_back(sa.delete(store.documents))
    assert shelf.prompt(text="Hi") == (version, False)


def test_eight_people_register_at_once_and_nobody_loses(shelf):
    shelf.prompt(text="start")
    failures = []

    def work(worker):
        try:
            for turn in range(4):
                shelf.prompt(text=f"text {worker} {turn}")
        except Exception as error:  # noqa: BLE001 -- told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sorted(numbers(shelf), key=lambda n: int(n.rpartition(".")[2])) == [f"1.0.{n}" for n in range(33)]
    assert shelf.replay().equal


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "a/b", "../a", "ä", "a\x00", "a\n", "\u202ea", "a" * 64, "-a", "a@1"]
)
def test_a_name_that_could_deceive_is_refused(shelf, name):
    with pytest.raises(Invalid, match="not a name"):
        shelf.prompt(name, text="Hi")


def test_any_text_is_kept_as_it_is(shelf):
    text = "\ufeff\u202e\x00\x1b[31m \U0001f600 e\u0301 \r\n\t"
    version, _ = shelf.prompt(text=text, syntax="simple")
    assert version.document["messages"][0]["content"] == text


@pytest.mark.parametrize("content", [{"text": "x" * 10_000_000}, {"text": "a", "description": "ä" * 600_000}])
def test_a_prompt_beyond_a_megabyte_is_too_large(shelf, content):
    with pytest.raises(TooLarge, match="1,000,000"):
        shelf.prompt(**content)


def test_what_no_json_can_hold_is_refused(shelf):
    deep = []
    for _ in range(5000):
        deep = [deep]
    for value in (float("nan"), 2**60, "\ud800", deep):
        with pytest.raises(Invalid, match="canonical JSON"):
            shelf.prompt(text="a", parameters={"seed": value})


def test_a_preview_says_what_registering_does_and_records_nothing(shelf):
    new = service.NewPrompt(PROJECT, "greeting", {"text": "Hi"})
    seen = shelf.read(service.preview, new)
    version, _ = shelf.prompt(text="Hi")
    assert (seen["version"], seen["digest"], seen["exists"]) == ("1.0.0", version.digest, False)
    assert shelf.read(service.preview, new)["ref"] == "greeting@1.0.0"
    changed = shelf.read(
        service.preview,
        service.NewPrompt(PROJECT, "greeting", {"text": "Hi {{ a }}", "variables": {"a": {}}}),
    )
    assert changed["version"] == "2.0.0"
    assert changed["interface"] == [{"where": "variables.a", "what": "added, required", "bump": "major"}]


def test_versions_are_found_by_digest_name_and_tag(shelf):
    hi, _ = shelf.prompt(text="Hi", tags=["warm"])
    shelf.prompt("farewell", text="Bye")
    assert shelf.read(service.get_by_digest, PROJECT, hi.digest) == hi
    assert shelf.read(service.find_by_digest, "other", hi.digest) is None
    assert shelf.read(service.list_prompts, PROJECT) == ["farewell", "greeting"]
    assert shelf.read(service.search, PROJECT, {"tag": "warm"}) == [hi]
    for question, *args in (
        (service.get, "greeting", "9.0.0"),
        (service.get, "nothing"),
        (service.get_by_digest, "sha256:" + "0" * 64),
        (service.list_versions, "nothing"),
    ):
        with pytest.raises(NotFound):
            shelf.read(question, PROJECT, *args)


def test_pages_hold_every_version_once(shelf):
    for n in range(7):
        shelf.prompt(text=f"Hi {n}")
    seen, cursor = [], None
    while found := shelf.read(service.search, PROJECT, {}, before=cursor, limit=3):
        seen += [one.number for one in found]
        cursor = found[-1].id
    assert seen == [f"1.0.{n}" for n in reversed(range(7))]


def test_projects_do_not_see_each_others_prompts(shelf):
    with shelf.begin(SYSTEM) as tx:
        identity.create_project(tx, "other")
    shelf.prompt(text="Hi")
    assert shelf.read(service.list_prompts, "other") == []
    with pytest.raises(NotFound, match="no project"), shelf.begin() as tx:
        service.register(tx, service.NewPrompt("nowhere", "greeting", {"text": "Hi"}))


def test_a_comparison_tells_text_fields_and_interface(shelf):
    old, _ = shelf.prompt(text="Hi {{ name }}\nBye", parameters={"temperature": 0}, **NAME)
    new, _ = shelf.prompt(
        text="Hello {{ name }}\nBye {{ when }}", variables={**NAME["variables"], "when": {}}
    )
    found = service.comparison_to_wire(service.compare(old, new))
    assert (found["before"], found["after"], found["bump"]) == ("greeting@1.0.0", "greeting@2.0.0", "major")
    assert {field["path"].split()[0] for field in found["fields"]} == {"messages", "variables", "parameters"}
    assert [line["mark"] for line in found["text"]] == ["same", "removed", "removed", "added", "added"]
    parts, _ = shelf.prompt("x", messages=[{"role": "user", "content": [{"type": "text", "text": "a"}]}])
    assert service.compare(parts, parts).bump is Bump.PATCH


def test_a_replay_gives_the_same_rows(shelf):
    shelf.prompt(text="Hi", tags=["a", "b"])
    shelf.prompt(text="Ho")
    replay = shelf.replay()
    assert replay.equal, replay.differences
