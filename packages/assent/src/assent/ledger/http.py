"""Routes of the ledger: the public transparency log, and entries with their proofs."""

import base64
import json
import re
from dataclasses import replace
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Request
from fastapi import Query as Parameters
from fastapi.responses import PlainTextResponse, Response

from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.clock import to_text
from assent.kernel.errors import NotFound
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Reader
from assent.ledger import service
from assent.ledger.domain import Leaf, Query
from assent.web.api import Call, ProjectPath, page, requires
from assent.web.openapi import gives
from assent_client.verify.merkle import MAX_SIZE, VerificationError
from assent_client.verify.tiles import parse_path

public = APIRouter(prefix="/ledger", tags=["ledger"])
router = APIRouter(prefix="/v1", tags=["ledger"])

BINARY = "application/octet-stream"
_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
_FRESH = {"cache-control": "no-cache"}
_DAY = {"cache-control": "public, max-age=86400"}

_INDEX = re.compile(r"[0-9]{1,18}")

Reading = Annotated[Call, requires(Permission.LEDGER_READ)]


@public.get("/vkey", response_class=PlainTextResponse)
def vkey(request: Request) -> Response:
    """Give the verifier key of the log."""
    text = service.root_document(_runtime(request).signers)["log_vkey"]
    return PlainTextResponse(text + "\n", headers=_DAY)


@public.get("/root")
def root(request: Request) -> dict[str, str]:
    """Give the root document: hand it to verifiers by a way that you trust more than this one."""
    return dict(service.root_document(_runtime(request).signers))


@public.get("/checkpoint", response_class=PlainTextResponse)
def checkpoint(request: Request) -> Response:
    """Give the newest signed checkpoint."""
    with _runtime(request).session.read() as reader:
        return PlainTextResponse(service.checkpoint(reader), headers=_FRESH)


@public.get("/tile/{path:path}", response_class=Response, responses=gives(BINARY))
def tile(request: Request, path: str) -> Response:
    """Give a tile or an entry bundle."""
    try:
        address = parse_path(path)
    except VerificationError as error:
        raise NotFound(f"There is no such tile: {error}.") from error
    with _runtime(request).session.read() as reader:
        content = service.tile(reader, address)
    return Response(content, media_type=BINARY, headers=_FOREVER)


class Filters(pydantic.BaseModel):
    """What to list. `type` may end with a dot; `actor`: a name or id; `subject`: what it mentions."""

    model_config = pydantic.ConfigDict(extra="forbid")

    type: str | None = pydantic.Field(None, max_length=200)
    actor: str | None = pydantic.Field(None, max_length=200)
    subject: str | None = pydantic.Field(None, max_length=200)
    since: pydantic.AwareDatetime | None = None
    until: pydantic.AwareDatetime | None = None
    cursor: int | None = pydantic.Field(None, ge=0, le=MAX_SIZE)
    limit: int = pydantic.Field(50, ge=1, le=service.MAX_PAGE)

    def query(self, project: str | None) -> Query:
        """Give the question to the ledger."""
        return Query(
            project=project,
            type=self.type,
            actor=self.actor,
            subject=self.subject,
            since=self.since,
            until=self.until,
            before=self.cursor,
            limit=self.limit,
        )


@router.get("/ledger/entries")
def list_all_entries(call: Reading, filters: Annotated[Filters, Parameters()]) -> dict[str, Any]:
    """List entries of all projects and of the installation, newest first."""
    return _list(call, filters.query(None))


@router.get("/ledger/entries/{entry}")
def get_any_entry(call: Reading, entry: str) -> dict[str, Any]:
    """Give one entry, by its event's id or its index, with its proof."""
    with call.read() as reader:
        return _proof(reader, service.prove(reader, _leaf(reader, entry)))


@router.get("/projects/{project}/ledger/entries")
def list_entries(
    call: Reading, project: ProjectPath, filters: Annotated[Filters, Parameters()]
) -> dict[str, Any]:
    """List a project's entries, newest first."""
    return _list(call, filters.query(project))


@router.get("/projects/{project}/ledger/entries/{entry}")
def get_entry(call: Reading, project: ProjectPath, entry: str) -> dict[str, Any]:
    """Give one entry of a project, by its event's id or its index, with its proof."""
    with call.read() as reader:
        leaf = _leaf(reader, entry)
        if leaf.project != project:
            raise NotFound(f"The project {project} has no entry {entry}.")
        return _proof(reader, service.prove(reader, leaf))


def _list(call: Call, query: Query) -> dict[str, Any]:
    with call.read() as reader:
        accounts = {one.name: one.id for one in identity.list_accounts(reader)}
        if query.actor in accounts:
            query = replace(query, actor=accounts[query.actor])
        leaves, before = service.entries(reader, query)
    names = {account: name for name, account in accounts.items()}
    rows = [_entry(leaf, names.get(leaf.actor, leaf.actor)) for leaf in leaves]
    return page(rows, None if before is None else str(before))


def _leaf(reader: Reader, entry: str) -> Leaf:
    if _INDEX.fullmatch(entry):
        return service.leaf_at(reader, int(entry))
    return service.leaf(reader, entry)


def _entry(leaf: Leaf, actor_name: str) -> dict[str, Any]:
    written = json.loads(leaf.entry)
    return {
        "index": leaf.index,
        "id": leaf.event_id,
        "type": leaf.type,
        "at": to_text(leaf.at),
        "actor": leaf.actor,
        "actor_name": actor_name,
        "project": leaf.project,
        "reason": written["reason"],
        "data": written["data"],
    }


def _proof(reader: Reader, proof: service.Proof) -> dict[str, Any]:
    return _entry(proof.leaf, identity.name_of(reader, proof.leaf.actor)) | {
        "entry": base64.b64encode(proof.leaf.entry).decode(),
        "proof": [base64.b64encode(node).decode() for node in proof.path],
        "checkpoint": proof.checkpoint,
    }


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime
