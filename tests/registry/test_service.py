"""Model versions: immutable by every door, traced, and moved through their life by what happens to them."""

import threading

import pytest
import sqlalchemy as sa

from assent.identity import service as identity
from assent.kernel.errors import Conflict, Invalid, NotFound, TooLarge
from assent.kernel.tx import SYSTEM
from assent.registry import service, store
from assent.registry.service import Search
from tests.prompts.shelf import PROJECT

DIGEST = "sha256:" + "a" * 64


def advance(shelf, version, stage, because="evt_1", status=None):
    with shelf.begin() as tx:
        return service.advance(tx, version.digest, stage, because, status)


def test_the_same_content_is_the_same_version(shelf):
    first, created = shelf.model()
    n_leaves = len(shelf.leaves())
    assert created
    assert shelf.model() == (first, False)
    assert len(shelf.leaves()) == n_leaves
    with pytest.raises(Conflict, match=r"already, as 1\.0\.0"):
        shelf.model("1.0.1", upstream_model="support-1.0.0")


def test_a_number_that_is_taken_is_refused_with_a_free_one(shelf):
    shelf.model()
    shelf.model("1.4.0")
    with pytest.raises(Conflict, match=r"support@1\.0\.0 exists with other content") as caught:
        shelf.model(upstream_model="other")
    assert "1.4.1" in caught.value.remedy


@pytest.mark.parametrize("number", ["", "1", "1.0", "latest", "v1.0.0", "01.0.0", "1.0.0+x"])
def test_a_number_is_a_semantic_version(shelf, number):
    with pytest.raises(Invalid, match="not a version number"):
        shelf.model(number)


def test_numbers_are_compared_as_numbers(shelf):
    for number in ("0.0.9", "0.0.10", "0.0.2", "0.0.11-rc.1"):
        shelf.model(number)
    assert shelf.read(service.get, PROJECT, "support").number == "0.0.11-rc.1"
    shelf.model("0.0.11")
    assert shelf.read(service.get, PROJECT, "support").number == "0.0.11"
    newest = [version.number for version in shelf.read(service.list_versions, PROJECT, "support")]
    assert newest == ["0.0.11", "0.0.11-rc.1", "0.0.2", "0.0.10", "0.0.9"]


def test_a_prompt_is_pinned_to_its_digest_and_its_authors_contribute(shelf):
    bob, eve = shelf.person("bob"), shelf.person("eve")
    prompt, _ = shelf.prompt(text="Hi", actor=bob)
    version, _ = shelf.model(prompt="greeting@1.0.0", authors=["eve"])
    assert version.document["prompt"] == version.prompt == prompt.digest
    assert set(version.contributors) == {shelf.author.id, bob.id, eve.id}
    assert shelf.read(service.contributors, PROJECT, version.digest) == set(version.contributors)
    assert shelf.read(service.prompts_of, version) == {prompt.digest: prompt.document}
    assert shelf.model(prompt=prompt.digest)[0] == version
    assert shelf.read(service.prompts_of, shelf.model("2.0.0")[0]) == {}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"prompt": "nothing@1.0.0"}, NotFound),
        ({"prompt": "greeting"}, Invalid),
        ({"prompt": "greeting@latest"}, Invalid),
        ({"prompt": DIGEST}, NotFound),
        ({"prompt": 3}, Invalid),
        ({"built_from": ["nothing@1.0.0"]}, NotFound),
        ({"built_from": [DIGEST]}, NotFound),
        ({"built_from": [3]}, Invalid),
        ({"built_from": "support@1.0.0"}, Invalid),
        ({"description": "x" * 2_000_000}, TooLarge),
        ({"colour": "red"}, Invalid),
    ],
)
def test_what_a_version_names_must_be_there(shelf, content, error):
    n_leaves = len(shelf.leaves())
    with pytest.raises(error):
        shelf.model(**content)
    assert len(shelf.leaves()) == n_leaves


def test_lineage_leads_both_ways(shelf):
    prompt, _ = shelf.prompt(text="Hi")
    first, _ = shelf.model()
    second, _ = shelf.model(
        "2.0.0",
        prompt="greeting@1.0.0",
        built_from=["support@1.0.0"],
        datasets=[{"name": "faq", "digest": DIGEST}],
    )
    sources, dependents = shelf.read(service.lineage, PROJECT, second.digest)
    assert {(edge.kind, edge.target) for edge in sources} == {
        ("uses_prompt", prompt.digest),
        ("built_from", first.digest),
        ("supersedes", first.digest),
        ("trained_on", DIGEST),
    }
    assert dependents == []
    _, of_first = shelf.read(service.lineage, PROJECT, first.digest)
    assert {(edge.kind, edge.source) for edge in of_first} == {
        ("built_from", second.digest),
        ("supersedes", second.digest),
    }
    assert [e.kind for e in shelf.read(service.lineage, PROJECT, prompt.digest)[1]] == ["uses_prompt"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE registry_versions SET number = '9.9.9'",
        "DELETE FROM registry_versions",
        "UPDATE registry_edges SET kind = 'x'",
        "DELETE FROM registry_edges",
        "UPDATE registry_tags SET tag = 'x'",
        "DELETE FROM registry_tags",
        "UPDATE registry_documents SET content = '{}'",
    ],
)
def test_the_database_itself_refuses_to_change_a_version(shelf, statement):
    shelf.model()
    version, _ = shelf.model("2.0.0", tags=["a"])
    with pytest.raises(sa.exc.DBAPIError, match="never changes"):
        shelf.behind_the_back(sa.text(statement))
    assert shelf.read(service.get, PROJECT, "support") == version


def test_a_document_that_was_swapped_in_the_database_is_noticed(shelf):
    version, _ = shelf.model()
    shelf.behind_the_back(sa.delete(store.documents))
    with pytest.raises(NotFound, match="erased"):
        assert shelf.read(service.get, PROJECT, "support").document
    assert shelf.model() == (version, False)
    shelf.behind_the_back(sa.delete(store.documents))
    shelf.behind_the_back(sa.insert(store.documents).values(digest=version.digest, content="{}"))
    with pytest.raises(Invalid, match="changed in the database"):
        assert shelf.read(service.get, PROJECT, "support").document


def test_a_stage_edited_behind_the_products_back_is_found_by_a_replay(shelf):
    version, _ = shelf.model()
    assert shelf.replay().equal
    shelf.behind_the_back(sa.update(store.states).values(stage="monitoring"))
    (difference,) = shelf.replay().differences
    assert (difference.table, difference.key, difference.column) == (
        "registry_states",
        {"digest": version.digest},
        "stage",
    )


def test_a_version_goes_through_its_life_by_what_happens_to_it(shelf):
    version, _ = shelf.model()
    assert (version.stage, version.status) == ("development", "draft")
    seen = [
        advance(shelf, version, stage) for stage in ("evaluation", "approval", "deployment", "monitoring")
    ]
    assert [one.status for one in seen] == ["draft", "review", "approved", "approved"]
    assert advance(shelf, version, "evaluation", "evt_9").because == "evt_9"
    leaf = shelf.leaves()[-1]
    assert leaf["type"] == "registry.version.advanced"
    assert leaf["data"] == {
        "project": PROJECT,
        "name": "support",
        "number": "1.0.0",
        "subject": version.digest,
        "stage": "evaluation",
        "status": "draft",
        "because": "evt_9",
    }


def test_a_stage_that_is_reached_already_records_nothing(shelf):
    version, _ = shelf.model()
    advance(shelf, version, "approval")
    n_leaves = len(shelf.leaves())
    assert advance(shelf, version, "approval", "evt_2").because == "evt_1"
    assert len(shelf.leaves()) == n_leaves
    assert advance(shelf, version, "approval", "evt_2", "approved").status == "approved"


def test_a_retired_version_stays_retired(shelf):
    version, _ = shelf.model()
    advance(shelf, version, "retirement")
    assert advance(shelf, version, "evaluation").stage == "retirement"


def test_an_unknown_stage_or_version_is_refused(shelf):
    version, _ = shelf.model()
    with pytest.raises(Invalid, match="no stage"):
        advance(shelf, version, "production")
    with pytest.raises(Invalid, match="no status"):
        advance(shelf, version, "approval", status="live")
    with shelf.begin() as tx, pytest.raises(NotFound):
        service.advance(tx, DIGEST, "approval", "evt_1")


def test_versions_are_searched_by_every_field(shelf):
    prompt, _ = shelf.prompt(text="Hi")
    one, _ = shelf.model(
        tags=["warm"], owner="team", tier="minimal", base_model="m", prompt=prompt.digest, provider="other"
    )
    shelf.model("2.0.0", name="helper")
    advance(shelf, one, "approval")
    wanted = {"name": "support", "tag": "warm", "owner": "team", "stage": "approval", "status": "review"}
    wanted |= {"tier": "minimal", "base_model": "m", "prompt": prompt.digest, "provider": "other"}
    wanted |= {"digest": one.digest}
    for field, value in wanted.items():
        found = shelf.read(service.search, PROJECT, Search({field: value}))
        assert [v.ref for v in found] == ["support@1.0.0"], field
    both = shelf.read(service.search, PROJECT, Search({"registered_by": shelf.author.id}))
    assert [version.ref for version in both] == ["helper@2.0.0", "support@1.0.0"]
    assert [v.ref for v in shelf.read(service.search, PROJECT, Search(wanted))] == ["support@1.0.0"]
    assert shelf.read(service.search, PROJECT, Search({"tier": "minimal", "name": "helper"})) == []


def test_pages_hold_every_version_once(shelf):
    for n in range(7):
        shelf.model(f"1.0.{n}")
    seen, cursor = [], None
    while found := shelf.read(service.search, PROJECT, Search({}), before=cursor, limit=3):
        seen += [one.number for one in found]
        cursor = found[-1].id
    assert seen == [f"1.0.{n}" for n in reversed(range(7))]


def test_versions_are_found_by_ref_and_digest(shelf):
    version, _ = shelf.model()
    shelf.model("1.0.0", "helper")
    assert shelf.read(service.get_ref, PROJECT, "support@1.0.0") == version
    assert shelf.read(service.get_ref, PROJECT, version.digest) == version
    assert shelf.read(service.find_by_digest, "other", version.digest) is None
    assert shelf.read(service.list_models, PROJECT) == ["helper", "support"]
    for question, *args in (
        (service.get, "support", "9.0.0"),
        (service.get, "nothing"),
        (service.get_by_digest, DIGEST),
        (service.list_versions, "nothing"),
    ):
        with pytest.raises(NotFound):
            shelf.read(question, PROJECT, *args)


def test_a_preview_says_what_registering_does_and_records_nothing(shelf):
    new = service.NewModel(
        PROJECT,
        "support",
        "1.0.0",
        {"provider": "acme", "upstream_model": "support-1.0.0", "tier": "limited"},
    )
    seen = shelf.read(service.preview, new)
    assert (seen["version"], seen["exists"], seen["ref"]) == ("1.0.0", False, None)
    version, _ = shelf.model()
    again = shelf.read(service.preview, new)
    assert (again["digest"], again["exists"], again["ref"]) == (version.digest, True, "support@1.0.0")


def test_a_model_registered_by_its_whole_document_is_the_same_one(shelf):
    version, _ = shelf.model()
    with shelf.begin() as tx:
        assert service.register(tx, PROJECT, "support", "1.0.0", version.document) == version


def test_a_comparison_shows_the_prompts_too(shelf):
    shelf.prompt(text="Hi")
    shelf.prompt(text="Ho")
    one, _ = shelf.model(prompt="greeting@1.0.0", upstream_model="m")
    two, _ = shelf.model("2.0.0", prompt="greeting@1.0.1", upstream_model="m")
    fields, prompt = shelf.read(service.compare, one, two)
    assert {field.path for field in fields if field.mark != "same"} == {"prompt"}
    assert (prompt.before.ref, prompt.after.ref) == ("greeting@1.0.0", "greeting@1.0.1")
    assert shelf.read(service.compare, one, shelf.model("3.0.0")[0])[1] is None


def test_eight_people_register_at_once_and_nobody_loses(shelf):
    failures = []

    def work(worker):
        try:
            for turn in range(4):
                shelf.model(f"{worker}.{turn}.0")
        except Exception as error:  # noqa: BLE001 -- told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(shelf.read(service.list_versions, PROJECT, "support")) == 32
    assert shelf.replay().equal


def test_of_eight_who_want_one_number_one_gets_it(shelf):
    outcomes = []

    def work(worker):
        try:
            outcomes.append(shelf.model(upstream_model=f"m-{worker}")[0].number)
        except Conflict as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["1.0.0", *["conflict"] * 7]


@pytest.mark.parametrize("name", ["", "A", "a b", "../a", "ä", "a\x00", "a\u200b", "a" * 64])
def test_a_name_that_could_deceive_is_refused(shelf, name):
    with pytest.raises(Invalid, match="not a name"):
        shelf.model(name=name)


def test_projects_are_apart(shelf):
    with shelf.begin(SYSTEM) as tx:
        identity.create_project(tx, "other")
    version, _ = shelf.model()
    assert shelf.read(service.list_models, "other") == []
    with pytest.raises(NotFound, match="no project"), shelf.begin() as tx:
        service.register(tx, "nowhere", "support", "1.0.0", {})
    with shelf.begin() as tx:
        twin = service.register(tx, "other", "support", "1.0.0", {"provider": "acme", "upstream_model": "m"})
    assert twin.digest != version.digest
