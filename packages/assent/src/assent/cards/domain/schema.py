"""The JSON Schema of a card in JSON, as `/cards/schema.json` publishes it (draft 2020-12)."""

from collections.abc import Mapping
from typing import Any

from assent.cards.domain.document import FORMAT
from assent.cards.domain.form import FIELDS, MAX_ITEMS, MAX_TEXT, PERFORMANCE
from assent.cards.domain.sections import SECTIONS, Origin

TEXT = {"type": "string"}
MAYBE = {"type": ["string", "null"]}
DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
FIGURE = {"type": ["string", "null"], "description": "Decimal text."}
TREE = {"type": "object"}
COUNT = {"type": "integer", "minimum": 0}


def _closed(optional: Mapping[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    """Write an object that holds these and no other keys; the named ones must be there."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _declared() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
    found: dict[str, Any] = {}
    for one in FIELDS:
        value: dict[str, Any] = _list(text, maxItems=MAX_ITEMS) if one.is_list else dict(text)
        value["description"] = one.asks
        if len(one.keys) == 1:
            found[one.path] = value
        else:
            group = found.setdefault(one.keys[0], _closed())
            group["properties"][one.keys[1]] = value
    row = _closed(dict.fromkeys(("suite", "metric", "value", "source"), text), label=text)
    return _closed({**found, PERFORMANCE: _list(row, maxItems=MAX_ITEMS)})


def _evaluation() -> dict[str, Any]:
    level = _closed(metric=TEXT, value=FIGURE, low=FIGURE, high=FIGURE, n=COUNT)
    told = dict.fromkeys(("suite", "suite_digest", "kind", "dataset", "dataset_ref", "run"), MAYBE)
    judged = dict.fromkeys(
        ("verdict", "metric", "rule", "direction", "baseline", "method", "ended_at"), MAYBE
    )
    figures = dict.fromkeys(("estimate", "low", "high", "n", "coverage"), FIGURE)
    latency = {"anyOf": [_closed(p50_ms=TEXT, p95_ms=TEXT, n=COUNT), {"type": "null"}]}
    gap_figures = dict.fromkeys(("value", "low", "high", "adjusted"), FIGURE)
    gap = _closed(**gap_figures, metric=TEXT, groups=_list(TEXT), pair=TEXT, n=COUNT)
    corrected = {"anyOf": [TEXT, _closed(value=TEXT, low=TEXT, high=TEXT)]}
    judge = _closed(metric=TEXT, model=TEXT, state=TEXT, judged=FIGURE, corrected=corrected)
    counts = {"n_gained": COUNT, "n_lost": COUNT}
    return _closed(
        {"gaps": _list(gap), "judges": _list(judge)},
        **told,
        **judged,
        **figures,
        **counts,
        scorers=_list(TEXT),
        levels=_list(level),
        latency=latency,
        lost=_list(TEXT),
    )


def _document() -> dict[str, Any]:
    facts = dict.fromkeys(("owner", "tier", "base_model", "provider", "upstream_model", "licence"), TEXT)
    trees: dict[str, Any] = dict.fromkeys(("parameters", "open_parameters", "intended_use", "code"), TREE)
    lists: dict[str, Any] = {key: _list(TREE) for key in ("datasets", "artifacts")}
    version = _closed({**facts, **trees, **lists}, number=TEXT, digest=DIGEST, registered_at=TEXT)
    variable = _closed(name=TEXT, required={"type": "boolean"})
    prompt = _closed(
        ref=TEXT, digest=DIGEST, variables=_list(variable), tools=_list(TEXT), response_format={}
    )
    change = _closed(where=TEXT, before={}, after={})
    predecessor = _closed(ref=TEXT, digest=DIGEST, changes=_list(change))
    return _closed(
        kind={"const": "card"},
        v={"const": FORMAT},
        project=TEXT,
        name=TEXT,
        version=version,
        prompt={"anyOf": [prompt, {"type": "null"}]},
        evaluations=_list(_evaluation()),
        predecessor={"anyOf": [predecessor, {"type": "null"}]},
        declared=_declared(),
    )


def _section() -> dict[str, Any]:
    fact = _closed(label=TEXT, value=TEXT)
    blocks = [
        _closed(facts=_list(fact)),
        _closed(items=_list(TEXT), label=TEXT),
        _closed(head=_list(TEXT), rows=_list(_list(TEXT))),
        _closed(text=TEXT),
    ]
    flag = {"type": "boolean"}
    return _closed(
        number={"type": "integer", "minimum": 1, "maximum": len(SECTIONS)},
        title={"enum": [section.title for section in SECTIONS]},
        origin={"enum": [str(origin) for origin in Origin]},
        told=TEXT,
        live=flag,
        required=flag,
        complete=flag,
        lacks=_list(TEXT),
        to_do=_list(_closed(what=TEXT, by=TEXT)),
        blocks=_list({"oneOf": blocks}),
    )


SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": f"urn:assent:schema:card:{FORMAT}",
    "title": "Model card",
    "type": "object",
    "required": ["ref", "digest", "state", "title", "document", "sections", "completeness"],
    "properties": {
        "ref": TEXT,
        "digest": DIGEST,
        "state": {"enum": ["draft", "submitted", "published", "rejected", "superseded"]},
        "revision": {"type": "integer", "minimum": 1},
        "title": TEXT,
        "completeness": _closed(complete={"type": "boolean"}, n_met=COUNT, n_asked=COUNT),
        "document": _document(),
        "sections": _list(_section(), minItems=len(SECTIONS), maxItems=len(SECTIONS)),
    },
}
