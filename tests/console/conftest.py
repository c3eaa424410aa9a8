"""The console over real slices, looked at by a browser that keeps cookies."""

import html
import re
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import assent.identity.store as identity_store
from assent.console import leaf, sign_in
from assent.identity import service as identity
from assent.identity.domain import EVERYWHERE
from assent.kernel.blobs import Blobs
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect, metadata
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.ledger import service as ledger
from assent.web.headers import SecurityHeaders
from assent.web.static_files import static_route

HERE = "http://127.0.0.1:8400"


class NoJobs:
    """These tests enqueue nothing."""

    def enqueue(self, conn, job, arguments):
        raise AssertionError(job)


class Browser(TestClient):
    """Keeps cookies, and sends forms as a person would: what the page holds, and what is typed."""

    def fields(self, page, action):
        form = re.search(
            rf'<form method="post" action="{re.escape(html.escape(action))}">(.*?)</form>',
            page.text,
            re.DOTALL,
        )
        assert form, f"no form for {action} in\n{page.text}"
        inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form.group(1))
        return {name: html.unescape(value) for name, value in inputs}

    def submit(self, page, action, **typed):
        return self.post(action, data={**self.fields(page, action), **typed}, headers={"origin": HERE})


@dataclass
class Installation:
    runtime: Runtime
    app: FastAPI

    @property
    def clock(self):
        return self.runtime.clock

    def browser(self):
        return Browser(self.app, base_url=HERE, follow_redirects=False)

    def person(self, name, *roles):
        with self.runtime.session.begin(SYSTEM) as tx:
            account = identity.add_person(tx, name)
            for role in roles:
                identity.bind(tx, account.id, role, EVERYWHERE)
        return account

    def link(self, name):
        with self.runtime.session.begin(SYSTEM) as tx:
            return identity.issue_link(tx, name)

    def signed_in(self, name):
        browser = self.browser()
        answer = browser.submit(browser.get("/sign-in"), "/sign-in", code=self.link(name))
        assert answer.status_code == 303
        return browser


@pytest.fixture
def installed(tmp_path):
    signers = load_signers(tmp_path / "keys", "log.example/assent")
    ports = Ports(
        clock=FakeClock(),
        blobs=Blobs(tmp_path / "blobs"),
        projector=Projector([identity_store.projections]),
        ledger=ledger.open_ledger(signers.ledger, tmp_path),
        jobs=NoJobs(),
    )
    engine = connect(f"sqlite:///{tmp_path / 'assent.db'}")
    with engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
        metadata.create_all(conn)
    app = FastAPI()
    app.state.runtime = Runtime(load(data_dir=tmp_path), Session(engine, ports), signers)
    app.include_router(sign_in.router)
    app.include_router(leaf.router)
    app.router.routes.append(static_route)
    app.add_middleware(SecurityHeaders)
    yield Installation(app.state.runtime, app)
    engine.dispose()
