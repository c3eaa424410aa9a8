"""Routes of the registry: register, search, show, compare, trace and resolve model versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query, Response

from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.filters import MAX_LENGTH
from assent.kernel.reasons import MAX_REASON
from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.prompts.domain import split_ref
from assent.registry import service
from assent.registry.domain import Stage, Status
from assent.registry.service import Edge, ModelVersion, NewModel, Search
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires
from assent.web.openapi import EXISTED

router = APIRouter(tags=["registry"])

Reading = Annotated[Call, requires(Permission.MODEL_READ)]
Writing = Annotated[Call, requires(Permission.MODEL_REGISTER)]
Deleting = Annotated[Call, requires(Permission.MODEL_DELETE)]
LATEST = "latest"


class NewModelWire(pydantic.BaseModel):
    """A model's fields beside its name and number; the domain checks them, all at once."""

    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    version: str
    authors: list[str] = pydantic.Field(default_factory=list, max_length=100)


class ModelQuery(pydantic.BaseModel):
    """Which versions: those that have all of these."""

    model_config = pydantic.ConfigDict(extra="forbid")

    name: str | None = None
    tag: str | None = None
    owner: str | None = None
    stage: Stage | None = None
    status: Status | None = None
    tier: Literal["minimal", "limited", "high", "prohibited"] | None = None
    base_model: str | None = None
    provider: str | None = None
    prompt: str | None = None
    digest: str | None = None
    registered_by: str | None = None
    filter: str | None = pydantic.Field(None, max_length=MAX_LENGTH)
    q: str | None = pydantic.Field(None, max_length=1000)
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


@router.post("/models", status_code=201, responses=EXISTED)
def register_model(
    project: ProjectPath, body: NewModelWire, response: Response, call: Writing, *, check: bool = False
) -> dict[str, Any]:
    """Register a model version: 201, or 200 where the same content is there. `check` records nothing."""
    new = NewModel(project, body.name, body.version, dict(body.model_extra or {}), body.authors)
    if check:
        response.status_code = 200
        with call.read() as reader:
            return service.preview(reader, new)
    with call.begin() as tx:
        version, created = service.register_model(tx, new)
        wire = _model(tx, version)
    response.status_code = 201 if created else 200
    return {**wire, "created": created}


@router.get("/models")
def list_models(project: ProjectPath, call: Reading, asked: Annotated[ModelQuery, Query()]) -> dict[str, Any]:
    """List model versions, newest first: those with all these values, within the filter, with all words.

    A filter compares fields: `tier >= limited AND NOT (label = production OR metrics.correct < 0.9)`.
    """
    where = asked.model_dump(mode="json", exclude_none=True, exclude={"cursor", "limit", "filter", "q"})
    with call.read() as reader:
        wanted = Search(where, asked.filter, asked.q)
        found = service.search(reader, project, wanted, before=asked.cursor, limit=asked.limit)
        lines = _lines(reader, found)
    return page(lines, found[-1].id if len(found) == asked.limit else None)


@router.get("/models/{name}/{version}")
def get_model(project: ProjectPath, name: str, version: str, call: Reading) -> dict[str, Any]:
    """Show a model version with its document; `latest` is the one with the highest number."""
    with call.read() as reader:
        return _model(reader, service.get(reader, project, name, _number(version)))


@router.delete("/models/{name}/{version}", status_code=204)
def delete_model(
    project: ProjectPath,
    name: str,
    version: str,
    call: Deleting,
    reason: Annotated[str | None, Query(max_length=MAX_REASON)] = None,
) -> None:
    """Delete a draft; its name and number are never used again."""
    with call.begin() as tx:
        service.delete_version(tx, project, name, version, reason)


@router.get("/models/{name}/{version}/diff")
def diff_model(project: ProjectPath, name: str, version: str, against: str, call: Reading) -> dict[str, Any]:
    """Compare a version with another, `against`: a number, or `name@number` of another model."""
    with call.read() as reader:
        after = service.get(reader, project, name, _number(version))
        other = _named(against) if "@" in against else (name, _number(against))
        before = service.get(reader, project, *other)
        fields, prompt = service.compare(reader, before, after)
    return {
        "before": before.ref,
        "after": after.ref,
        "fields": prompts.fields_to_wire(fields),
        "prompt": None if prompt is None else prompts.comparison_to_wire(prompt),
    }


@router.get("/models/{name}/{version}/lineage")
def get_lineage(project: ProjectPath, name: str, version: str, call: Reading) -> dict[str, Any]:
    """Show what a version comes from (its prompt, sources, training data, predecessor), and what from it."""
    with call.read() as reader:
        found = service.get(reader, project, name, _number(version))
        sources, dependents = service.lineage(reader, project, found.digest)
        return {
            "ref": found.ref,
            "digest": found.digest,
            "sources": [_edge(reader, project, edge, edge.target) for edge in sources],
            "dependents": [_edge(reader, project, edge, edge.source) for edge in dependents],
        }


def _named(ref: str) -> tuple[str, str | None]:
    name, _, number = ref.partition("@")
    return (name, None) if name and number == LATEST else split_ref(ref)


def _number(version: str) -> str | None:
    return None if version == LATEST else version


def _edge(reader: Reader, project: str, edge: Edge, other: str) -> dict[str, Any]:
    return {"kind": edge.kind, "digest": other, "ref": _ref_of(reader, project, other)}


def _ref_of(reader: Reader, project: str, digest: str) -> str | None:
    found = service.find_by_digest(reader, project, digest)
    known = found or prompts.find_by_digest(reader, project, digest)
    return None if known is None else known.ref


def _lines(reader: Reader, found: Sequence[ModelVersion]) -> list[dict[str, Any]]:
    labels = service.labels_of(reader, [one.digest for one in found])
    return [_line(one, labels.get(one.digest, [])) for one in found]


def _line(version: ModelVersion, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "id": version.id,
        "name": version.name,
        "version": version.number,
        "ref": version.ref,
        "digest": version.digest,
        "stage": version.stage,
        "status": version.status,
        "since": version.since,
        "labels": list(labels),
        "tier": version.tier,
        "owner": version.owner,
        "provider": version.provider,
        "upstream_model": version.upstream_model,
        "base_model": version.base_model,
        "prompt": version.prompt,
        "supersedes": version.supersedes,
        "contributors": list(version.contributors),
        "registered_at": version.registered_at,
        "registered_by": version.registered_by,
    }


def _model(reader: Reader, version: ModelVersion) -> dict[str, Any]:
    prompt = None if version.prompt is None else _ref_of(reader, version.project, version.prompt)
    (line,) = _lines(reader, [version])
    return {
        **line,
        "created_by": identity.name_of(reader, version.registered_by),
        "contributor_names": [identity.name_of(reader, one) for one in version.contributors],
        "prompt_ref": prompt,
        "document": version.document,
    }
