"""The ledger of a project: searched, with how far it can be trusted, and to take away."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

import pydantic
from fastapi import APIRouter
from fastapi import Query as Parameters
from fastapi.responses import Response

from assent.console.timeline import timeline
from assent.console.visit import PageRoute, Visit, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.clock import to_text
from assent.kernel.errors import Frozen, NotFound
from assent.kernel.tx import Reader
from assent.ledger import service as ledger
from assent.ledger.domain import Leaf, Query

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/ledger")
PER_PAGE = 50
MAX_EXPORTED = 10_000
LINES = "application/x-ndjson"

Text = Annotated[str, pydantic.StringConstraints(strip_whitespace=True, max_length=200)]
Day = Annotated[date | None, pydantic.BeforeValidator(lambda value: value or None)]


class Search(pydantic.BaseModel):
    """What to look for; an empty field asks for nothing."""

    model_config = pydantic.ConfigDict(extra="forbid")

    type: Text = ""
    actor: Text = ""
    subject: Text = ""
    since: Day = None
    until: Day = None
    before: int | None = pydantic.Field(None, ge=0, le=2**53)

    def words(self) -> dict[str, str]:
        """Give the fields that ask for something, for links."""
        asked = self.model_dump(mode="json", exclude={"before"}, exclude_none=True)
        return {key: value for key, value in asked.items() if value}


@dataclass(frozen=True, slots=True)
class Trust:
    """How far what is shown can be trusted; `level` is local, pinned or frozen."""

    level: str
    says: str
    size: int
    origin: str


Asked = Annotated[Search, Parameters()]


@router.get("")
def show(visit: Annotated[Visit, visits(Permission.LEDGER_READ)], asked: Asked) -> Response:
    """Show what was found, newest first."""
    with visit.read() as reader:
        events, older = timeline(reader, _query(reader, visit.project, asked, asked.before, PER_PAGE))
        trust = _trust(reader, visit.runtime.signers.ledger.name)
    here = f"/projects/{visit.project}/ledger"
    words = asked.words()
    return visit.page(
        "ledger/page.html",
        project=visit.project,
        asked=asked,
        events=events,
        trust=trust,
        older=f"{here}?{urlencode({**words, 'before': older})}" if older is not None else "",
        export=f"{here}/export" + (f"?{urlencode(words)}" if words else ""),
    )


@router.get("/export")
def export(visit: Annotated[Visit, visits(Permission.LEDGER_READ)], asked: Asked) -> Response:
    """Give what was found as lines of JSON, each with the entry's exact bytes."""
    with visit.read() as reader:
        lines = [_line(leaf) for leaf in _found(reader, visit.project, asked)]
    headers = {"content-disposition": 'attachment; filename="ledger.jsonl"'}
    return Response("".join(lines), media_type=LINES, headers=headers)


def _query(reader: Reader, project: str, asked: Search, before: int | None, limit: int) -> Query:
    return Query(
        project=project,
        type=asked.type or None,
        actor=_actor(reader, asked.actor),
        subject=asked.subject or None,
        since=_start(asked.since),
        until=_start(asked.until + timedelta(days=1)) if asked.until and asked.until < date.max else None,
        before=before,
        limit=limit,
    )


def _actor(reader: Reader, typed: str) -> str | None:
    """Give the id of an account that is typed by its name."""
    if not typed:
        return None
    try:
        return identity.get_account(reader, typed).id
    except NotFound:
        return typed


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _found(reader: Reader, project: str, asked: Search) -> Iterator[Leaf]:
    before, left = asked.before, MAX_EXPORTED
    while left > 0:
        leaves, before = ledger.entries(reader, _query(reader, project, asked, before, ledger.MAX_PAGE))
        yield from leaves[:left]
        left -= len(leaves)
        if before is None:
            return


def _line(leaf: Leaf) -> str:
    line = {
        "index": leaf.index,
        "id": leaf.event_id,
        "type": leaf.type,
        "at": to_text(leaf.at),
        "actor": leaf.actor,
        "entry": base64.b64encode(leaf.entry).decode(),
    }
    return json.dumps(line) + "\n"


def _trust(reader: Reader, origin: str) -> Trust:
    """Say what holds the ledger to its past, and no more than that."""
    size = ledger.head(reader).size
    try:
        pinned = ledger.verify_pin(reader)
    except Frozen as error:
        return Trust("frozen", error.message, size, origin)
    if pinned is None:
        return Trust("local", "Nothing was signed yet: only this database says what happened.", size, origin)
    says = (
        f"The tree continues the signed checkpoint of {pinned.size:,} leaves, kept outside the database."
        " Whoever holds the signing key can still write another history: no witness has signed this one."
    )
    return Trust("pinned", says, size, origin)
