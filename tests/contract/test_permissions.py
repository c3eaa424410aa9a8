"""Every route asks for a permission, but for one declared list."""

import pytest
from fastapi.testclient import TestClient

from assent.app import PUBLIC_PATHS
from assent.identity import service as identity
from assent.identity.domain import Permission

VERBS = ("get", "post", "put", "patch", "delete")


def operations(app):
    for path, item in app.openapi()["paths"].items():
        for verb in VERBS:
            if verb in item:
                yield verb, path


def filled(path):
    for name in ("project", "environment"):
        path = path.replace("{" + name + "}", "support")
    while "{" in path:
        begin, end = path.index("{"), path.index("}")
        path = path[:begin] + "1" + path[end + 1 :]
    return path


def is_public(path):
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in PUBLIC_PATHS)


def flat(routes):
    for route in routes:
        yield route
        inner = getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", ()
        )
        yield from flat(inner)


@pytest.fixture
def client(desk):
    return TestClient(desk.app, raise_server_exceptions=False)


def test_every_route_outside_the_public_list_refuses_an_anonymous_call(desk, client):
    walked = 0
    for verb, path in operations(desk.app):
        answer = client.request(verb, filled(path))
        if is_public(path):
            assert answer.status_code not in {401, 403} or path == "/v1/sign-ins", (verb, path)
        else:
            walked += 1
            assert answer.status_code == 401, (verb, path, answer.text)
            assert answer.json()["code"] == "unauthenticated"
    assert walked > 80


def test_every_route_outside_the_public_list_refuses_a_caller_without_the_permission(desk, client):
    nobody = desk.person("nobody")
    with desk.begin() as tx:
        identity.bind(tx, nobody.id, "reviewer", "*")
    token = desk.token(nobody, scopes=[])
    for verb, path in operations(desk.app):
        if is_public(path):
            continue
        answer = client.request(verb, filled(path), headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 403, (verb, path, answer.text)
        assert answer.json()["code"] == "forbidden"


def test_each_permission_that_a_route_names_is_a_declared_one(desk):
    named = set()
    for route in flat(desk.app.routes):
        for dependency in getattr(getattr(route, "dependant", None), "dependencies", ()):
            permission = getattr(dependency.call, "permission", None)
            if permission is not None:
                named.add(permission)
    assert named
    assert named <= set(Permission)


def test_the_public_list_names_only_paths_that_exist(desk):
    paths = [*desk.app.openapi()["paths"], *(getattr(route, "path", "") for route in flat(desk.app.routes))]
    for one in PUBLIC_PATHS:
        assert any(path == one or path.startswith(one) for path in paths), one


def test_pages_send_who_is_not_signed_in_to_the_sign_in_page(desk, client):
    for path in ("/", "/projects/support/systems/x", "/projects/support/rollouts/ro_1"):
        answer = client.get(path, follow_redirects=False)
        assert answer.status_code in {303, 401, 404}, (path, answer.status_code)
        assert "customer" not in answer.text
