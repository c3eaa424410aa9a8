"""A release desk with one running rollout, on a real database with a real ledger."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from assent.delivery import http as delivery_http
from assent.delivery import service as delivery
from assent.delivery import store as delivery_store
from assent.delivery.domain import Move, compile_route, parse_plan, plan_document
from assent.delivery.domain.events import RolloutPlanned, RolloutStarted, VersionAdopted
from assent.delivery.domain.route import Route
from assent.evaluation import store as evaluation_store
from assent.evidence import store as evidence_store
from assent.identity import service as identity
from assent.identity import store as identity_store
from assent.identity.domain import ProjectCreated
from assent.kernel.blobs import Blobs
from assent.kernel.canonical import digest
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.ledger import service as ledger
from assent.monitoring import http, service
from assent.monitoring import store as monitoring_store
from assent.providers import store as providers_store
from assent.registry import store as registry_store
from assent.web.routing import routes_of
from assent_client.api import Api
from assent_client.observe import Call, Exposure, Feedback
from tests.serving import NoJobs, api_of, listening

ROUTES = routes_of([http.router, delivery_http.router])

POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")
STABLE, CANARY = "sha256:" + "aa" * 32, "sha256:" + "cc" * 32
PROJECT, ENVIRONMENT, ROUTE, ROLLOUT = "acme", "production", "assistant", "ro_1"
PLAN = {
    "steps": [
        {"share": 0.25, "min_time_s": 10, "min_units": 5, "max_time_s": 3600},
        {"share": 1, "min_time_s": 10},
    ],
    "guards": [{"metric": "thumbs_down", "margin": 0.1, "weight": 0.75}, {"metric": "error", "weight": 0.25}],
    "detect": {"metric": "thumbs_down", "from": 0.05, "to": 0.6},
    "window_s": 3,
    "block_s": 1,
    "expected_units_per_s": 100,
}


@dataclass
class Desk:
    session: Session
    clock: FakeClock
    runtime: Runtime
    n: int = 0
    batches: int = 0

    def call(self, unit, variant="stable", *, ago_s=0.0, **changes):
        self.n += 1
        values = {
            "at": self.clock.now() - timedelta(seconds=ago_s),
            "environment": ENVIRONMENT,
            "route": ROUTE,
            "variant": variant,
            "version": CANARY if variant == "canary" else STABLE,
            "serial": 7,
            "rule": None,
            "reason": "split",
            "rollout": ROLLOUT,
            "unit": unit,
            "sticky": True,
            "stream": False,
            "completion_id": f"cmpl-{self.n}",
            "status": 200,
            "error_class": None,
            "latency_s": 0.2,
            "ttft_s": None,
            "tokens_in": 10,
            "tokens_out": 5,
            "finish_reason": "stop",
            "response_model": "m",
            "as_approved": True,
            "application": "key_1",
        }
        return Call(**{**values, **changes})

    def thumb(self, call, value, *, ago_s=0.0, **changes):
        values = {
            "at": self.clock.now() - timedelta(seconds=ago_s),
            "environment": ENVIRONMENT,
            "completion_id": call.completion_id,
            "value": value,
            "comment": None,
            "matched": True,
            "application": "key_1",
        }
        return Feedback(**{**values, **changes})

    def exposure(self, unit, variant="stable", rollout=ROLLOUT):
        return Exposure(
            at=self.clock.now(), environment=ENVIRONMENT, route=ROUTE, variant=variant, serial=7, rule=None,
            reason="split", rollout=rollout, unit=unit,
        )  # fmt: skip

    def body(self, *rows, **envelope):
        self.batches += 1
        values = {"batch": f"b{self.batches}", "instance": "gw", "project": PROJECT, "n_dropped": 0}
        return msgspec.json.encode({**values, **envelope, "observations": rows})

    def take(self, body):
        with self.session.begin(SYSTEM) as tx:
            return service.take(tx, service.parse(body, self.clock.now()), body)

    def send(self, *rows, **envelope):
        return self.take(self.body(*rows, **envelope))

    def writing(self):
        return self.session.begin(SYSTEM)

    def read(self, function, *arguments, **named):
        with self.session.read() as reader:
            return function(reader, *arguments, **named)

    def rows(self, table):
        with self.session.read() as reader:
            return reader.conn.execute(sa.select(monitoring_store.tables.__dict__[table])).all()

    def record(self, *events):
        with self.session.begin(SYSTEM) as tx:
            return [tx.record(event) for event in events]

    def rollout(self):
        return self.read(delivery.get, ROLLOUT)

    def look(self):
        return self.read(service.look, self.rollout())

    def tick(self):
        """Do what the watching tick does, once."""
        found = self.rollout()
        with self.session.read() as reader:
            sight = service.look(reader, found)
            due = service.needs_writing(reader, found, sight)
        if not due:
            return Move.HOLD
        with self.writing() as tx:
            return service.apply(tx, found, sight)

    def traffic(self, seconds, *, canary_down, stable_down=0.05, per_s=20):
        """Send traffic second by second: a quarter to the canary, a thumb on each call; look after each."""
        moves = []
        for _ in range(seconds):
            rows = []
            for i in range(per_s):
                variant = "canary" if i % 4 == 0 else "stable"
                call = self.call(f"u{self.n}", variant)
                rate = canary_down if variant == "canary" else stable_down
                down = (self.n * 0.6180339887) % 1 < rate
                rows += [call, self.thumb(call, 0.0 if down else 1.0)]
            self.send(*rows)
            self.clock.advance(1)
            moves.append(self.tick())
            if moves[-1] is Move.ROLL_BACK:
                break
        return moves

    def plan(self, plan, kind="prompt"):
        """Plan and start a rollout whose receipt is the adopted version; `kind` is that of its route."""
        parsed = parse_plan(plan)
        values = {"kind": kind, "unit": "user", "salt": "s"}
        before = Route(key=ROUTE, stable=STABLE, generation=1, **values)
        after = Route(
            key=ROUTE,
            stable=STABLE,
            canary=CANARY,
            share=parsed.first_share,
            rollout=ROLLOUT,
            generation=2,
            **values,
        )
        common = {"project": PROJECT, "environment": ENVIRONMENT, "name": ROUTE, "subject": CANARY}
        self.record(
            VersionAdopted(
                project=PROJECT, environment=ENVIRONMENT, name=ROUTE, kind="prompt", subject=STABLE,
                ref=f"{ROUTE}@2.0.0", route=compile_route(before), route_generation=1,
            ),
            RolloutPlanned(
                **common, rollout=ROLLOUT, kind="prompt", ref=f"{ROUTE}@2.1.0", request="req_1",
                plan=plan_document(parsed), plan_digest=digest(plan_document(parsed)), salt="s",
            ),
            RolloutStarted(
                **common, rollout=ROLLOUT, generation=2, stable=STABLE, decision="evt_1", decision_kind="approved",
                share=f"{parsed.first_share}", receipt=compile_route(before), route=compile_route(after), route_generation=2,
            ),
        )  # fmt: skip


@pytest.fixture
def desk(database, tmp_path: Path):
    engine = connect(database)
    clock = FakeClock()
    signers = load_signers(tmp_path / "keys", "log.example/assent")
    ports = Ports(
        clock=clock,
        blobs=Blobs(tmp_path / "blobs"),
        projector=Projector(
            [
                store.projections
                for store in (
                    identity_store,
                    evidence_store,
                    evaluation_store,
                    providers_store,
                    registry_store,
                    delivery_store,
                    monitoring_store,
                )
            ]
        ),
        ledger=ledger.open_ledger(signers.ledger, tmp_path),
        jobs=NoJobs(),
    )
    session = Session(engine, ports)
    yield Desk(session, clock, Runtime(load(data_dir=tmp_path), session, signers))
    engine.dispose()


@pytest.fixture
def running(desk):
    desk.plan(PLAN)
    return desk


@dataclass(frozen=True)
class Served:
    """A desk behind its HTTP server, and a token of each kind."""

    url: str
    desk: Desk
    tokens: dict[str, str]
    closing: ExitStack

    def api(self, who="admin"):
        return self.closing.enter_context(Api(self.url, self.tokens[who], PROJECT))


@pytest.fixture
def served(running):
    yield from serve(running)


def serve(running):
    """Serve a desk over HTTP."""
    with running.writing() as tx:
        tokens = {"admin": identity.bootstrap(tx, "ann")}
        tx.record(ProjectCreated(project=PROJECT, title="Acme"))
        for name in ("gateway", "auditor"):
            account = identity.add_service(tx, name)
            identity.bind(tx, account.id, name)
            tokens[name] = identity.issue_token(tx, account.id, name, None)
    app = api_of(running.runtime, ROUTES)
    with listening(app) as port, ExitStack() as closing:
        yield Served(f"http://127.0.0.1:{port}", running, tokens, closing)
