"""A system: its versions, what is live, what is under way, and its history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from assent.console.parts import Link, Stage, TimelineEntry, ribbon
from assent.console.refs import label_link, ref_of, rollout_link
from assent.console.timeline import Names, timeline
from assent.console.visit import PageRoute, Visit, visits
from assent.delivery import service as delivery
from assent.delivery.domain import EXPOSED, Rollout, State
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.ledger.domain import Query as Entries
from assent.monitoring import service as monitoring
from assent.registry import service as registry

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/systems")
N_ROLLOUTS = 10


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A version that has a share of an environment's traffic."""

    environment: str
    version: str
    digest: str
    share: float
    since: datetime


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version."""

    number: str
    digest: str
    status: str
    stage: str
    registered_at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A request, rollout or incident."""

    state: str
    text: str
    address: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    """What the page shows."""

    project: str
    name: str
    tier: str
    owner: str
    stage_of: str
    stages: Sequence[Stage]
    live: Sequence[LiveRow]
    versions: Sequence[VersionRow]
    labels: Sequence[Link]
    requests: Sequence[UnderWay]
    rollouts: Sequence[UnderWay]
    incidents: Sequence[UnderWay]
    timeline: Sequence[TimelineEntry]
    older: str


def live_rows(reader: Reader, project: str, name: str) -> list[LiveRow]:
    """List what answers under a name, per environment: the stable version, and a canary with its share."""
    rows = []
    for live in delivery.list_live(reader, project):
        route = live.route
        if route.key != name or not route.enabled:
            continue
        shares = [(route.stable, 1 - route.share)]
        if route.canary is not None:
            shares.append((route.canary, route.share))
        rows += [
            LiveRow(
                live.environment,
                delivery.ref_of(reader, project, digest).rpartition("@")[2],
                digest,
                share,
                live.changed_at,
            )
            for digest, share in shares
        ]
    return rows


def rollout_text(rollout: Rollout) -> str:
    """Name a rollout in a list."""
    step = f", step {rollout.step + 1} of {len(rollout.plan.steps)}" if rollout.state in EXPOSED else ""
    return f"{rollout.ref.rpartition('@')[2]} in {rollout.environment}{step}"


def _rollouts(reader: Reader, project: str, name: str, names: Names) -> tuple[list[UnderWay], list[UnderWay]]:
    """List the newest rollouts of a system, and the requests of those that have not started."""
    found, _ = delivery.list_(reader, project, {"name": name}, limit=N_ROLLOUTS)
    rows, requests = [], []
    for rollout in found:
        row = delivery.get_row(reader, rollout.id)
        at, by = row["planned_at"], names.of(row["planned_by"])
        link = rollout_link(project, rollout.id, rollout_text(rollout))
        rows.append(UnderWay(rollout.state.value, link.text, link.address, at, by))
        if rollout.state is State.PLANNED:
            text = f"{rollout.ref.rpartition('@')[2]} for {rollout.environment}"
            address = f"/projects/{project}/requests/{rollout.request}"
            requests.append(UnderWay("open", text, address, at, by))
    return rows, requests


def _labels(reader: Reader, project: str, name: str) -> dict[str, str]:
    """Give the labels of a system with the numbers that they point to."""
    found = registry.list_labels(reader, "model", project, name)
    return {one.label: ref_of(reader, project, one.digest).rpartition("@")[2] for one in found}


def _incidents(reader: Reader, project: str, name: str) -> list[UnderWay]:
    found, _ = monitoring.incidents.list_(reader, project)
    return [
        UnderWay(
            "open" if row.resolved_at is None else "resolved",
            f"{(row.guard or 'opened by a person').replace('_', ' ')} in {row.environment}",
            f"/projects/{project}/incidents/{row.id}",
            row.opened_at,
            "Assent",
        )
        for row in found
        if row.route == name
    ]


def build(reader: Reader, project: str, name: str, before: int | None) -> SystemView:
    """Gather what the page shows. Raises: NotFound."""
    names = Names(reader)
    versions = registry.list_versions(reader, project, name)
    newest = versions[0]
    rollouts, requests = _rollouts(reader, project, name, names)
    events, older = timeline(reader, Entries(project=project, subject=name, before=before))
    live = live_rows(reader, project, name)
    return SystemView(
        project=project,
        name=name,
        tier=str(newest.document.get("tier") or ""),
        owner=str(newest.document.get("owner") or ""),
        stage_of=newest.number,
        stages=ribbon(newest.stage),
        live=live,
        versions=[
            VersionRow(v.number, v.digest, v.status, v.stage, v.registered_at, names.of(v.registered_by))
            for v in versions
        ],
        labels=[
            Link(f"{label}: {number}", label_link(project, name, label).address)
            for label, number in _labels(reader, project, name).items()
        ],
        requests=requests,
        rollouts=rollouts,
        incidents=_incidents(reader, project, name),
        timeline=events,
        older=f"/projects/{project}/systems/{name}?before={older}" if older is not None else "",
    )


@router.get("/{name}")
def show(
    visit: Annotated[Visit, visits(Permission.MODEL_READ)],
    name: str,
    before: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Show the system."""
    with visit.read() as reader:
        view = build(reader, visit.project, name, before)
    return visit.page("system/page.html", view=view)
