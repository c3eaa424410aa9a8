"""What blue-green switches and A/B tests ask of a plan beyond what every plan has.

Blue-green's short form stands in place of steps:
{"preview": {"header": "green-2-1", "audience": [entry, …], "min_time_s": 600, "max_time_s": 86400},
 "watch_s": 3600}
It reads as two steps: share 0 with the audience (those who bear the header `X-Assent-Preview: green-2-1`
among them) and a gate; then share 1 for `watch_s`.

A canary may begin with a shadow: {"shadow": {"share": 0.1, "min_time_s": 3600, "min_units": 500}}.
It reads as a step with share 0 in which a tenth of the calls is mirrored to the new version.

An A/B test has one step and
{"experiment": {"primary": "thumbs_down", "metrics": ["error", "latency_s", "cost"], "margin": 0.01,
                "mode": "always_valid|planned", "looks": 5, "units": 10000}}
"""

from __future__ import annotations

from typing import Final

from assent.delivery.domain.audience import Audience, preview_clause, read_audience
from assent.delivery.domain.form import Section
from assent.delivery.domain.plan import Advance, Amount, Experiment, Metric, Mode, Plan, Step, Strategy

DAY_S: Final = 86_400
YEAR_S: Final = 365 * DAY_S
N_SWITCH_STEPS: Final = 2
MAX_LOOKS: Final = 20
MAX_METRICS: Final = 10
SHARE_DECIMALS: Final = 6


def read_preview(top: Section) -> tuple[Step, ...]:
    """Read the short form of a blue-green switch."""
    watch_s = top.whole("watch_s", 3600, least=0, most=YEAR_S)
    section = top.section("preview")
    if section is None:
        top.fault(
            "preview",
            "A blue-green switch says who may see the new version before it.",
            "Give `preview: {header: WORD}`, or an `audience` in it.",
        )
        return (_preview_step((), 0, DAY_S), _switch_step(watch_s))
    header = section.text("header")
    audience = read_audience(section)
    if header is not None:
        audience = (preview_clause(header), *audience)
    min_time_s = section.whole("min_time_s", 0, least=0, most=YEAR_S)
    max_time_s = section.whole("max_time_s", max(DAY_S, min_time_s), least=1, most=YEAR_S)
    section.close()
    if not audience and not section.faulty("audience", "header"):
        section.fault(
            "audience", "The preview is seen by nobody.", "Give `header`, `audience`, or both of them."
        )
    return (_preview_step(audience, min_time_s, max_time_s), _switch_step(watch_s))


def _preview_step(audience: Audience, min_s: int, max_s: int) -> Step:
    return Step(
        share=0.0,
        audience=audience,
        min_time_s=min_s,
        min_units=0,
        max_time_s=max_s,
        advance=Advance.NO_HARM,
        gate=True,
    )


def _switch_step(watch_s: int) -> Step:
    return Step(
        share=1.0,
        audience=(),
        min_time_s=watch_s,
        min_units=0,
        max_time_s=max(DAY_S, watch_s),
        advance=Advance.NO_HARM,
        gate=False,
    )


def read_shadow(top: Section) -> tuple[Step, ...]:
    """Read the step that mirrors calls before the first share; none where the plan has none."""
    section = top.section("shadow")
    if section is None:
        return ()
    min_time_s = section.whole("min_time_s", None, least=0, most=YEAR_S)
    step = Step(
        share=0.0,
        audience=(),
        min_time_s=min_time_s,
        min_units=section.whole("min_units", 0, least=0, most=10**9),
        max_time_s=section.whole("max_time_s", max(DAY_S, min_time_s), least=1, most=YEAR_S),
        advance=Advance.NO_HARM,
        gate=section.flag("gate"),
        shadow=section.number("share", None, above=0, most=1, decimals=SHARE_DECIMALS),
    )
    section.close()
    if step.max_time_s < step.min_time_s:
        section.fault(
            "max_time_s",
            f"The longest time, {step.max_time_s} s, is shorter than the shortest, {step.min_time_s} s.",
            "Make max_time_s at least min_time_s.",
        )
    return (step,)


def read_experiment(top: Section) -> Experiment | None:
    """Read what an A/B test compares."""
    section = top.section("experiment")
    if section is None:
        top.fault(
            "experiment",
            "An A/B test says what it compares.",
            "Give `experiment: {primary: thumbs_down, margin: 0.01}`.",
        )
        return None
    primary = section.choice("primary", Metric, None)
    metrics, amounts = _measures(section, primary)
    mode = section.choice("mode", Mode, Mode.ALWAYS_VALID)
    experiment = Experiment(
        primary=primary,
        metrics=metrics,
        amounts=amounts,
        margin=section.number("margin", 0.01, above=0, most=1),
        mode=mode,
        looks=section.whole("looks", 5, least=1, most=MAX_LOOKS) if mode is Mode.PLANNED else 1,
        units=section.whole("units", None, least=MAX_LOOKS, most=10**9) if mode is Mode.PLANNED else None,
    )
    section.close()
    return experiment


def _measures(section: Section, primary: Metric) -> tuple[tuple[Metric, ...], tuple[Amount, ...]]:
    value = section.raw("metrics")
    names = [] if value is None else value
    known = [*(metric.value for metric in Metric), *(amount.value for amount in Amount)]
    if not isinstance(names, list | tuple) or len(names) > MAX_METRICS or any(n not in known for n in names):
        section.fault(
            "metrics",
            f"{value!r} is not a list of at most {MAX_METRICS} known metrics.",
            f"Choose of: {', '.join(known)}.",
        )
        return (), ()
    metrics = tuple(metric for metric in Metric if metric.value in names and metric is not primary)
    return metrics, tuple(amount for amount in Amount if amount.value in names)


def check_strategy(top: Section, plan: Plan) -> None:
    """Note what of the plan does not fit its strategy."""
    shares = [step.share for step in plan.steps]
    if plan.steps and plan.steps[0].shadow and plan.strategy is not Strategy.CANARY:
        top.fault("shadow", f"A plan of the kind {plan.strategy} has no shadow.", "Leave `shadow` out.")
    if plan.strategy is Strategy.BLUE_GREEN and not top.faulty("steps"):
        is_switch = len(shares) == N_SWITCH_STEPS and shares == [0, 1] and plan.steps[0].gate
        if not is_switch:
            top.fault(
                "steps",
                "A blue-green switch has a preview (share 0, an audience, gate: true) and then share 1.",
                "Leave `steps` out and give `preview`.",
            )
    compares = len(shares) == 1 and plan.steps[0].compares
    if plan.strategy is Strategy.AB_TEST and not compares and not top.faulty("steps"):
        top.fault(
            "steps",
            "An A/B test has one step with a share between 0 and 1.",
            "Give `steps: [{share: 0.5, min_time_s: 86400, max_time_s: 1209600}]`.",
        )
