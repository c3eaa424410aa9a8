"""What the tests deliver: a project with an assistant, its versions, a plan, and judgements on it."""

import threading
import time

from assent.approvals import service as approvals
from assent.approvals import store as approvals_store
from assent.delivery import store as delivery_store
from assent.delivery.domain import Judgement, Verdict
from assent.evidence import store as evidence_store
from assent.flags import store as flags_store
from assent.identity import service as identity
from assent.identity import store as identity_store
from assent.kernel.tx import Actor
from assent.prompts import store as prompts_store
from assent.providers import service as providers
from assent.providers import store as providers_store
from assent.registry import service as registry
from assent.registry import store as registry_store

PROJECT = "shop"
PROJECTIONS = [
    identity_store.projections,
    evidence_store.projections,
    providers_store.projections,
    prompts_store.projections,
    registry_store.projections,
    flags_store.projections,
    delivery_store.projections,
    approvals_store.projections,
]

GOOD = Judgement(verdict=Verdict.INCONCLUSIVE, n_canary_units=50, n_stable_units=900)
BAD = Judgement(
    verdict=Verdict.FAIL,
    guard="thumbs_down",
    e_value=44.5,
    n_canary_units=12,
    n_stable_units=200,
    figures={"guards": [{"metric": "thumbs_down", "canary_rate": 0.6, "stable_rate": 0.05}]},
)


def plan_form(**changes):
    form = {
        "steps": [
            {"share": 0.05, "min_time_s": 10, "max_time_s": 1000},
            {"share": 0.25, "min_time_s": 10, "max_time_s": 1000},
            {"share": 1, "min_time_s": 10},
        ],
        "guards": [{"metric": "thumbs_down"}],
        "detect": {"metric": "thumbs_down", "from": 0.05, "to": 0.6},
        "expected_units_per_s": 50,
        "window_s": 3,
    }
    return {**form, **changes}


def set_up(tx):
    identity.create_project(tx, PROJECT, "A shop")
    for name in ("production", "staging"):
        identity.create_environment(tx, PROJECT, name, protected=name == "production")
    providers.set_provider(
        tx, PROJECT, "acme", providers.Upstream(base_url="https://models.example/v1", api_key="env:K")
    )
    identity.create_group(tx, PROJECT, "reviewers")
    reviewer = identity.add_person(tx, "ruth", "Ruth")
    identity.bind(tx, reviewer.id, "reviewer", PROJECT)
    identity.add_member(tx, PROJECT, "reviewers", reviewer.id)
    one_vote = {
        "title": "One vote",
        "conditions": [{"kind": "approvals", "factors": [{"group": "reviewers", "n": 1}]}],
    }
    approvals.register_policy(tx, approvals.NewPolicy(project=PROJECT, name="ground", content=one_vote))
    approvals.bind_policy(tx, PROJECT, "production", "ground")
    for number in ("2.0.0", "2.1.0", "2.2.0"):
        register(tx, number)


def register(tx, number, **changes):
    document = {
        "kind": "model",
        "tier": "minimal",
        "project": PROJECT,
        "name": "support",
        "provider": "acme",
        "upstream_model": f"support-{number}",
        "prompt": None,
        "parameters": {"temperature": 0.2},
        **changes,
    }
    return registry.register(tx, PROJECT, "support", number, document)


def approve(desk, rollout):
    """Let the reviewer approve what was filed."""
    with desk.runtime.session.read() as reader:
        request = approvals.get(reader, rollout.request)
        reviewer = identity.get_account(reader, "ruth")
    vote = approvals.NewVote(
        request=request.id, project=PROJECT, subject=request.subject, policy=request.policy, verdict="approve"
    )
    desk.do(approvals.vote, vote, actor=Actor(reviewer.id, "person", auth_at=desk.clock.now()))


def until(observe, what="the condition", deadline_s=10.0):
    """Poll an observable until it is true."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if value := observe():
            return value
        threading.Event().wait(0.005)
    raise AssertionError(f"{what} did not come within {deadline_s} s")
