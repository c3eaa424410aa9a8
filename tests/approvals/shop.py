"""A shop with an assistant to release: its people, its versions, and the evidence about them."""

from dataclasses import dataclass
from typing import Any

from assent.approvals import service
from assent.delivery import service as delivery
from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.errors import Refused
from assent.kernel.tx import SYSTEM, Actor
from assent.registry import service as registry

PROJECT = "shop"
PLAN = {
    "steps": [
        {"share": 0.05, "min_time_s": 10, "max_time_s": 1000},
        {"share": 1, "min_time_s": 10},
    ],
    "guards": [{"metric": "thumbs_down"}],
    "detect": {"metric": "thumbs_down", "from": 0.05, "to": 0.6},
    "expected_units_per_s": 50,
    "window_s": 3,
}
GROUND = {
    "title": "The ground",
    "conditions": [
        {"kind": "regression_suite", "max_age_days": 30},
        {"kind": "approvals", "factors": [{"group": "reviewers", "n": 1}]},
    ],
}


@dataclass
class Desk:
    """An installation as a process opens it."""

    runtime: Any

    @property
    def clock(self):
        return self.runtime.clock

    def begin(self, actor=SYSTEM):
        return self.runtime.session.begin(actor)

    def read(self):
        return self.runtime.session.read()


@dataclass
class Shop:
    """What tests do in the shop; people act as themselves."""

    desk: Any
    people: dict[str, Actor]

    @property
    def clock(self):
        return self.desk.clock

    def do(self, who, action, *arguments, **named):
        actor = self.people[who] if isinstance(who, str) else who
        with self.desk.begin(actor) as tx:
            return action(tx, *arguments, **named)

    def read(self, question, *arguments, **named):
        with self.desk.read() as reader:
            return question(reader, *arguments, **named)

    def sign_in(self, *names):
        for name in names or self.people:
            held = self.people[name]
            self.people[name] = Actor(held.id, held.kind, self.clock.now())

    def register(self, number, who="ada", **changes):
        document = {
            "provider": "acme",
            "upstream_model": f"support-{number}",
            "tier": "minimal",
            "base_model": "own-7b",
            **changes,
        }
        return self.do(who, registry.register, PROJECT, "support", number, document)

    def version(self, number):
        return self.read(registry.get, PROJECT, "support", number)

    def adopt(self, number="2.0.0", environment="production"):
        adoption = delivery.Adoption(
            project=PROJECT, environment=environment, subject=f"support@{number}", reason="it was live"
        )
        return self.do("otto", delivery.adopt, adoption)

    def file(self, number="2.1.0", who="ada", environment="production", **plan):
        release = delivery.Release(
            project=PROJECT,
            environment=environment,
            subject=f"support@{number}",
            plan={**PLAN, **plan},
        )
        rollout = self.do(who, delivery.request_release, release)
        return self.get(rollout.request), rollout

    def get(self, request):
        return self.read(service.get, getattr(request, "id", request))

    def claim(self, number, kind, /, **value):
        return self.do(
            SYSTEM,
            evidence.record,
            project=PROJECT,
            kind=kind,
            subject=self.version(number).digest,
            value=value,
        )

    def pass_suite(self, number="2.1.0", kind="regression", **changes):
        value = {
            "suite": f"{kind}@1.0.0",
            "kind": kind,
            "verdict": "pass",
            "rule": "non_inferior" if kind == "regression" else "threshold",
            "baseline": self.version("2.0.0").digest if kind == "regression" else None,
            "environment": "production" if kind == "regression" else None,
            **changes,
        }
        return self.claim(number, "suite.verdict", **value)

    def publish_card(self, number="2.1.0", tier="minimal", **changes):
        value = {"complete": True, "tier": tier, "missing": [], **changes}
        return self.claim(number, "card.published", **value)

    def vote(self, who, request, verdict="approve", **changes):
        new = {"request": request.id, "project": PROJECT, "subject": request.subject}
        new |= {"policy": request.policy, "verdict": verdict, **changes}
        return self.do(who, service.vote, service.NewVote(**new))

    def answers(self, request):
        return {r.id: r.ok.value for r in self.read(service.check_conditions, request.id)}

    def start(self, rollout, who="otto"):
        return self.do(who, delivery.start, delivery.Ask(rollout=rollout.id))

    def bind(self, name="ground", content=GROUND, environment="production"):
        new = service.NewPolicy(project=PROJECT, name=name, content=content)
        version, _ = self.do("root", service.register_policy, new)
        if not self.do("root", service.bind_policy, PROJECT, environment, version.ref):
            self.sign_in("rita")
            self.do("rita", service.confirm_policy, confirmation(version.ref, environment))
        return version

    def join(self, group, name):
        self._change_group(group, name, "add")

    def leave(self, group, name):
        self._change_group(group, name, "remove")

    def _change_group(self, group, name, verb):
        change = self.do("root", identity.ask_change, PROJECT, group, name, verb)
        if change is not None:  # a policy names the group
            self.do("otto", identity.confirm_change, PROJECT, change.id)


def confirmation(policy, environment="production"):
    return service.Confirmation(project=PROJECT, environment=environment, policy=policy)


def refusal(call, *arguments, **named):
    """Give the reasons of a refusal, by id."""
    try:
        call(*arguments, **named)
    except Refused as error:
        return {reason.id: reason for reason in error.reasons}
    raise AssertionError("it was not refused")


def open_shop(desk):
    roles = {
        "root": "admin",
        "ada": "engineer",
        "bob": "engineer",
        "rita": "reviewer",
        "ron": "reviewer",
        "otto": "operator",
    }
    people = {name: desk.person(name, role) for name, role in roles.items()}
    with desk.begin(people["root"]) as tx:
        identity.create_project(tx, PROJECT, "A shop")
        identity.create_environment(tx, PROJECT, "production", protected=True)
        identity.create_environment(tx, PROJECT, "staging", protected=False)
        for group, members in (("reviewers", ["rita", "ron"]), ("risk", ["ron"])):
            identity.create_group(tx, PROJECT, group)
            for member in members:
                identity.add_member(tx, PROJECT, group, member)
    shop = Shop(desk, people)
    for number in ("2.0.0", "2.1.0"):
        shop.register(number)
    desk.clock.advance(60)
    return shop
