"""Routes of prompts: register, list, show, compare, render."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Response

from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.prompts import service
from assent.prompts.domain import Bump, split_ref
from assent.prompts.service import NewPrompt, PromptVersion
from assent.web.api import Call, ProjectPath, page, requires
from assent.web.openapi import EXISTED

router = APIRouter(prefix="/v1/projects/{project}", tags=["prompts"])

Reading = Annotated[Call, requires(Permission.PROMPT_READ)]
Deprecating = Annotated[Call, requires(Permission.PROMPT_DEPRECATE)]
Writing = Annotated[Call, requires(Permission.PROMPT_REGISTER)]
LATEST = "latest"


class NewPromptWire(pydantic.BaseModel):
    """A prompt's fields beside its name; the domain checks them, all at once."""

    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    version: str | None = None
    bump: Bump | None = None
    authors: list[str] = pydantic.Field(default_factory=list, max_length=100)


class RenderingWire(pydantic.BaseModel):
    """What the variables are."""

    model_config = pydantic.ConfigDict(extra="forbid")

    variables: dict[str, Any] = {}


class DeprecationWire(pydantic.BaseModel):
    """Why a version should not be taken up any more, and what to use instead."""

    model_config = pydantic.ConfigDict(extra="forbid")

    reason: str = pydantic.Field(max_length=4000)
    successor: str | None = pydantic.Field(None, max_length=200)


@router.post("/prompts", status_code=201, responses=EXISTED)
def register_prompt(
    project: ProjectPath, body: NewPromptWire, response: Response, call: Writing, *, check: bool = False
) -> dict[str, Any]:
    """Register a prompt version: 201, or 200 where the same content is there. `check` records nothing."""
    content = dict(body.model_extra or {})
    new = NewPrompt(project, body.name, content, body.bump, body.version, body.authors)
    if check:
        response.status_code = 200
        with call.read() as reader:
            return service.preview(reader, new)
    with call.begin() as tx:
        version, created = service.register(tx, new)
        wire = _prompt(tx, version)
    response.status_code = 201 if created else 200
    return {**wire, "created": created}


@router.get("/prompts/{name}/{version}")
def get_prompt(project: ProjectPath, name: str, version: str, call: Reading) -> dict[str, Any]:
    """Show a prompt version with its document; `latest` has the highest number, a digest will do too."""
    with call.read() as reader:
        found = service.get(reader, project, name, _number(version))
        return _prompt(reader, found)


@router.get("/prompts/{name}/{version}/diff")
def diff_prompt(project: ProjectPath, name: str, version: str, against: str, call: Reading) -> dict[str, Any]:
    """Compare a version with another, `against`: a number, or `name@number` of another prompt."""
    with call.read() as reader:
        after = service.get(reader, project, name, _number(version))
        other = _named(against) if "@" in against else (name, _number(against))
        before = service.get(reader, project, *other)
        return service.comparison_to_wire(service.compare(before, after))


@router.post("/prompts/{name}/{version}/renderings")
def render_prompt(
    project: ProjectPath, name: str, version: str, body: RenderingWire, call: Reading
) -> dict[str, Any]:
    """Fill in the messages of a version; nothing is recorded."""
    with call.read() as reader:
        found = service.get(reader, project, name, _number(version))
    return {
        "ref": found.ref,
        "digest": found.digest,
        "messages": service.render(found.document, body.variables),
    }


@router.post("/prompts/{name}/{version}/deprecations", status_code=201)
def deprecate_prompt(
    project: ProjectPath, name: str, version: str, body: DeprecationWire, call: Deprecating
) -> dict[str, Any]:
    """Say that a version should not be taken up any more; it serves on where it is live."""
    with call.begin() as tx:
        found = service.get(tx, project, name, _number(version))
        return service.version_to_wire(service.deprecate(tx, found, body.reason, body.successor))


@router.get("/prompts/{name}/{version}/dependents")
def list_dependents(project: ProjectPath, name: str, version: str, call: Reading) -> dict[str, Any]:
    """List the prompt versions that this one is a fragment of, newest first."""
    with call.read() as reader:
        found = service.get(reader, project, name, _number(version))
        return page(
            [service.version_to_wire(one) for one in service.wholes_of(reader, project, found.digest)], None
        )


def _named(ref: str) -> tuple[str, str | None]:
    name, _, number = ref.partition("@")
    return (name, None) if name and number == LATEST else split_ref(ref)


def _number(version: str) -> str | None:
    return None if version == LATEST else version


def _prompt(reader: Reader, version: PromptVersion) -> dict[str, Any]:
    return {
        **service.version_to_wire(version),
        "created_by": identity.name_of(reader, version.registered_by),
        "contributor_names": [identity.name_of(reader, one) for one in version.contributors],
        "document": version.document,
    }
