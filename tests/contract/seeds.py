"""One valid call for most things that can be made: what fuzzed calls name, and bodies that they bend."""

from datetime import datetime, timedelta
from typing import Any

from assent.kernel.clock import to_text
from tests.approvals.shop import PLAN, PROJECT
from tests.compliance.conftest import ANSWERS

AT = f"/v1/projects/{PROJECT}"
STAGING = f"{AT}/environments/staging"
PRODUCTION = f"{AT}/environments/production"
RULE = {
    "id": "staff",
    "when": [{"attribute": "email", "op": "suffix", "value": "@acme.com"}],
    "variant": "on",
}
FLAG = {"split": {"on": 0.2}, "rules": [RULE], "owner": "search-team"}
SEGMENT = {"any": [[{"attribute": "organisation", "op": "in", "value": ["acme"]}]]}
SUITE = {
    "kind": "regression", "dataset": "questions@1.0.0", "scorers": [{"name": "correct", "kind": "includes"}],
    "gate": {"metric": "correct", "rule": "threshold", "threshold": 0.5, "alpha": 0.05},
}  # fmt: skip


def seeds(now: datetime) -> list[tuple[str, str, Any]]:
    """List the calls, in their order; some speak of times near the present one."""
    later, earlier = to_text(now + timedelta(hours=1)), to_text(now - timedelta(seconds=30))
    return [
        ("POST", "/v1/people", {"name": "vera", "display_name": "Vera"}),
        ("POST", "/v1/services", {"name": "build"}),
        ("POST", "/v1/bindings", {"account": "vera", "role": "engineer", "project": PROJECT}),
        ("POST", "/v1/people/vera/links", None),
        ("POST", "/v1/tokens", {"name": "ci", "owner": "build", "days": 3}),
        ("POST", "/v1/projects", {"name": "other", "title": "Another shop"}),
        ("POST", f"{AT}/environments", {"name": "preview", "protected": False}),
        ("POST", f"{AT}/groups", {"name": "team"}),
        ("PUT", f"{AT}/groups/team/members/vera", None),
        ("POST", f"{AT}/keys", {"environment": "production", "name": "web", "names": ["support"]}),
        ("PUT", f"{AT}/providers/acme", {"base_url": "http://127.0.0.1:9/v1", "api_key": "env:ACME_KEY"}),
        ("PUT", f"{AT}/prices/support-2.0.0", {"currency": "USD", "input": 1, "output": "2.5", "source": "https://acme.example/prices"}),
        ("PUT", "/v1/base-models/own-7b", {"ends_on": "2027-01-31", "source": "https://own.example/models"}),
        ("POST", f"{AT}/subscriptions",
         {"name": "oncall", "kinds": ["delivery.*"], "channel": "webhook", "url": "http://127.0.0.1:9/hook"}),
        ("POST", f"{AT}/prompts",
         {"name": "greet", "version": "1.0.0", "text": "Hello {{ name }}.", "variables": {"name": {"required": True}}}),
        ("POST", f"{AT}/prompts", {"name": "greet", "version": "1.1.0", "text": "Hi {{ name }}.", "variables": {"name": {}}}),
        ("POST", f"{AT}/prompts/greet/1.0.0/renderings", {"variables": {"name": "Ada"}}),
        ("POST", f"{AT}/models",
         {"name": "writer", "version": "1.0.0", "provider": "acme", "upstream_model": "w", "tier": "limited",
          "base_model": "own-7b", "prompt": "greet@1.0.0", "parameters": {"temperature": 0}}),
        ("PUT", f"{AT}/models/writer/labels/best", {"version": "1.0.0", "reason": "it is"}),
        ("PUT", f"{AT}/prompts/greet/labels/best", {"version": "1.0.0", "reason": "it is"}),
        ("POST", f"{AT}/datasets",
         {"name": "questions", "version": "1.0.0", "rows": [{"id": "1", "input": "Hi?", "target": "Hello."}]}),
        ("POST", f"{AT}/suites", {"name": "regression", "version": "1.0.0", **SUITE}),
        ("POST", f"{AT}/runs", {"suite": "regression@1.0.0", "subject": "support@2.0.0"}),
        ("POST", f"{AT}/suite-packs/safety-starter/installations", None),
        ("POST", f"{AT}/policies",
         {"name": "light", "version": "1.0.0", "title": "Light", "conditions": [{"kind": "card_published"}]}),
        ("PUT", f"{AT}/environments/preview/policy", {"policy": "light@1.0.0"}),
        ("POST", f"{STAGING}/flags", {"name": "new-search", "document": FLAG, "reason": "a trial"}),
        ("POST", f"{PRODUCTION}/flags", {"name": "new-search", "document": FLAG, "reason": "a trial"}),
        ("PATCH", f"{STAGING}/flags/new-search", {"document": {"split": {"on": 0.5}}}),
        ("PUT", f"{STAGING}/segments/beta", {"document": SEGMENT}),
        ("POST", f"{STAGING}/flags/new-search/previews", {"contexts": [{"unit": "ada", "context": {"plan": "pro"}}]}),
        ("POST", f"{STAGING}/flags/new-search/explanations", {"unit": "ada", "context": {"plan": "pro"}}),
        ("POST", f"{STAGING}/flags/new-search/comparisons", {"document": {"split": "on"}}),
        ("POST", f"{AT}/plan-checks", {"plan": PLAN}),
        ("POST", f"{PRODUCTION}/adoptions", {"subject": "support@2.0.0", "reason": "it was live"}),
        ("POST", f"{AT}/rollouts",
         {"environment": "production", "subject": "support@2.1.0", "plan": PLAN, "reason": "better"}),
        ("POST", f"{PRODUCTION}/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "ada", "plan": "pro"}}),
        ("POST", "/v1/observations",
         {"batch": "b-1", "instance": "i-1", "project": PROJECT, "environment": "production",
          "observations": [{"id": "o-1", "at": earlier, "route": "support", "variant": "stable"}]}),
        ("PUT", f"{AT}/alerts/errors",
         {"environment": "production",
          "condition": {"kind": "threshold", "metric": "error_rate", "above": "0.2", "window_s": 60, "min_n": 10}}),
        ("PUT", f"{AT}/alerts/errors/silence", {"until": later, "reason": "a drill"}),
        ("POST", f"{AT}/incidents", {"environment": "production", "title": "Answers in the wrong language"}),
        ("POST", f"{AT}/cards", {"version": "support@2.1.0"}),
        ("PUT", f"{AT}/systems/support/roles/owner", {"person": "ada", "reason": "hers"}),
        ("POST", f"{AT}/systems/support/classifications", {"answers": ANSWERS, "reason": "first"}),
        ("POST", f"{AT}/packs", {"about": "support@2.0.0"}),
    ]  # fmt: skip
