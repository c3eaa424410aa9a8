"""The CycloneDX 1.7 form: a BOM whose subject is the model, with its `modelCard`.

Source: ECMA-424, bom-1.7.schema.json. What the format has no place for, and all that was declared, stands in
properties named `assent:…`, so that it comes back whole.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from assent.cards.domain.document import Document, performance_of, title_of, use
from assent.cards.domain.form import declared_at

DECLARED = "assent:declared"
DIGEST = "assent:card"


def bom(document: Document, digest: str, written_at: str) -> dict[str, Any]:
    """Give the BOM of a card. The same card gives the same BOM; `written_at` is a UTC time."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {"timestamp": written_at, "component": _component(document, digest)},
    }


def _component(document: Document, digest: str) -> dict[str, Any]:
    version = document["version"]
    named = version.get("licence") or declared_at(document["declared"], "licence")
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"{document['project']}/{document['name']}@{version['number']}",
        "name": document["name"],
        "version": version["number"],
        "description": title_of(document),
        "hashes": [{"alg": "SHA-256", "content": version["digest"].removeprefix("sha256:")}],
        "modelCard": _model_card(document, digest),
    }
    if named:
        found["licenses"] = [{"license": {"name": named}}]
    if version.get("provider"):
        found["publisher"] = version["provider"]
    if version.get("base_model"):
        ancestor = {"type": "machine-learning-model", "name": version["base_model"]}
        found["pedigree"] = {"ancestors": [ancestor]}
    return found


def _model_card(document: Document, digest: str) -> dict[str, Any]:
    parts = {
        "modelParameters": _filled(dict(_parameters(document))),
        "quantitativeAnalysis": _filled({"performanceMetrics": list(_metrics(document))}),
        "considerations": _filled(dict(_considerations(document))),
        "properties": list(_properties(document, digest)),
    }
    return _filled(parts)


def _filled(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value}


def _parameters(document: Document) -> Iterator[tuple[str, Any]]:
    declared = document["declared"]
    yield "task", "text-generation"
    sources = [*(document["version"].get("datasets") or ()), *_named(declared, "training_data.sources")]
    yield "datasets", [{"type": "dataset", "name": str(one["name"])} for one in sources]
    for key in ("inputs", "outputs"):
        text = declared_at(declared, f"input_output.{key}")
        yield key, [{"format": text}] if text else []


def _named(declared: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    return [{"name": one} for one in declared_at(declared, path) or ()]


def _metrics(document: Document) -> Iterator[dict[str, Any]]:
    for one in document["evaluations"]:
        for level in one["levels"]:
            if level["value"] is None:
                continue
            bounds = {"lowerBound": level["low"], "upperBound": level["high"]}
            interval = {key: value for key, value in bounds.items() if value is not None}
            metric = {"type": level["metric"], "value": level["value"], "slice": one["suite"]}
            yield metric | ({"confidenceInterval": interval} if interval else {})
    for row in performance_of(document):
        if row.measured is None and row.declared is not None:
            yield {"type": row.label, "value": row.declared}


def _considerations(document: Document) -> Iterator[tuple[str, Any]]:
    declared = document["declared"]
    yield "users", _texts(use(document, "users"))
    yield "useCases", _texts(use(document, "primary_use"))
    yield "technicalLimitations", [path for key in ("limitations", "risks") for path in declared.get(key, ())]
    mitigations = "; ".join(declared_at(declared, "safety.mitigations") or ())
    strategy = {"mitigationStrategy": mitigations} if mitigations else {}
    yield (
        "ethicalConsiderations",
        [{"name": one, **strategy} for one in declared.get("ethical_considerations", ())],
    )
    fairness = declared_at(declared, "safety.fairness")
    yield "fairnessAssessments", [{"groupAtRisk": fairness}] if fairness else []
    impact = [
        {"name": key, "value": text}
        for key in ("hardware", "energy")
        if (text := declared_at(declared, f"environmental_impact.{key}"))
    ]
    yield "environmentalConsiderations", {"properties": impact} if impact else {}


def _texts(value: str | Sequence[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _properties(document: Document, digest: str) -> Iterator[dict[str, str]]:
    version = document["version"]
    yield {"name": DIGEST, "value": digest}
    for key in ("tier", "owner", "upstream_model"):
        if version.get(key):
            yield {"name": f"assent:{key}", "value": str(version[key])}
    for text in _texts(use(document, "out_of_scope")):
        yield {"name": "assent:out_of_scope", "value": text}
    if document["declared"]:
        value = json.dumps(document["declared"], ensure_ascii=False, sort_keys=True)
        yield {"name": DECLARED, "value": value}
