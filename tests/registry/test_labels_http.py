"""Labels over HTTP: generations as ETag and If-Match."""

import pytest

BODY = {"provider": "acme", "upstream_model": "m-1", "tier": "limited"}
LABEL = "/models/support/labels/champion"


@pytest.fixture
def two(client):
    for number in ("1.0.0", "2.0.0"):
        client.post("/models", json={**BODY, "name": "support", "version": number, "upstream_model": number})
    return client


def test_a_label_is_moved_shown_rolled_back_and_taken_away(two):
    first = two.put(LABEL, json={"version": "1.0.0", "reason": "good"}, headers={"if-match": '"0"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    assert (first.json()["ref"], first.json()["protected"]) == ("support@1.0.0", False)
    second = two.put(LABEL, json={"version": "2.0.0"}, headers={"if-match": '"1"'})
    assert second.json()["generation"] == 2
    stale = two.put(LABEL, json={"version": "1.0.0"}, headers={"if-match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert two.get(LABEL).headers["etag"] == '"2"'
    assert two.get("/models/support/1.0.0").json()["labels"] == []
    assert two.get("/models").json()["items"][0]["labels"] == ["champion"]
    back = two.post(f"{LABEL}/rollbacks", json={"reason": "bad"})
    assert (back.json()["version"], back.json()["moved_by"]) == ("1.0.0", "ada")
    history = two.get(f"{LABEL}/history").json()["items"]
    assert [(one["from"], one["to"], one["reason"], one["rolled_back"]) for one in history] == [
        ("2.0.0", "1.0.0", "bad", True),
        ("1.0.0", "2.0.0", None, False),
        (None, "1.0.0", "good", False),
    ]
    assert {one["moved_by"] for one in history} == {"ada"}
    page = two.get(f"{LABEL}/history", params={"limit": 2}).json()
    rest = two.get(f"{LABEL}/history", params={"limit": 2, "cursor": page["next"]}).json()
    assert page["items"] + rest["items"] == history
    then = two.get(f"{LABEL}/at", params={"time": back.json()["moved_at"]}).json()
    assert (then["ref"], then["generation"]) == ("support@1.0.0", 3)
    assert two.get(f"{LABEL}/at", params={"time": "2001-01-01"}).status_code == 404
    assert two.get(f"{LABEL}/at", params={"time": "yesterday"}).status_code == 422
    assert [one["label"] for one in two.get("/models/support/labels").json()["items"]] == ["champion"]
    assert two.delete(LABEL, headers={"if-match": '"3"'}).status_code == 204
    assert two.get("/models/support/labels").json()["items"] == []
    assert two.get(LABEL).json()["version"] is None


def test_prompts_have_labels_under_their_own_path(client):
    client.post("/prompts", json={"name": "greeting", "text": "Hi"})
    path = "/prompts/greeting/labels/best"
    assert client.put(path, json={"version": "1.0.0"}).json()["kind"] == "prompt"
    assert client.get("/prompts/greeting/labels").json()["items"][0]["ref"] == "greeting@1.0.0"
    assert client.get("/models/greeting/labels").status_code == 404


@pytest.mark.parametrize("name", ["a%2Fb", "ä", "%00", "%0A", "..%2F..%2Fusers", "a" * 200, "%F0%9F%92%A9"])
def test_hostile_names_are_not_found_and_never_an_error_of_ours(two, name):
    for path in (f"/models/{name}/labels", f"/models/support/labels/{name}", f"/models/support/{name}"):
        assert two.get(path).status_code in {404, 422}, path
        assert two.put(path, json={"version": "1.0.0"}).status_code in {404, 405, 422}, path
        assert two.delete(path).status_code in {404, 405, 422}, path


def test_moving_needs_the_permission(two, shelf):
    with shelf.client(shelf.person("rita", "auditor")) as auditor:
        assert auditor.get("/models/support/labels").status_code == 200
        for verb, path in (("put", LABEL), ("post", f"{LABEL}/rollbacks"), ("delete", LABEL)):
            assert getattr(auditor, verb)(path).status_code == 403
