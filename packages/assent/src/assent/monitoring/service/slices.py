"""An A/B test by slices, read from its units."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.delivery.domain import Metric, Rollout
from assent.identity import service as identity
from assent.kernel.errors import Conflict
from assent.kernel.tx import Reader
from assent.monitoring.domain import slices as rules
from assent.monitoring.domain.difference import Moments, Stratum
from assent.monitoring.domain.experiment import Terms, compared_document, exposure_document, named_metrics
from assent.monitoring.domain.scores import LEVELS, Arm
from assent.monitoring.domain.slices import Slice
from assent.monitoring.service.experiments import amount_of_call
from assent.monitoring.store import blocks
from assent.monitoring.store import slices as store
from assent.monitoring.store.slices import Cell
from assent.monitoring.store.tables import units

SCORED = {
    Metric.ERROR: (units.c.n_errors, units.c.n_calls),
    Metric.REFUSAL: (units.c.n_refusals, units.c.n_calls),
    Metric.THUMBS_DOWN: (units.c.badness, units.c.n_feedback),
    Metric.GUARDRAIL: (units.c.n_hits, units.c.n_guarded),
    Metric.JUDGE: (units.c.judged_badness, units.c.n_judged),
    Metric.SLOW: (units.c.n_slow, units.c.n_calls),
}


def slices(reader: Reader, project: str, rollout: str) -> dict[str, Any]:
    """Give an A/B test's differences by application and language, from its closed blocks.

    Raises: NotFound, Conflict (no A/B test).
    """
    found = delivery.get(reader, rollout, project)
    experiment = found.plan.experiment
    if experiment is None:
        raise Conflict(
            f"The rollout of {found.ref} is no A/B test.", remedy="Slices compare the arms of an A/B test."
        )
    plan = found.plan
    terms = Terms(experiment=experiment, alpha=plan.alpha, share=plan.first_share, window_s=plan.window_s)
    n = rules.n_comparisons(experiment)
    names = identity.key_names(reader, project)
    cells = _cells(reader, found, terms)
    return {
        "rollout": rollout,
        "alpha": found.plan.alpha,
        "n_comparisons": n,
        "method": f"asymptotic confidence sequences at alpha/{n}: those of one look hold together",
        "dimensions": [
            {
                "dimension": dimension,
                "slices": [_document(one, names) for one in _read(terms, dimension, cells)],
            }
            for dimension in rules.DIMENSIONS
        ],
    }


def _cells(reader: Reader, rollout: Rollout, terms: Terms) -> list[Cell]:
    watch = blocks.find_watch(reader.conn, rollout.id)
    if watch is None:
        return []
    metrics = _metrics(reader, rollout, terms, has_limit=watch.slow_above_s is not None)
    return store.cells(reader.conn, watch, metrics)


def _read(terms: Terms, dimension: str, cells: Sequence[Cell]) -> list[Slice]:
    of: dict[str, list[Cell]] = {}
    counts: dict[str, dict[str, int]] = {}
    for cell in cells:
        value = cell.application if dimension == "application" else cell.language
        of.setdefault(value, []).append(cell)
        arms = counts.setdefault(value, {})
        arms[cell.arm] = arms.get(cell.arm, 0) + cell.n_units
    return [
        rules.read_slice(terms, values, counts, _strata([cell for value in values for cell in of[value]]))
        for values in rules.grouped(counts)
    ]


def _metrics(
    reader: Reader, rollout: Rollout, terms: Terms, *, has_limit: bool
) -> dict[str, sa.ColumnElement[float]]:
    """Give what each metric is of a unit, null where it has none; those that nobody computes are left out."""
    experiment = terms.experiment
    found = {
        metric.value: _score(metric)
        for metric in (experiment.primary, *experiment.metrics)
        if has_limit or metric is not Metric.SLOW
    }
    u = units.c
    for amount in experiment.amounts:
        canary = amount_of_call(reader, rollout, amount, rollout.subject)
        stable = amount_of_call(reader, rollout, amount, rollout.stable)
        if canary is not None and stable is not None:
            of_arm = sa.case((u.arm == Arm.CANARY.value, canary), else_=stable)
            found[amount.value] = sa.case((u.n_calls > 0, of_arm / u.n_calls))
    return {name: found[name] for name in named_metrics(experiment) if name in found}


def _score(metric: Metric) -> sa.ColumnElement[float]:
    """Give a unit's score as blocks have it: its mean in 1/256, 0 without calls (or opinions)."""
    bad, of = SCORED[metric]
    mean = sa.cast(bad, sa.Double) / of
    score = sa.func.floor(mean * LEVELS + 0.5) / float(LEVELS)
    if metric in {Metric.GUARDRAIL, Metric.JUDGE}:  # whom no guardrail (no judge) looked at has none
        return sa.case((of > 0, score))
    return sa.case((of > 0, score), else_=0.0)


def _strata(cells: Sequence[Cell]) -> dict[str, list[Stratum]]:
    """Give the strata of each metric, hour by hour; units whose block is open wait."""
    found: dict[str, dict[int, dict[str, Moments]]] = {}
    for cell in cells:
        for name, sums in cell.sums.items() if cell.closed else ():
            arms = found.setdefault(name, {}).setdefault(cell.hour, {arm.value: Moments() for arm in Arm})
            arms[cell.arm] += Moments(*sums)
    return {
        name: [
            Stratum(hours[hour][Arm.STABLE.value], hours[hour][Arm.CANARY.value]) for hour in sorted(hours)
        ]
        for name, hours in found.items()
    }


def _document(one: Slice, names: Mapping[str, str]) -> dict[str, Any]:
    (value, *_) = one.values
    return {
        "value": None if one.is_rest else value,
        "title": _title(one, names),
        "n_values": len(one.values),
        "metrics": [compared_document(metric) for metric in one.metrics],
        "exposure": exposure_document(one.exposure),
    }


def _title(one: Slice, names: Mapping[str, str]) -> str:
    if one.is_rest:
        return f"{len(one.values)} others"
    return names.get(one.values[0], one.values[0]) or "not said"
