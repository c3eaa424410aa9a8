"""Cards say what was measured of groups and by judges, with its interval."""

import pytest

from assent.cards.domain import parts
from assent.evaluation import service as evaluation
from tests.cards.conftest import PROJECT, measure
from tests.cards.documents import BARE, EVALUATION

JUDGE = {
    "provider": "acme",
    "model": "judge-1",
    "prompt": "Is it polite?",
    "parser": {"labels": ["good", "bad"], "positive": "good"},
}


def register(tx):
    swaps = {"women": {"name": "Anna"}, "men": {"name": "Paul"}}
    rows = [
        {"id": f"t{i}", "input": f"{{{{name}}}} asks {i}", "target": "yes", "swaps": swaps} for i in range(20)
    ]
    evaluation.register_dataset(tx, evaluation.NewVersion(PROJECT, "swaps", rows, "1.0.0"))
    common = {"dataset": "swaps@1.0.0"}
    bias = {**common, "scorers": [{"name": "correct", "kind": "includes"}], "groups": "group"}
    bias["gate"] = {"metric": "correct", "max_gap": 0.5}
    evaluation.register_suite(tx, evaluation.NewVersion(PROJECT, "bias", bias, "1.0.0"))
    judged = {**common, "scorers": [{"name": "polite", "kind": "judge", "judge": JUDGE}]}
    judged["gate"] = {"metric": "polite", "threshold": 0.5}
    evaluation.register_suite(tx, evaluation.NewVersion(PROJECT, "judged", judged, "1.0.0"))


def section(card, number):
    return next(part for part in card if part.section.number == number).blocks


def said(blocks):
    return {
        label: value for block in blocks if isinstance(block, parts.Facts) for label, value in block.pairs
    }


def test_gaps_between_groups_and_rates_of_judges_stand_in_the_card(desk):
    desk.do(register)
    for kind in ("bias", "judged"):
        desk.do(measure, kind, "customer-support-assistant@2.1.0")
    document = desk.document(desk.complete())
    drawn = parts.parts_of(document, {})
    ethics = said(section(drawn, 9))
    assert ethics["Tested for bias"] == "correct on bias@1.0.0, groups men, women"
    assert ethics["Largest gap"].endswith("minus men: 0.0%") or "minus women" in ethics["Largest gap"]
    assert "95 %, n = 20" in ethics["Interval"]
    assert ethics["Verdict"] in {"pass", "inconclusive"}
    assert said(section(drawn, 7))["Rate"].endswith("uncorrected")


@pytest.mark.parametrize(
    ("judged", "corrected", "words"),
    [
        (None, "uncorrected", "not recorded"),
        (
            "0.5",
            {"value": "0.45", "low": "0.4", "high": "0.5"},
            "50.0%, corrected 45.0% (95 % interval 40.0% to 50.0%)",
        ),
    ],
)
def test_a_corrected_rate_is_shown_beside_the_judged_one(judged, corrected, words):
    one = {
        "metric": "polite",
        "model": "judge-1",
        "state": "usable",
        "judged": judged,
        "corrected": corrected,
    }
    document = {**BARE, "evaluations": [{**EVALUATION, "judges": [one]}]}
    assert said(section(parts.parts_of(document, {}), 7))["Rate"] == words
