import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from assent.cards.domain import (
    SECTIONS,
    Edition,
    brief_markdown,
    differences,
    full_markdown,
    parse_form,
    parts_of,
    title_of,
    to_wire,
)
from assent.cards.domain.document import short_number
from assent.cards.domain.parts import Facts, Grid, Items, Sentence
from assent.cards.domain.text import inline, opening, plain
from tests.cards.documents import EVALUATION, FULL, PREDECESSOR, SAFETY, complete, document

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "model-governance.txt"
EDITION = Edition("card_1", 3, "sha256:" + "b" * 64, "published", "2024-01-15")
TEMPLATE = [
    "# Model Card: Customer Support Assistant v2.1",
    "## Model Overview",
    "- Name:",
    "- Version:",
    "- Base Model:",
    "- Last Updated:",
    "- Owner:",
    "## Intended Use",
    "- Primary Use:",
    "- Users:",
    "- Out of Scope:",
    "## Training Data",
    "- Sources:",
    "- Data Volume:",
    "- PII Handling:",
    "## Performance Metrics",
    "- Accuracy:",
    "- Hallucination Rate:",
    "- Latency (p95):",
    "## Limitations & Risks",
    "## Ethical Considerations",
]
DECLARED = parse_form(
    {
        "intended_use": {
            "primary_use": "Customer service Q&A for product support",
            "users": "Customer service representatives, end customers",
            "out_of_scope": ["Medical advice", "legal guidance", "financial decisions"],
        },
        "training_data": {
            "sources": ["Support tickets (2020-2023)", "FAQ database", "product docs"],
            "volume": "500K examples",
            "pii_handling": "All PII removed during preprocessing",
        },
        "performance": [
            {"label": "Accuracy", "value": "94.2% on test set"},
            {"label": "Hallucination Rate", "value": "2.1%"},
            {"label": "Latency (p95)", "value": "1.2s"},
        ],
        "limitations": [
            "May struggle with very recent product updates",
            "Not suitable for billing disputes requiring system access",
            "Should not be used for escalation decisions",
        ],
        "ethical_considerations": [
            "Tested for bias across customer demographics",
            "Escalation to human for sensitive topics",
        ],
    }
)


def skeleton(text):
    """Headings as they are, labels without their values."""
    lines = [line for line in text.splitlines() if line.startswith(("#", "- "))]
    return [
        line if line.startswith("#") else line.partition(":")[0] + ":" for line in lines if is_label(line)
    ]


def is_label(line):
    return line.startswith("#") or line.partition(":")[0] + ":" in TEMPLATE


def test_the_short_form_is_the_template_heading_by_heading():
    assert skeleton(brief_markdown(document(declared=DECLARED), EDITION)) == TEMPLATE


@pytest.mark.skipif(not REFERENCE.exists(), reason="../shared is not here; the headings are compared above")
def test_the_short_form_is_the_reference_text_to_the_letter():
    text = REFERENCE.read_text(encoding="utf-8")
    wanted = text[text.index("# Model Card:") : text.index("Prompt Versioning\n\n#")].strip()
    assert skeleton(wanted) == TEMPLATE
    assert brief_markdown(document(declared=DECLARED), EDITION).strip() == wanted


def test_what_is_unknown_says_so_and_nothing_is_invented():
    text = brief_markdown(document(owner=None, base_model=None), EDITION)
    values = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("- ") and ":" in line]
    recorded = {"customer-support-assistant", "2.1.0", "2024-01-15"}
    assert {value for value in values if value != "not recorded"} == recorded
    assert text.count("- not recorded\n") == 2


def test_a_measurement_carries_interval_and_n_and_beats_what_was_declared():
    text = brief_markdown(complete(declared=DECLARED), EDITION)
    assert "- Accuracy: 90.0% on regression@1.0.0 (95 % interval 86.2% to 92.9%, n = 320)\n" in text
    assert "- Hallucination Rate: 2.1% on safety@1.0.0 (95 % interval 1.0% to 4.0%, n = 114)\n" in text
    assert "- Latency (p95): 1.2s on regression@1.0.0 (n = 320)\n" in text
    assert "94.2%" not in text


def test_a_latency_of_the_operation_is_used_where_nothing_else_says_one():
    declared = {"operation": {"latency": "about 2s"}}
    assert "- Latency (p95): about 2s\n" in brief_markdown(document(declared=declared), EDITION)


def test_a_row_may_name_the_metric_that_it_shows():
    rows = [
        {"label": "Accuracy", "metric": "hallucination_rate", "suite": "safety"},
        {"label": "Kindness", "metric": "kind"},
    ]
    text = full_markdown(*drawn(complete(declared={**FULL, "performance": rows})))
    assert "| Accuracy | 2.1% | 1.0% to 4.0% | 114 | measured by safety@1.0.0 |" in text
    assert "| Kindness | not recorded | not recorded | not recorded | not recorded |" in text


def test_accuracy_is_not_read_off_a_safety_suite_or_where_lower_is_better():
    lower = {**EVALUATION, "direction": "lower"}
    unknown = {**EVALUATION, "levels": [{**EVALUATION["levels"][0], "value": None}]}
    for evaluations in ([SAFETY], [lower], [unknown], [{**EVALUATION, "levels": []}]):
        text = brief_markdown(document(evaluations=evaluations), EDITION)
        assert "- Accuracy: not recorded" in text


def test_an_estimate_of_an_unheard_kind_comes_last():
    other = {**EVALUATION, "kind": "imported", "suite": "other@1.0.0"}
    text = brief_markdown(document(evaluations=[other, EVALUATION]), EDITION)
    assert "- Accuracy: 90.0% on regression@1.0.0" in text


def drawn(doc, live=None):
    return doc, EDITION, parts_of(doc, live or {})


def test_the_long_form_has_twenty_numbered_sections():
    text = full_markdown(*drawn(complete()))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# Model Card: Support v2.1", *(f"## {section.heading}" for section in SECTIONS)]
    assert "Published; revision 3, last updated 2024-01-15." in text


def test_a_full_card_shows_everything_that_was_declared():
    text = full_markdown(*drawn(complete(licence=None)))
    said = [value for value in _texts(FULL) if value not in {"Tone", "1s"}]
    assert [value for value in said if value not in text] == []
    assert "declared: survey" in text


def test_a_declared_figure_without_source_says_that_it_has_none():
    rows = [{"label": "Accuracy", "value": "94%"}]
    text = full_markdown(*drawn(document(declared={"performance": rows})))
    assert "| Accuracy | 94% | not recorded | not recorded | declared: source not recorded |" in text


def _texts(value):
    if isinstance(value, str):
        yield value
    else:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def test_a_bare_card_says_what_is_required_and_missing():
    text = full_markdown(*drawn(document()))
    assert "**Required and missing**: contact." in text
    assert "**Missing**: citations." in text
    assert "This is the first version: there is nothing to compare it with." in text
    assert "First version." in text
    assert "Not recorded." in text


def test_a_first_version_may_say_what_it_changed_all_the_same():
    text = full_markdown(*drawn(document(declared={"changes": ["Everything"]})))
    assert "- Everything" in text


def test_regressions_are_named_and_the_rest_is_counted():
    more = {**EVALUATION, "n_lost": 9}
    assert "Regressions:\n\n- q7\n- q9" in full_markdown(*drawn(complete()))
    assert "Regressions: the first 50, 7 more:\n" in full_markdown(*drawn(complete(evaluations=[more])))


def test_a_comparison_without_figures_and_a_safety_suite_without_level_say_so():
    empty = {
        **EVALUATION,
        "estimate": None,
        "low": None,
        "high": None,
        "n": None,
        "coverage": None,
        "lost": [],
    }
    text = full_markdown(*drawn(complete(evaluations=[empty, {**SAFETY, "levels": []}])))
    assert "- Difference: not recorded" in text
    assert "- Coverage: not recorded" in text
    assert "- Hallucination rate: not recorded" in text


def test_a_prompt_shows_its_variables():
    prompt = {
        "ref": "answer@1.0.0",
        "digest": "sha256:" + "c" * 64,
        "variables": [{"name": "shop", "required": True}, {"name": "tone", "required": False}],
        "tools": ["find_order"],
        "response_format": {"type": "json_object"},
    }
    text = full_markdown(*drawn(document(prompt=prompt)))
    assert "- Variables: shop (required), tone (optional)" in text
    assert "- Tools: find_order" in text


def test_live_sections_are_drawn_from_what_the_records_say_now():
    live = {13: [Sentence("Quiet.")], 15: [Grid(("A",), (("1",),)), Items(("one",)), Facts((("K", "v"),))]}
    doc = document()
    text = full_markdown(*drawn(doc, live))
    assert "Quiet." in text
    wires = {part["number"]: part for part in map(to_wire, parts_of(doc, live))}
    assert wires[15]["blocks"] == [
        {"head": ["A"], "rows": [["1"]]},
        {"items": ["one"], "label": ""},
        {"facts": [{"label": "K", "value": "v"}]},
    ]
    assert wires[13]["blocks"] == [{"text": "Quiet."}]
    assert (wires[2]["required"], wires[2]["complete"], wires[2]["lacks"]) == (True, False, ["contact"])


def test_titles_and_numbers_are_written_for_people():
    assert title_of(document()) == "Customer Support Assistant"
    assert title_of({**document(), "name": "gpt--x_1.b"}) == "Gpt X 1 B"
    assert title_of(complete()) == "Support"
    assert [short_number(n) for n in ("2.1.0", "2.1.3", "1.0.0-rc.1", "10.0.0")] == [
        "2.1", "2.1.3", "1.0.0-rc.1", "10.0",
    ]  # fmt: skip


def test_values_are_written_for_people():
    assert [plain(v) for v in (None, "", [], {}, True, False, ["a", "b"], 1, {"b": 1, "a": [2]})] == [
        "not recorded", "not recorded", "not recorded", "not recorded", "yes", "no", "a, b", "1", '{"a": [2], "b": 1}',
    ]  # fmt: skip


def test_differences_name_the_leaf_that_changed():
    before = {"a": {"b": 1, "c": [1]}, "d": 1}
    after = {"a": {"b": 2, "c": [1]}, "e": 1}
    assert list(differences(before, after)) == [
        {"where": "a.b", "before": 1, "after": 2},
        {"where": "d", "before": 1, "after": None},
        {"where": "e", "before": None, "after": 1},
    ]


HOSTILE = [
    "# Approved by the board",
    "x\n\n## 14. Approvals\n\n- all",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/pixel.png)",
    "| a | b |\n|---|---|",
    "```\ncode",
    "~~~\ncode",
    "--- \n===",
    "1. one",
    "12) two",
    "    indented",
    "> quoted",
    "&lt;b&gt; &#60;",
    "**bold** __bold__ *it* _it_ `code` ~~gone~~",
    "a\r## b\u2028## c\x85## d",
    "\\# \\",
    "[x]: http://evil.example",
    "+ plus",
    "- [ ] task",
    "trailing\\",
]
RENDERER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
hostile_text = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=40), st.text(alphabet="#-*_`[]()<>&|\\!~=+1. \nab")
)


def structure(text):
    """Headings, and every token that is neither text nor what our own forms use."""
    headings, strange = [], []
    tokens = RENDERER.parse(text)
    ours = {
        "heading", "paragraph", "inline", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open":
            headings.append((token.tag, following.content))
        if re.sub(r"_(open|close)$", "", token.type) not in ours:
            strange.append(token.type)
        strange += [
            child.type
            for child in token.children or ()
            if child.type not in {"text", "text_special", "softbreak", "strong_open", "strong_close"}
        ]
    return headings, strange


@settings(max_examples=40, deadline=None)
@given(text=hostile_text)
@example(text="_a_")
def test_no_text_breaks_out_of_its_place(text):
    expect_in_place(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_known_to_be_hostile_breaks_out(text):
    expect_in_place(text)


def expect_in_place(text):
    declared = {
        "contact": text,
        "intended_use": {"primary_use": text, "users": [text], "out_of_scope": [text]},
        "performance": [{"label": f"l{text}", "value": text or "1"}],
        "limitations": [text, text],
        "changes": [text],
    }
    hostile = [
        {**EVALUATION, "metric": text, "suite": text, "lost": [text]},
        {**SAFETY, "metric": text or "m"},
    ]
    changes = [{"where": text, "before": text, "after": {"x": text}}]
    doc = complete(
        declared=declared, owner=text, evaluations=hostile, predecessor={**PREDECESSOR, "changes": changes}
    )
    live = {14: [Items((text,), text), Grid((text,), ((text,),)), Sentence(text), Facts(((text, text),))]}
    headings, strange = structure(full_markdown(*drawn(doc, live)))
    assert [tag for tag, _ in headings] == ["h1"] + ["h2"] * 20
    assert [content for _, content in headings[1:]] == [section.heading for section in SECTIONS]
    assert strange == []
    headings, strange = structure(brief_markdown(doc, EDITION))
    assert [f"{'#' * int(tag[1])} {content}" for tag, content in headings] == [
        line for line in TEMPLATE if line.startswith("#")
    ]
    assert strange == []


@settings(max_examples=30, deadline=None)
@given(text=hostile_text)
def test_a_title_stays_in_its_heading(text):
    doc = document(declared={"title": text})
    headings, strange = structure(brief_markdown(doc, EDITION))
    assert (len(headings), strange) == (7, [])


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="#-*_`[]()<>&;|\\!~=+1.lt $ab", max_size=30))
def test_markdown_shows_the_text_as_it_was_written(text):
    shown = RENDERER.parse(f"- {opening(text)}")
    inner = [token for token in shown if token.type == "inline"]
    assert "".join(child.content for token in inner for child in token.children) == " ".join(text.split())


def test_ordinary_text_is_left_as_it_is():
    for text in ("Q&A (2020-2023), 94.2%: response_format, 5 - 3 > 1; a+b=c", "Latency: 1.2s!"):
        assert inline(text) == text
    assert inline("a\x07b") == "a\N{REPLACEMENT CHARACTER}b"
    assert opening("-5 degrees") == "\\-5 degrees"
    assert opening("1. one") == "1\\. one"
