"""Routes of flags and segments; a change that waits for a second person is answered with its proposal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from assent.flags import service
from assent.flags.domain import flag_document, shares_of
from assent.flags.service import Place, Stored
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.announcing import TOPIC, announce
from assent.kernel.canonical import digest
from assent.kernel.clock import to_text
from assent.kernel.reasons import reason_text
from assent.kernel.tx import Reader, Tx
from assent.web.api import MAX_PAGE, Call, Expected, page, requires
from assent.web.conditional import unchanged
from assent.web.openapi import gives, takes_known
from assent_client.decide import BUCKETS, Decision

router = APIRouter(prefix="/v1/projects/{project}/environments/{environment}", tags=["flags"])

Reading = Annotated[Call, requires(Permission.FLAG_READ)]
Changing = Annotated[Call, requires(Permission.FLAG_CHANGE)]
Confirming = Annotated[Call, requires(Permission.FLAG_CONFIRM)]
Reason = Annotated[str | None, pydantic.Field(max_length=2000)]
Kind = Literal["flags", "segments"]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class NewFlag(Wire):
    """A flag: its name, and the fields of its document that differ from the defaults."""

    name: str = pydantic.Field(max_length=100)
    document: dict[str, Any] = {}
    reason: Reason = None


class NewDocument(Wire):
    """The fields of the document that change; the others stay."""

    document: dict[str, Any]
    reason: Reason = None


class Because(Wire):
    """Why somebody does it."""

    reason: Reason = None


class Restoration(Wire):
    """Which generation to go back to."""

    generation: int = pydantic.Field(ge=1)
    reason: Reason = None


class Agreement(Wire):
    """What is confirmed: the digest of the proposed document, as `proposal.digest` shows it."""

    digest: str = pydantic.Field(max_length=100)


class Asked(Wire):
    """Whose answer is asked for; `document`: the fields of a flag that is only proposed."""

    unit: str = pydantic.Field(max_length=1000)
    context: dict[str, Any] = {}
    document: dict[str, Any] | None = None


class OneOfMany(Wire):
    """One line of a preview."""

    unit: str = pydantic.Field(max_length=1000)
    context: dict[str, Any] = {}


class Many(Wire):
    """Whose answers are asked for, and the fields of a flag that is only proposed."""

    contexts: list[OneOfMany] = pydantic.Field(max_length=service.MAX_CONTEXTS)
    document: dict[str, Any] | None = None


@router.get("/flags")
def list_flags(environment: str, call: Reading) -> dict[str, Any]:
    """List the flags of an environment by name."""
    with call.read() as reader:
        found = service.list_(reader, call.project, environment)
        return page([_wire(reader, one) for one in found], None)


@router.post("/flags", status_code=201)
def create_flag(environment: str, body: NewFlag, call: Changing) -> dict[str, Any]:
    """Make a flag; in a protected environment it is off until a second person confirms what it exposes."""
    with changing(call) as tx:
        wanted = service.Change(
            place=_place(call, environment, body.name), form=body.document, reason=body.reason
        )
        return _wire(tx, service.create(tx, wanted))


@router.get("/flags/{name}")
def get_flag(environment: str, name: str, call: Reading, response: Response) -> dict[str, Any]:
    """Show a flag, and what is proposed for it."""
    with call.read() as reader:
        return _tagged(response, _wire(reader, service.get(reader, _place(call, environment, name))))


@router.patch("/flags/{name}")
def change_flag(
    environment: str, name: str, body: NewDocument, call: Changing, expected: Expected, response: Response
) -> dict[str, Any]:
    """Change a flag; what gives more in a protected environment is proposed."""
    place = _place(call, environment, name, expected)
    with changing(call) as tx:
        wanted = service.Change(place=place, form=body.document, reason=body.reason)
        return _tagged(response, _wire(tx, service.change(tx, wanted)))


@router.post("/flags/{name}/switch-offs", status_code=201)
def switch_off(
    environment: str,
    name: str,
    body: Because,
    call: Annotated[Call, requires(Permission.FLAG_SWITCH_OFF)],
    expected: Expected,
) -> dict[str, Any]:
    """Give everybody the off variant, at once."""
    with changing(call) as tx:
        return _wire(tx, service.switch_off(tx, _place(call, environment, name, expected), body.reason))


@router.post("/flags/{name}/switch-ons", status_code=201)
def switch_on(
    environment: str, name: str, body: Because, call: Changing, expected: Expected
) -> dict[str, Any]:
    """Let a flag decide again."""
    with changing(call) as tx:
        return _wire(tx, service.switch_on(tx, _place(call, environment, name, expected), body.reason))


@router.post("/flags/{name}/restorations", status_code=201)
def restore(
    environment: str, name: str, body: Restoration, call: Changing, expected: Expected
) -> dict[str, Any]:
    """Go back to what a flag was, as a new generation."""
    with changing(call) as tx:
        place = _place(call, environment, name, expected)
        return _wire(tx, service.restore(tx, place, body.generation, body.reason))


@router.post("/flags/{name}/archivings", status_code=204)
def archive(environment: str, name: str, body: Because, call: Changing, expected: Expected) -> None:
    """Remove a flag that gives everybody the off variant: applications get their own default."""
    with changing(call) as tx:
        service.archive(tx, _place(call, environment, name, expected), body.reason)


@router.post("/{kind}/{name}/confirmations", status_code=201)
def confirm(environment: str, kind: Kind, name: str, body: Agreement, call: Confirming) -> dict[str, Any]:
    """Do what somebody else proposed."""
    place = _place(call, environment, name, kind=kind)
    wanted = service.Confirmation(place=place, body=body.digest, step_up_s=call.runtime.settings.step_up_s)
    with changing(call) as tx:
        return _wire(tx, service.confirm(tx, wanted))


@router.post("/{kind}/{name}/withdrawals", status_code=201)
def withdraw(environment: str, kind: Kind, name: str, call: Changing) -> dict[str, Any]:
    """Take a proposal back."""
    with changing(call) as tx:
        return _wire(tx, service.withdraw(tx, _place(call, environment, name, kind=kind)))


@router.get("/{kind}/{name}/history")
def history(
    environment: str,
    kind: Kind,
    name: str,
    call: Reading,
    cursor: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """List what a flag or segment was, newest first."""
    with call.read() as reader:
        found = service.history(reader, _place(call, environment, name, kind=kind), cursor, limit)
        more = str(found[-1].generation) if len(found) == limit and found[-1].generation > 1 else None
        return page([_generation(reader, one) for one in found], more)


@router.post("/flags/{name}/explanations")
def explain(environment: str, name: str, body: Asked, call: Reading) -> dict[str, Any]:
    """Say why a unit gets what it gets, rule by rule; nothing is recorded."""
    with call.read() as reader:
        subject = service.Subject(unit=body.unit, context=body.context)
        found = service.explained(reader, _place(call, environment, name), subject, body.document)
        return {
            **decision_wire(found.decision),
            "unit_bucket": found.bucket,
            "steps": [
                {**asdict(one), "conditions": [list(pair) for pair in one.conditions]} for one in found.steps
            ],
        }


@router.post("/flags/{name}/previews")
def preview(environment: str, name: str, body: Many, call: Reading) -> dict[str, Any]:
    """Say who would get what, now and under a proposed document; nothing is recorded."""
    with call.read() as reader:
        subjects = [service.Subject(unit=one.unit, context=one.context) for one in body.contexts]
        found = service.preview(reader, _place(call, environment, name), subjects, body.document)
    then = found.then or [None] * len(found.now)
    return {
        "n": len(found.now),
        "counts": found.counts,
        "counts_then": found.counts_then if found.then is not None else None,
        "n_changed": found.n_changed if found.then is not None else None,
        "lines": [
            {
                "unit": one.unit,
                **decision_wire(now),
                "then": decision_wire(after) if after is not None else None,
            }
            for one, now, after in zip(body.contexts, found.now, then, strict=True)
        ],
    }


@router.post("/flags/{name}/comparisons")
def compare(environment: str, name: str, body: NewDocument, call: Reading) -> dict[str, Any]:
    """Say which fields a change would alter, and whether it gives anybody more; nothing is changed."""
    place = _place(call, environment, name)
    with call.read() as reader:
        held = service.get(reader, place)
        after, is_more = service.compare(reader, place, body.document)
    document = flag_document(after)
    return {
        "differs": sorted(key for key, value in document.items() if held.document[key] != value),
        "grows": is_more,
        "is_proposed": held.proposal is not None and held.proposal.body == digest(document),
    }


@router.get("/stale-flags")
def list_stale(
    environment: str, call: Reading, days: Annotated[int, Query(ge=1, le=365)] = 30
) -> dict[str, Any]:
    """List the flags that nobody seems to need, each with why."""
    with call.read() as reader:
        items = [
            {**_wire(reader, one), "reasons": [asdict(reason) for reason in reasons]}
            for one, reasons in service.stale(reader, call.project, environment, days)
        ]
    return page(items, None)


@router.get("/flagd")
def export_flagd(environment: str, call: Reading) -> dict[str, Any]:
    """Give the flags in flagd's form, with what was left out and how many units differ there."""
    with call.read() as reader:
        return asdict(service.exported(reader, call.project, environment))


@router.get(
    "/flagd/flags.json",
    response_model=None,
    responses=gives("application/json"),
    openapi_extra=takes_known("The ETag of the flags that the caller has."),
)
def sync_flagd(
    environment: str, request: Request, call: Annotated[Call, requires(Permission.FLAG_EVALUATE)]
) -> Response:
    """Give the flag set alone, as flagd reads it from an `http` source; 304 where the caller has it."""
    with call.read() as reader:
        flags = service.exported(reader, call.project, environment).flags
    tag = digest(flags)
    if fresh := unchanged(request, tag):
        return fresh
    headers = {"etag": f'"{tag}"', "cache-control": "private, no-cache"}
    return JSONResponse(flags, headers=headers)


@router.get("/segments")
def list_segments(environment: str, call: Reading) -> dict[str, Any]:
    """List the segments of an environment by name."""
    with call.read() as reader:
        found = service.list_(reader, call.project, environment, service.SEGMENT)
        return page([_wire(reader, one) for one in found], None)


@router.get("/segments/{name}")
def get_segment(environment: str, name: str, call: Reading, response: Response) -> dict[str, Any]:
    """Show a segment, and what is proposed for it."""
    with call.read() as reader:
        stored = service.get(reader, _place(call, environment, name, kind="segments"))
        return _tagged(response, _wire(reader, stored))


@router.put("/segments/{name}")
def set_segment(
    environment: str, name: str, body: NewDocument, call: Changing, expected: Expected
) -> dict[str, Any]:
    """Make or change a segment; what flags of a protected environment ask for is proposed."""
    place = _place(call, environment, name, expected, "segments")
    with changing(call) as tx:
        return _wire(tx, service.set_segment(tx, place, body.document, body.reason))


@contextmanager
def changing(call: Call) -> Iterator[Tx]:
    """Open a transaction; once it is durable, wake what pushes snapshots, in other processes too."""
    with call.begin() as tx:
        yield tx
        announce(tx.conn)
        tx.after_commit(lambda: call.runtime.signals.notify(TOPIC))


def decision_wire(decision: Decision) -> dict[str, Any]:
    """Write a decision."""
    return decision._asdict()


def _place(
    call: Call, environment: str, name: str, expected: int | None = None, kind: Kind = "flags"
) -> Place:
    return Place(
        project=call.project,
        environment=environment,
        name=name,
        kind=service.FLAG if kind == "flags" else service.SEGMENT,
        generation=expected,
    )


def _tagged(response: Response, wire: dict[str, Any]) -> dict[str, Any]:
    response.headers["etag"] = f'"{wire["generation"]}"'
    return wire


def _wire(reader: Reader, stored: Stored) -> dict[str, Any]:
    row, held = stored.row, stored.proposal
    wire: dict[str, Any] = {
        "name": row.name,
        "environment": row.environment,
        "generation": row.generation,
        "enabled": row.enabled,
        "digest": row.body,
        "document": stored.document,
        "created_at": to_text(row.created_at),
        "changed_at": to_text(row.changed_at),
        "changed_by": identity.name_of(reader, row.changed_by),
        "proposal": None if held is None else _proposal(reader, held),
    }
    if row.kind == service.FLAG:
        wire["shares"] = {name: n / BUCKETS for name, n in shares_of(stored.flag.split).items()}
    return wire


def _proposal(reader: Reader, held: service.Proposal) -> dict[str, Any]:
    return {
        "digest": held.body,
        "how": held.how,
        "document": service.document_at(reader, held.body),
        "proposed_by": identity.name_of(reader, held.proposed_by),
        "proposed_at": to_text(held.proposed_at),
        "reason": reason_text(reader, held.reason),
    }


def _generation(reader: Reader, one: service.Generation) -> dict[str, Any]:
    return {
        "generation": one.generation,
        "how": one.how,
        "enabled": one.enabled,
        "digest": one.body,
        "changed_by": identity.name_of(reader, one.changed_by),
        "proposed_by": identity.name_of(reader, one.proposed_by) if one.proposed_by else None,
        "document": service.document_at(reader, one.body),
        "changed_at": to_text(one.changed_at),
        "reason": reason_text(reader, one.reason),
    }
