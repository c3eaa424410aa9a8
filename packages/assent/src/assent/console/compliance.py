"""Compliance of a system: each catalogue's rows, what the record shows, what is missing and how to get it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from assent.compliance import service as compliance
from assent.compliance.domain import DISCLAIMER, Catalogue, RowResult, summary
from assent.console.parts import Link
from assent.console.refs import system_link
from assent.console.visit import PageRoute, Visit, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.registry import service as registry

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}")


@dataclass(frozen=True, slots=True)
class Missing:
    """What one check needs, what it found, and the command that gives the rest."""

    need: str
    have: str
    command: str


@dataclass(frozen=True, slots=True)
class RowView:
    """One requirement; `proofs` are the leaves that it rests on."""

    id: str
    says: str
    standing: str
    have: str
    missing: Sequence[Missing]
    proofs: Sequence[Link]


@dataclass(frozen=True, slots=True)
class CatalogueView:
    """One catalogue: where it is from, how many rows stand how, and the rows."""

    id: str
    title: str
    origin: str
    note: str
    counts: Mapping[str, int]
    rows: Sequence[RowView]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceView:
    """What the page shows."""

    project: str
    name: str
    version: str
    why: str
    versions: Sequence[str]
    tier: str
    classified: str
    roles: Mapping[str, str]
    disclaimer: str
    catalogues: Sequence[CatalogueView]


@router.get("/systems/{name}/compliance")
def show(
    visit: Annotated[Visit, visits(Permission.COVERAGE_READ)],
    name: str,
    version: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Show what the record shows for the version that is live, or for another one."""
    with visit.read() as reader:
        view = build(reader, visit.project, name, version)
    return visit.page("compliance/page.html", view=view)


@router.get("/inventory")
def list_systems(visit: Annotated[Visit, visits(Permission.COVERAGE_READ)]) -> Response:
    """Show every system: what is live, how risky it is, who answers for it."""
    with visit.read() as reader:
        systems = compliance.inventory(reader, visit.project)
        retention = compliance.retention_of(reader, visit.project)
    addresses = {one.name: system_link(visit.project, one.name).address for one in systems}
    return visit.page(
        "inventory/page.html",
        project=visit.project,
        systems=systems,
        retention=retention,
        addresses=addresses,
    )


def build(reader: Reader, project: str, name: str, version: str | None) -> ComplianceView:
    """Gather what the page shows. Raises: NotFound, Invalid."""
    found = compliance.coverage(reader, project, f"{name}@{version}" if version else name)
    subject = found.subject
    classified = compliance.classification_of(reader, project, name)
    held = compliance.roles_of(reader, project, name)
    return ComplianceView(
        project=project,
        name=name,
        version=subject.version.number,
        why=subject.why,
        versions=[one.number for one in registry.list_versions(reader, project, name)],
        tier=subject.version.tier,
        classified=classified.tier if classified else "",
        roles={role: identity.get_account(reader, one.person).name for role, one in held.items()},
        disclaimer=DISCLAIMER,
        catalogues=[_catalogue(one, results) for one, results in found.catalogues],
    )


def _catalogue(one: Catalogue, results: tuple[RowResult, ...]) -> CatalogueView:
    secondary = ", from secondary sources" if one.secondary else ""
    counts = {standing: n for standing, n in summary(results).items() if n}
    origin = f"As of {one.as_of:%Y-%m-%d}{secondary}. {one.source}."
    return CatalogueView(one.id, one.title, origin, one.note, counts, [_row(result) for result in results])


def _row(result: RowResult) -> RowView:
    missing = [Missing(one.need, one.have, one.remedy) for one in result.checks if one.remedy]
    leaves = sorted({leaf for one in result.checks for leaf in one.leaves})
    proofs = [Link(f"leaf {leaf}", f"/leaves/{leaf}") for leaf in leaves]
    return RowView(result.row.id, result.row.says, result.standing.value, result.have, missing, proofs)
