"""Routes of the packs that ship with Assent."""

from typing import Annotated, Any

from fastapi import APIRouter, Response

from assent.evaluation import service
from assent.evaluation.service.packs import Pack
from assent.identity.domain import Permission
from assent.web.api import Call, ProjectPath, requires
from assent.web.openapi import EXISTED

router = APIRouter(prefix="/v1/projects/{project}/suite-packs")


@router.get("")
def list_packs(
    project: ProjectPath,  # noqa: ARG001 -- whoever reads a project sees what it could install
    call: Annotated[Call, requires(Permission.EVALUATION_READ)],  # noqa: ARG001 -- the same
) -> list[dict[str, Any]]:
    """List the packs that ship: what they hold, their version, licence and digest."""
    return [_wire(one) for one in service.packs.list_packs()]


@router.post("/{name}/installations", status_code=201, responses=EXISTED)
def install_pack(
    project: ProjectPath,
    name: str,
    response: Response,
    call: Annotated[Call, requires(Permission.SUITE_REGISTER)],
) -> dict[str, Any]:
    """Register a pack's datasets and suites: 201, or 200 where all of it is there."""
    with call.begin() as tx:
        found = service.packs.install_pack(tx, project, name)
    response.status_code = 201 if found.created else 200
    return {
        **_wire(found.pack),
        "created": found.created,
        "installed": [
            {"kind": kind, "ref": one.ref, "digest": one.digest}
            for kind, versions in (("dataset", found.datasets), ("suite", found.suites))
            for one in versions
        ],
    }


def _wire(pack: Pack) -> dict[str, Any]:
    return {
        "name": pack.name,
        "version": pack.version,
        "title": pack.title,
        "licence": pack.licence,
        "origin": pack.origin,
        "languages": list(pack.languages),
        "n_rows": sum(len(rows) for rows in pack.datasets.values()),
        "suites": sorted(pack.suites),
        "digest": pack.digest,
    }
