"""Text that no database or UTF-8 can hold, and numbers that are too long, are the caller's error."""

import pytest
from fastapi.testclient import TestClient

from tests.approvals.shop import open_shop

FLAGS = "/v1/projects/shop/environments/staging/flags"


@pytest.fixture
def ask(desk):
    token = desk.token(open_shop(desk).people["root"])
    client = TestClient(desk.app, raise_server_exceptions=False)

    def post(path, content, **headers):
        headers |= {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return client.post(path, content=content, headers=headers)

    return post


def test_a_lone_surrogate_in_a_key_is_refused_in_words(ask):
    for path, body in (
        (FLAGS, rb'{"name": "x", "document": {"\ud800": 1}}'),
        ("/v1/projects/shop/datasets", rb'{"name": "x", "version": "1.0.0", "rows": [{"\ud800": 1}]}'),
    ):
        answer = ask(path, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text


@pytest.mark.parametrize("tag", ['"' + "9" * 5001 + '"', '"' + "9" * 19 + '"', '"x"'])
def test_a_generation_that_is_no_number_of_ours_is_refused(ask, tag):
    answer = ask(f"{FLAGS}/x/switch-offs", b"{}", **{"if-match": tag})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
    assert len(answer.json()["detail"]) < 300


def test_a_lone_surrogate_where_the_database_looks_for_it_is_refused_in_words(ask):
    for path, body in (
        ("/v1/tokens", rb'{"name": "ci", "owner": "\ud800"}'),
        ("/v1/projects/shop/suite-bindings", rb'{"prompt": "\ud800", "suite": "s", "through": "t"}'),
    ):
        answer = ask(path, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
        assert "Unicode" in answer.json()["detail"]


@pytest.mark.parametrize("content", [b"\x91\xd3", b"[" * 200_000])
def test_a_body_that_no_parser_reads_is_refused_as_invalid(ask, content):
    answer = ask(FLAGS, content)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_method_that_a_path_does_not_take_is_refused_with_those_that_it_takes(ask):
    answer = ask("/v1/projects/shop", b"{}")
    found = answer.json()
    assert (answer.status_code, answer.headers["allow"], found["remedy"]) == (405, "GET", "Use GET.")
    assert found["detail"] == "POST is not taken at /v1/projects/shop."
