"""Coverage as plain values: what the API answers, and what a pack keeps."""

from __future__ import annotations

from typing import Any

from assent.compliance.domain import DISCLAIMER, Catalogue, CheckResult, RowResult, summary
from assent.compliance.service.coverage import Coverage


def coverage_wire(found: Coverage) -> dict[str, Any]:
    """Write coverage."""
    version = found.subject.version
    return {
        "ref": version.ref,
        "digest": version.digest,
        "why": found.subject.why,
        "says": DISCLAIMER,
        "catalogues": [_catalogue(one, results) for one, results in found.catalogues],
    }


def _catalogue(one: Catalogue, results: tuple[RowResult, ...]) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "as_of": one.as_of.isoformat(),
        "source": one.source,
        "secondary": one.secondary,
        "note": one.note,
        "summary": summary(results),
        "rows": [_row(result) for result in results],
    }


def _row(result: RowResult) -> dict[str, Any]:
    return {
        "id": result.row.id,
        "says": result.row.says,
        "standing": result.standing.value,
        "have": result.have,
        "organisational": result.row.organisational,
        "checks": [_check(one) for one in result.checks],
        "note": DISCLAIMER,
    }


def _check(one: CheckResult) -> dict[str, Any]:
    return {
        "check": one.check,
        "standing": one.standing.value,
        "need": one.need,
        "have": one.have,
        "leaves": list(one.leaves),
        "remedy": one.remedy,
    }
