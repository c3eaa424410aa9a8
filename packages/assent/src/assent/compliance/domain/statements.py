"""In-toto statements that follow from one entry of the ledger, and from nothing else.

evaluation = test-result/v0.1; decision = svr/v0.2 (a denial, which that has no room for, is one of our own);
approval = one of our own. The same entry always gives the same statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.compliance.domain.records import Record
from assent_client.verify.dsse import Statement

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SVR = "https://in-toto.io/attestation/svr/v0.2"
APPROVAL = "urn:assent:attestation:approval/v0.1"
DENIAL = "urn:assent:attestation:denial/v0.1"
CLAIM, DECISION, VOTE = "evidence.claim.recorded", "approvals.decision.made", "approvals.vote.cast"
ISSUED_FOR = (CLAIM, DECISION, VOTE)
"""Types of entries of which statements are issued; of claims, only verdicts of suites."""

_RESULTS = {"pass": "PASSED", "fail": "FAILED"}


def statement_of(record: Record, ref: str, origin: str) -> Statement | None:
    """Give the statement of an entry about `ref`; None where none is issued of it."""
    made = {CLAIM: _evaluation, DECISION: _decision, VOTE: _approval}.get(record.type)
    found = made(record, origin) if made else None
    if found is None:
        return None
    kind, predicate = found
    return Statement({ref: str(record.fields["subject"])}, kind, predicate)


def _evaluation(record: Record, origin: str) -> tuple[str, Mapping[str, Any]] | None:
    value = record.fields.get("value") or {}
    if record.fields.get("kind") != "suite.verdict":
        return None
    suite = str(value.get("suite"))
    result = _RESULTS.get(str(value.get("verdict")), "WARNED")
    lists = {"PASSED": "passedTests", "FAILED": "failedTests", "WARNED": "warnedTests"}
    shown = ("metric", "rule", "estimate", "low", "high", "n", "method", "dataset", "run")
    pinned = {"name": suite, **_digest_of(value.get("suite_digest"))}
    return TEST_RESULT, {
        "result": result,
        "configuration": [pinned],
        **{name: [suite] if key == result else [] for key, name in lists.items()},
        "assent": {
            **{key: value[key] for key in shown if value.get(key) is not None},
            "event": record.id,
            "log": origin,
        },
    }


def _decision(record: Record, origin: str) -> tuple[str, Mapping[str, Any]]:
    fields = record.fields
    about = {"event": record.id, "log": origin, "environment": fields.get("environment")}
    if fields.get("effect") != "approved":
        return DENIAL, {"timeCreated": _time(record), "policy": fields.get("policy_ref"), **about}
    policy = {"name": fields.get("policy_ref"), **_digest_of(fields.get("policy"))}
    return SVR, {
        "verifier": {"id": f"urn:assent:log:{origin}", "policies": [policy]},
        "timeCreated": _time(record),
        "properties": [f"ASSENT_{str(fields.get('kind')).upper()}_APPROVED"],
        "assent": about,
    }


def _approval(record: Record, origin: str) -> tuple[str, Mapping[str, Any]]:
    fields = record.fields
    kept = ("request", "environment", "voter", "verdict", "policy")
    return APPROVAL, {
        "votedAt": _time(record),
        **{key: fields.get(key) for key in kept},
        "event": record.id,
        "log": origin,
    }


def _digest_of(digest: Any) -> dict[str, Any]:
    if not isinstance(digest, str):
        return {}
    return {"digest": {"sha256": digest.removeprefix("sha256:")}}


def _time(record: Record) -> str:
    return record.at.isoformat(timespec="seconds").replace("+00:00", "Z")
