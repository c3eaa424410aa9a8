"""Prompts over HTTP."""

import pytest

from tests.prompts.shelf import PROJECT

BODY = {"name": "greeting", "text": "Hi {{ name }}", "variables": {"name": {"schema": {"type": "string"}}}}


def test_registering_answers_201_then_200(client):
    first, again = client.post("/prompts", json=BODY), client.post("/prompts", json=BODY)
    assert (first.status_code, first.json()["created"], first.json()["version"]) == (201, True, "1.0.0")
    assert (again.status_code, again.json()["created"], again.json()["digest"]) == (
        200,
        False,
        first.json()["digest"],
    )


def test_a_check_records_nothing(client):
    answer = client.post("/prompts", params={"check": True}, json=BODY)
    assert (answer.status_code, answer.json()["exists"]) == (200, False)
    assert client.get("/prompts").json()["items"] == []


def test_mistakes_come_back_with_line_and_column(client):
    answer = client.post("/prompts", json={"name": "greeting", "text": "Hi\n {{ nme }}"})
    assert answer.status_code == 422
    assert answer.json()["reasons"][0]["have"] == {"line": 2, "column": 5}


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {**BODY, "bump": "huge"}, {**BODY, "version": 1}, [], "x"]
)
def test_a_malformed_body_is_refused(client, body):
    assert client.post("/prompts", json=body).status_code == 422


def test_a_lower_bump_than_needed_is_refused_with_every_reason(client):
    client.post("/prompts", json=BODY)
    answer = client.post("/prompts", json={"name": "greeting", "text": "Hi", "bump": "patch"})
    assert (answer.status_code, answer.json()["code"]) == (409, "refused")
    assert [reason["id"] for reason in answer.json()["reasons"]] == ["variables.name"]


def test_versions_are_listed_in_pages_and_searched(client):
    for n in range(5):
        client.post("/prompts", json={"name": "a", "text": f"{n}", "tags": ["odd"] if n % 2 else []})
    page = client.get("/prompts", params={"limit": 2}).json()
    rest = client.get("/prompts", params={"limit": 3, "cursor": page["next"]}).json()
    assert [one["version"] for one in page["items"] + rest["items"]] == [
        "1.0.4",
        "1.0.3",
        "1.0.2",
        "1.0.1",
        "1.0.0",
    ]
    assert len(client.get("/prompts", params={"tag": "odd"}).json()["items"]) == 2
    assert client.get("/prompts", params={"format": "chat"}).json() == {"items": [], "next": None}
    assert client.get("/prompts", params={"colour": "red"}).status_code == 422


def test_a_version_is_shown_compared_and_rendered(client):
    client.post("/prompts", json=BODY)
    client.post("/prompts", json={**BODY, "text": "Hello {{ name }}"})
    assert client.get("/prompts/greeting/latest").json()["version"] == "1.0.1"
    diff = client.get("/prompts/greeting/latest/diff", params={"against": "1.0.0"}).json()
    assert (diff["before"], diff["after"], diff["bump"]) == ("greeting@1.0.0", "greeting@1.0.1", "patch")
    same = client.get("/prompts/greeting/1.0.0/diff", params={"against": "greeting@latest"}).json()
    assert same["before"] == "greeting@1.0.1"
    made = client.post("/prompts/greeting/1.0.0/renderings", json={"variables": {"name": "Ada"}}).json()
    assert made["messages"] == [{"role": "system", "content": "Hi Ada"}]
    assert client.post("/prompts/greeting/1.0.0/renderings", json={"variables": {"n": 1}}).status_code == 422
    assert client.get("/prompts/greeting/2.0.0").status_code == 404


def test_a_prompt_is_resolved_by_one_request_and_known_by_its_digest(client):
    digest = client.post("/prompts", json=BODY).json()["digest"]
    answer = client.get("/resolve/prompt/greeting@1.0.0")
    assert (answer.headers["etag"], answer.json()["digest"]) == (f'"{digest}"', digest)
    assert answer.json()["document"]["messages"][0]["content"] == "Hi {{ name }}"
    assert client.get("/resolve/prompt/greeting@latest").json()["ref"] == "greeting@1.0.0"
    for known in (f'"{digest}"', f'W/"{digest}"', f'"x", "{digest}"', "*"):
        fresh = client.get("/resolve/prompt/greeting@1.0.0", headers={"if-none-match": known})
        assert (fresh.status_code, fresh.content, fresh.headers["etag"]) == (304, b"", f'"{digest}"')
    assert client.get("/resolve/prompt/greeting@1.0.0", headers={"if-none-match": '"x"'}).status_code == 200
    assert client.get("/resolve/prompt/greeting").status_code == 422
    assert client.get("/resolve/prompt/other@1.0.0").status_code == 404


def test_reading_and_registering_need_their_permissions(shelf):
    with shelf.client(shelf.person("rita", "auditor")) as auditor:
        assert auditor.get("/prompts").status_code == 200
        assert auditor.post("/prompts", json=BODY).status_code == 403
        auditor.headers.pop("authorization")
        for path in ("/prompts", "/prompts/a/1.0.0", "/resolve/prompt/a@1.0.0"):
            assert auditor.get(path).status_code == 401
        assert auditor.get(f"http://testserver/v1/projects/{PROJECT.upper()}/prompts").status_code in {
            401,
            422,
        }
