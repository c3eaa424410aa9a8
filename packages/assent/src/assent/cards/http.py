"""Routes of cards: write, complete, submit and vote in a project; published ones are public."""

from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from assent.cards import service
from assent.cards.domain import SCHEMA, named
from assent.cards.service import Card, Form, Remark, View, card_to_wire
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import NotFound
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires
from assent.web.openapi import EXISTED, gives

router = APIRouter(prefix="/v1/projects/{project}/cards", tags=["cards"])
public = APIRouter(prefix="/cards", tags=["cards"])
"""Published cards, for everybody."""

SUFFIXES = {
    ".hf.md": Form.HUGGINGFACE,
    ".md": Form.MARKDOWN,
    ".cdx.json": Form.CYCLONEDX,
    ".json": Form.JSON,
    ".html": Form.HTML,
}

Reading = Annotated[Call, requires(Permission.CARD_READ)]
Writing = Annotated[Call, requires(Permission.CARD_WRITE)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class NewCard(Wire):
    """Whose card to write: `name@version` of a model version."""

    version: str


class VoteWire(Wire):
    """A vote on the card whose digest was shown."""

    digest: str
    verdict: Literal["approve", "reject", "abstain"]
    policy: str | None = None
    comment: str | None = pydantic.Field(None, max_length=20_000)


class RemarkWire(Wire):
    """A comment on a section, 1 to 20, or on the whole card."""

    text: str = pydantic.Field(min_length=1, max_length=10_000)
    section: int | None = pydantic.Field(None, ge=1, le=20)
    answers: str | None = pydantic.Field(None, max_length=100)


class ImportWire(Wire):
    """A card written elsewhere: our JSON, front matter or a BOM as JSON, or the short template as text."""

    format: Literal["json", "huggingface", "cyclonedx", "brief"]
    content: Any


class CardQuery(Wire):
    """Which cards."""

    name: str | None = None
    version: str | None = None
    state: Literal["draft", "submitted", "published", "rejected", "superseded"] | None = None
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


@router.post("", status_code=201, responses=EXISTED)
def generate(project: ProjectPath, body: NewCard, response: Response, call: Writing) -> dict[str, Any]:
    """Write a version's card from its records: 201, or 200 where the newest says the same."""
    with call.begin() as tx:
        card, created = service.generate(tx, project, body.version)
    response.status_code = 201 if created else 200
    return {**card_to_wire(card), "created": created}


@router.get("")
def list_cards(project: ProjectPath, call: Reading, asked: Annotated[CardQuery, Query()]) -> dict[str, Any]:
    """List cards, newest first."""
    filters = {"name": asked.name, "number": asked.version, "state": asked.state}
    wanted = {column: value for column, value in filters.items() if value is not None}
    with call.read() as reader:
        found = service.list_(reader, project, wanted, before=asked.cursor, limit=asked.limit)
        lines = [{**card_to_wire(one), "writer": _name(reader, one.drafted_by)} for one in found]
    return page(lines, found[-1].id if len(found) == asked.limit else None)


@router.get("/{card}", responses=gives(*service.MEDIA_TYPES.values()))
def get_card(
    project: ProjectPath,
    card: str,
    request: Request,
    call: Reading,
    form: Annotated[Form | None, Query(alias="format")] = None,
) -> Response:
    """Show a card by its id, or the newest of `name@version`; `format` goes before the Accept header."""
    with call.read() as reader:
        found = service.get(reader, project, card)
        view, current = service.view(reader, found), service.is_current(reader, found)
    chosen = form or _accepted(request)
    if chosen is Form.JSON:
        return JSONResponse({**service.view_to_wire(view), "current": current})
    return _answer(view, chosen, _address(call.runtime, found))


@router.get("/{card}/differences")
def compare(
    project: ProjectPath,
    card: str,
    call: Reading,
    against: Annotated[str | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    """Compare a card, word by word, with another, or with the one before it."""
    with call.read() as reader:
        found = service.compare(reader, project, card, against)
    return {
        "before": None if found.before is None else card_to_wire(found.before),
        "after": card_to_wire(found.after),
        "fields": prompts.fields_to_wire(found.fields),
    }


@router.get("/{card}/form")
def get_form(project: ProjectPath, card: str, call: Reading) -> dict[str, Any]:
    """Print the form of a version's card: what is declared, what the tier misses, and the YAML to fill in."""
    with call.read() as reader:
        form = service.form_of(reader, project, card)
    return {
        "ref": form.ref,
        "tier": form.tier,
        "declared": dict(form.declared),
        "missing": list(form.missing),
        "text": form.text,
    }


@router.put("/{card}/form", status_code=201, responses=EXISTED)
def complete(
    project: ProjectPath, card: str, body: dict[str, Any], response: Response, call: Writing
) -> dict[str, Any]:
    """Declare what the records cannot know: a new revision (201), or 200 where nothing changed."""
    with call.begin() as tx:
        found, created = service.complete(tx, project, card, body)
    response.status_code = 201 if created else 200
    return {**card_to_wire(found), "created": created}


@router.post("/{card}/imports", status_code=201, responses=EXISTED)
def import_(
    project: ProjectPath, card: str, body: ImportWire, response: Response, call: Writing
) -> dict[str, Any]:
    """Take over what a card written elsewhere declares; what is derived stays as the records say."""
    with call.begin() as tx:
        found, created, left = service.import_(tx, project, card, body.format, body.content)
    response.status_code = 201 if created else 200
    return {
        **card_to_wire(found),
        "created": created,
        "left": [{"what": one.id, "why": one.message} for one in left],
    }


@router.get("/{card}/comments")
def list_comments(project: ProjectPath, card: str, call: Reading) -> dict[str, Any]:
    """List what was said about the sections of a card, oldest first."""
    with call.read() as reader:
        found = service.list_remarks(reader, service.get(reader, project, card))
        return page([_remark(reader, one) for one in found], None)


@router.post("/{card}/comments", status_code=201)
def comment(
    project: ProjectPath,
    card: str,
    body: RemarkWire,
    call: Annotated[Call, requires(Permission.REQUEST_COMMENT)],
) -> dict[str, Any]:
    """Say something about a section of the card under review, or in answer to a comment."""
    with call.begin() as tx:
        return _remark(tx, service.remark(tx, project, card, service.NewRemark(**body.model_dump())))


@router.post("/{card}/submissions", status_code=201)
def submit(project: ProjectPath, card: str, call: Writing) -> dict[str, Any]:
    """Bring the card up to date with the records and ask for a vote on it."""
    with call.begin() as tx:
        return card_to_wire(service.submit(tx, project, card))


@router.post("/{card}/withdrawals", status_code=201)
def withdraw(project: ProjectPath, card: str, call: Writing) -> dict[str, Any]:
    """Take the card back from review."""
    with call.begin() as tx:
        return card_to_wire(service.withdraw(tx, project, card))


@router.post("/{card}/votes", status_code=201)
def vote(
    project: ProjectPath,
    card: str,
    body: VoteWire,
    call: Annotated[Call, requires(Permission.CARD_REVIEW)],
) -> dict[str, Any]:
    """Vote on the card that was shown; the vote that decides publishes it."""
    new = service.NewVote(
        project=project,
        card=card,
        digest=body.digest,
        verdict=body.verdict,
        policy=body.policy,
        comment=body.comment,
        step_up_s=call.runtime.settings.step_up_s,
    )
    with call.begin() as tx:
        return card_to_wire(service.vote(tx, new))


@public.get("/schema.json")
def get_schema() -> dict[str, Any]:
    """Give the JSON Schema of a card in JSON."""
    return dict(SCHEMA)


@public.get("/{project}/{name}/{version}", responses=gives(*service.MEDIA_TYPES.values()))
def get_published(
    project: str,
    name: str,
    version: str,
    request: Request,
    template: Literal["brief"] | None = None,
) -> Response:
    """Show the published card of a version to everybody; a suffix such as .md or .json beats Accept."""
    runtime: Runtime = request.app.state.runtime
    suffix = next((one for one in SUFFIXES if version.endswith(one)), "")
    form = SUFFIXES[suffix] if suffix else _accepted(request)
    with runtime.session.read() as reader:
        card = service.find_published(reader, project, name, version.removesuffix(suffix))
        if card is None:
            raise NotFound(f"No card of {name}@{version.removesuffix(suffix)} is published.")
        view = service.view(reader, card)
    chosen = form if template is None else Form.BRIEF
    response = _answer(view, chosen, _address(runtime, card), public=True)
    response.headers["cache-control"] = "no-cache"
    response.headers["vary"] = "accept"
    return response


def _remark(reader: Reader, one: Remark) -> dict[str, Any]:
    return {
        "id": one.id,
        "section": one.section,
        "heading": None if one.section is None else named(one.section),
        "answers": one.answers,
        "by": _name(reader, one.by),
        "at": one.at,
        "resolved_at": one.resolved_at,
        "text": one.text,
    }


def _name(reader: Reader, person: str) -> str:
    try:
        return identity.get_account(reader, person).name
    except NotFound:
        return person


def _address(runtime: Runtime, card: Card) -> str:
    return f"{runtime.settings.base_url}/cards/{card.project}/{card.name}/{card.number}"


def _accepted(request: Request) -> Form:
    """Choose by the Accept header: the first of ours that it names, else JSON."""
    ours = {"text/markdown": Form.MARKDOWN, "text/html": Form.HTML, "application/json": Form.JSON}
    named_types = (one.partition(";")[0].strip() for one in request.headers.get("accept", "").split(","))
    return next((ours[one] for one in named_types if one in ours), Form.JSON)


def _answer(view: View, form: Form, address: str, *, public: bool = False) -> Response:
    made = service.write(view, form, address, links=public)
    return Response(made.content, media_type=made.media_type, headers=dict(made.headers))
