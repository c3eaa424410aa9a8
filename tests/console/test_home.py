from assent.identity import service as identity
from assent.kernel.tx import SYSTEM
from tests.console.shop import words_of

HOSTILE = '<script>alert("x")</script>'


def test_the_first_page_lists_the_systems_with_what_is_live_and_under_way(console):
    rollout = console.running()

    words = words_of(console.signed_in("ada").get("/"))

    assert "support production: 2.0.0 2.1.0 2.1.0 in production, step 1 of 2" in words
    assert f"/rollouts/{rollout.id}" in console.signed_in("ada").get("/").text


def test_a_system_of_which_nothing_is_live_says_so(console):
    assert "support nothing 2.1.0 nothing" in words_of(console.signed_in("ada").get("/"))


def test_a_project_without_systems_says_how_to_begin(console):
    console.do("root", identity.create_project, "empty", "Empty")

    assert "assent apply -f assent.yaml" in words_of(console.signed_in("ada").get("/"))


def test_projects_without_a_role_in_them_are_not_named(console):
    console.do(SYSTEM, identity.create_project, "secret", "Secret")
    with console.desk.begin() as tx:
        visitor = identity.add_person(tx, "vera")
        identity.bind(tx, visitor.id, "engineer", "secret")

    words = words_of(console.signed_in("vera").get("/"))

    assert "secret" in words
    assert "shop" not in words


def test_somebody_without_any_role_is_told_what_to_ask_for(console):
    console.do(SYSTEM, identity.add_person, "nemo")

    assert "No project is open to you" in words_of(console.signed_in("nemo").get("/"))
