"""The JSON routes as several callers see them."""

import pytest
from fastapi.testclient import TestClient

from assent.identity import service as identity


class Door:
    """Calls the API with a token."""

    def __init__(self, installation):
        self.installation = installation
        self.client = TestClient(installation.app, raise_server_exceptions=False)
        admin = installation.person("root", "admin")
        self.admin = installation.token(admin)
        with installation.begin() as tx:
            identity.create_project(tx, "shop")
            identity.create_environment(tx, "shop", "production", protected=True)

    def __call__(self, verb, path, token="admin", **rest):
        token = self.admin if token == "admin" else token
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return self.client.request(verb, path, headers=headers, **rest)

    def token(self, name, *roles, project="*", scopes=None):
        return self.installation.token(self.installation.person(name, *roles, project=project), scopes)


@pytest.fixture
def door(desk):
    return Door(desk)


@pytest.fixture
def any_door(installation):
    """The same on each database."""
    return Door(installation)
