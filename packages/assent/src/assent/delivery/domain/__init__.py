"""Delivery's rules: plans, detectability, routes and the moves of a rollout; pure."""

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
    Detect,
    Guard,
    Metric,
    Objective,
    Plan,
    Step,
    Unit,
    parse_plan,
    plan_document,
)
from assent.delivery.domain.route import Route, compile_route, read_route
from assent.delivery.domain.state import EXPOSED, OPEN, Because, Facts, Rollout, State

__all__ = [
    "EXPOSED",
    "NO_JUDGEMENT",
    "OPEN",
    "Advance",
    "Because",
    "Detect",
    "Detectability",
    "Facts",
    "Guard",
    "Judgement",
    "Metric",
    "Move",
    "Objective",
    "Plan",
    "Rollout",
    "Route",
    "State",
    "Step",
    "StepReach",
    "Unit",
    "Verdict",
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
]
