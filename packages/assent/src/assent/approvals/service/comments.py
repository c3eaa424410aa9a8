"""Comments on a request: threads that are anchored to a field, or to a line of it, and resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assent.approvals import store
from assent.approvals.domain.events import CommentMade, CommentResolved
from assent.approvals.domain.requests import PENDING, Kind, Request
from assent.approvals.service import requests as asked
from assent.approvals.service.subjects import documents_of
from assent.approvals.service.texts import comment_text, needed_text
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.web.diff import SEPARATOR, document_diff

MAX_COMMENTS = 1000
MAX_PATH = 200
N_SHOWN = 12
REPLACED = "replaces"
"""What the manifest names beside what is asked for: the version that is live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComment:
    """What somebody says. `document`: a digest of the manifest; `path`: a field as the diff names it.

    `line` counts from 1 in the field's text. `answers`: the comment that begins the thread.
    """

    request: str
    project: str
    text: str
    document: str | None = None
    path: str | None = None
    line: int | None = None
    answers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment as it is shown; `text` is None where it was erased."""

    id: str
    request: str
    document: str | None
    path: str | None
    line: int | None
    answers: str | None
    by: str
    at: datetime
    resolved_by: str | None
    resolved_at: datetime | None
    text: str | None


def comment(tx: Tx, new: NewComment) -> Comment:
    """Say something about a request that is pending. Raises: NotFound, Invalid, Conflict."""
    request = asked.get(tx, new.request, new.project, lock=True)
    if request.state not in PENDING:
        raise Conflict(f"The request is {request.state}; comments are over.", remedy="Comment on a new one.")
    held = store.select_comments(tx.conn, request.id)
    if len(held) >= MAX_COMMENTS:
        raise Conflict(f"The request has {MAX_COMMENTS:,} comments already.", remedy="Resolve what is said.")
    document, path, line = _anchor(tx, request, new, held)
    event = CommentMade(
        comment=new_id("cmt"),
        document=document,
        path=path,
        line=line,
        answers=new.answers,
        body=needed_text(tx, new.text, "A comment"),
        **_place(request),
    )
    tx.record(event)
    return get_comment(tx, event.comment)


def resolve_comment(tx: Tx, which: str, project: str) -> Comment:
    """Settle a thread; settling it again changes nothing. Raises: NotFound, Invalid."""
    found = get_comment(tx, which, project)
    if found.answers is not None:
        raise Invalid("A thread is settled at its first comment.", remedy=f"Resolve {found.answers}.")
    if found.resolved_at is None:
        request = asked.get(tx, found.request, lock=True)
        tx.record(CommentResolved(comment=which, **_place(request)))
    return get_comment(tx, which)


def get_comment(reader: Reader, which: str, project: str | None = None) -> Comment:
    """Get a comment, of a project if one is named. Raises: NotFound."""
    row = store.find_comment(reader.conn, which)
    if row is None or project not in {None, row.project}:
        raise NotFound(f"There is no comment {which!r}.")
    return _shown(reader, row)


def list_comments(reader: Reader, request: str) -> list[Comment]:
    """List the comments on a request, oldest first."""
    return [_shown(reader, row) for row in store.select_comments(reader.conn, request)]


def _anchor(
    reader: Reader, request: Request, new: NewComment, held: list[store.CommentRow]
) -> tuple[str | None, str | None, int | None]:
    """Give the place that a comment is on; an answer stands where its thread does. Raises: Invalid."""
    if new.answers is not None:
        first = next((row for row in held if row.id == new.answers), None)
        if first is None or first.answers is not None:
            raise Invalid(
                f"{new.answers!r} begins no thread on this request.", remedy="Answer its first one."
            )
        return first.document, first.path, first.line
    if new.path is None and new.document is None:
        if new.line is not None:
            raise Invalid("A line needs a field.", remedy="Name the field: --on FIELD --line N.")
        return None, None, None
    asked_for = {name: digest for name, digest in request.manifest.items() if name != REPLACED}
    documents = documents_of(reader, request.project, asked_for)
    about_card = request.subject if request.kind is Kind.CARD else None
    document = new.document or about_card or _only(documents, new.path or "")
    if document not in {request.subject, *asked_for.values()}:
        raise Invalid(f"{document} is not part of this request.", remedy="Take a digest of its manifest.")
    if document in documents:
        return document, *_place_in(documents[document], new.path or "", new.line)
    if len(new.path or "") > MAX_PATH or not (new.path or "x").isprintable():
        raise Invalid(f"The field's name is text of at most {MAX_PATH} characters.")
    return document, new.path, new.line


def _only(documents: Mapping[str, Mapping[str, Any]], path: str) -> str:
    """Find the one document that has a field. Raises: Invalid."""
    found = [digest for digest, content in documents.items() if _named(content, path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Invalid(f"{path!r} is a field of {len(found)} documents.", remedy="Name the document's digest.")
    known = sorted({name for content in documents.values() for name in _lines_of(content)})
    raise Invalid(f"There is no field {path!r}.", remedy=f"Fields are {_some(known)}.")


def _place_in(content: Mapping[str, Any], path: str, line: int | None) -> tuple[str, int | None]:
    """Give the field as the diff names it, and the line, if there are such. Raises: Invalid."""
    lines, name = _lines_of(content), _named(content, path)
    if path and name is None:
        raise Invalid(f"There is no field {path!r} in this document.", remedy=f"Fields are {_some(lines)}.")
    most = lines.get(name or "", 0)
    if line is not None and not 1 <= line <= most:
        raise Invalid(f"{path or 'The document'} has no line {line}.", remedy=f"Lines go from 1 to {most}.")
    return name or "", line


def _named(content: Mapping[str, Any], path: str) -> str | None:
    """Find a field by the diff's name for it, or by the same with dots: `messages.1.content`."""
    return next((name for name in _lines_of(content) if path in {name, name.replace(SEPARATOR, ".")}), None)


def _lines_of(content: Mapping[str, Any]) -> dict[str, int]:
    """Give each field, as the diff names it, and how many lines its text has."""
    return {field.path: len(field.lines) for field in document_diff(None, content)}


def _some(names: Any) -> str:
    shown = list(names)
    rest = f" and {len(shown) - N_SHOWN} more" if len(shown) > N_SHOWN else ""
    return ", ".join(shown[:N_SHOWN]) + rest


def _shown(reader: Reader, row: store.CommentRow) -> Comment:
    return Comment(
        id=row.id,
        request=row.request,
        document=row.document,
        path=row.path,
        line=row.line,
        answers=row.answers,
        by=row.by,
        at=row.at,
        resolved_by=row.resolved_by,
        resolved_at=row.resolved_at,
        text=comment_text(reader, row.body),
    )


def _place(request: Request) -> dict[str, Any]:
    return {
        "request": request.id,
        "project": request.project,
        "environment": request.environment,
        "subject": request.subject,
    }
