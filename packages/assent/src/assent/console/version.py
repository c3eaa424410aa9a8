"""A version: what it is, what it would change, what is known of it, and what it would take to ship it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response

from assent.approvals import service as approvals
from assent.console.changes import Change, changes, live_digest
from assent.console.parts import ConditionRow, Link, Stage, TimelineEntry, ribbon
from assent.console.refs import label_link, ref_of, system_link, version_link
from assent.console.request import condition_rows
from assent.console.timeline import Names, timeline
from assent.console.visit import PageRoute, Visit, visits
from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.reasons import reason_text
from assent.kernel.tx import Reader
from assent.ledger.domain import Query as Entries
from assent.prompts import service as prompts
from assent.registry import service as registry
from assent.registry.service import Edge, ModelVersion, Pointer

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}")
Seen = Annotated[Visit, visits(Permission.MODEL_READ)]
MAX_CLAIMS = 50
N_MOVES = 50
MAX_SAID = 70


@dataclass(frozen=True, slots=True)
class Shipping:
    """What a policy asks before a version may go to an environment, and how that stands.

    `request`: the one that is under way or was done, whose answers these are; None where none was filed.
    """

    environment: str
    policy: str
    conditions: Sequence[ConditionRow]
    n_open: int
    is_live: bool
    request: Link | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a version changes against the one that an environment serves."""

    against: str
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Relation:
    """One line of the lineage; `link` leads to a version that has a page."""

    kind: str
    ref: str
    digest: str
    link: str


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One piece of evidence."""

    kind: str
    said: str
    by: str
    at: datetime
    expires_at: datetime | None
    holds: bool


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One move of a label."""

    generation: int
    before: str
    after: str
    at: datetime
    by: str
    why: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """What the page shows."""

    project: str
    version: ModelVersion
    system: Link
    by: str
    contributors: Sequence[str]
    labels: Sequence[Link]
    stages: Sequence[Stage]
    shipping: Sequence[Shipping]
    differences: Sequence[Difference]
    document: str
    sources: Sequence[Relation]
    dependents: Sequence[Relation]
    metrics: Sequence[tuple[str, float]]
    claims: Sequence[ClaimRow]
    timeline: Sequence[TimelineEntry]


def _shipping(reader: Reader, version: ModelVersion) -> list[Shipping]:
    found = []
    for place in identity.list_environments(reader, version.project):
        request = _request(reader, version, place.name)
        if request is None:
            answer = approvals.assess(
                reader,
                approvals.Question(project=version.project, environment=place.name, subject=version.digest),
            )
            results, policy, link = answer.results, answer.in_force.ref, None
        else:
            results, policy = approvals.check_conditions(reader, request.id), request.policy_ref
            address = f"/projects/{version.project}/requests/{request.id}"
            link = Link(f"Its request is {request.state.value}", address)
        rows = condition_rows(results)
        live = live_digest(reader, version.project, place.name, version.name) == version.digest
        n_open = sum(row.state != "pass" for row in rows)
        found.append(Shipping(place.name, policy, rows, n_open, live, link))
    return found


def _request(reader: Reader, version: ModelVersion, environment: str) -> approvals.Request | None:
    """Find the newest request for this version that is under way or was done."""
    states = [approvals.State.OPEN, approvals.State.APPROVED, approvals.State.EXECUTED]
    where = {"subject": version.digest, "environment": environment, "state": [s.value for s in states]}
    found, _ = approvals.list_(reader, version.project, where, limit=1)
    return found[0] if found else None


def _differences(reader: Reader, version: ModelVersion) -> list[Difference]:
    """Compare with what each environment serves, once where several serve the same."""
    places: dict[str, list[str]] = {}
    for place in identity.list_environments(reader, version.project):
        live = live_digest(reader, version.project, place.name, version.name)
        if live is not None and live != version.digest:
            places.setdefault(live, []).append(place.name)
    return [
        Difference(
            f"{ref_of(reader, version.project, live)}, live in {', '.join(names)}",
            changes(reader, version.project, live, version.digest),
        )
        for live, names in places.items()
    ]


def _relations(reader: Reader, project: str, edges: Sequence[Edge], side: str) -> list[Relation]:
    found = []
    for edge in edges:
        digest = edge.target if side == "source" else edge.source
        model = registry.find_by_digest(reader, project, digest)
        prompt = None if model else prompts.find_by_digest(reader, project, digest)
        ref = model.ref if model else prompt.ref if prompt else ""
        link = version_link(project, model.name, model.number).address if model else ""
        found.append(Relation(edge.kind.replace("_", " "), ref, digest, link))
    return found


def _claims(reader: Reader, version: ModelVersion, names: Names) -> list[ClaimRow]:
    now = reader.now()
    return [
        ClaimRow(one.kind, _said(one.value), names.of(one.by), one.issued_at, one.expires_at, one.holds(now))
        for one in evidence.list_(reader, version.project, version.digest)[:MAX_CLAIMS]
    ]


def _said(value: dict[str, Any]) -> str:
    """Write the short parts of a claim's value."""
    short = {key: one for key, one in value.items() if isinstance(one, str | int | bool)}
    return ", ".join(
        f"{key.replace('_', ' ')}: {one}" for key, one in short.items() if len(str(one)) <= MAX_SAID
    )


def build(reader: Reader, project: str, name: str, number: str) -> VersionView:
    """Gather what the page shows. Raises: NotFound."""
    version, names = registry.get(reader, project, name, number), Names(reader)
    sources, dependents = registry.lineage(reader, project, version.digest)
    events, _ = timeline(reader, Entries(project=project, subject=version.digest))
    labels = registry.labels_of(reader, [version.digest]).get(version.digest, [])
    return VersionView(
        project=project,
        version=version,
        system=system_link(project, name),
        by=names.of(version.registered_by),
        contributors=[names.of(person) for person in version.contributors],
        labels=[label_link(project, name, label) for label in labels],
        stages=ribbon(version.stage),
        shipping=_shipping(reader, version),
        differences=_differences(reader, version),
        document=json.dumps(version.document, indent=2, ensure_ascii=False, sort_keys=True),
        sources=_relations(reader, project, sources, "source"),
        dependents=_relations(reader, project, dependents, "dependent"),
        metrics=_figures(evidence.list_metrics(reader, project, version.digest)),
        claims=_claims(reader, version, names),
        timeline=events,
    )


@router.get("/versions/{name}/{number}")
def show(visit: Seen, name: str, number: str) -> Response:
    """Show the version."""
    with visit.read() as reader:
        view = build(reader, visit.project, name, number)
    return visit.page("version/page.html", view=view)


@router.get("/labels/{name}/{label}")
def show_label(
    visit: Annotated[Visit, visits(Permission.LABEL_READ)], name: str, label: str, before: int | None = None
) -> Response:
    """Show the history of a model's label."""
    pointer = Pointer(project=visit.project, name=name, label=label)
    with visit.read() as reader:
        now, names = registry.get_label(reader, pointer), Names(reader)
        moves = registry.label_history(reader, pointer, before=before, limit=N_MOVES)
        rows = [
            MoveRow(
                move.generation,
                ref_of(reader, visit.project, move.before),
                ref_of(reader, visit.project, move.after),
                move.moved_at,
                names.of(move.moved_by),
                reason_text(reader, move.reason) or "",
                "rollback" if move.rolled_back else "rollout" if move.because else "move",
            )
            for move in moves
        ]
        at = ref_of(reader, visit.project, now.digest)
        protected = registry.is_protected(reader, visit.project, label)
    here = label_link(visit.project, name, label).address
    older = f"{here}?before={rows[-1].generation}" if len(rows) == N_MOVES else ""
    system = system_link(visit.project, name)
    return visit.page(
        "version/label.html", label=label, system=system, at=at, rows=rows, protected=protected, older=older
    )


def _figures(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    """Leave out what stands there once more under the name of its suite."""
    of_suites = {name.partition(".")[2] for name in metrics}
    return [(name, value) for name, value in metrics.items() if name not in of_suites]
