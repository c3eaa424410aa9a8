"""`assent card`: write, complete, publish and read model cards."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assent_client.cli.card_files import read_card, write
from assent_client.cli.connection import OPTIONS, connect
from assent_client.cli.differences import print_fields
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.cli.strict_yaml import read
from assent_client.errors import Conflict, Invalid

if TYPE_CHECKING:
    from assent_client.api import Api

__all__ = ["Format", "Source", "app"]

app = typer.Typer()


class Format(StrEnum):
    """The written forms of a card."""

    MARKDOWN = "markdown"
    BRIEF = "brief"
    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    HUGGINGFACE = "huggingface"
    EVAL_RESULTS = "eval-results"
    CYCLONEDX = "cyclonedx"


class Source(StrEnum):
    """The forms that a card is read from."""

    JSON = "json"
    HUGGINGFACE = "huggingface"
    CYCLONEDX = "cyclonedx"
    BRIEF = "brief"


PRINTING_S = 150.0
"""Longer than the server tries to print a PDF."""
LINES = [
    Column("ref", "card of"),
    Column("state"),
    Column("revision", right=True),
    Column("tier"),
    Column("complete"),
    Column("missing"),
    Column("digest"),
    Column("id"),
]
PAST = [
    Column("ref", "card of"),
    Column("revision", right=True),
    Column("state"),
    Column("drafted_at", "written"),
    Column("writer", "by"),
    Column("published_at", "published"),
    Column("digest"),
    Column("id"),
]
SAID = [
    Column("heading", "on"),
    Column("by"),
    Column("at"),
    Column("text"),
    Column("resolved_at", "settled"),
    Column("id"),
]
STATUS = [
    *LINES,
    Column("current", "agrees with the records"),
    Column("drafted_at", "written"),
    Column("request"),
    Column("submitted_at", "submitted"),
    Column("published_at", "published"),
]
Ref = Annotated[
    str, typer.Argument(metavar="NAME@VERSION", help="A model version, or the id of a card, card_….")
]
Comment = Annotated[str | None, typer.Option("--comment", help="What you say with your vote.")]
Digest = Annotated[
    str | None, typer.Option("--digest", help="The card that you read; refused if another is under review.")
]


@app.command()
def generate(ref: Ref) -> None:
    """Write a version's card from its records; what people declared stays."""
    with connect() as api:
        found = api.post(api.path("cards"), {"version": ref})
    note("Written." if found["created"] else "The card says this already.")
    emit(found, LINES)
    _hint(found)


@app.command()
def form(ref: Ref) -> None:
    """Print the form of a version's card as YAML: what is declared, what is missing for its tier."""
    with connect() as api:
        found = api.get(api.path("cards", ref, "form"))
    emit(found, lambda answer: print_text(answer["text"]))


@app.command()
def complete(
    ref: Ref, file: Annotated[Path, typer.Option("--file", "-f", help="The form, filled in (YAML).")]
) -> None:
    """Declare what the records cannot know; the form takes the place of all that was declared before."""
    declared = read(file).value
    if not isinstance(declared, dict):
        raise Invalid(f"{file} holds no form.", remedy=f"assent card form {ref} > {file}")
    with connect() as api:
        found = api.put(api.path("cards", ref, "form"), declared)
    note("Written." if found["created"] else "The card says this already.")
    emit(found, LINES)
    _hint(found)


@app.command()
def submit(ref: Ref) -> None:
    """Bring the card up to date with the records, and ask for a vote on it."""
    with connect() as api:
        found = api.post(api.path("cards", ref, "submissions"))
    emit(found, LINES)
    _hint(found)


@app.command()
def withdraw(ref: Ref) -> None:
    """Take the card back from review."""
    with connect() as api:
        emit(api.post(api.path("cards", ref, "withdrawals")), LINES)


@app.command()
def approve(ref: Ref, comment: Comment = None, digest: Digest = None) -> None:
    """Vote for the card under review; the vote that decides publishes it."""
    _vote(ref, "approve", comment, digest)


@app.command()
def reject(ref: Ref, comment: Comment = None, digest: Digest = None) -> None:
    """Vote against the card under review."""
    _vote(ref, "reject", comment, digest)


@app.command()
def show(
    ref: Ref,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="markdown (twenty sections), brief, json, or another written form."),
    ] = None,
) -> None:
    """Print a card: the newest of a version, or the one with this id."""
    chosen = form or (Format.JSON if OPTIONS.json else Format.MARKDOWN)
    if chosen is Format.PDF:
        raise Invalid("A PDF is no text.", remedy=f"assent card export {ref} --format pdf --out card.pdf")
    with connect() as api:
        path = api.path("cards", ref)
        if chosen is Format.JSON:
            OPTIONS.json = True
            emit(api.get(path, format=chosen.value))
        else:
            print_text(api.read(path, format=chosen.value).decode())


@app.command()
def export(
    ref: Ref,
    form: Annotated[Format, typer.Option("--format", help="In which form.")] = Format.MARKDOWN,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file; with huggingface also a folder: README and .eval_results."
        ),
    ] = None,
) -> None:
    """Write a card to a file in one of its forms."""
    with connect(PRINTING_S if form is Format.PDF else None) as api:
        path = api.path("cards", ref)
        if out is None and form is not Format.PDF:
            print_text(api.read(path, format=form.value).decode())
            return
        if out is None:
            raise Invalid("A PDF needs a file.", remedy="Name it with --out card.pdf.")
        files = {out: form}
        if form is Format.HUGGINGFACE and out.is_dir():
            files = {out / "README.md": form, out / ".eval_results" / "assent.yaml": Format.EVAL_RESULTS}
        for file, chosen in files.items():
            write(file, api.read(path, format=chosen.value))
    emit({"written": [str(file) for file in files]}, [Column("written")])


@app.command("import")
def import_(
    ref: Ref,
    file: Annotated[Path, typer.Argument(help="The card that was written elsewhere.")],
    form: Annotated[
        Source, typer.Option("--format", help="json, huggingface (a README), cyclonedx, or brief.")
    ],
) -> None:
    """Take over what a card written elsewhere declares; what is derived stays as the records say."""
    content = read_card(file, form.value)
    with connect() as api:
        found = api.post(api.path("cards", ref, "imports"), {"format": form.value, "content": content})
    note("Written." if found["created"] else "The card says this already.")
    emit(found, LINES)
    for one in found["left"]:
        note(f"not taken over: {one['what']}: {one['why']}")
    _hint(found)


@app.command()
def comment(
    ref: Ref,
    text: Annotated[str, typer.Argument(help="What you say.")],
    section: Annotated[int | None, typer.Option("--section", help="Of which section, 1 to 20.")] = None,
    answers: Annotated[str | None, typer.Option("--answers", help="The comment that this answers.")] = None,
) -> None:
    """Say something about a section of the card under review."""
    with connect() as api:
        body = {"text": text, "section": section, "answers": answers}
        emit(api.post(api.path("cards", ref, "comments"), body), SAID)


@app.command()
def comments(ref: Ref) -> None:
    """List what was said about a card."""
    with connect() as api:
        emit(api.get(api.path("cards", ref, "comments")), SAID, empty="No comments.")


@app.command()
def diff(
    ref: Ref,
    other: Annotated[
        str | None, typer.Argument(metavar="[LATER]", help="The card that it is compared with.")
    ] = None,
) -> None:
    """Show, word by word, what a later card says that this one does not; alone, what it says anew.

    Example: assent card diff support@2.1.0#1 support@2.1.0
    """
    before, after = (None, ref) if other is None else (ref, other)
    with connect() as api:
        found = api.get(api.path("cards", after, "differences"), against=before)
    emit(found, _print_difference)


@app.command()
def history(
    ref: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A model, or one version of it.")],
) -> None:
    """List every card that there was, newest first: revision, state, who wrote it and when."""
    name, _, number = ref.partition("@")
    with connect() as api:
        emit(list(api.pages(api.path("cards"), name=name, version=number or None)), PAST, empty="No cards.")


@app.command()
def status(ref: Ref) -> None:
    """Say where a card stands: state, what is missing, and whether the records say something newer."""
    with connect() as api:
        found = api.get(api.path("cards", ref))
    emit({key: found.get(key) for key in (line.key for line in STATUS)}, STATUS)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Option("--name", help="Only cards of this model.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="draft, submitted, published, rejected or superseded.")
    ] = None,
) -> None:
    """List cards, newest first."""
    with connect() as api:
        emit(list(api.pages(api.path("cards"), name=name, state=state)), LINES, empty="No cards.")


def _print_difference(found: Any) -> None:
    before, after = found["before"], found["after"]
    told = "nothing" if before is None else _named(before)
    print_text(f"{told} → {_named(after)}")
    print_fields(found["fields"])
    if not found["fields"]:
        note("They say the same.")


def _named(card: Any) -> str:
    return f"{card['ref']}#{card['revision']} ({card['state']})"


def _vote(ref: str, verdict: str, comment: str | None, digest: str | None) -> None:
    with connect() as api:
        card = _under_review(api, ref)
        body = {"digest": digest or card["digest"], "verdict": verdict, "comment": comment}
        emit(api.post(api.path("cards", card["id"], "votes"), body), LINES)


def _under_review(api: Api, ref: str) -> Any:
    """Find the card that is voted on: the one with this id, or the submitted one of a version."""
    name, at, number = ref.partition("@")
    if not at:
        return api.get(api.path("cards", ref))
    found = next(iter(api.pages(api.path("cards"), name=name, version=number, state="submitted")), None)
    if found is None:
        raise Conflict(f"No card of {ref} is under review.", remedy=f"assent card submit {ref}")
    return found


def _hint(found: Any) -> None:
    if not found["complete"]:
        missing = ", ".join(found["missing"]) or "nothing, but a prohibited version's card is never complete"
        note(f"Missing for tier {found['tier']}: {missing}. See: assent card form {found['ref']}")
