"""What Prometheus scrapes: five minutes of what is live, a day of what judges say, states, the process."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.kernel.errors import Conflict
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Reader, Session
from assent.ledger import service as ledger
from assent.monitoring.domain.figures import quantiles
from assent.monitoring.domain.kinds import Kind
from assent.monitoring.service import alerts, incidents, quality, report, span_export
from assent.monitoring.store import reading

WINDOW_S = 300
DAY_S = 86_400
NEWEST = 5
VERDICTS = {"pass": 1.0, "inconclusive": 0.0, "fail": -1.0}
PLACE = ["project", "environment", "name", "variant", "version"]
COUNTS = {
    "n_calls": ("assent_window_calls", "Calls within the last five minutes."),
    "n_errors": ("assent_window_errors", "Failed calls within the last five minutes."),
    "n_refusals": ("assent_window_refusals", "Refused answers within the last five minutes."),
    "n_guardrails": ("assent_window_guardrail_hits", "Calls that a guardrail stopped in five minutes."),
    "n_unguarded": ("assent_window_unguarded", "Calls that passed a guardrail unseen in five minutes."),
    "tokens_in": ("assent_window_tokens_in", "Tokens asked within the last five minutes."),
    "tokens_out": ("assent_window_tokens_out", "Tokens answered within the last five minutes."),
}
JUDGED = {
    "n_units": ("assent_judged_units", "Units that have a judged score of the last 24 hours."),
    "n_waiting": (
        "assent_judged_waiting",
        "Sampled calls of 24 hours that no judge was asked about yet.",
    ),
    "n_unreadable": ("assent_judged_unreadable", "Replies of judges that were off-format, of 24 hours."),
    "n_failed": ("assent_judged_failed", "Sampled calls of the last 24 hours that could not be judged."),
}
LATENCIES = {
    Kind.LATENCY: ("assent_window_latency_seconds", "Latency within the last five minutes."),
    Kind.FIRST_TOKEN: ("assent_window_first_token_seconds", "Time to first token within five minutes."),
}


class Live(Collector):
    """Reads what it tells at each scrape, which costs one read transaction; once a minute, one more."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> Iterable[Metric]:
        """Say nothing beforehand: the database need not be there yet."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Gather all figures."""
        judged = _judged(self._runtime.session, int(self._runtime.clock.now().timestamp()) // 60)
        with self._runtime.session.read() as reader:
            projects = [one.name for one in identity.list_projects(reader)]
            size = GaugeMetricFamily("assent_ledger_leaves", "Leaves of the ledger.")
            size.add_metric([], ledger.head(reader).size)
            return [size, *_calls(reader, projects), *judged, *_states(reader, projects), *_spans(reader)]


def _calls(reader: Reader, projects: list[str]) -> list[Metric]:
    counts = {name: GaugeMetricFamily(*said, labels=PLACE) for name, said in COUNTS.items()}
    times = {kind: GaugeMetricFamily(*said, labels=[*PLACE, "quantile"]) for kind, said in LATENCIES.items()}
    for project in projects:
        for key, tally in report.tallies(reader, project, report.last(reader, WINDOW_S), {}):
            labels = [project, key.environment, key.route, key.variant, key.version]
            for name, family in counts.items():
                family.add_metric(labels, tally.of(name))
            for kind, family in times.items():
                for name, value in quantiles(tally.histograms.get(kind, {})).items():
                    if value is not None:
                        family.add_metric([*labels, f"0.{name[1:]}"], value)
    return [*counts.values(), *times.values()]


@lru_cache(maxsize=1)
def _judged(session: Session, minute: int) -> tuple[Metric, ...]:
    """Sum up a day of samples, once a minute however often somebody scrapes: there may be many of them."""
    score = GaugeMetricFamily(
        "assent_judged_score",
        "Mean of the units' judged scores of the last 24 hours; 1 is good.",
        labels=PLACE,
    )
    counts = {name: GaugeMetricFamily(*said, labels=PLACE) for name, said in JUDGED.items()}
    until_s = (minute + 1) * 60
    with session.read() as reader:
        for project in sorted({one.project for one in delivery.list_samplings(reader)}):
            for one in quality.figures(reader, project, (until_s - DAY_S, until_s), {}):
                labels = [project, *(one[name] for name in ("environment", "route", "variant", "version"))]
                if one["score"]["n"]:
                    score.add_metric(labels, one["score"]["mean"])
                found = {**one, "n_units": one["score"]["n"]}
                for name, family in counts.items():
                    family.add_metric(labels, found[name])
    return (score, *counts.values())


def _states(reader: Reader, projects: list[str]) -> list[Metric]:
    firing = GaugeMetricFamily(
        "assent_alert_firing", "1 while an alert fires.", labels=["project", "environment", "alert"]
    )
    unresolved = GaugeMetricFamily(
        "assent_incidents_open", "Incidents that are not over.", labels=["project"]
    )
    lost = GaugeMetricFamily(
        "assent_observations_dropped", "Observations that were lost.", labels=["project"]
    )
    share = GaugeMetricFamily(
        "assent_rollout_share", "Share of a running rollout.", labels=["project", "environment", "name"]
    )
    for project in projects:
        for one in alerts.list_(reader, project):
            firing.add_metric([project, one.environment, one.name], float(one.firing))
        found, _ = incidents.list_(reader, project)
        unresolved.add_metric([project], sum(one.resolved_at is None for one in found))
        lost.add_metric([project], sum(int(row.n_dropped) for row in reading.lost(reader.conn, project)))
    for rollout in delivery.list_running(reader):
        share.add_metric([rollout.project, rollout.environment, rollout.name], rollout.share)
    return [firing, unresolved, lost, share, _verdicts(reader, projects)]


def _verdicts(reader: Reader, projects: list[str]) -> Metric:
    """Give the verdicts of what runs and, since others may still ask, of each project's newest rollouts."""
    found = {one.id: one for one in delivery.list_running(reader)}
    for project in projects:
        found |= {one.id: one for one in delivery.list_(reader, project, {}, limit=NEWEST)[0]}
    family = GaugeMetricFamily(
        "assent_rollout_verdict",
        "1 where a rollout's step passes, 0 while that is inconclusive, -1 where it fails.",
        labels=["project", "environment", "name", "rollout"],
    )
    for one in found.values():
        verdict, _, _ = delivery.verdict(reader, one)
        family.add_metric([one.project, one.environment, one.name, one.id], VERDICTS[verdict])
    return family


def _spans(reader: Reader) -> list[Metric]:
    found = span_export.document(reader)
    if found is None:
        return []
    behind = GaugeMetricFamily(
        "assent_spans_behind_seconds", "Age of the oldest call that the collector has not."
    )
    behind.add_metric([], found["behind_s"])
    lost = GaugeMetricFamily(
        "assent_spans_lost", "Calls that were refused, or dropped unsent.", labels=["because"]
    )
    for because in ("refused", "dropped"):
        lost.add_metric([because], found[f"n_{because}"])
    return [behind, lost]


def registry_of(runtime: Runtime) -> CollectorRegistry:
    """Make the registry of a process."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    registry.register(Live(runtime))
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """Write everything in Prometheus' text format."""
    return generate_latest(registry)


@contextmanager
def listening(runtime: Runtime, port: int) -> Iterator[int | None]:
    """Serve `/metrics` on the loopback while the block lasts; port 0 serves nothing. Raises: Conflict."""
    if not port:
        yield None
        return
    try:
        server, thread = start_http_server(port, "127.0.0.1", registry_of(runtime))
    except OSError as error:
        raise Conflict(
            f"Metrics cannot be served on 127.0.0.1:{port}: {error.strerror}.",
            remedy="Set ASSENT_METRICS_PORT to a free one, or to 0.",
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
