"""The first page: every project that the visitor may read, its systems, and what is under way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.console.parts import Link
from assent.console.refs import rollout_link, system_link
from assent.console.system import rollout_text
from assent.console.visit import PageRoute, Visit, signed_in
from assent.delivery import service as delivery
from assent.delivery.domain import OPEN, Rollout
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.registry import service as registry

router = APIRouter(route_class=PageRoute, include_in_schema=False)
NEEDED = (Permission.MODEL_READ, Permission.ROLLOUT_READ)


@dataclass(frozen=True, slots=True)
class SystemRow:
    """A system in the list."""

    name: str
    address: str
    live: Sequence[str]
    newest: str
    under_way: Sequence[Link]


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project and its systems."""

    name: str
    systems: Sequence[SystemRow]


def _system(reader: Reader, project: str, name: str, rollouts: Sequence[Rollout]) -> SystemRow:
    live = [
        f"{found.environment}: {delivery.ref_of(reader, project, found.route.stable).rpartition('@')[2]}"
        for found in delivery.list_live(reader, project)
        if found.route.key == name
    ]
    return SystemRow(
        name=name,
        address=system_link(project, name).address,
        live=live,
        newest=registry.list_versions(reader, project, name)[0].number,
        under_way=[rollout_link(project, r.id, rollout_text(r)) for r in rollouts if r.name == name],
    )


def _project(reader: Reader, name: str) -> ProjectRow:
    rollouts, _ = delivery.list_(reader, name, {"state": sorted(OPEN)})
    models = registry.list_models(reader, name)
    return ProjectRow(name, [_system(reader, name, model, rollouts) for model in models])


@router.get("/")
def show(visit: Annotated[Visit, Depends(signed_in)]) -> Response:
    """List the systems."""
    with visit.read() as reader:
        actor = visit.session.actor
        projects = [
            _project(reader, project.name)
            for project in identity.list_projects(reader)
            if all(identity.authorised(reader, actor, needed, project.name) for needed in NEEDED)
        ]
    return visit.page("home/page.html", projects=projects)
