"""The routes of identity: who gets in, and how a refusal reads."""

import pytest

KEYS = {"type", "title", "status", "detail", "code", "reasons", "remedy", "request_id"}


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "code"),
    [
        ("GET", "/v1/accounts/bob", None, 404, "not_found"),
        ("GET", "/v1/projects/bank", None, 404, "not_found"),
        ("POST", "/v1/people", {"name": "root"}, 409, "conflict"),
        ("POST", "/v1/people", {"name": "A B"}, 422, "invalid"),
        ("POST", "/v1/people", {"name": "ada", "admin": True}, 422, "invalid"),
        ("POST", "/v1/tokens", {"name": "x", "days": 0}, 422, "invalid"),
        ("POST", "/v1/sign-ins", {"code": "x" * 43}, 401, "unauthenticated"),
    ],
)
def test_a_refusal_is_a_problem_document(door, verb, path, body, status, code):
    answer = door(verb, path, json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == KEYS
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_a_project_that_is_not_there_has_no_lists(door):
    """To who may see all; others are refused before, and are not told which projects there are."""
    for list_ in ("environments", "groups"):
        answer = door("GET", f"/v1/projects/bank/{list_}")
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no project 'bank'.")
        assert "assent project list" in answer.json()["remedy"]
    assert (
        door("GET", "/v1/projects/bank/groups", door.token("ada", "engineer", project="shop")).status_code
        == 403
    )


def test_what_a_body_lacks_is_named_once(door):
    problem = door("POST", "/v1/sign-ins/password", json={"name": "ada", "password": "p", "code": "1"}).json()
    (reason,) = problem["reasons"]
    assert (reason["id"], reason["message"]) == ("body.code", "String should have at least 6 characters")
    assert problem["detail"] == "The request is not valid: code: String should have at least 6 characters."


def test_without_a_token_or_with_a_wrong_one_nobody_gets_in(door):
    for token in (None, "assent_pat_wrong"):
        answer = door("GET", "/v1/me", token)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_whoever_works_in_one_project_sees_themselves_and_that_project_only(door):
    token = door.token("ada", "engineer", project="shop")
    assert door("POST", "/v1/projects", json={"name": "bank"}).status_code == 201
    assert door("GET", "/v1/me", token).json()["name"] == "ada"
    assert [p["name"] for p in door("GET", "/v1/projects", token).json()["items"]] == ["shop"]
    refused = door("GET", "/v1/projects/bank", token)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "engineer" in refused.json()["remedy"]
    assert "You belong to shop: name the project" in refused.json()["remedy"]
    held = door("POST", "/v1/projects", token, json={"name": "park"}).json()["remedy"]
    assert "You belong" not in held


def test_a_limited_token_makes_no_token_that_can_do_more(door):
    limited = door(
        "POST", "/v1/tokens", json={"name": "x", "scopes": ["identity.token.issue", "identity.self.read"]}
    )
    made = door("POST", "/v1/tokens", limited.json()["token"], json={"name": "y"}).json()["token"]
    assert door("GET", "/v1/me", made).status_code == 200
    assert door("GET", "/v1/accounts", made).status_code == 403
    assert door("POST", "/v1/services", json={"name": "bot"}).status_code == 201
    other = door("POST", "/v1/tokens", made, json={"name": "z", "owner": "bot"})
    assert other.status_code == 403
