"""Records of an assistant that went the whole way; tests take some away or change them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from assent.compliance.domain import OBSERVED, Facts, Record

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PROJECT, NAME, REF = "shop", "support", "support@2.1.0"
SUBJECT, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
SUITE = "sha256:" + "c" * 64
QUESTIONNAIRE = "risk-tier-1"


def record(kind, /, days=1, **fields):
    record.n += 1
    return Record(
        index=record.n,
        id=f"evt_{record.n:032x}",
        type=kind,
        at=NOW - timedelta(days=days),
        fields=fields,
    )


record.n = 0


def verdict(kind="regression", run="run_1", days=1, **changes):
    value = {"suite": f"{kind}@1.0.0", "suite_digest": SUITE, "kind": kind, "run": run, "verdict": "pass"}
    value |= {"low": "0.1", "high": "0.2", "n": "100", **changes}
    found = record("evidence.claim.recorded", days=days, subject=SUBJECT, value=value)
    return replace(found, fields={**found.fields, "kind": "suite.verdict"})


def run(name="run_1"):
    asked = record("evaluation.run.submitted", subject=SUBJECT, suite=SUITE)
    asked = replace(asked, fields={**asked.fields, "id": name})
    return [asked, record("evaluation.run.closed", run=name)]


def system(kind, /, days=1, **fields):
    return record(kind, days=days, project=PROJECT, name=NAME, **fields)


def version(kind, /, days=1, **fields):
    return record(kind, days=days, project=PROJECT, name=NAME, subject=SUBJECT, **fields)


def incident(days=5, reviewed_after=1, number="inc_1", subject=SUBJECT):
    opened = record(
        "monitoring.incident.opened", days=days, project=PROJECT, route=NAME, subject=subject, incident=number,
        guard="thumbs_down",
    )  # fmt: skip
    if reviewed_after is None:
        return [opened]
    ended = days - reviewed_after
    return [
        opened,
        record("monitoring.incident.resolved", days=ended, incident=number),
        record("monitoring.incident.reviewed", days=ended, incident=number),
    ]


PLAN = {"steps": [{"share": "0.05"}, {"share": "1"}], "guards": [{"metric": "thumbs_down"}]}


def whole(classified_tier="high"):
    """Give everything that a well-kept system has on record."""
    return [
        system("compliance.role.assigned", role="owner", person="usr_1"),
        system("compliance.role.assigned", role="oversight", person="usr_2"),
        system("compliance.system.classified", tier=classified_tier, questionnaire=QUESTIONNAIRE),
        record("approvals.policy.bound", project=PROJECT, environment="production", policy_ref="ground@1.0.0"),
        record("compliance.retention.set", project=PROJECT, logs_days=400, records_days=4000),
        record("evaluation.suite.registered", digest=SUITE),
        system("registry.version.registered", digest=SUBJECT, tier="high", number="2.1.0"),
        *run(),
        *run("run_2"),
        verdict(),
        verdict("safety", "run_2"),
        version("registry.version.advanced", stage="monitoring", number="2.1.0"),
        system("registry.version.advanced", stage="retirement", number="1.0.0", subject=OTHER),
        version("cards.card.drafted", card="card_1", complete=True, missing=[]),
        version("cards.card.published", card="card_1"),
        version("approvals.request.submitted", request="req_1", requester="usr_3", contributors=["usr_4"]),
        version(
            "approvals.decision.made", request="req_1", kind="release", effect="approved", plan=SUITE,
            policy_ref="ground@1.0.0", voters=["usr_5"],
        ),
        version("delivery.rollout.planned", rollout="ro_1", request="req_1", plan=PLAN, plan_digest=SUITE),
        version("delivery.rollout.started", rollout="ro_1", receipt={"stable": OTHER}),
        system("delivery.route.killed", days=30, environment="production"),
        system("delivery.route.restored", days=29, environment="production"),
        *incident(),
        replace(record(OBSERVED, days=0, subject=SUBJECT, n_calls=1200, n_feedback=40), index=None),
    ]  # fmt: skip


def facts(records, **changes):
    known = {"now": NOW, "project": PROJECT, "name": NAME, "subject": SUBJECT, "ref": REF}
    return Facts(**{**known, "questionnaire": QUESTIONNAIRE, "records": tuple(records), **changes})
