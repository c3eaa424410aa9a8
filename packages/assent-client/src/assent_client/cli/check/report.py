"""Findings as text, JSON and SARIF 2.1.0."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from assent_client.cli.check.names import catalogue
from assent_client.cli.check.scan import Finding, Scan

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
REMEDY = "Call the system by its name through the gateway, or record the model: assent model register."
RULES = {
    "pinned-snapshot": "A model's snapshot is pinned in source: it ends when its provider retires it.",
    "model-name": "A model's name stands in source: what answers changes without a release.",
}


def rule_of(finding: Finding) -> str:
    """Give the id of the rule."""
    return "pinned-snapshot" if finding.name.is_snapshot else "model-name"


def line_of(finding: Finding) -> str:
    """Give a finding as one line that editors and CI follow."""
    what = "snapshot" if finding.name.is_snapshot else "model"
    place = f"{finding.path}:{finding.line}:{finding.column}"
    return f"{place}: {finding.name.text}: {finding.name.provider} {what} in source [{rule_of(finding)}]"


def to_wire(found: Scan) -> dict[str, Any]:
    """Give everything as JSON."""
    return {
        "findings": [
            {
                "path": one.path,
                "line": one.line,
                "column": one.column,
                "name": one.name.text,
                "provider": one.name.provider,
                "rule": rule_of(one),
                "text": one.text,
            }
            for one in found.findings
        ],
        "n_files": found.n_files,
        "n_too_large": found.n_too_large,
        "n_unreadable": found.n_unreadable,
        "stopped": found.stopped,
        "names_as_of": catalogue()["as_of"],
    }


def to_sarif(found: Scan, version: str) -> dict[str, Any]:
    """Give a SARIF log. Source: SARIF 2.1.0 (OASIS), sections 3.13 and 3.27."""
    rules = [
        {
            "id": name,
            "shortDescription": {"text": text},
            "help": {"text": f"{REMEDY} Where it must stand, write `assent: allow` in a comment."},
            "defaultConfiguration": {"level": "error" if name == "pinned-snapshot" else "warning"},
        }
        for name, text in RULES.items()
    ]
    driver = {"name": "assent check", "version": version, "rules": rules}
    invocation: dict[str, Any] = {"executionSuccessful": found.stopped is None}
    if found.stopped:
        note = {"level": "error", "message": {"text": f"Not everything was read: {found.stopped}."}}
        invocation["toolExecutionNotifications"] = [note]
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"ROOT": {"description": {"text": "The folder that was checked."}}},
                "invocations": [invocation],
                "results": [_result(one) for one in found.findings],
            }
        ],
    }


def _result(one: Finding) -> dict[str, Any]:
    rule = rule_of(one)
    region = {"startLine": one.line, "startColumn": one.column, "endColumn": one.column + len(one.name.text)}
    return {
        "ruleId": rule,
        "ruleIndex": list(RULES).index(rule),
        "level": "error" if one.name.is_snapshot else "warning",
        "message": {"text": f"{one.name.text} ({one.name.provider}) stands in source. {REMEDY}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(one.path), "uriBaseId": "ROOT"},
                    "region": region,
                }
            }
        ],
    }
