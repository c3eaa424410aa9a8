"""A shop with two environments, people of each role, and what they do with flags."""

from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from fastapi import FastAPI

from assent.delivery.http import router as delivery_router
from assent.flags import service
from assent.flags.http import router
from assent.identity import http as identity_http
from assent.identity import service as identity
from assent.kernel.tx import SYSTEM, Actor
from assent.web.routing import routes_of
from assent_client.api import Api
from tests.delivery.conftest import Desk, desk, open_desk, opened_desk  # noqa: F401 -- fixtures
from tests.delivery.releases import PROJECT
from tests.serving import api_of, listening

ROUTES = routes_of([router, delivery_router, identity_http.router])


@dataclass
class Flags:
    """Flags of the shop, and who works with them."""

    desk: Desk
    people: dict[str, Actor]

    def place(self, name="new-search", environment="staging", **changes):
        return service.Place(project=PROJECT, environment=environment, name=name, **changes)

    def do(self, action, *args, by="ada"):
        return self.desk.do(action, *args, actor=self.people[by])

    def create(self, name="new-search", environment="staging", by="ada", **document):
        wanted = service.Change(place=self.place(name, environment), form=document, reason="to try it")
        return self.do(service.create, wanted, by=by)

    def change(self, name="new-search", environment="staging", by="ada", **document):
        wanted = service.Change(place=self.place(name, environment), form=document, reason="more of it")
        return self.do(service.change, wanted, by=by)

    def get(self, name="new-search", environment="staging"):
        return self.desk.read(service.get, self.place(name, environment))

    def confirm(self, name="new-search", environment="production", by="olga", **changes):
        place = self.place(name, environment, **changes)
        held = self.desk.read(service.get, place).proposal
        return self.do(service.confirm, service.Confirmation(place=place, body=held.body), by=by)

    def segment(self, name="beta", environment="staging", by="ada", reason="who may", **document):
        place = self.place(name, environment, kind=service.SEGMENT)
        return self.do(service.set_segment, place, document, reason, by=by)


def people_of(desk):  # noqa: F811 -- the fixture
    found = {}
    with desk.begin(SYSTEM) as tx:
        for name, role in (("ada", "engineer"), ("olga", "operator"), ("rita", "reviewer")):
            account = identity.add_person(tx, name, name.title())
            identity.bind(tx, account.id, role, PROJECT)
            found[name] = Actor(account.id, "person", tx.now())
    return found


@pytest.fixture
def flags(desk):  # noqa: F811 -- pytest's way
    return Flags(desk, people_of(desk))


@pytest.fixture
def alone(tmp_path, open_desk):  # noqa: F811 -- pytest's way
    """Flags on SQLite only, for what no database has a say in."""
    with open_desk() as opened:
        yield Flags(opened, people_of(opened))


@dataclass(frozen=True)
class Served:
    """Flags behind their HTTP server, with a token for each role and person."""

    url: str
    flags: Flags
    tokens: dict[str, str]
    app: FastAPI
    closing: ExitStack

    def api(self, who="ada"):
        return self.closing.enter_context(Api(self.url, self.tokens[who], PROJECT))

    def base(self, environment="staging"):
        return f"{self.url}/v1/projects/{PROJECT}/environments/{environment}"

    def headers(self, who="application"):
        return {"authorization": f"Bearer {self.tokens[who]}"}


@pytest.fixture
def served(alone):
    desk = alone.desk  # noqa: F811 -- the shop's
    app = api_of(desk.runtime, ROUTES)
    tokens = {}
    for name, actor in alone.people.items():
        with desk.begin(actor) as tx:
            tokens[name] = identity.issue_token(tx, actor.id, "cli", None)
    with desk.begin(SYSTEM) as tx:
        for role in ("application", "auditor"):
            account = identity.add_service(tx, f"{role}-1")
            identity.bind(tx, account.id, role, PROJECT)
            tokens[role] = identity.issue_token(tx, account.id, f"for {role}", None)
    with listening(app) as port, ExitStack() as closing:
        yield Served(f"http://127.0.0.1:{port}", alone, tokens, app, closing)
