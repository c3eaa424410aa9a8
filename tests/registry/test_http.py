"""Model versions over HTTP."""

import pytest

BODY = {"name": "support", "version": "1.0.0", "provider": "acme", "upstream_model": "m-1", "tier": "limited"}
PROMPT = {"name": "greeting", "text": "Hi"}


def test_registering_answers_201_then_200_then_409(client):
    first, again = client.post("/models", json=BODY), client.post("/models", json=BODY)
    assert (first.status_code, first.json()["created"], first.json()["stage"]) == (201, True, "development")
    assert (again.status_code, again.json()["digest"]) == (200, first.json()["digest"])
    other = client.post("/models", json={**BODY, "upstream_model": "m-2"})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


def test_a_check_records_nothing(client):
    answer = client.post("/models", params={"check": True}, json=BODY)
    assert (answer.status_code, answer.json()["exists"]) == (200, False)
    assert client.get("/models").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "support"}, {**BODY, "version": 1}, {**BODY, "version": "1"}, {**BODY, "tier": "low"}],
)
def test_a_malformed_body_is_refused(client, body):
    assert client.post("/models", json=body).status_code == 422


def test_versions_are_listed_in_pages_and_searched(client):
    client.post("/prompts", json=PROMPT)
    for n in range(5):
        body = {**BODY, "version": f"1.0.{n}", "upstream_model": f"m-{n}", "tags": ["odd"] if n % 2 else []}
        client.post("/models", json={**body, "prompt": "greeting@1.0.0" if n == 4 else None})
    page = client.get("/models", params={"limit": 2}).json()
    rest = client.get("/models", params={"limit": 3, "cursor": page["next"]}).json()
    assert [one["version"] for one in page["items"] + rest["items"]] == [f"1.0.{n}" for n in (4, 3, 2, 1, 0)]
    for query, n in (({"tag": "odd"}, 2), ({"stage": "approval"}, 0), ({"prompt": "greeting@1.0.0"}, 1)):
        assert len(client.get("/models", params=query).json()["items"]) == n
    for query in ({"colour": "red"}, {"stage": "live"}, {"limit": 0}, {"tier": "low"}):
        assert client.get("/models", params=query).status_code == 422


def test_a_version_is_shown_compared_and_traced(client):
    client.post("/prompts", json=PROMPT)
    client.post("/prompts", json={**PROMPT, "text": "Ho"})
    client.post("/models", json={**BODY, "prompt": "greeting@1.0.0"})
    client.post("/models", json={**BODY, "version": "1.1.0", "prompt": "greeting@1.0.1"})
    shown = client.get("/models/support/latest").json()
    assert (shown["version"], shown["prompt_ref"]) == ("1.1.0", "greeting@1.0.1")
    assert (shown["created_by"], shown["contributor_names"]) == ("ada", ["ada"])
    diff = client.get("/models/support/1.1.0/diff", params={"against": "1.0.0"}).json()
    assert [field["path"] for field in diff["fields"]] == ["prompt"]
    assert diff["prompt"]["bump"] == "patch"
    same = client.get("/models/support/1.1.0/diff", params={"against": "support@latest"}).json()
    assert (same["fields"], same["prompt"]) == ([], None)
    lineage = client.get("/models/support/1.1.0/lineage").json()
    assert [(edge["kind"], edge["ref"]) for edge in lineage["sources"]] == [
        ("supersedes", "support@1.0.0"),
        ("uses_prompt", "greeting@1.0.1"),
    ]
    assert client.get("/models/support/1.0.0/lineage").json()["dependents"][0]["ref"] == "support@1.1.0"
    assert client.get("/models/support/9.0.0").status_code == 404


def test_a_model_is_resolved_with_its_prompt_by_one_request(client):
    prompt = client.post("/prompts", json=PROMPT).json()
    digest = client.post("/models", json={**BODY, "prompt": "greeting@1.0.0"}).json()["digest"]
    answer = client.get("/resolve/model/support@1.0.0")
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.json()["prompts"] == {prompt["digest"]: prompt["document"]}
    assert client.get("/resolve/model/support@latest").json()["digest"] == digest
    fresh = client.get("/resolve/model/support@1.0.0", headers={"if-none-match": f'"{digest}"'})
    assert (fresh.status_code, fresh.content) == (304, b"")
    client.put("/models/support/labels/champion", json={"version": "1.0.0"})
    assert client.get("/resolve/model/support@champion").json() == answer.json()
    refs = {
        "support": 422, "support@live": 404, "support@Live": 422, "support@": 422, "other@1.0.0": 404,
        "@latest": 422, "@": 422, "support@1.0": 422, "support@%C3%A4": 422,
        "sup%2Fport@latest": 404, "support@a%0A": 422,
    }  # fmt: skip
    # PostgreSQL holds no NUL character, so it is refused there; on SQLite there is no such name.
    assert client.get("/resolve/model/a%00@latest").status_code in {404, 422}
    for ref, status in refs.items():
        assert client.get(f"/resolve/model/{ref}").status_code == status


def test_reading_and_registering_need_their_permissions(shelf):
    with shelf.client(shelf.person("rita", "auditor")) as auditor:
        assert auditor.get("/models").status_code == 200
        assert auditor.post("/models", json=BODY).status_code == 403
        auditor.headers.pop("authorization")
        for path in ("/models", "/models/a/1.0.0", "/models/a/1.0.0/lineage", "/resolve/model/a@1.0.0"):
            assert auditor.get(path).status_code == 401
