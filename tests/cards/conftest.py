"""A desk with an assistant in two versions, what was measured of them, and the people who write its card."""

import itertools

import msgspec
import pytest

from assent.cards import service
from assent.evaluation import service as evaluation
from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome, Score
from assent.evaluation.journal import FORMAT, write_line
from assent.evidence import service as evidence
from assent.evidence.domain import LIVE
from assent.identity import service as identity
from assent.kernel.tx import SYSTEM, Actor
from assent.prompts import service as prompts
from assent.providers import service as providers
from assent.providers.domain import Upstream
from assent.registry import service as registry
from assent_client.api import Api
from tests.conftest import installed
from tests.serving import listening

PROJECT, NAME = "shop", "customer-support-assistant"
FORM = {
    "contact": "support-ml@example.org",
    "intended_use": {
        "primary_use": "Customer service Q&A for product support",
        "users": ["Customer service representatives", "end customers"],
        "out_of_scope": ["Medical advice", "legal guidance", "financial decisions"],
    },
    "input_output": {"inputs": "Questions in English.", "outputs": "Short answers."},
    "training_data": {
        "sources": ["Support tickets (2020-2023)", "FAQ database", "product docs"],
        "volume": "500K examples",
        "pii_handling": "All PII removed during preprocessing",
    },
    "ethical_considerations": ["Escalation to human for sensitive topics"],
    "limitations": ["May struggle with very recent product updates"],
    "operation": {"cost": "0.2 cents a call", "fallbacks": "The version before answers."},
    "environmental_impact": {"hardware": "Rented GPUs", "energy": "The provider publishes none"},
    "changes": ["Friendlier answers"],
    "citations": ["Our own style guide"],
}


class Desk:
    """What people do with cards, each in a transaction of their own."""

    def __init__(self, installation):
        self.installation = installation
        self.runs = itertools.count(1)
        self.people = {}
        for name, roles in {"ada": ["engineer"], "rita": ["reviewer"], "root": ["admin"]}.items():
            self.people[name] = installation.person(name, *roles)
        self.tokens = {name: installation.token(actor) for name, actor in self.people.items()}
        self.do(set_up, self.people["rita"].id, who=SYSTEM)

    def read(self, look, *args, **named):
        with self.installation.read() as reader:
            return look(reader, *args, **named)

    def do(self, act, *args, who="ada", **named):
        actor = self.people[who] if isinstance(who, str) else who
        if isinstance(actor, Actor) and actor.kind == "person":
            actor = Actor(actor.id, "person", self.installation.clock.now())
        with self.installation.begin(actor) as tx:
            return act(tx, *args, **named)

    def version(self, number="2.1.0"):
        return self.read(registry.get, PROJECT, NAME, number)

    def register(self, number, **changes):
        document = {
            "base_model": "GPT-4-turbo",
            "provider": "acme",
            "upstream_model": f"support-{number}",
            "prompt": "answer@1.0.0",
            "parameters": {"temperature": 0.2},
            "owner": "AI Platform Team",
            "tier": "limited",
            "licence": "proprietary",
            **changes,
        }
        return self.do(registry.register, PROJECT, NAME, number, document)

    def evaluate(self, kind="regression", number="2.1.0", **changes):
        return self.do(measure, kind, f"{NAME}@{number}", **changes)

    def generate(self, number="2.1.0"):
        return self.do(service.generate, PROJECT, f"{NAME}@{number}")[0]

    def complete(self, form=None, number="2.1.0"):
        return self.do(service.complete, PROJECT, f"{NAME}@{number}", FORM if form is None else form)[0]

    def submit(self, number="2.1.0", who="ada"):
        return self.do(service.submit, PROJECT, f"{NAME}@{number}", who=who)

    def vote(self, shown, verdict="approve", who="rita", **changes):
        new = service.NewVote(
            **{"project": PROJECT, "card": shown.id, "digest": shown.digest, "verdict": verdict, **changes}
        )
        return self.do(service.vote, new, who=who)

    def publish(self, form=None, number="2.1.0"):
        self.complete(form, number)
        return self.vote(self.submit(number))

    def document(self, card):
        return self.read(service.document_of, card)

    def view(self, card):
        return self.read(service.view, card)

    def claim(self, number="2.1.0"):
        return self.read(evidence.latest, PROJECT, service.PUBLISHED, self.version(number).digest)


def set_up(tx, reviewer):
    identity.create_project(tx, PROJECT, "A shop")
    identity.create_environment(tx, PROJECT, "production", protected=True)
    for group in ("reviewers", "risk"):
        identity.create_group(tx, PROJECT, group)
    identity.add_member(tx, PROJECT, "reviewers", reviewer)
    providers.set_provider(tx, PROJECT, "acme", Upstream(base_url="http://127.0.0.1:9/v1"))
    messages = [{"role": "system", "content": "You answer customers of {{ shop }}."}]
    content = {"messages": messages, "variables": {"shop": {"schema": {"type": "string"}, "required": True}}}
    prompts.register(tx, prompts.NewPrompt(PROJECT, "answer", content, number="1.0.0"))
    rows = [{"id": f"q{i}", "input": f"question {i}", "target": "yes"} for i in range(40)]
    evaluation.register_dataset(tx, evaluation.NewVersion(PROJECT, "questions", rows, "1.0.0"))
    common = {"dataset": "questions@1.0.0", "scorers": [{"name": "correct", "kind": "includes"}]}
    gate = {"metric": "correct", "rule": "non_inferior", "margin": 0.3, "alpha": 0.05, "baseline": "live"}
    suite = {"kind": "regression", **common, "gate": gate}
    evaluation.register_suite(tx, evaluation.NewVersion(PROJECT, "regression", suite, "1.0.0"))
    gate = {"metric": "hallucination", "rule": "threshold", "threshold": 0.5, "direction": "lower"}
    scorers = [{"name": "hallucination", "kind": "includes"}]
    suite = {"kind": "safety", **common, "scorers": scorers, "gate": gate}
    evaluation.register_suite(tx, evaluation.NewVersion(PROJECT, "safety", suite, "1.0.0"))


def measure(tx, kind, ref, wrong=2, baseline_wrong=5, latency=100.0):
    """Close a run whose answers were written down: the last `wrong` of them do not score."""
    run = evaluation.submit(tx, evaluation.NewRun(PROJECT, f"{kind}@1.0.0", ref))
    suite, rows = evaluation.contents_of(tx, run)
    metric = suite.gate.metric
    sides = {"candidate": (run.subject, wrong)}
    if run.baseline:
        sides["baseline"] = (run.baseline, baseline_wrong)
    lines = [write_line(msgspec.json.encode({"journal": FORMAT, "run": run.id}))]
    for side, (subject, n_wrong) in sides.items():
        for i, row in enumerate(rows):
            good = i < len(rows) - n_wrong if side == "candidate" else i >= n_wrong
            value = float(good) if metric == "correct" else float(not good)
            record = CaseRecord(
                side=side,
                sample=row.key,
                repeat=0,
                answer_key=f"{subject}-{row.key}",
                outcome=Outcome.SCORED,
                answer=Answer("yes"),
                scores=(Score(metric, "k", value),),
                error="",
                asked_at="2026-01-01T00:00:00.000000Z",
                latency_ms=None if latency is None else latency * (i + 1),
                attempts=1,
            )
            lines.append(write_line(msgspec.json.encode(record)))
    return evaluation.close(tx, run.id, b"".join(lines))


def go_live(tx, digest):
    value = {"environment": "production", "name": NAME}
    evidence.record(tx, project=PROJECT, kind=LIVE, subject=digest, value=value)


def stocked(installation):
    desk = Desk(installation)
    older = desk.register("2.0.0")
    desk.do(go_live, older.digest, who=SYSTEM)
    desk.register("2.1.0", parameters={"temperature": 0.1})
    return desk


@pytest.fixture
def anywhere(installation):
    """The desk on each database, nothing measured yet."""
    return stocked(installation)


@pytest.fixture
def desk(tmp_path):
    """The desk on SQLite, nothing measured yet."""
    with installed(tmp_path) as installation:
        yield stocked(installation)


@pytest.fixture
def measured(desk):
    """The desk after 2.1.0 went through both suites."""
    desk.evaluate()
    desk.evaluate("safety")
    return desk


@pytest.fixture
def served(measured):
    """The desk behind its HTTP server: `served.api("ada")`, `served.url`."""
    with listening(measured.installation.app) as port:
        measured.url = f"http://127.0.0.1:{port}"
        measured.api = lambda who=None: Api(measured.url, measured.tokens.get(who), PROJECT)
        yield measured
