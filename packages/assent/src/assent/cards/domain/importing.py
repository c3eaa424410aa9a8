"""Read the declared parts out of a card that was written elsewhere. Derived parts are never taken over.

Each reader gives raw fields of the form, which the form's own parser then checks, and names what it left.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assent.cards.domain import cyclonedx, huggingface
from assent.cards.domain.document import FORMAT
from assent.cards.domain.form import FIELDS, MAX_ITEMS, PERFORMANCE, Declared, parse_form
from assent.kernel.errors import Invalid, Reason

DERIVED = "It is derived from records, so it is not taken over."
CHECK = "Check that this is the file you meant."
ELSEWHERE = "The form has no place for it."
_MEASURED = re.compile(r" on \S+ \((95 % interval .*, )?n = \d+\)\Z")
"""How the short form writes what was measured here."""


@dataclass(slots=True)
class Found:
    """What a file holds for the form, and what was left out, with the reason."""

    form: dict[str, Any] = field(default_factory=dict)
    left: list[Reason] = field(default_factory=list)

    def put(self, path: str, value: Any) -> None:
        """Take a value for a path of the form; what is empty is not taken."""
        if not value:
            return
        group, _, key = path.rpartition(".")
        into = self.form.setdefault(group, {}) if group else self.form
        into[key] = value

    def leave(self, what: str, why: str) -> None:
        """Name what is not taken over."""
        self.left.append(Reason(what, why))


def read_card(form: str, content: Any) -> tuple[Declared, list[Reason]]:
    """Give what a file declares, and what was left out. Raises: Invalid with every mistake."""
    found = READERS[form](content)
    declared = parse_form(found.form)
    if not declared:
        raise Invalid(
            "The file holds nothing that a card declares.",
            remedy="See docs/how-to/cards.md for what each form brings.",
            reasons=found.left[:MAX_ITEMS],
        )
    return declared, found.left[:MAX_ITEMS]


def merge(before: Mapping[str, Any], taken: Mapping[str, Any]) -> Declared:
    """Put what was taken over in the place of what stood there; the rest stays."""
    merged: Declared = dict(before)
    for key, value in taken.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(value, Mapping) and isinstance(old, Mapping) else value
    return merged


def _expect(content: Any, told: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise Invalid(f"{told} is a mapping.", remedy=CHECK)
    return content


def _json(content: Any) -> Found:
    """Read our own JSON: the whole answer, or its document."""
    whole = _expect(content, "A card in JSON")
    document = whole.get("document", whole)
    if not isinstance(document, Mapping) or document.get("kind") != "card" or document.get("v") != FORMAT:
        raise Invalid(
            f"This is no card of form {FORMAT}.", remedy="`assent card export --format json` writes one."
        )
    found = Found(form=dict(_expect(document.get("declared", {}), "`declared`")))
    for key in ("version", "prompt", "evaluations", "predecessor"):
        if document.get(key):
            found.leave(key, DERIVED)
    return found


def _huggingface(content: Any) -> Found:
    """Read the front matter of a README."""
    matter, found = _expect(content, "Front matter"), Found()
    ours = matter.get(huggingface.KEY)
    if isinstance(ours, Mapping) and isinstance(ours.get("declared"), Mapping):
        found.form = dict(ours["declared"])
    else:
        _from_hub(matter, found)
    for key in matter:
        if key in {"base_model", "model-index", "tags"} and not (
            key == "model-index" and PERFORMANCE in found.form
        ):
            found.leave(str(key), DERIVED)
        elif key not in HUB_FIELDS:
            found.leave(str(key)[:100], ELSEWHERE)
    return found


HUB_FIELDS = frozenset(
    {"license", "license_name", "datasets", "co2_eq_emissions", "model-index", "tags", "base_model", "assent"}
)


def _from_hub(matter: Mapping[str, Any], found: Found) -> None:
    licence = matter.get("license")
    found.put("licence", matter.get("license_name") if licence == "other" else licence)
    datasets = matter.get("datasets")
    found.put("training_data.sources", [datasets] if isinstance(datasets, str) else datasets)
    impact = matter.get("co2_eq_emissions")
    if isinstance(impact, Mapping):
        found.put("environmental_impact.hardware", impact.get("hardware_used"))
        emitted = impact.get("emissions")
        found.put(
            "environmental_impact.energy", None if emitted is None else f"{emitted} g of CO2 equivalent"
        )
    elif isinstance(impact, int | float):
        found.put("environmental_impact.energy", f"{impact} g of CO2 equivalent")
    found.put(PERFORMANCE, _unique(_hub_rows(matter.get("model-index"))))


def _hub_rows(index: Any) -> Iterator[dict[str, str]]:
    for model in _mappings(index):
        for result in _mappings(model.get("results")):
            dataset = result.get("dataset")
            named = dataset.get("name") if isinstance(dataset, Mapping) else None
            source = result.get("source")
            told = source.get("name") or source.get("url") if isinstance(source, Mapping) else None
            for metric in _mappings(result.get("metrics")):
                label, value = metric.get("name") or metric.get("type"), metric.get("value")
                if label and value is not None and not isinstance(value, Mapping | list):
                    yield _row(label, value, told, named)


def _row(label: Any, value: Any, source: Any, dataset: Any) -> dict[str, str]:
    where = ", ".join(str(one) for one in (source, f"on {dataset}" if dataset else None) if one)
    return {"label": str(label), "value": str(value), **({"source": where} if where else {})}


def _unique(rows: Iterator[dict[str, str]]) -> list[dict[str, str]]:
    """Keep every row under a label of its own."""
    kept: dict[str, dict[str, str]] = {}
    for row in rows:
        label, n = row["label"], 1
        while label in kept:
            n += 1
            label = f"{row['label']} ({n})"
        kept[label] = {**row, "label": label}
    return list(kept.values())


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _cyclonedx(content: Any) -> Found:
    """Read the first component of a BOM that has a `modelCard`."""
    whole, found = _expect(content, "A BOM"), Found()
    metadata = whole.get("metadata")
    first = metadata.get("component") if isinstance(metadata, Mapping) else None
    parts = [*_mappings([first]), *_mappings(whole.get("components"))]
    chosen = next((one for one in parts if isinstance(one.get("modelCard"), Mapping)), None)
    if whole.get("bomFormat") != "CycloneDX" or chosen is None:
        raise Invalid("This is no CycloneDX BOM with a modelCard.", remedy=CHECK)
    card = chosen["modelCard"]
    told = {one.get("name"): one.get("value") for one in _mappings(card.get("properties"))}
    if cyclonedx.DECLARED in told:
        found.form = _declared_property(told[cyclonedx.DECLARED])
    else:
        _from_bom(chosen, card, found)
    if card.get("quantitativeAnalysis") and PERFORMANCE not in found.form:
        found.leave("quantitativeAnalysis", DERIVED)
    for key in ("hashes", "pedigree"):
        if chosen.get(key):
            found.leave(key, DERIVED)
    return found


def _declared_property(value: Any) -> dict[str, Any]:
    try:
        declared = json.loads(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"The property {cyclonedx.DECLARED} is not JSON.", remedy=CHECK) from error
    return dict(_expect(declared, f"The property {cyclonedx.DECLARED}"))


def _from_bom(component: Mapping[str, Any], card: Mapping[str, Any], found: Found) -> None:
    said, model = _part(card, "considerations"), _part(card, "modelParameters")
    uses = said.get("useCases")
    found.put("intended_use.primary_use", "; ".join(map(str, uses)) if isinstance(uses, list) else uses)
    found.put("intended_use.users", said.get("users"))
    found.put("limitations", said.get("technicalLimitations"))
    risks = _mappings(said.get("ethicalConsiderations"))
    found.put("ethical_considerations", [one["name"] for one in risks if one.get("name")])
    strategies = dict.fromkeys(
        str(one["mitigationStrategy"]) for one in risks if one.get("mitigationStrategy")
    )
    found.put("safety.mitigations", list(strategies))
    groups = _mappings(said.get("fairnessAssessments"))
    found.put(
        "safety.fairness", "; ".join(str(one["groupAtRisk"]) for one in groups if one.get("groupAtRisk"))
    )
    named = [one["name"] for one in _mappings(model.get("datasets")) if one.get("name")]
    found.put("training_data.sources", named)
    for key in ("inputs", "outputs"):
        formats = [str(one["format"]) for one in _mappings(model.get(key)) if one.get("format")]
        found.put(f"input_output.{key}", "; ".join(formats))
    licences = [_part(one, "license") for one in _mappings(component.get("licenses"))]
    found.put("licence", next((one.get("id") or one.get("name") for one in licences if one), None))
    metrics = _mappings(_part(card, "quantitativeAnalysis").get("performanceMetrics"))
    rows = (
        _row(one["type"], one["value"], None, one.get("slice"))
        for one in metrics
        if {"type", "value"} <= one.keys()
    )
    found.put(PERFORMANCE, _unique(rows))


def _part(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = of.get(key)
    return value if isinstance(value, Mapping) else {}


SHORT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Intended Use": {
        "Primary Use": ("intended_use.primary_use",),
        "Users": ("intended_use.users",),
        "Out of Scope": ("intended_use.out_of_scope",),
    },
    "Training Data": {
        "Sources": ("training_data.sources",),
        "Data Volume": ("training_data.volume",),
        "PII Handling": ("training_data.pii_handling",),
    },
}
LISTS = {"Limitations & Risks": "limitations", "Ethical Considerations": "ethical_considerations"}
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])|&(lt|gt|amp);")
_PLAIN = {"lt": "<", "gt": ">", "amp": "&"}
_IS_LIST = {one.path for one in FIELDS if one.is_list}


def _brief(content: Any) -> Found:
    """Read the short template: its headings with `- Label: value` below them."""
    if not isinstance(content, str):
        raise Invalid("The short form is text.", remedy="Send the Markdown as it is.")
    found, heading, items = Found(), "", dict[str, list[str]]()
    for line in content.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
            if line.startswith("# ") and heading.startswith("Model Card:"):
                found.leave("title", DERIVED)
        elif line.startswith("- "):
            items.setdefault(heading, []).append(_unescaped(line[2:].strip()))
    for name, lines in items.items():
        _take(found, name, lines)
    return found


def _take(found: Found, heading: str, lines: Sequence[str]) -> None:
    if heading in LISTS:
        found.put(LISTS[heading], [line for line in lines if line != "not recorded"])
        return
    labelled = SHORT.get(heading, {})
    rows = []
    for line in lines:
        label, _, value = (part.strip() for part in line.partition(":"))
        if value in {"", "not recorded"}:
            continue
        if label in labelled:
            path = labelled[label][0]
            found.put(path, _split(value) if path in _IS_LIST else value)
        elif heading == "Performance Metrics" and _MEASURED.search(value):
            found.leave(f"{heading}: {label}"[:100], DERIVED)
        elif heading == "Performance Metrics":
            rows.append({"label": label, "value": value})
        else:
            found.leave(f"{heading}: {label}"[:100], DERIVED if heading == "Model Overview" else ELSEWHERE)
    found.put(PERFORMANCE, _unique(iter(rows)))


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: found[1] or _PLAIN[found[2]], text)


READERS: Mapping[str, Callable[[Any], Found]] = {
    "json": _json,
    "huggingface": _huggingface,
    "cyclonedx": _cyclonedx,
    "brief": _brief,
}
