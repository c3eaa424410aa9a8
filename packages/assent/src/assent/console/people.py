"""People and groups of a project: who may do what, whose votes count, and what waits to be confirmed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.console.timeline import Names
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity import service as identity
from assent.identity.domain import EVERYWHERE, Permission
from assent.kernel.errors import AssentError
from assent.kernel.tx import Reader, Tx
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/people")
Seen = Annotated[Visit, visits(Permission.PERSON_READ)]
Confirming = Annotated[Visit, visits(Permission.MEMBER_CONFIRM)]
Changing = Annotated[Visit, visits(Permission.GROUP_CHANGE)]
Posted = Annotated[Form, Depends(posted_form)]


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A person or service account that can do something in the project."""

    name: str
    called: str
    kind: str
    roles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a group, and since when."""

    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A group; a guarded one changes by two people, because a policy names it."""

    name: str
    guarded: bool
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change of a group's members that waits for a second person."""

    text: str
    by: str
    until: datetime
    address: str
    may_confirm: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """What the visitor typed; it outlives a refusal."""

    group: str = ""
    person: str = ""
    verb: str = "add"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleView:
    """What the page shows."""

    project: str
    accounts: Sequence[AccountRow]
    groups: Sequence[Group]
    waiting: Sequence[Waiting]
    may_change: bool


def _accounts(reader: Reader, project: str) -> list[AccountRow]:
    rows = []
    for account in identity.list_accounts(reader):
        roles = [
            one.role if one.project == project else f"{one.role} (everywhere)"
            for one in identity.roles_of(reader, account.id)
            if one.project in {EVERYWHERE, project}
        ]
        if roles:
            rows.append(AccountRow(account.name, account.display_name or "", account.kind, sorted(roles)))
    return rows


def _groups(reader: Reader, project: str, names: Names) -> list[Group]:
    guarded = identity.guarded_groups(reader, project)
    return [
        Group(
            name,
            name in guarded,
            [
                Member(names.of(person), since)
                for person, since in sorted(members.items(), key=lambda m: m[1])
            ],
        )
        for name, members in sorted(identity.list_groups(reader, project).items())
    ]


def _waiting(visit: Visit, reader: Reader, names: Names) -> list[Waiting]:
    rows = []
    for change in identity.list_changes(reader, visit.project):
        person = names.of(change.person)
        text = f"{person} joins {change.group}" if change.verb == "add" else f"{person} leaves {change.group}"
        address = f"/projects/{visit.project}/people/changes/{change.id}"
        may = Permission.MEMBER_CONFIRM in visit.allowed and change.asked_by != visit.session.person
        rows.append(Waiting(text, names.of(change.asked_by), change.expires_at, address, may))
    return rows


def _show(visit: Visit, typed: Typed | None = None, error: AssentError | None = None) -> Response:
    with visit.read() as reader:
        names = Names(reader)
        view = PeopleView(
            project=visit.project,
            accounts=_accounts(reader, visit.project),
            groups=_groups(reader, visit.project, names),
            waiting=_waiting(visit, reader, names),
            may_change=Permission.GROUP_CHANGE in visit.allowed,
        )
    errors: Sequence[Any] = () if error is None else error.reasons or (error,)
    status = 200 if error is None else error.status
    return visit.page("people/page.html", status=status, view=view, typed=typed or Typed(), errors=errors)


@router.get("")
def show(visit: Seen) -> Response:
    """Show people and groups."""
    return _show(visit)


@router.post("/members")
def change(visit: Changing, form: Posted) -> Response:
    """Put somebody into a group or take them out; a group that a policy names takes a second person."""
    typed = Typed(
        form.text("group"), form.text("person"), "remove" if form.text("verb") == "remove" else "add"
    )

    def do(tx: Tx) -> None:
        identity.ask_change(
            tx, visit.project, typed.group, typed.person, "add" if typed.verb == "add" else "remove"
        )

    return _do(visit, do, typed)


@router.post("/changes/{change_id}/confirmations")
def confirm(visit: Confirming, change_id: str, form: Posted) -> Response:
    """Confirm what somebody else asked for."""
    del form
    return _do(visit, lambda tx: identity.confirm_change(tx, visit.project, change_id))


@router.post("/changes/{change_id}/withdrawals")
def withdraw(visit: Confirming, change_id: str, form: Posted) -> Response:
    """Withdraw a change that waits."""
    del form
    return _do(visit, lambda tx: identity.withdraw_change(tx, visit.project, change_id))


def _do(visit: Visit, action: Callable[[Tx], object], typed: Typed | None = None) -> Response:
    try:
        with visit.begin() as tx:
            action(tx)
    except AssentError as error:
        return _show(visit, typed, error)
    return see_other(f"/projects/{visit.project}/people")
