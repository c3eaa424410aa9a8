"""Accounts, roles, tokens, projects, groups and keys."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.identity import service
from assent.identity.domain import EVERYWHERE, Permission, permissions_of
from assent.identity.http.calling import Wire
from assent.kernel.errors import Forbidden
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter()


@router.get("/me")
def me(call: Annotated[Call, requires(Permission.SELF_READ)]) -> dict[str, Any]:
    """Say who calls and what they hold."""
    with call.read() as reader:
        account = service.get_account(reader, call.actor.id)
        roles = service.roles_of(reader, call.actor.id)
    return {
        "id": account.id,
        "kind": account.kind,
        "name": account.name,
        "display_name": account.display_name,
        "roles": [{"role": b.role, "project": b.project} for b in roles],
        "permissions": sorted({p for b in roles for p in permissions_of([b], b.project)}),
        "auth_at": call.actor.auth_at,
    }


class NewPerson(Wire):
    """A person or service account to add."""

    name: str
    display_name: str = pydantic.Field("", max_length=200)


def _account(account: Any, reader: Any) -> dict[str, Any]:
    roles = [{"role": b.role, "project": b.project} for b in service.roles_of(reader, account.id)]
    return {
        "id": account.id,
        "kind": account.kind,
        "name": account.name,
        "display_name": account.display_name,
        "roles": roles,
    }


@router.get("/accounts")
def list_accounts(call: Annotated[Call, requires(Permission.PERSON_READ)]) -> dict[str, Any]:
    """List people and service accounts."""
    with call.read() as reader:
        return page([_account(a, reader) for a in service.list_accounts(reader)], None)


@router.get("/accounts/{name}")
def get_account(name: str, call: Annotated[Call, requires(Permission.PERSON_READ)]) -> dict[str, Any]:
    """Show an account."""
    with call.read() as reader:
        return _account(service.get_account(reader, name), reader)


@router.post("/people", status_code=201)
def add_person(body: NewPerson, call: Annotated[Call, requires(Permission.PERSON_ADD)]) -> dict[str, Any]:
    """Add a person."""
    with call.begin() as tx:
        return _account(service.add_person(tx, body.name, body.display_name), tx)


@router.post("/services", status_code=201)
def add_service(body: NewPerson, call: Annotated[Call, requires(Permission.SERVICE_ADD)]) -> dict[str, Any]:
    """Add a service account."""
    with call.begin() as tx:
        return _account(service.add_service(tx, body.name), tx)


@router.post("/people/{name}/links", status_code=201)
def issue_link(name: str, call: Annotated[Call, requires(Permission.LINK_ISSUE)]) -> dict[str, str]:
    """Make a one-time sign-in link for a person; it lives 15 minutes."""
    with call.begin() as tx:
        code = service.issue_link(tx, name)
    return {"code": code, "url": f"{call.runtime.settings.base_url}/sign-in/{code}"}


class NewBinding(Wire):
    """A role to give, everywhere (`*`) or in a project."""

    account: str
    role: str
    project: str = EVERYWHERE


@router.post("/bindings", status_code=201)
def bind(body: NewBinding, call: Annotated[Call, requires(Permission.ROLE_BIND)]) -> dict[str, Any]:
    """Give an account a role, everywhere or in a project."""
    with call.begin() as tx:
        service.bind(tx, body.account, body.role, body.project)
        return _account(service.get_account(tx, body.account), tx)


@router.delete("/bindings", status_code=204)
def unbind(
    account: str, role: str, call: Annotated[Call, requires(Permission.ROLE_BIND)], project: str = "*"
) -> None:
    """Take a role away."""
    with call.begin() as tx:
        service.unbind(tx, account, role, project)


class NewToken(Wire):
    """A token to issue; without scopes it may do what its owner may."""

    name: str = pydantic.Field(min_length=1, max_length=200)
    owner: str | None = None
    scopes: list[str] | None = None
    days: float = pydantic.Field(30, gt=0, le=366)


@router.get("/tokens")
def list_tokens(call: Annotated[Call, requires(Permission.SELF_READ)]) -> dict[str, Any]:
    """List your own tokens, without their secrets."""
    with call.read() as reader:
        return page(service.list_tokens(reader, call.actor.id), None)


@router.post("/tokens", status_code=201)
def issue_token(body: NewToken, call: Annotated[Call, requires(Permission.TOKEN_ISSUE)]) -> dict[str, Any]:
    """Issue a token for yourself, or, who may add service accounts, for one of them."""
    with call.begin() as tx:
        owner = body.owner or call.actor.id
        if service.get_account(tx, owner).id != call.actor.id and not service.authorised(
            tx, call.actor, Permission.SERVICE_ADD, None
        ):
            raise Forbidden(f"You may not issue tokens for {owner}.", remedy="An administrator may.")
        life = timedelta(days=body.days)
        return {
            "token": service.issue_token(tx, owner, body.name, body.scopes, life),
            "expires_at": tx.now() + life,
        }


@router.delete("/tokens/{token}", status_code=204)
def revoke_token(token: str, call: Annotated[Call, requires(Permission.TOKEN_REVOKE)]) -> None:
    """Revoke a token of yours; an administrator may revoke any."""
    with call.begin() as tx:
        any_owner = service.authorised(tx, call.actor, Permission.SERVICE_ADD, None)
        service.revoke_token(tx, token, any_owner=any_owner)


class NewProject(Wire):
    """A project to create."""

    name: str
    title: str = pydantic.Field("", max_length=200)


class ProjectOut(Wire):
    """A project."""

    name: str
    title: str
    created_at: datetime


@router.get("/projects")
def list_projects(call: Annotated[Call, requires(Permission.SELF_READ)]) -> dict[str, Any]:
    """List the projects in which you hold a role."""
    with call.read() as reader:
        held = {b.project for b in service.roles_of(reader, call.actor.id)}
        mine = [p for p in service.list_projects(reader) if EVERYWHERE in held or p.name in held]
    return page([ProjectOut(name=p.name, title=p.title, created_at=p.created_at) for p in mine], None)


@router.post("/projects", status_code=201)
def create_project(
    body: NewProject, call: Annotated[Call, requires(Permission.PROJECT_CREATE)]
) -> ProjectOut:
    """Create a project."""
    with call.begin() as tx:
        made = service.create_project(tx, body.name, body.title)
    return ProjectOut(name=made.name, title=made.title, created_at=made.created_at)


@router.get("/projects/{project}")
def get_project(project: ProjectPath, call: Annotated[Call, requires(Permission.PROJECT_READ)]) -> ProjectOut:
    """Show a project."""
    with call.read() as reader:
        found = service.get_project(reader, project)
    return ProjectOut(name=found.name, title=found.title, created_at=found.created_at)


class NewEnvironment(Wire):
    """An environment to create."""

    name: str
    protected: bool = True


@router.get("/projects/{project}/environments")
def list_environments(
    project: ProjectPath, call: Annotated[Call, requires(Permission.PROJECT_READ)]
) -> dict[str, Any]:
    """List environments."""
    with call.read() as reader:
        service.get_project(reader, project)
        rows = service.list_environments(reader, project)
    return page([{"name": e.name, "protected": e.protected, "created_at": e.created_at} for e in rows], None)


@router.post("/projects/{project}/environments", status_code=201)
def create_environment(
    project: ProjectPath, body: NewEnvironment, call: Annotated[Call, requires(Permission.ENVIRONMENT_CREATE)]
) -> dict[str, Any]:
    """Create an environment."""
    with call.begin() as tx:
        made = service.create_environment(tx, project, body.name, protected=body.protected)
    return {"name": made.name, "protected": made.protected, "created_at": made.created_at}


class NewGroup(Wire):
    """A group to create."""

    name: str


@router.get("/projects/{project}/groups")
def list_groups(
    project: ProjectPath, call: Annotated[Call, requires(Permission.PROJECT_READ)]
) -> dict[str, Any]:
    """List groups and their members."""
    with call.read() as reader:
        names = {a.id: a.name for a in service.list_accounts(reader)}
        rows = service.list_groups(reader, project)
    people = {
        group: [
            {"id": person, "name": names.get(person, person), "since": since}
            for person, since in held.items()
        ]
        for group, held in rows.items()
    }
    return page([{"name": group, "members": held} for group, held in people.items()], None)


@router.post("/projects/{project}/groups", status_code=201)
def create_group(
    project: ProjectPath, body: NewGroup, call: Annotated[Call, requires(Permission.GROUP_CHANGE)]
) -> dict[str, Any]:
    """Create a group."""
    with call.begin() as tx:
        service.create_group(tx, project, body.name)
    return {"name": body.name, "members": []}


class KeyLimits(Wire):
    """How much a key allows by minute, by day and by month (UTC); null: as much as is asked.

    Costs are amounts of `currency`, by the table of prices.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    cost_per_day: float | str | None = None
    cost_per_month: float | str | None = None
    currency: str | None = None


class NewKey(Wire):
    """A key to issue, for some names or all (`*`)."""

    environment: str
    name: str = pydantic.Field(min_length=1, max_length=200)
    names: list[str] = pydantic.Field(default_factory=lambda: ["*"], max_length=100)


@router.get("/projects/{project}/keys")
def list_keys(
    project: ProjectPath, call: Annotated[Call, requires(Permission.KEY_READ)], environment: str | None = None
) -> dict[str, Any]:
    """List the keys of applications, without their secrets."""
    with call.read() as reader:
        keys = service.list_keys(reader, project, environment)
        limits = service.key_limits(reader, [key["id"] for key in keys])
        return page([key | {"limits": limits.get(key["id"], {})} for key in keys], None)


@router.get("/projects/{project}/keys/{key}")
def get_key(
    project: ProjectPath, key: str, call: Annotated[Call, requires(Permission.KEY_READ)]
) -> dict[str, Any]:
    """Get the key of an application, without its secret."""
    with call.read() as reader:
        found = service.get_key(reader, project, key)
        return found | {"limits": service.key_limits(reader, [key]).get(key, {})}


@router.post("/projects/{project}/keys", status_code=201)
def issue_key(
    project: ProjectPath, body: NewKey, call: Annotated[Call, requires(Permission.KEY_ISSUE)]
) -> dict[str, str]:
    """Issue a key for an application; its secret is shown once."""
    with call.begin() as tx:
        secret = service.issue_key(tx, project, body.environment, body.name, body.names)
        tx.after_commit(lambda: call.runtime.signals.notify("delivery"))
    return {"key": secret}


@router.put("/projects/{project}/keys/{key}/limits")
def limit_key(
    project: ProjectPath, key: str, body: KeyLimits, call: Annotated[Call, requires(Permission.KEY_ISSUE)]
) -> dict[str, Any]:
    """Set how much a key allows; gateways know it within a second."""
    with call.begin() as tx:
        limits = service.limit_key(tx, project, key, body.model_dump())
        tx.after_commit(lambda: call.runtime.signals.notify("delivery"))
    return {"id": key, "limits": limits}


@router.delete("/projects/{project}/keys/{key}", status_code=204)
def revoke_key(
    project: ProjectPath, key: str, call: Annotated[Call, requires(Permission.KEY_REVOKE)]
) -> None:
    """Revoke a key; gateways refuse it within a second."""
    with call.begin() as tx:
        service.revoke_key(tx, project, key)
        tx.after_commit(lambda: call.runtime.signals.notify("delivery"))
