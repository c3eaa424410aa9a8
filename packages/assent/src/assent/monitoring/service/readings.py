"""What alerts read: figures over a window, traffic, snapshots in use, observations that were lost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assent.delivery import service as delivery
from assent.evaluation import service as evaluation
from assent.evaluation.service import Run
from assent.kernel.tx import Reader
from assent.monitoring.domain import alerts as rules
from assent.monitoring.domain import figures
from assent.monitoring.domain.alerts import Condition, Finding, Kind, Reading
from assent.monitoring.domain.drift import Shift
from assent.monitoring.domain.figures import Tally, merge
from assent.monitoring.domain.kinds import Kind as Histogram
from assent.monitoring.domain.latency import quantile
from assent.monitoring.domain.quantiles import bucket_interval
from assent.monitoring.service import drift, quality, regressions, report
from assent.monitoring.store import reading
from assent.monitoring.store import regressions as store

GONE_AFTER = timedelta(days=1)
"""A replica that says nothing for so long was taken down; its last word is no alarm for ever."""

SUMS = {
    "error_rate": ("n_errors", "n_calls"),
    "refusal_rate": ("n_refusals", "n_calls"),
    "guardrail_rate": ("n_guardrails", "n_calls"),
    "thumbs_down_rate": ("badness", "n_feedback"),
    "not_as_approved_rate": ("n_not_as_approved", "n_calls"),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What an alert watches; `ttl_s` is the age at which a snapshot counts as stale."""

    project: str
    environment: str
    route: str | None
    ttl_s: float
    alert: str = ""

    @property
    def where(self) -> dict[str, str]:
        """Give it as the narrowing of a report."""
        return {"environment": self.environment} | ({"route": self.route} if self.route else {})


def find(reader: Reader, scope: Scope, condition: Condition) -> Finding:
    """Look whether a condition holds now."""
    return _FINDERS[condition.kind](reader, scope, condition)


def _figures(reader: Reader, scope: Scope, condition: Condition) -> Finding:
    readings = {"long": _reading(reader, scope, condition, condition.window_s)}
    if condition.kind is Kind.BURN:
        readings["short"] = _reading(reader, scope, condition, condition.short_window_s)
    return rules.judge(condition, readings)


def _reading(reader: Reader, scope: Scope, condition: Condition, window_s: int) -> Reading:
    metric = condition.metric or ""
    period = report.last(reader, window_s)
    if metric == "cost":
        return _cost(report.report(reader, scope.project, period, **scope.where))
    found = report.tallies(reader, scope.project, period, scope.where)
    tally = merge(one for _, one in (found if metric == "tokens" else report.live(found)))
    n_calls = int(tally.of("n_calls"))
    if metric == "tokens":
        return Reading(tally.of("tokens_in") + tally.of("tokens_out"), None, n_calls)
    if metric == "unguarded":
        return Reading(tally.of("n_unguarded"), None, n_calls)
    if metric in SUMS:
        bad, n = (tally.of(name) for name in SUMS[metric])
        rate = figures.rate(bad, n)
        return Reading(rate["rate"], rate["interval"]["low"], rate["n"])
    return _quantile(tally, metric)


def _quantile(tally: Tally, metric: str) -> Reading:
    what, which, _ = metric.split("_")
    kind = Histogram.LATENCY if what == "latency" else Histogram.FIRST_TOKEN
    counts, share = tally.histograms.get(kind, {}), figures.QUANTILES[which]
    low = bucket_interval(counts, share, figures.ALPHA).low if counts else None
    return Reading(quantile(counts, share), low, sum(counts.values()))


def _cost(found: Mapping[str, Any]) -> Reading:
    """Add money up; where it has more than one currency there is no sum."""
    totals = found["cost"]["totals"]
    value = next(iter(totals.values())) if len(totals) == 1 else None
    return Reading(value, None, found["n_calls"])


def _traffic(reader: Reader, scope: Scope, condition: Condition) -> Finding:
    live = [
        one.route.key
        for one in delivery.list_live(reader, scope.project, scope.environment)
        if scope.route is None or one.route.key == scope.route
    ]
    if not live:
        return Finding(None, f"nothing is live in {scope.environment}: no traffic is due")
    found = report.tallies(reader, scope.project, report.last(reader, condition.window_s), scope.where)
    n = int(sum(tally.of("n_calls") for _, tally in report.live(found)))
    return Finding(n == 0, f"{n} calls of {', '.join(live)} in {condition.window_s} s", float(n), n)


def _lagging(reader: Reader, scope: Scope, condition: Condition) -> Finding:
    now = reader.now()
    known = delivery.list_acknowledgements(reader, scope.project, scope.environment)
    rows = [row for row in known if now - row["acknowledged_at"] < GONE_AFTER]
    if not rows:
        return Finding(None, "no gateway or application has reported a snapshot within a day")
    newest = max((row["epoch"], row["serial"]) for row in rows)
    since = min(row["acknowledged_at"] for row in rows if (row["epoch"], row["serial"]) == newest)
    wrong = [*_behind(rows, newest, since, now, condition.window_s), *_silent(rows, now, scope.ttl_s)]
    whole = "the one replica serves" if len(rows) == 1 else f"all {len(rows)} replicas serve"
    text = "; ".join(wrong) or f"{whole} serial {newest[1]}"
    return Finding(bool(wrong), text, float(len(wrong)), len(rows))


def _behind(
    rows: list[dict[str, Any]], newest: tuple[int, int], since: datetime, now: datetime, window_s: int
) -> list[str]:
    if now - since < timedelta(seconds=window_s):
        return []
    return [
        f"{row['replica']} serves serial {row['serial']}, {newest[1]} is out"
        for row in rows
        if (row["epoch"], row["serial"]) < newest
    ]


def _silent(rows: list[dict[str, Any]], now: datetime, ttl_s: float) -> list[str]:
    limit = timedelta(seconds=2 * ttl_s)
    return [
        f"{row['replica']} took no snapshot since {row['acknowledged_at']:%Y-%m-%d %H:%M:%S} UTC"
        for row in rows
        if now - row["acknowledged_at"] > limit
    ]


def _dropped(reader: Reader, scope: Scope, condition: Condition) -> Finding:
    after = reader.now().timestamp() - condition.window_s
    rows = [row for row in reading.lost(reader.conn, scope.project) if row.seen_at >= after]
    n = sum(int(row.n_dropped) for row in rows)
    return Finding(
        n > condition.above, f"{n} observations lost by {len(rows)} observers", float(n), len(rows)
    )


def _drift(reader: Reader, scope: Scope, condition: Condition) -> Finding:
    if condition.suite is not None:
        return _drift_from_run(reader, scope, condition, condition.suite)
    found = drift.compare(reader, scope.project, scope.where, condition.window_s, condition.back_s)
    known = [one for one in found.shifts if one.drifted is not None]
    n = max((one.n_present for one in found.shifts), default=0)
    if not known:
        return Finding(None, f"too few calls to compare: {n} now", None, n)
    told = [_shift_text(one) for one in found.drifted]
    text = f"drifted: {', '.join(told)}" if told else "nothing drifted"
    return Finding(bool(told), f"{text}; {len(known)} comparisons", float(len(told)), n)


def _drift_from_run(reader: Reader, scope: Scope, condition: Condition, suite: str) -> Finding:
    """Compare each live name with the run that its version passed; one that passed none is not known."""
    told, blind, n_known, n = [], [], 0, 0
    for name in _live_names(reader, scope):
        place = delivery.Place(project=scope.project, environment=scope.environment, name=name)
        found = drift.compare_with_run(reader, place, suite, condition.window_s)
        known = [one for one in found.shifts if one.drifted is not None] if found else []
        n_known += len(known)
        n += max((one.n_present for one in known), default=0)
        told += [f"{name}: {_shift_text(one)}" for one in known if one.drifted]
        if not known:
            why = f"passed no run of {suite}" if found is None else "too few calls or cases to compare"
            blind.append(f"{name}: {why}")
    text = "; ".join([*(told or ["nothing drifted"]), *blind, f"{n_known} comparisons"])
    return Finding(bool(told) or (None if blind or not n_known else False), text, float(len(told)), n)


def _shift_text(one: Shift) -> str:
    return f"{one.kind.name.lower()} (PSI {one.psi or 0:.2f}, p {one.p or 0:.2g})"


def _live_names(reader: Reader, scope: Scope) -> list[str]:
    return [
        one.route.key
        for one in delivery.list_live(reader, scope.project, scope.environment)
        if scope.route in {None, one.route.key}
    ]


def _suites(reader: Reader, scope: Scope, _condition: Condition) -> Finding:
    """Look at the newest verdict of each suite on what is live; inconclusive is not known."""
    told, verdicts = [], []
    for one in delivery.list_live(reader, scope.project, scope.environment):
        if scope.route is not None and one.route.key != scope.route:
            continue
        asked = {"subject": one.route.stable, "state": "closed"}
        newest: dict[str, Run] = {}
        for run in evaluation.list_runs(reader, scope.project, asked):
            newest.setdefault(run.suite, run)
        verdicts += [run.verdict for run in newest.values()]
        told += [
            f"{run.subject_ref} fails {run.suite_ref} ({run.id})"
            for run in newest.values()
            if run.verdict == "fail"
        ]
    known = [one for one in verdicts if one in {"pass", "fail"}]
    if not known:
        return Finding(None, f"no suite has a verdict on what is live in {scope.environment}", None, 0)
    text = "; ".join(told) or f"what is live passes {len(known)} suites"
    return Finding(bool(told), text, float(len(told)), len(known))


def _regression(reader: Reader, scope: Scope, condition: Condition) -> Finding:
    """Look whether something that is live has become worse; without a watch over it that is not known."""
    names = _live_names(reader, scope)
    watched = store.list_active(reader.conn, alert=scope.alert)
    seen = {one.route: regressions.seen_of(reader, one) for one in watched}
    standing = [one for one in watched if regressions.stands(one, seen[one.route], reader.now())]
    told = [one.says for one in regressions.newest(reader, [one.id for one in standing])]
    n = sum(regressions.n_units(one) for one in seen.values())
    blind = [f"{name}: nothing to compare with" for name in names if name not in seen]
    blind += [
        f"{one.route}: no reference for {metric}" for one in watched for metric in _unwatched(one, condition)
    ]
    if told:
        return Finding(holds=True, says="; ".join([*told, *blind]), value=float(len(told)), n=n)
    if blind or not n:
        return Finding(None, "; ".join(blind) or "no units yet", None, n)
    return Finding(holds=False, says=f"no regression in {len(seen)} names, {n} units", value=0.0, n=n)


def _unwatched(watch: Any, condition: Condition) -> list[str]:
    known = {one["metric"] for one in watch.metrics}
    return [metric for metric in condition.metrics if metric not in known]


def _judges(reader: Reader, scope: Scope, _condition: Condition) -> Finding:
    """Look whether the judges of live calls can be relied on."""
    found = [
        one
        for one in quality.list_(reader, scope.project)
        if one["enabled"] and one["environment"] == scope.environment and scope.route in {None, one["name"]}
    ]
    if not found:
        return Finding(None, f"no judge grades live calls in {scope.environment}", None, 0)
    told = [f"{one['name']}: {one['trouble']}" for one in found if one["trouble"] is not None]
    text = "; ".join(told) or f"{len(found)} judges answer"
    return Finding(bool(told), text, float(len(told)), len(found))


Finder = Callable[[Reader, Scope, Condition], Finding]
_FINDERS: Mapping[Kind, Finder] = {
    Kind.THRESHOLD: _figures,
    Kind.BURN: _figures,
    Kind.NO_TRAFFIC: _traffic,
    Kind.LAGGING: _lagging,
    Kind.DROPPED: _dropped,
    Kind.DRIFT: _drift,
    Kind.SUITE: _suites,
    Kind.REGRESSION: _regression,
    Kind.JUDGE: _judges,
}
