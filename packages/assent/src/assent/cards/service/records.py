"""Gather what the records say of a model version: everything on a card that nobody types."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from assent.cards.domain import FORMAT, MAX_NAMED, Declared, Document, differences
from assent.evaluation import service as evaluation
from assent.evidence import service as evidence
from assent.evidence.domain import Evidence
from assent.kernel.clock import to_text
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.prompts.domain import parse_number
from assent.registry import service as registry
from assent.registry.service import ModelVersion

VERDICT = "suite.verdict"
IMPORTED = "eval.imported"
LEVEL = frozenset({"metric", "value", "low", "high", "n"})
CANDIDATE = "candidate"
FACTS = (
    "owner", "tier", "base_model", "provider", "upstream_model", "licence", "parameters", "open_parameters",
    "intended_use", "datasets", "artifacts", "code",
)  # fmt: skip
"""What a card repeats of the version's own document."""


def compile_document(reader: Reader, version: ModelVersion, declared: Declared) -> Document:
    """Write the document of a version's card from records and declared text; the same give the same."""
    own = version.document
    return {
        "kind": "card",
        "v": FORMAT,
        "project": version.project,
        "name": version.name,
        "version": {
            "number": version.number,
            "digest": version.digest,
            "registered_at": to_text(version.registered_at),
            **{key: own[key] for key in FACTS if own.get(key) is not None},
        },
        "prompt": _prompt(reader, version),
        "evaluations": _evaluations(reader, version),
        "predecessor": _predecessor(reader, version),
        "declared": declared,
    }


def _prompt(reader: Reader, version: ModelVersion) -> dict[str, Any] | None:
    pinned = version.document.get("prompt")
    if pinned is None:
        return None
    found = prompts.get_by_digest(reader, version.project, pinned)
    variables: Mapping[str, Any] = found.document.get("variables") or {}
    names = [(tool.get("function") or {}).get("name") for tool in found.document.get("tools") or ()]
    return {
        "ref": found.ref,
        "digest": found.digest,
        "variables": [
            {"name": name, "required": bool(variables[name].get("required"))} for name in sorted(variables)
        ],
        "tools": [name for name in names if name],
        "response_format": found.document.get("response_format"),
    }


def earlier_version(reader: Reader, version: ModelVersion) -> ModelVersion | None:
    """Find the version with the highest number below this one."""
    number = parse_number(version.number)
    versions = registry.list_versions(reader, version.project, version.name)
    lower = [other for other in versions if parse_number(other.number) < number]
    return max(lower, key=lambda other: parse_number(other.number), default=None)


def _predecessor(reader: Reader, version: ModelVersion) -> dict[str, Any] | None:
    earlier = earlier_version(reader, version)
    if earlier is None:
        return None
    return {
        "ref": earlier.ref,
        "digest": earlier.digest,
        "changes": list(differences(earlier.document, version.document)),
    }


def _evaluations(reader: Reader, version: ModelVersion) -> list[dict[str, Any]]:
    """Give the newest verdict of each suite on this very digest, by the suite's name."""
    newest: dict[str, Evidence] = {}
    for claim in evidence.list_(reader, version.project, version.digest, VERDICT):
        newest.setdefault(str(claim.value.get("suite", "")).partition("@")[0], claim)
    found = [_evaluation(reader, newest[name]) for name in sorted(newest)]
    return found + _imported(reader, version)


def _imported(reader: Reader, version: ModelVersion) -> list[dict[str, Any]]:
    """Give what other tools measured of this digest: the newest import of each tool and suite."""
    newest: dict[str, Evidence] = {}
    for claim in evidence.list_(reader, version.project, version.digest, IMPORTED):
        newest.setdefault(_source_of(claim), claim)
    return [
        _bare(newest[source]) | {"suite": source, "kind": "imported", "levels": _figures(newest[source])}
        for source in sorted(newest)
    ]


def _source_of(claim: Evidence) -> str:
    """Name where an import comes from: `import of support-safety by inspect`."""
    told = (f"of {suite}" if (suite := claim.value.get("suite")) else "", f"by {claim.value.get('tool')}")
    return " ".join(("import", *(part for part in told if part)))


def _figures(claim: Evidence) -> list[dict[str, Any]]:
    figures = claim.value.get("figures") or ()
    several = len({one.get("task") for one in figures}) > 1
    return [
        {
            **{key: one[key] for key in LEVEL},
            "metric": f"{one['task']}: {one['metric']}" if several else one["metric"],
        }
        for one in figures
        if one.keys() >= LEVEL
    ]


def _evaluation(reader: Reader, claim: Evidence) -> dict[str, Any]:
    return _bare(claim) | _run(reader, claim.value.get("run"))


def _bare(claim: Evidence) -> dict[str, Any]:
    """Give what the claim itself says."""
    said = claim.value
    keys = ("suite", "suite_digest", "kind", "dataset", "run", "verdict", "metric", "rule")
    figures = ("estimate", "low", "high", "n", "method", "coverage")
    return {
        **{key: said.get(key) for key in (*keys, *figures)},
        "ended_at": to_text(claim.issued_at),
        "baseline": said.get("baseline"),
        "direction": None,
        "scorers": [],
        "dataset_ref": None,
        "levels": _stated_levels(said),
        "latency": None,
        "n_gained": 0,
        "n_lost": 0,
        "lost": [],
    }


def _stated_levels(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the levels that a verdict itself states; under a threshold, the estimate is the level."""
    stated = said.get("levels")
    if isinstance(stated, list):
        return [{key: one[key] for key in LEVEL} for one in stated if one.keys() >= LEVEL]
    if said.get("rule") != "threshold" or said.get("estimate") is None or not said.get("metric"):
        return []
    n = str(said.get("n") or "")
    figures = {"value": said["estimate"], "low": said.get("low"), "high": said.get("high")}
    return [{"metric": said["metric"], **figures, "n": int(n) if n.isdecimal() else 0}]


def _run(reader: Reader, run_id: str | None) -> dict[str, Any]:
    """Give what only the run itself knows; nothing where it is not ours or its bodies were erased."""
    try:
        run = evaluation.get_run(reader, run_id or "")
        result = evaluation.result_of(reader, run)
        suite, rows = evaluation.contents_of(reader, run)
        records = evaluation.records_of(reader, run.journal) if run.journal else ()
    except NotFound:
        return {}
    if result is None:
        return {}
    names = {row.key: row.id or row.key for row in rows}
    took = [r.latency_ms for r in records if r.side == CANDIDATE and r.latency_ms is not None]
    return {
        "baseline": run.baseline_ref,
        "dataset_ref": _dataset_ref(reader, run),
        "direction": suite.gate.direction.value,
        "scorers": [f"{scorer.name} ({scorer.kind})" for scorer in suite.scorers],
        "levels": [
            {key: level[key] for key in ("metric", "value", "low", "high", "n")}
            for level in result["levels"]
            if level["side"] == CANDIDATE
        ],
        "latency": _latency(took),
        **_extras(result),
        "n_gained": len(result["gained"]),
        "n_lost": len(result["lost"]),
        "lost": sorted(names.get(key, key) for key in result["lost"])[:MAX_NAMED],
    }


def _extras(result: Mapping[str, Any]) -> dict[str, Any]:
    """Give what only some runs say: gaps between groups, and what judges may be believed."""
    gaps = [
        {
            "metric": one["metric"],
            "groups": [group["name"] for group in one["groups"]],
            "pair": one["largest"]["name"],
            **{key: one["largest"][key] for key in ("value", "low", "high", "n", "adjusted")},
        }
        for one in result.get("gaps", ())
        if one["largest"] is not None
    ]
    judges = [
        {key: one[key] for key in ("metric", "model", "state", "judged", "corrected")}
        for one in result.get("judges", ())
    ]
    return {**({"gaps": gaps} if gaps else {}), **({"judges": judges} if judges else {})}


def _dataset_ref(reader: Reader, run: evaluation.Run) -> str | None:
    name, _, number = run.suite_ref.partition("@")
    return evaluation.dataset_ref(reader, evaluation.get_suite(reader, run.project, name, number))


def _latency(took: Sequence[float]) -> dict[str, Any] | None:
    """Give the median and the 95th percentile by nearest rank."""
    if not took:
        return None
    ordered = sorted(took)
    at = {share: ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95)}
    return {"p50_ms": f"{at[0.5]:.6g}", "p95_ms": f"{at[0.95]:.6g}", "n": len(ordered)}
