"""What goes out to other tools, loads there, and comes back."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData, parse_eval_result_entries
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource

from assent.cards.domain import (
    READERS,
    SCHEMA,
    Edition,
    cyclonedx,
    full_markdown,
    huggingface,
    merge,
    parts_of,
    read_card,
)
from assent.cards.domain.form import FIELDS, is_plain
from assent.cards.service.writing import _yaml
from assent.kernel.errors import Invalid
from assent_client.cli.card_files import read_card as read_file
from tests.cards.documents import DIGEST, EVALUATION, FULL, SAFETY, complete, document

ADDRESS = "https://assent.example/cards/shop/customer-support-assistant/2.1.0"
AT = "2026-01-01T00:00:00.000000Z"
EDITION = Edition("card_1", 3, DIGEST, "published", "2026-01-01")
SCHEMAS = Path(__file__).parents[3] / "shared" / "reference" / "cyclonedx"
HOSTILE = [
    "---\nlicense: mit\n---",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "a: b\n- c: *d &e !!python/object:os.system",
    "'; DROP TABLE cards; --",
    "| a | b |\n|---|---|",
    "# heading\n\n===\n***",
    "{{ 7 * 7 }} {% raw %}",
    "null",
    "2026-01-01",
    "\N{FULLWIDTH COMMERCIAL AT}\N{COMBINING ACUTE ACCENT}\N{GRINNING FACE}",
]
plain_text = st.text(st.characters(exclude_categories=["Cs"]).filter(is_plain), max_size=40).map(str.strip)
words = st.one_of(plain_text.filter(bool), st.sampled_from(HOSTILE))


def declared_forms():
    def tree(flat):
        made = {}
        for path, value in flat.items():
            group, _, key = path.rpartition(".")
            (made.setdefault(group, {}) if group else made)[key] = value
        return made

    optional = {one.path: st.lists(words, min_size=1, max_size=3) if one.is_list else words for one in FIELDS}
    rows = st.lists(
        st.fixed_dictionaries({"label": words, "value": words}, optional={"source": words}),
        min_size=1, max_size=3, unique_by=lambda row: row["label"],
    )  # fmt: skip
    return st.fixed_dictionaries({}, optional={**optional, "performance": rows}).map(tree).filter(bool)


def readme(doc):
    front = _yaml(huggingface.front_matter(doc, DIGEST, ADDRESS))
    return f"---\n{front}---\n{full_markdown(doc, EDITION, parts_of(doc, {}))}"


def test_the_hub_s_own_library_loads_the_readme(tmp_path):
    card = ModelCard(readme(complete(licence="Apache-2.0", base_model="mistralai/Mistral-7B")))
    assert isinstance(card.data, ModelCardData)
    assert (card.data.license, card.data.base_model) == ("apache-2.0", "mistralai/Mistral-7B")
    assert card.data.model_name == "Support"
    by_metric = {one.metric_type: one for one in card.data.eval_results}
    found = by_metric["hallucination_rate"]
    assert (found.metric_value, found.source_url) == (0.021, ADDRESS)
    assert found.metric_args == {"n": 114, "interval": "95 %", "low": 0.01, "high": 0.04}
    assert card.text.lstrip().startswith("# Model Card: Support v2.1")
    card.save(tmp_path / "README.md")
    assert ModelCard.load(tmp_path / "README.md").data.to_dict() == card.data.to_dict()


def test_the_hub_s_own_library_loads_the_eval_results():
    doc = complete()
    entries = parse_eval_result_entries(yaml.safe_load(_yaml(huggingface.eval_results(doc, ADDRESS))))
    assert [(one.value, one.task_id) for one in entries] == [
        (0.9, "regression@1.0.0/correct"),
        (0.021, "safety@1.0.0/hallucination_rate"),
    ]
    assert (entries[0].source_url, entries[0].date) == (ADDRESS, AT)
    assert entries[0].notes == "95 % interval 0.862 to 0.929, n = 320"


def test_what_was_not_measured_is_no_result():
    unmeasured = [{**EVALUATION, "levels": [{**EVALUATION["levels"][0], "value": None}]}]
    doc = document(evaluations=unmeasured)
    assert "model-index" not in huggingface.front_matter(doc, DIGEST, ADDRESS)
    assert huggingface.eval_results(doc, ADDRESS) == []
    assert "quantitativeAnalysis" not in cyclonedx.bom(doc, DIGEST, AT)["metadata"]["component"]["modelCard"]
    bare = [{"metric": "m", "value": "0.5", "low": None, "high": None, "n": 0}]
    doc = document(evaluations=[{**EVALUATION, "levels": bare}])
    (entry,) = huggingface.eval_results(doc, ADDRESS)
    assert entry["notes"] == "n = 0"
    (metric,) = cyclonedx.bom(doc, DIGEST, AT)["metadata"]["component"]["modelCard"]["quantitativeAnalysis"][
        "performanceMetrics"
    ]
    assert "confidenceInterval" not in metric


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        (None, {}),
        ("MIT", {"license": "mit"}),
        ("Acme\nterms", {"license": "other", "license_name": "Acme terms"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_is_another_one(licence, wanted):
    found = huggingface.front_matter(document(licence=licence), DIGEST, ADDRESS)
    assert {key: found[key] for key in ("license", "license_name") if key in found} == wanted


def test_only_what_reads_as_an_id_of_the_hub_stands_as_one():
    datasets = [{"name": "org/data"}, {"name": "our tickets"}, {"name": "org/data"}]
    found = huggingface.front_matter(document(datasets=datasets, tier=None), DIGEST, ADDRESS)
    assert (found["datasets"], found["tags"], "base_model" in found) == (["org/data"], ["assent"], False)


@settings(max_examples=40, deadline=None)
@given(declared=declared_forms(), name=words)
def test_a_readme_keeps_every_declared_text_and_nothing_breaks_its_front_matter(declared, name):
    doc = complete(
        declared=declared, owner=name, evaluations=[{**EVALUATION, "suite": name, "metric": name}, SAFETY]
    )
    text = readme(doc)
    matter = ModelCard(text, ignore_metadata_errors=False).data.to_dict()
    assert matter["assent"]["declared"] == declared
    assert set(matter) <= {"license", "license_name", "tags", "model-index", "assent"}
    taken, _ = read_card("huggingface", matter)
    assert taken == declared


@settings(max_examples=25, deadline=None)
@given(declared=declared_forms())
def test_every_form_that_is_read_back_gives_what_was_declared(declared, tmp_path_factory):
    doc = complete(declared=declared)
    folder = tmp_path_factory.mktemp("forms")
    (folder / "README.md").write_text(readme(doc), encoding="utf-8")
    (folder / "bom.json").write_text(json.dumps(cyclonedx.bom(doc, DIGEST, AT)), encoding="utf-8")
    (folder / "card.json").write_text(json.dumps({"document": doc}), encoding="utf-8")
    for name, form in (("README.md", "huggingface"), ("bom.json", "cyclonedx"), ("card.json", "json")):
        taken, left = read_card(form, read_file(folder / name, form))
        assert taken == declared
        assert left, "what is derived is named as left out"


def bom_schema():
    if not SCHEMAS.exists():
        pytest.skip("the schemas of CycloneDX are not here: ../shared/reference/cyclonedx")
    found = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
    registry = Registry().with_resources(
        [(f"http://cyclonedx.org/schema/{name}", Resource.from_contents(one)) for name, one in found.items()]
    )
    return jsonschema.Draft7Validator(
        found["bom-1.7.schema.json"], registry=registry, format_checker=jsonschema.FormatChecker()
    )


@settings(max_examples=15, deadline=None)
@given(declared=declared_forms(), name=words)
def test_the_bom_is_valid_whatever_people_write(declared, name):
    validator = bom_schema()
    evaluation = {**EVALUATION, "suite": name, "metric": name}
    doc = complete(declared=declared, owner=name, base_model=name, evaluations=[evaluation, SAFETY])
    assert [error.message for error in validator.iter_errors(cyclonedx.bom(doc, DIGEST, AT))] == []


def test_the_bom_of_a_bare_card_is_valid_too():
    doc = document(provider=None, base_model=None, tier=None)
    assert list(bom_schema().iter_errors(cyclonedx.bom(doc, DIGEST, AT))) == []


def test_the_bom_says_what_the_card_says():
    doc = complete(licence="MIT", datasets=[{"name": "tickets"}])
    component = cyclonedx.bom(doc, DIGEST, AT)["metadata"]["component"]
    card = component["modelCard"]
    assert component["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert (component["pedigree"]["ancestors"][0]["name"], component["publisher"]) == ("GPT-4-turbo", "acme")
    assert card["quantitativeAnalysis"]["performanceMetrics"][1] == {
        "type": "hallucination_rate",
        "value": "0.021",
        "slice": "safety@1.0.0",
        "confidenceInterval": {"lowerBound": "0.01", "upperBound": "0.04"},
    }
    assert {"type": "Tone", "value": "friendly"} in card["quantitativeAnalysis"]["performanceMetrics"]
    considered = card["considerations"]
    assert (considered["users"], considered["useCases"]) == (["Staff"], ["Questions"])
    assert considered["technicalLimitations"] == ["Old products", "Wrong prices"]
    assert considered["ethicalConsiderations"] == [{"name": "Escalation", "mitigationStrategy": "Refusals"}]
    assert [one["name"] for one in card["modelParameters"]["datasets"]] == ["tickets", "Tickets"]
    assert {"name": "assent:out_of_scope", "value": "Medical advice"} in card["properties"]


def test_the_same_card_gives_the_same_bom():
    assert cyclonedx.bom(complete(), DIGEST, AT) == cyclonedx.bom(complete(), DIGEST, AT)
    other = cyclonedx.bom(complete(), "sha256:" + "c" * 64, AT)
    assert other["serialNumber"] != cyclonedx.bom(complete(), DIGEST, AT)["serialNumber"]


FOREIGN_README = {
    "license": "other",
    "license_name": "acme-1",
    "base_model": "org/base",
    "language": "en",
    "datasets": ["org/a", "org/b"],
    "co2_eq_emissions": {"emissions": 12.5, "hardware_used": "8 A100"},
    "model-index": [
        {
            "name": "m",
            "results": [
                {
                    "task": {"type": "text-generation"},
                    "dataset": {"type": "gsm8k", "name": "GSM8K"},
                    "metrics": [{"type": "acc", "value": 0.81}, {"type": "acc", "name": "acc", "value": 0.7}],
                    "source": {"name": "Leaderboard", "url": "https://x.example"},
                },
                {"dataset": "odd", "metrics": [{"type": "acc", "value": {"no": 1}}, {"value": 3}, "odd"]},
            ],
        }
    ],
}


def test_front_matter_of_others_fills_the_declared_parts_only():
    taken, left = read_card("huggingface", FOREIGN_README)
    assert taken == {
        "licence": "acme-1",
        "training_data": {"sources": ["org/a", "org/b"]},
        "environmental_impact": {"hardware": "8 A100", "energy": "12.5 g of CO2 equivalent"},
        "performance": [
            {"label": "acc", "value": "0.81", "source": "Leaderboard, on GSM8K"},
            {"label": "acc (2)", "value": "0.7", "source": "Leaderboard, on GSM8K"},
        ],
    }
    assert {one.id for one in left} == {"base_model", "language"}


@pytest.mark.parametrize(
    ("matter", "wanted"),
    [
        (
            {"license": "mit", "datasets": "org/a"},
            {"licence": "mit", "training_data": {"sources": ["org/a"]}},
        ),
        ({"co2_eq_emissions": 3}, {"environmental_impact": {"energy": "3 g of CO2 equivalent"}}),
        ({"co2_eq_emissions": {"hardware_used": "CPU"}}, {"environmental_impact": {"hardware": "CPU"}}),
        (
            {"model-index": [{"results": [{"metrics": [{"type": "f1", "value": 1}]}]}]},
            {"performance": [{"label": "f1", "value": "1"}]},
        ),
    ],
)
def test_short_front_matter_is_read_too(matter, wanted):
    assert read_card("huggingface", matter)[0] == wanted


FOREIGN_BOM = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "components": [
        {"type": "library", "name": "x"},
        {
            "type": "machine-learning-model",
            "name": "m",
            "licenses": [{"license": {"id": "MIT"}}],
            "hashes": [{"alg": "SHA-256", "content": "0" * 64}],
            "modelCard": {
                "modelParameters": {
                    "datasets": [{"type": "dataset", "name": "tickets"}, {"ref": "x"}],
                    "inputs": [{"format": "text"}, {"format": "image"}],
                },
                "quantitativeAnalysis": {
                    "performanceMetrics": [{"type": "f1", "value": "0.8", "slice": "all"}, {}]
                },
                "considerations": {
                    "users": ["staff"],
                    "useCases": ["answering", "routing"],
                    "technicalLimitations": ["slow"],
                    "ethicalConsiderations": [{"name": "bias", "mitigationStrategy": "tests"}, {}],
                    "fairnessAssessments": [{"groupAtRisk": "elders"}],
                },
                "properties": [{"name": "other", "value": "x"}],
            },
        },
    ],
}


def test_a_bom_of_others_fills_the_declared_parts_only():
    taken, left = read_card("cyclonedx", FOREIGN_BOM)
    assert taken == {
        "licence": "MIT",
        "intended_use": {"primary_use": "answering; routing", "users": ["staff"]},
        "input_output": {"inputs": "text; image"},
        "training_data": {"sources": ["tickets"]},
        "safety": {"mitigations": ["tests"], "fairness": "elders"},
        "ethical_considerations": ["bias"],
        "limitations": ["slow"],
        "performance": [{"label": "f1", "value": "0.8", "source": "on all"}],
    }
    assert [one.id for one in left] == ["hashes"]


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize(
    "content", [None, 7, [], {}, "", {"kind": "card", "v": 9}, {"bomFormat": "CycloneDX"}]
)
def test_what_is_no_card_is_refused(form, content):
    with pytest.raises(Invalid):
        read_card(form, content)


@pytest.mark.parametrize("value", ["{", "7", '"text"', None, "[" * 100_000])
def test_a_broken_property_of_ours_is_refused(value):
    bom = cyclonedx.bom(complete(), DIGEST, AT)
    bom["metadata"]["component"]["modelCard"]["properties"] = [{"name": "assent:declared", "value": value}]
    with pytest.raises(Invalid):
        read_card("cyclonedx", bom)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["license", "datasets", "model-index", "results", "metrics", "co2_eq_emissions", "assent", "declared",
                 "bomFormat", "components", "modelCard", "considerations", "users", "properties", "name", "value",
                 "modelParameters", "licenses", "license_name", "document", "kind", "v", "type"]
            ) | st.text(max_size=5), inner, max_size=5,
        ),
        max_leaves=25,
    ),
    st.sampled_from(sorted(READERS)),
)  # fmt: skip
def test_whatever_is_sent_is_read_or_refused_and_never_fails(content, form):
    try:
        taken, _ = read_card(form, content)
    except Invalid:
        return
    assert taken


def test_what_is_taken_over_replaces_its_field_and_leaves_the_rest():
    before = {"contact": "me", "training_data": {"volume": "1", "sources": ["a"]}, "limitations": ["x"]}
    taken = {"training_data": {"sources": ["b"]}, "limitations": ["y"], "risks": ["z"]}
    assert merge(before, taken) == {
        "contact": "me",
        "training_data": {"volume": "1", "sources": ["b"]},
        "limitations": ["y"],
        "risks": ["z"],
    }
    assert before["training_data"]["sources"] == ["a"]


BRIEF = """# Model Card: Helper v1.0

## Model Overview
- Name: helper
- Version: 1.0.0

## Intended Use
- Primary Use: Answers about \\*orders\\* &lt;b&gt;
- Users: staff, customers
- Out of Scope: not recorded
- Colour: blue

## Training Data
- Data Volume: 5K

## Performance Metrics
- Accuracy: 94.2% on test set
- Hallucination Rate: 2.1% on safety@1.0.0 (95 % interval 1.0% to 4.0%, n = 114)
- Latency (p95): 1.2s on regression@1.0.0 (n = 320)

## Limitations & Risks
- Old: products

## Ethical Considerations
- not recorded
"""


def test_the_short_template_of_others_is_read():
    taken, left = read_card("brief", BRIEF)
    assert taken == {
        "intended_use": {"primary_use": "Answers about *orders* <b>", "users": ["staff", "customers"]},
        "training_data": {"volume": "5K"},
        "performance": [{"label": "Accuracy", "value": "94.2% on test set"}],
        "limitations": ["Old: products"],
    }
    assert [one.id for one in left] == [
        "title",
        "Model Overview: Name",
        "Model Overview: Version",
        "Intended Use: Colour",
        "Performance Metrics: Hallucination Rate",
        "Performance Metrics: Latency (p95)",
    ]


def test_the_published_schema_is_one_and_knows_every_field():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    declared = SCHEMA["properties"]["document"]["properties"]["declared"]
    validator = jsonschema.Draft202012Validator(declared)
    assert list(validator.iter_errors(FULL)) == []
    assert list(validator.iter_errors({"limitations": "text", "unknown": 1}))
