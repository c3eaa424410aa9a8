"""The forms of a request beside its vote: comment, settle, second a break-glass, review it."""

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.approvals import service as approvals
from assent.console.request import Said, Trouble, Typed, show_request
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Invalid
from assent.kernel.tx import Tx
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}")
Posted = Annotated[Form, Depends(posted_form)]
Commenting = Annotated[Visit, visits(Permission.REQUEST_COMMENT)]
LONG = 10_000
LINE = re.compile(r"[0-9]{1,6}\Z")


@router.post("/requests/{request_id}/comments")
def comment(visit: Commenting, request_id: str, form: Posted) -> Response:
    """Comment; what cannot be taken is shown with what was typed."""
    said = Said(
        text=form.fields.get("text", "").replace("\r\n", "\n")[:LONG],
        path=form.fields.get("path", ""),
        line=form.fields.get("line", ""),
        answers=form.fields.get("answers", ""),
    )

    def do(tx: Tx) -> None:
        new = approvals.NewComment(
            request=request_id,
            project=visit.project,
            text=said.text,
            path=said.path or None,
            line=_line(said.line),
            answers=said.answers or None,
        )
        approvals.comment(tx, new)

    return _do(visit, request_id, do, Typed(said=said), ("Your comment was not taken", "text"))


@router.post("/requests/{request_id}/comments/{comment_id}/resolutions")
def resolve(visit: Commenting, request_id: str, comment_id: str, form: Posted) -> Response:
    """Settle a thread."""
    del form

    def do(tx: Tx) -> None:
        approvals.resolve_comment(tx, comment_id, visit.project)

    return _do(visit, request_id, do, Typed(), ("The thread was not settled", "comments"))


@router.post("/break-glass/{which}/seconds")
def second(
    visit: Annotated[Visit, visits(Permission.BREAK_GLASS_SECOND)], which: str, form: Posted
) -> Response:
    """Second a break-glass."""
    del form
    step_up_s = visit.runtime.settings.step_up_s

    def do(tx: Tx) -> None:
        approvals.second_break_glass(tx, which, visit.project, step_up_s)

    return _do(visit, _request_of(visit, which), do, Typed(), ("It was not seconded", "break-glass"))


@router.post("/break-glass/{which}/reviews")
def review(
    visit: Annotated[Visit, visits(Permission.BREAK_GLASS_REVIEW)], which: str, form: Posted
) -> Response:
    """Review a break-glass; what cannot be taken is shown with what was typed."""
    text = form.fields.get("text", "").replace("\r\n", "\n")[:LONG]
    new = approvals.NewReview(
        break_glass=which,
        project=visit.project,
        finding=form.fields.get("finding", ""),
        text=text,
        step_up_s=visit.runtime.settings.step_up_s,
    )

    def do(tx: Tx) -> None:
        approvals.review_break_glass(tx, new)

    typed = Typed(review=text, finding=new.finding)
    return _do(visit, _request_of(visit, which), do, typed, ("Your review was not taken", "break-glass"))


def _line(text: str) -> int | None:
    """Read the number of a line; nothing typed is the whole field. Raises: Invalid."""
    if not text.strip():
        return None
    if not LINE.match(text.strip()):
        raise Invalid(f"{text[:20]!r} is no line.", remedy="Write a number, or nothing for the whole field.")
    return int(text)


def _request_of(visit: Visit, which: str) -> str:
    with visit.read() as reader:
        return approvals.get_break_glass(reader, which, visit.project).request


def _do(
    visit: Visit, request_id: str, action: Callable[[Tx], None], typed: Typed, trouble: tuple[str, str]
) -> Response:
    """Do it and go back to the page, or show the page with why not."""
    try:
        with visit.begin() as tx:
            action(tx)
    except AssentError as error:
        title, field = trouble
        return show_request(
            visit, request_id, typed, Trouble(title, error.reasons or (error,), field, error.status)
        )
    return see_other(f"/projects/{visit.project}/requests/{request_id}")
