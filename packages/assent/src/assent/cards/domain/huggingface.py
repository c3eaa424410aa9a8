"""The Hugging Face form: the front matter of a README with its `model-index`, and `.eval_results` entries.

Source: hub-docs, modelcard.md and eval_results.yaml. Only measured metrics are listed as results; what people
declared goes beside them, under `assent`, so that it comes back whole. Every text stands on one line.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from assent.cards.domain.document import Document, title_of
from assent.cards.domain.form import declared_at
from assent.cards.domain.text import one_line

KEY = "assent"
TASK = {"type": "text-generation", "name": "Text Generation"}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}\Z", re.ASCII)
_LICENCES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc
cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0
cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl
openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl gemma llama2 llama3 llama3.1 llama3.2
llama3.3 llama4
"""
LICENCES = frozenset(_LICENCES.split())
"""Licences that the Hub knows by name; any other is `other` with its own name."""


def front_matter(document: Document, digest: str, address: str) -> dict[str, Any]:
    """Give the front matter of a card; `address` is where the card can be read."""
    version = document["version"]
    found: dict[str, Any] = dict(_licence(document))
    if HUB_ID.match(version.get("base_model") or ""):
        found["base_model"] = version["base_model"]
    datasets = [one["name"] for one in version.get("datasets") or () if HUB_ID.match(str(one.get("name")))]
    if datasets:
        found["datasets"] = sorted(set(datasets))
    found["tags"] = ["assent", *([f"risk-tier-{version['tier']}"] if version.get("tier") else [])]
    results = list(_results(document, address))
    if results:
        found["model-index"] = [{"name": one_line(title_of(document)), "results": results}]
    found[KEY] = {
        "card": digest,
        "version": f"{document['name']}@{version['number']}",
        "declared": _flat(document["declared"]),
    }
    return found


def _licence(document: Document) -> Iterator[tuple[str, str]]:
    named = document["version"].get("licence") or declared_at(document["declared"], "licence")
    if not named:
        return
    name = one_line(named)
    if name.lower() in LICENCES:
        yield "license", name.lower()
    else:
        yield "license", "other"
        yield "license_name", name


def _results(document: Document, address: str) -> Iterator[dict[str, Any]]:
    for one in document["evaluations"]:
        metrics = [_metric(level) for level in one["levels"] if level["value"] is not None]
        if metrics:
            dataset = one_line(one.get("dataset_ref") or one["suite"])
            suite = one_line(one["suite"])
            yield {
                "task": dict(TASK),
                "dataset": {"type": dataset.partition("@")[0], "name": dataset},
                "metrics": metrics,
                "source": {"name": f"Assent, suite {suite}", "url": address},
            }


def _metric(level: Mapping[str, Any]) -> dict[str, Any]:
    name = one_line(level["metric"])
    ends = {key: float(level[key]) for key in ("low", "high") if level[key] is not None}
    return {
        "type": name,
        "name": name,
        "value": float(level["value"]),
        "args": {"n": level["n"], "interval": "95 %", **ends},
    }


def eval_results(document: Document, address: str) -> list[dict[str, Any]]:
    """Give the entries of `.eval_results/assent.yaml`: one for each measured metric of each suite."""
    return [
        {
            "dataset": {
                "id": f"{document['project']}/{one_line(one.get('dataset_ref') or one['suite'])}",
                "task_id": f"{one_line(one['suite'])}/{one_line(level['metric'])}",
            },
            "value": float(level["value"]),
            "date": one["ended_at"],
            "source": {"url": address, "name": "Assent"},
            "notes": _note(level),
        }
        for one in document["evaluations"]
        for level in one["levels"]
        if level["value"] is not None
    ]


def _note(level: Mapping[str, Any]) -> str:
    bounds = "" if level["low"] is None else f"95 % interval {level['low']} to {level['high']}, "
    return f"{bounds}n = {level['n']}"


def _flat(value: Any) -> Any:
    """Copy mappings and lists, so that YAML writes no anchors."""
    if isinstance(value, Mapping):
        return {key: _flat(item) for key, item in value.items()}
    return [_flat(item) for item in value] if isinstance(value, list) else value
