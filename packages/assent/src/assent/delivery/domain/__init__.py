"""Delivery's rules: plans, detectability, routes and the moves of a rollout; pure."""

from assent.delivery.domain.audience import PREVIEW_ATTRIBUTE, Audience, audience_document
from assent.delivery.domain.checks import shortfalls, undetectable
from assent.delivery.domain.detection import (
    Detectability,
    StepReach,
    detectability,
    units_needed,
    units_to_find,
)
from assent.delivery.domain.form import decimal_text, exact
from assent.delivery.domain.judgement import NO_JUDGEMENT, Judgement, Move, Verdict
from assent.delivery.domain.plan import (
    Advance,
    Amount,
    Detect,
    Experiment,
    Guard,
    Metric,
    Mode,
    Objective,
    Plan,
    Step,
    Strategy,
    Then,
    Unit,
    plan_document,
)
from assent.delivery.domain.plan_form import parse_plan
from assent.delivery.domain.route import (
    PREVIOUS,
    Route,
    compile_route,
    read_route,
    without_canary,
    without_ended,
)
from assent.delivery.domain.state import EXPOSED, OPEN, Because, Facts, Rollout, State, Winner

__all__ = [
    "EXPOSED",
    "NO_JUDGEMENT",
    "OPEN",
    "PREVIEW_ATTRIBUTE",
    "PREVIOUS",
    "Advance",
    "Amount",
    "Audience",
    "Because",
    "Detect",
    "Detectability",
    "Experiment",
    "Facts",
    "Guard",
    "Judgement",
    "Metric",
    "Mode",
    "Move",
    "Objective",
    "Plan",
    "Rollout",
    "Route",
    "State",
    "Step",
    "StepReach",
    "Strategy",
    "Then",
    "Unit",
    "Verdict",
    "Winner",
    "audience_document",
    "compile_route",
    "decimal_text",
    "detectability",
    "exact",
    "parse_plan",
    "plan_document",
    "read_route",
    "shortfalls",
    "undetectable",
    "units_needed",
    "units_to_find",
    "without_canary",
    "without_ended",
]
