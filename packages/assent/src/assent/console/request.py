"""A request to release: what is asked, on what evidence, under which conditions, and the vote on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from assent.approvals import service as approvals
from assent.approvals.domain.requests import PENDING
from assent.console.changes import Change, about, card_changes, changes, live_digest
from assent.console.discussion import Discussion, discuss
from assent.console.parts import ConditionRow, Link, TimelineEntry
from assent.console.refs import ref_of, rollout_link, system_link
from assent.console.runs import RunChart, draw_runs
from assent.console.sign_in import keep, redeem
from assent.console.system import rollout_text
from assent.console.timeline import Names, timeline
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.delivery import service as delivery
from assent.delivery.domain import Rollout
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Forbidden, Invalid, Reason, Unauthenticated
from assent.kernel.tx import Reader
from assent.ledger.domain import Query
from assent.web.forms import Form, posted_form
from assent.web.pages import duration

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/requests")
Seen = Annotated[Visit, visits(Permission.REQUEST_READ)]
VERDICTS = ("approve", "reject", "abstain")


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One vote; a stale one spoke of another digest and does not count."""

    voter: str
    verdict: str
    at: datetime
    digest: str
    stale: bool
    comment: str
    proviso: str


@dataclass(frozen=True, slots=True)
class Said:
    """What the visitor typed into the comment's form."""

    text: str = ""
    path: str = ""
    line: str = ""
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """What the visitor typed into the forms of the page; it outlives a refusal."""

    verdict: str = ""
    comment: str = ""
    said: Said = Said()
    review: str = ""
    finding: str = ""
    max_share: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a form was not taken, and the field that it concerns."""

    title: str
    reasons: Sequence[Any]
    field: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """What the page shows."""

    title: str
    subject: str
    digest: str
    environment: str | None
    system: Link
    state: str
    requester: str
    filed_at: datetime
    expires_at: datetime | None
    tier: str
    contributors: Sequence[str]
    manifest: Sequence[tuple[str, str, str]]
    """What else the request decides on: what it is, its name where it has one, its digest."""
    policy: str
    policy_digest: str
    conditions: Sequence[ConditionRow]
    n_open: int
    charts: Sequence[RunChart]
    compared_with: str
    changes: Sequence[Change]
    votes: Sequence[VoteRow]
    vote_address: str
    vote_reasons: Sequence[Reason]
    sign_in_again: bool
    signed_in_s: float
    step_up_s: float
    rollout: Link | None
    discussion: Discussion
    timeline: Sequence[TimelineEntry]


def _manifest(reader: Reader, request: approvals.Request) -> list[tuple[str, str, str]]:
    rows = []
    for what, digest in sorted(request.manifest.items()):
        if digest == request.subject:
            continue  # the page has said it above
        name = ref_of(reader, request.project, digest)
        rows.append((what, "" if name == digest else name, digest))
    return rows


def condition_rows(results: Sequence[approvals.Result]) -> list[ConditionRow]:
    """Write the policy's answers as a task list, what needs somebody first."""
    order = {"fail": 0, "unknown": 1, "pass": 2}
    rows = [ConditionRow(r.title, r.ok.value, r.need, r.have, r.remedy or "") for r in results]
    return sorted(rows, key=lambda row: order[row.state])


def _votes(reader: Reader, request: approvals.Request, names: Names) -> list[VoteRow]:
    return [
        VoteRow(
            voter=names.of(vote.voter),
            verdict=vote.verdict,
            at=vote.at,
            digest=vote.subject,
            stale=vote.stale,
            comment=vote.comment or "",
            proviso=approvals.told(vote.proviso),
        )
        for vote in approvals.list_votes(reader, request.id)
    ]


def _rollout(reader: Reader, request: approvals.Request) -> Rollout | None:
    """Find the rollout that this request is for."""
    found, _ = delivery.list_(reader, request.project, {"subject": request.subject})
    return next((rollout for rollout in found if rollout.request == request.id), None)


def _compared(
    reader: Reader, request: approvals.Request, rollout: Rollout | None
) -> tuple[str, list[Change]]:
    """Compare what is asked for with what there is; gives what it was compared with, in words, too."""
    if request.environment is None:
        before, changed = card_changes(reader, request)
        return before or "There is no card before this one: everything is new.", changed
    live = live_digest(reader, request.project, request.environment, request.name)
    told = "which is live"
    if rollout is not None and rollout.stable is not None:  # it has begun: what it replaces is what counts
        live, told = rollout.stable, "which was live"
    if live is None or live == request.subject:
        return f"Nothing else was live in {request.environment}: everything is new.", changes(
            reader, request.project, None, request.subject
        )
    before = f"Against {ref_of(reader, request.project, live)}, {told} in {request.environment}."
    return before, changes(reader, request.project, live, request.subject)


def build(visit: Visit, reader: Reader, request_id: str) -> RequestView:
    """Gather what the page shows. Raises: NotFound."""
    request = approvals.get(reader, request_id, visit.project)
    rollout, names = _rollout(reader, request), Names(reader)
    conditions = condition_rows(approvals.check_conditions(reader, request.id))
    signed_in_s = visit.signed_in_s(reader)
    step_up_s = visit.runtime.settings.step_up_s
    events, _ = timeline(reader, Query(subject=request.id))
    compared_with, changed = _compared(reader, request, rollout)
    return RequestView(
        title=f"{request.ref} for {request.environment}" if request.environment else f"Card of {request.ref}",
        subject=request.ref,
        digest=request.subject,
        environment=request.environment,
        system=system_link(request.project, request.name),
        state=request.state.value,
        requester=names.of(request.requester),
        filed_at=request.filed_at,
        expires_at=request.expires_at if request.state in PENDING else None,
        tier=request.tier,
        contributors=[names.of(person) for person in request.contributors],
        manifest=_manifest(reader, request),
        policy=request.policy_ref,
        policy_digest=request.policy,
        conditions=conditions,
        n_open=sum(row.state != "pass" for row in conditions),
        charts=draw_runs(reader, request.project, about(request)),
        compared_with=compared_with,
        changes=changed,
        votes=_votes(reader, request, names),
        vote_address=f"/projects/{request.project}/requests/{request.id}/votes",
        vote_reasons=[
            *visit.lacks(Permission.REQUEST_VOTE),
            *approvals.vote_reasons(reader, request.id, visit.session.person),
        ],
        sign_in_again=signed_in_s > step_up_s,
        signed_in_s=signed_in_s,
        step_up_s=step_up_s,
        rollout=rollout_link(request.project, rollout.id, rollout_text(rollout)) if rollout else None,
        discussion=discuss(visit, reader, request, changed),
        timeline=events,
    )


def show_request(visit: Visit, request_id: str, typed: Typed, trouble: Trouble | None = None) -> Response:
    """Show the page, with what was typed and why it was not taken."""
    with visit.read() as reader:
        view = build(visit, reader, request_id)
    return visit.page(
        "request/page.html",
        status=trouble.status if trouble else 200,
        view=view,
        typed=typed,
        errors=trouble.reasons if trouble else (),
        error_title=trouble.title if trouble else "",
        error_field=trouble.field if trouble else "",
    )


@router.get("/{request_id}")
def show(visit: Seen, request_id: str) -> Response:
    """Show the request."""
    return show_request(visit, request_id, Typed())


@router.post("/{request_id}/votes")
def vote(
    request: Request, visit: Seen, request_id: str, form: Annotated[Form, Depends(posted_form)]
) -> Response:
    """Cast a vote on the digest that was on the page; what cannot be taken is shown with what was typed."""
    typed = Typed(
        form.text("verdict"),
        form.fields.get("comment", "").replace("\r\n", "\n"),
        max_share=form.text("max_share"),
        until=form.text("until"),
    )
    fresh: identity.Session | None = None
    try:
        if form.text("code", limit=2000):
            fresh = _sign_in_again(request, visit, form.text("code", limit=2000))
        _cast(visit, fresh or visit.session, request_id, form)
    except AssentError as error:
        response = show_request(visit, request_id, typed, _trouble(error))
    else:
        response = see_other(f"/projects/{visit.project}/requests/{request_id}")
    return keep(request, response, fresh) if fresh else response


def _sign_in_again(request: Request, visit: Visit, code: str) -> identity.Session:
    """Redeem a link in the midst of a vote. Raises: Unauthenticated, Forbidden (it is somebody else's)."""
    session = redeem(request, code, visit.session.person)
    if session.person == visit.session.person:
        return session
    with visit.runtime.session.begin(session.actor) as tx:
        identity.end_session(tx, session.secret)
    raise Forbidden(
        "This link belongs to another person; it is used up now.", remedy=f"Ask for one for {visit.name}."
    )


def _cast(visit: Visit, session: identity.Session, request_id: str, form: Form) -> None:
    verdict = form.text("verdict")
    if verdict not in VERDICTS:
        raise Invalid("Choose approve, reject or abstain.", reasons=[Reason("verdict", "Choose a verdict.")])
    if visit.lacks(Permission.REQUEST_VOTE):
        raise Forbidden(visit.lacks(Permission.REQUEST_VOTE)[0].message)
    with visit.runtime.session.begin(session.actor) as tx:
        age_s, most_s = session.age_s(tx.now()), visit.runtime.settings.step_up_s
        if age_s > most_s:
            raise Unauthenticated(
                f"Your sign-in is {duration(age_s)} old; a vote needs one of at most {duration(most_s)}.",
                remedy="Paste a new one-time link below and send the form again; nothing you typed is lost.",
            )
        approvals.vote(
            tx,
            approvals.NewVote(
                request=request_id,
                project=visit.project,
                subject=form.text("digest"),
                policy=form.text("policy"),
                verdict=verdict,
                comment=form.text("comment") or None,
                proviso=_proviso(form),
                step_up_s=round(most_s),
            ),
        )


def _proviso(form: Form) -> approvals.Proviso:
    """Read what an approval holds for only. Raises: Invalid."""
    share, until = form.text("max_share", limit=20).replace(",", "."), form.text("until", limit=20)
    try:
        return approvals.Proviso(
            max_share=Decimal(share) if share else None,
            until=datetime.strptime(until, "%Y-%m-%d").replace(tzinfo=UTC) if until else None,
        )
    except (ValueError, InvalidOperation):
        raise Invalid(
            "The proviso cannot be read.",
            reasons=[Reason("proviso", "A share is a number such as 0.1, an end a day: YYYY-MM-DD.")],
        ) from None


def _trouble(error: AssentError) -> Trouble:
    field = {"unauthenticated": "code", "invalid": "verdict"}.get(error.code, "vote")
    return Trouble("Your vote was not taken", error.reasons or (error,), field, error.status)
