"""Routes of cards: write, complete, submit and vote in a project; published ones are public."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from assent.cards import pdf, service
from assent.cards.domain import SCHEMA, completeness, named, title_of
from assent.cards.service import Card, View
from assent.identity.domain import Permission
from assent.kernel.errors import NotFound
from assent.kernel.runtime import Runtime
from assent.prompts import service as prompts
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}/cards", tags=["cards"])
public = APIRouter(prefix="/cards", tags=["cards"])
"""Published cards, for everybody."""

Format = Literal["json", "markdown", "brief", "html", "pdf", "huggingface", "eval-results", "cyclonedx"]
MARKDOWN = "text/markdown; charset=utf-8"
CYCLONEDX = "application/vnd.cyclonedx+json; version=1.7"
PAGE_HEADERS = {"content-security-policy": f"{service.POLICY}; frame-ancestors 'none'"}
SUFFIXES: dict[str, Format] = {
    ".hf.md": "huggingface",
    ".md": "markdown",
    ".cdx.json": "cyclonedx",
    ".json": "json",
    ".html": "html",
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


@router.post("", status_code=201)
def generate(project: ProjectPath, body: NewCard, response: Response, call: Writing) -> dict[str, Any]:
    """Write a version's card from its records: 201, or 200 where the newest says the same."""
    with call.begin() as tx:
        card, created = service.generate(tx, project, body.version)
    response.status_code = 201 if created else 200
    return {**_line(card), "created": created}


@router.get("")
def list_cards(project: ProjectPath, call: Reading, asked: Annotated[CardQuery, Query()]) -> dict[str, Any]:
    """List cards, newest first."""
    filters = {"name": asked.name, "number": asked.version, "state": asked.state}
    wanted = {column: value for column, value in filters.items() if value is not None}
    with call.read() as reader:
        found = service.list_(reader, project, wanted, before=asked.cursor, limit=asked.limit)
    return page([_line(card) for card in found], found[-1].id if len(found) == asked.limit else None)


@router.get("/{card}")
def get_card(
    project: ProjectPath,
    card: str,
    request: Request,
    call: Reading,
    form: Annotated[Format | None, Query(alias="format")] = None,
) -> Response:
    """Show a card by its id, or the newest of `name@version`; `format` goes before the Accept header."""
    with call.read() as reader:
        found = service.get(reader, project, card)
        extra = {"current": service.is_current(reader, found)}
        view = service.view(reader, found)
    return _answer(view, form or _accepted(request), _address(call.runtime, found), extra)


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
        "before": None if found.before is None else _line(found.before),
        "after": _line(found.after),
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


@router.put("/{card}/form", status_code=201)
def complete(
    project: ProjectPath, card: str, body: dict[str, Any], response: Response, call: Writing
) -> dict[str, Any]:
    """Declare what the records cannot know: a new revision (201), or 200 where nothing changed."""
    with call.begin() as tx:
        found, created = service.complete(tx, project, card, body)
    response.status_code = 201 if created else 200
    return {**_line(found), "created": created}


@router.post("/{card}/imports", status_code=201)
def import_(
    project: ProjectPath, card: str, body: ImportWire, response: Response, call: Writing
) -> dict[str, Any]:
    """Take over what a card written elsewhere declares; what is derived stays as the records say."""
    with call.begin() as tx:
        found, created, left = service.import_(tx, project, card, body.format, body.content)
    response.status_code = 201 if created else 200
    return {
        **_line(found),
        "created": created,
        "left": [{"what": one.id, "why": one.message} for one in left],
    }


@router.post("/{card}/submissions", status_code=201)
def submit(project: ProjectPath, card: str, call: Writing) -> dict[str, Any]:
    """Bring the card up to date with the records and ask for a vote on it."""
    with call.begin() as tx:
        return _line(service.submit(tx, project, card))


@router.post("/{card}/withdrawals", status_code=201)
def withdraw(project: ProjectPath, card: str, call: Writing) -> dict[str, Any]:
    """Take the card back from review."""
    with call.begin() as tx:
        return _line(service.withdraw(tx, project, card))


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
        return _line(service.vote(tx, new))


@public.get("/schema.json")
def get_schema() -> dict[str, Any]:
    """Give the JSON Schema of a card in JSON."""
    return dict(SCHEMA)


@public.get("/{project}/{name}/{version}")
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
    response = _answer(view, template or form, _address(runtime, card), {}, public=True)
    response.headers["cache-control"] = "no-cache"
    response.headers["vary"] = "accept"
    return response


def _address(runtime: Runtime, card: Card) -> str:
    return f"{runtime.settings.base_url}/cards/{card.project}/{card.name}/{card.number}"


def _accepted(request: Request) -> Format:
    """Choose by the Accept header: the first of ours that it names, else JSON."""
    ours: dict[str, Format] = {
        "text/markdown": "markdown",
        "text/html": "html",
        "application/json": "json",
    }
    named_types = (one.partition(";")[0].strip() for one in request.headers.get("accept", "").split(","))
    return next((ours[one] for one in named_types if one in ours), "json")


def _answer(
    view: View, form: Format, address: str, extra: dict[str, Any], *, public: bool = False
) -> Response:
    page = partial(service.page_of, view, view.card.number if public else "")
    answers: dict[Format, Callable[[], Response]] = {
        "json": lambda: JSONResponse({**_line(view.card), **extra, **_content(view)}),
        "markdown": lambda: Response(view.markdown(), media_type=MARKDOWN),
        "brief": lambda: Response(view.brief(), media_type=MARKDOWN),
        "html": lambda: HTMLResponse(page(), headers=PAGE_HEADERS),
        "pdf": lambda: Response(pdf.print_pdf(page()), media_type="application/pdf"),
        "huggingface": lambda: Response(service.readme_of(view, address), media_type=MARKDOWN),
        "eval-results": lambda: Response(
            service.eval_results_of(view, address), media_type="application/yaml"
        ),
        "cyclonedx": lambda: JSONResponse(service.bom_of(view), media_type=CYCLONEDX),
    }
    return answers[form]()


def _content(view: View) -> dict[str, Any]:
    found = completeness(view.document)
    n_met, n_asked = found.score
    return {
        "title": title_of(view.document),
        "completeness": {"complete": found.complete, "n_met": n_met, "n_asked": n_asked},
        "document": dict(view.document),
        "sections": view.sections(),
    }


def _line(card: Card) -> dict[str, Any]:
    at = {
        key: None if moment is None else moment.isoformat()
        for key, moment in (
            ("drafted_at", card.drafted_at),
            ("submitted_at", card.submitted_at),
            ("published_at", card.published_at),
        )
    }
    return {
        "id": card.id,
        "ref": card.ref,
        "name": card.name,
        "version": card.number,
        "subject": card.subject,
        "revision": card.revision,
        "digest": card.digest,
        "tier": card.tier,
        "state": card.state,
        "complete": card.complete,
        "missing": [named(number) for number in card.missing],
        "request": card.request,
        "drafted_by": card.drafted_by,
        "submitted_by": card.submitted_by,
        **at,
    }
