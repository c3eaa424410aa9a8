"""Gather every record about a version and its system from the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.compliance.domain import OBSERVED, Facts, Record
from assent.compliance.domain.version_checks import OBSERVED_DAYS
from assent.compliance.service import shelf
from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.kernel.tx import Reader
from assent.ledger import service as ledger
from assent.ledger.domain import About, Leaf, Query
from assent.monitoring import service as monitoring
from assent.registry import service as registry
from assent.registry.service import ModelVersion

LEFT_OUT = ("monitoring.block.closed",)
"""One a second while a rollout runs; the incident and the promotion carry their figures."""
OF_SYSTEM = (
    "registry.version.registered", "registry.version.advanced", "delivery.route.killed",
    "delivery.route.restored", "delivery.version.adopted", "compliance.role.assigned",
    "compliance.system.classified", "compliance.control.attested",
)  # fmt: skip
OF_PROJECT = ("approvals.policy.bound", "compliance.retention.set")
STORIES: Mapping[str, Sequence[str]] = {
    "evaluation.run.submitted": ("id",),
    "delivery.rollout.planned": ("rollout", "request"),
    "approvals.request.submitted": ("request",),
    "monitoring.incident.opened": ("incident",),
    "cards.card.drafted": ("card", "digest"),
    "cards.card.submitted": ("request",),
}
"""Fields of entries that name one story: other entries that name it belong to it."""
TOLD = (
    "evaluation.run.submitted", "evaluation.run.closed", "evaluation.run.cancelled", "approvals.vote.cast",
    "approvals.vote.withdrawn", "approvals.request.submitted", "approvals.request.executed",
    "approvals.decision.made", "approvals.comment.made", "approvals.comment.resolved",
    "monitoring.incident.acknowledged", "monitoring.incident.noted", "monitoring.incident.mitigated",
    "monitoring.incident.resolved", "monitoring.incident.reviewed",
    "cards.card.returned", "compliance.statement.issued",
)  # fmt: skip
DOCUMENTS: Mapping[str, Sequence[str]] = {
    "evaluation.run.submitted": ("suite",),
    "approvals.request.submitted": ("policy",),
}
"""Fields that name what many stories share: only its registration is followed."""
REGISTERED = ("evaluation.suite.registered", "approvals.policy.registered")


@dataclass(frozen=True, slots=True)
class Subject:
    """The version that is looked at, and why it is this one."""

    version: ModelVersion
    why: str


def find_subject(reader: Reader, project: str, which: str) -> Subject:
    """Find the version that NAME@VERSION names, or for NAME the one that is live, else the newest.

    Raises: NotFound, Invalid.
    """
    if "@" in which:
        return Subject(registry.get_ref(reader, project, which), "named")
    versions = {v.digest: v for v in registry.list_versions(reader, project, which)}
    protected = {e.name for e in identity.list_environments(reader, project) if e.protected}
    lives = sorted(delivery.list_live(reader, project), key=lambda one: one.environment not in protected)
    for live in lives:
        if live.route.key == which and live.route.stable in versions:
            return Subject(versions[live.route.stable], f"live in {live.environment}")
    return Subject(next(iter(versions.values())), "the newest; nothing is live")


def facts_of(reader: Reader, version: ModelVersion) -> Facts:
    """Gather what coverage looks at."""
    leaves = leaves_of(reader, version.project, version.name, [version.digest])
    observed = _observed(reader, version)
    return Facts(
        now=reader.now(),
        project=version.project,
        name=version.name,
        subject=version.digest,
        ref=version.ref,
        questionnaire=shelf.questionnaire().id,
        records=(*(record_of(leaf) for leaf in leaves), *observed),
    )


def leaves_of(reader: Reader, project: str, name: str, subjects: Sequence[str]) -> list[Leaf]:
    """List the entries about versions (digests), their system and the same stories, oldest first."""
    own = ledger.about(reader, project, About(values=subjects, without=LEFT_OUT))
    system = ledger.about(reader, project, About(values=[name], types=OF_SYSTEM))
    every = [v.digest for v in registry.list_versions(reader, project, name)]
    incidents = ledger.about(reader, project, About(values=every, types=["monitoring.incident.opened"]))
    found = {leaf.index: leaf for leaf in (*own, *system, *incidents, *_of_project(reader, project))}
    new: Iterable[Leaf] = tuple(found.values())
    for _ in range(2):  # a version leads to its card, the card to its request
        told = _named(new, STORIES)
        reached = ledger.about(reader, project, About(values=told, types=TOLD))
        new = [leaf for leaf in reached if leaf.index not in found]
        found |= {leaf.index: leaf for leaf in new}
    shared = _named(found.values(), DOCUMENTS)
    documents = ledger.about(reader, project, About(values=shared, types=REGISTERED))
    found |= {leaf.index: leaf for leaf in documents}
    return [found[index] for index in sorted(found)]


def record_of(leaf: Leaf) -> Record:
    """Read an entry as a record."""
    fields = json.loads(leaf.entry)["data"]
    return Record(index=leaf.index, id=leaf.event_id, type=leaf.type, at=leaf.at, fields=fields)


def _of_project(reader: Reader, project: str) -> list[Leaf]:
    found: list[Leaf] = []
    for kind in OF_PROJECT:
        query = Query(project=project, type=kind, limit=ledger.MAX_PAGE)
        found += ledger.entries(reader, query)[0]
    return found


def _named(leaves: Iterable[Leaf], fields: Mapping[str, Sequence[str]]) -> list[str]:
    """List what entries name in these fields."""
    found = set()
    for leaf in leaves:
        keys = fields.get(leaf.type, ())
        known: Mapping[str, Any] = json.loads(leaf.entry)["data"] if keys else {}
        found |= {value for key in keys if isinstance(value := known.get(key), str)}
    return sorted(found)


def _observed(reader: Reader, version: ModelVersion) -> list[Record]:
    last_s = OBSERVED_DAYS * 86_400
    rows = monitoring.live.by_version(reader, version.project, last_s=last_s, version=version.digest)
    n_calls = sum(row["n_calls"] for row in rows)
    if not n_calls:
        return []
    n_feedback = sum(row["thumbs_down"]["n"] for row in rows)
    fields = {"subject": version.digest, "n_calls": n_calls, "n_feedback": n_feedback}
    return [Record(index=None, id=OBSERVED, type=OBSERVED, at=reader.now(), fields=fields)]
