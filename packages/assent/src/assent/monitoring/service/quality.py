"""Judged quality: what the judges of live calls say of each version, and whether they can be relied on."""

from collections.abc import Mapping
from typing import Any

from assent.delivery import service as delivery
from assent.delivery.service import Sampling
from assent.evaluation.service import grading
from assent.identity import service as identity
from assent.kernel.errors import AssentError
from assent.kernel.tx import Reader
from assent.monitoring.domain import quality as domain
from assent.monitoring.domain.figures import ALPHA
from assent.monitoring.domain.intervals import rate_interval
from assent.monitoring.domain.quality import State
from assent.monitoring.service.samples import place_of
from assent.monitoring.store import samples as store
from assent.monitoring.store.samples import Place, Scored


def trouble(reader: Reader, place: Place) -> str | None:
    """Say why the judge of a name cannot be relied on now; None where it can."""
    found = _sampling(reader, place)
    if found is None or not found.wanted.enabled:
        return f"no judge is set for {place.route} in {place.environment}: assent quality set"
    return _trouble(reader, found)


def _sampling(reader: Reader, place: Place) -> Sampling | None:
    where = delivery.Place(project=place.project, environment=place.environment, name=place.route)
    return delivery.find_sampling(reader, where)


def _trouble(reader: Reader, sampling: Sampling) -> str | None:
    place = place_of(sampling)
    try:
        grading.judge_of(reader, place.project, sampling.wanted.judge, place.route)
    except AssentError as error:
        return error.message
    since_s = reader.now().timestamp() - domain.RECENT_S
    return domain.trouble(store.health(reader.conn, place), *store.replies(reader.conn, place, since_s))


def document(reader: Reader, sampling: Sampling) -> dict[str, Any]:
    """Write a sampling, how its judge stands, and what is left of the day's budget."""
    place, wanted = place_of(sampling), sampling.wanted
    now_s = reader.now().timestamp()
    spent = store.n_spent(reader.conn, place, domain.day_of(now_s), now_s)
    return {
        "environment": sampling.environment,
        "name": sampling.name,
        "enabled": wanted.enabled,
        "judge": wanted.judge,
        "share": float(wanted.share),
        "per_day": wanted.per_day,
        "left_today": max(0, wanted.per_day - spent),
        "keep_days": wanted.keep_days,
        "passport": _passport(reader, sampling),
        "trouble": _trouble(reader, sampling) if wanted.enabled else None,
        "set_at": sampling.set_at,
        "set_by": identity.name_of(reader, sampling.set_by),
    }


def _passport(reader: Reader, sampling: Sampling) -> dict[str, Any] | None:
    try:
        _, found = grading.judge_of(reader, sampling.project, sampling.wanted.judge, sampling.name)
    except AssentError:
        return None
    figures = found.figures
    names = ("sensitivity", "specificity", "youden")
    return {
        "id": found.record.id,
        "state": found.state,
        "ends_at": figures.get("ends_at"),
        **{name: figures.get(name) for name in names},
    }


def list_(reader: Reader, project: str) -> list[dict[str, Any]]:
    """List the samplings of a project."""
    return [document(reader, one) for one in delivery.list_samplings(reader, project)]


def figures(
    reader: Reader, project: str, between_s: tuple[float, float], where: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Give what judges say of each version, over calls between two times; a unit is one score, its mean."""
    found = store.scored(reader.conn, project, where, between_s)
    return [_figures(reader, project, one) for one in found]


def _figures(reader: Reader, project: str, one: Scored) -> dict[str, Any]:
    bad = rate_interval(one.n_units - one.total, one.n_units, ALPHA)
    return {
        "environment": one.environment,
        "route": one.route,
        "variant": one.variant,
        "version": one.version,
        "ref": delivery.ref_of(reader, project, one.version),
        "score": {
            "mean": one.total / one.n_units if one.n_units else None,
            "interval": {"low": 1 - bad.high, "high": 1 - bad.low},
            "n": one.n_units,
        },
        **{f"n_{state.value}": one.counts.get(state.value, 0) for state in State},
        "n_cut": one.n_cut,
        "n_redacted": one.n_redacted,
    }
