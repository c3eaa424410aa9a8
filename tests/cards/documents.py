"""Documents of cards for tests of pure functions."""

import copy

DIGEST = "sha256:" + "a" * 64
EVALUATION = {
    "suite": "regression@1.0.0",
    "suite_digest": DIGEST,
    "kind": "regression",
    "dataset": DIGEST,
    "run": "run_1",
    "verdict": "pass",
    "metric": "correct",
    "rule": "non_inferior",
    "direction": "higher",
    "estimate": "0.059375",
    "low": "0.034",
    "high": "0.085",
    "n": "320",
    "method": "tango",
    "coverage": "1",
    "scorers": ["correct (includes)"],
    "baseline": "customer-support-assistant@2.0.0",
    "ended_at": "2026-01-01T00:00:00.000000Z",
    "levels": [{"metric": "correct", "value": "0.9", "low": "0.862", "high": "0.929", "n": 320}],
    "latency": {"p50_ms": "400", "p95_ms": "1200", "n": 320},
    "n_gained": 24,
    "n_lost": 2,
    "lost": ["q7", "q9"],
}
SAFETY = {
    **EVALUATION,
    "suite": "safety@1.0.0",
    "kind": "safety",
    "metric": "hallucination_rate",
    "rule": "threshold",
    "direction": "lower",
    "baseline": None,
    "levels": [{"metric": "hallucination_rate", "value": "0.021", "low": "0.01", "high": "0.04", "n": 114}],
    "latency": None,
    "n_gained": 0,
    "n_lost": 0,
    "lost": [],
}
BARE = {
    "kind": "card",
    "v": 1,
    "project": "shop",
    "name": "customer-support-assistant",
    "version": {
        "number": "2.1.0",
        "digest": DIGEST,
        "registered_at": "2026-01-01T00:00:00.000000Z",
        "owner": "AI Platform Team",
        "tier": "limited",
        "base_model": "GPT-4-turbo",
        "provider": "acme",
        "upstream_model": "support-2.1.0",
    },
    "prompt": None,
    "evaluations": [],
    "predecessor": None,
    "declared": {},
}
FULL = {
    "title": "Support",
    "contact": "team@example.org",
    "licence": "proprietary",
    "intended_use": {"primary_use": "Questions", "users": ["Staff"], "out_of_scope": ["Medical advice"]},
    "input_output": {"inputs": "English", "outputs": "Answers"},
    "training_data": {
        "sources": ["Tickets"],
        "volume": "500K examples",
        "pii_handling": "Removed",
        "fine_tuning": "None",
    },
    "performance": [{"label": "Tone", "value": "friendly", "source": "survey"}],
    "safety": {"mitigations": ["Refusals"], "fairness": "Four groups"},
    "ethical_considerations": ["Escalation"],
    "limitations": ["Old products"],
    "risks": ["Wrong prices"],
    "operation": {"latency": "1s", "cost": "0.2 cents", "fallbacks": "2.0.0"},
    "environmental_impact": {"hardware": "GPUs", "energy": "not published"},
    "changes": ["Friendlier"],
    "citations": ["arXiv 1810.03993"],
}
PREDECESSOR = {
    "ref": "customer-support-assistant@2.0.0",
    "digest": DIGEST,
    "changes": [{"where": "parameters.temperature", "before": 0.2, "after": 0.1}],
}


def document(**changes):
    """A card's document: BARE with top-level changes; keys with a dot reach into `version`."""
    made = copy.deepcopy(BARE)
    for key, value in changes.items():
        if key in made:
            made[key] = copy.deepcopy(value)
        else:
            made["version"][key] = copy.deepcopy(value)
    return made


def complete(**changes):
    return document(
        **{"evaluations": [EVALUATION, SAFETY], "predecessor": PREDECESSOR, "declared": FULL, **changes}
    )
