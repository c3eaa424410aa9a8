"""The first page: what waits for the visitor, moves or is wrong; and every project with its systems."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.console.parts import Link
from assent.console.places import places
from assent.console.refs import rollout_link, system_link
from assent.console.system import rollout_text
from assent.console.visit import PageRoute, Visit, signed_in
from assent.console.waiting import Desk, Visitor, desk
from assent.delivery import service as delivery
from assent.delivery.domain import OPEN, Rollout
from assent.identity import service as identity
from assent.identity.domain import Permission, permissions_of
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
    """A project, its pages and its systems."""

    name: str
    places: Sequence[Link]
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


def _project(reader: Reader, name: str, visitor: Visitor) -> ProjectRow:
    rollouts, _ = delivery.list_(reader, name, {"state": sorted(OPEN)})
    models = registry.list_models(reader, name)
    systems = [_system(reader, name, model, rollouts) for model in models]
    return ProjectRow(name, places(name, visitor.allowed), systems)


def _gathered(desks: Sequence[Desk]) -> Desk:
    """Put the lists of all projects together: what waits longest and what moved last comes first."""
    return Desk(
        waits=sorted((item for one in desks for item in one.waits), key=lambda item: item.at),
        moves=sorted((item for one in desks for item in one.moves), key=lambda item: item.at, reverse=True),
        wrong=sorted((item for one in desks for item in one.wrong), key=lambda item: item.at, reverse=True),
    )


@router.get("/")
def show(visit: Annotated[Visit, Depends(signed_in)]) -> Response:
    """Show what is to be done, and list the systems."""
    person = visit.session.person
    with visit.read() as reader:
        bindings = identity.roles_of(reader, person)
        visitors = {
            project.name: Visitor(person, permissions_of(bindings, project.name))
            for project in identity.list_projects(reader)
        }
        readable = {name: one for name, one in visitors.items() if one.allowed.issuperset(NEEDED)}
        projects = [_project(reader, name, one) for name, one in readable.items()]
        desks = [desk(reader, name, one) for name, one in readable.items()]
    return visit.page("home/page.html", projects=projects, desk=_gathered(desks))
