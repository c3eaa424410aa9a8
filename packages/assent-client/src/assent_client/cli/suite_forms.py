"""Suites to start from, as YAML with what may be changed said beside it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["FORMS", "Form"]


class Form(StrEnum):
    """What kind of questions."""

    GSM8K = "gsm8k"
    CHOICE = "choice"
    INSTRUCTION = "instruction"
    JSON = "json"
    TOOLS = "tools"
    GROUNDING = "grounding"


_HEAD = """\
# {title}
# A row of the dataset: {row}
name: {name}
kind: {kind}
dataset: {dataset}            # assent dataset register {dataset} rows.jsonl
"""
_GATE = """\
gate: {{metric: {metric}, rule: non_inferior, margin: {margin}, direction: {direction}, baseline: live}}
limits: {{in_flight: 20, tokens: 2000000}}
"""

_PARTS = {
    Form.GSM8K: (
        "Word problems: the last number of the answer is compared.",
        '{"id": "1", "input": "Ann has 3 pens and buys 4. How many has she?", "target": "7"}',
        "benchmark",
        """\
scorers:
- {kind: numeric, name: correct, which: last, absolute: 0}
""",
        ("correct", 0.02, "higher"),
    ),
    Form.CHOICE: (
        "Multiple choice: a letter, a choice's text, or its place from 0 is the target.",
        '{"id": "1", "input": "A noun?\\nA) run\\nB) dog", "choices": ["run", "dog"], "target": "B"}',
        "benchmark",
        """\
scorers:
- {kind: choice, name: correct}
""",
        ("correct", 0.02, "higher"),
    ),
    Form.INSTRUCTION: (
        "Instructions that a program can verify: those of every case here, others in the case.",
        '{"id": "1", "input": "Name two fruits.", "target": {"instructions": {"lowercase": true}}}',
        "regression",
        """\
scorers:
- {kind: instruction, name: followed, strict: true, checks: {max_words: 150}}
""",
        ("followed", 0.03, "higher"),
    ),
    Form.JSON: (
        "Answers that must be JSON of a schema.",
        '{"id": "1", "input": "Extract the order: two red mugs."}',
        "regression",
        """\
scorers:
- kind: json_schema
  name: conforms
  fenced: false               # true: the JSON may stand in a code block
  schema:
    type: object
    required: [item, amount]
    additionalProperties: false
    properties: {item: {type: string}, amount: {type: integer, minimum: 1}}
""",
        ("conforms", 0.02, "higher"),
    ),
    Form.TOOLS: (
        "Tool calls: the right tools with the right arguments, and no others.",
        '{"id": "1", "input": "Sky?", "target": {"tools": [{"name": "sky", "arguments": {"city": "Oslo"}}]}}',
        "regression",
        """\
scorers:
- {kind: tool_call, name: called, ordered: false, arguments: exact}   # or subset, ignored
""",
        ("called", 0.02, "higher"),
    ),
    Form.GROUNDING: (
        "Answers from a context: the share of sentences that it does not support; lower is better.",
        '{"id": "1", "input": "When are they paid?", "target": {"context": "They are paid within 14 days."}}',
        "regression",
        """\
scorers:
- {kind: hallucination, support: 0.5}
""",
        ("hallucination", 0.02, "lower"),
    ),
}


def _written(form: Form) -> str:
    title, row, kind, scorers, (metric, margin, direction) = _PARTS[form]
    head = _HEAD.format(title=title, row=row, name=form.value, kind=kind, dataset=f"{form.value}-rows")
    return head + scorers + _GATE.format(metric=metric, margin=margin, direction=direction)


FORMS = {form: _written(form) for form in Form}
