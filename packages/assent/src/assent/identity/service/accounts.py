"""People, service accounts and their roles."""

import secrets

import sqlalchemy as sa

from assent.identity import store
from assent.identity.domain import (
    EVERYWHERE,
    Binding,
    Permission,
    PersonAdded,
    RoleBound,
    RoleUnbound,
    ServiceAdded,
    checked_role,
    permissions_of,
)
from assent.identity.service import credentials
from assent.identity.store import Account
from assent.kernel.canonical import digest
from assent.kernel.errors import Conflict, NotFound
from assent.kernel.ids import new_id
from assent.kernel.tx import Actor, Reader, Tx
from assent.web.api import checked_name


def get_account(reader: Reader, name_or_id: str) -> Account:
    """Get a person or service account. Raises: NotFound."""
    found = store.find_account(reader.conn, name_or_id)
    if found is None:
        raise NotFound(f"There is no account {name_or_id!r}.", remedy="`assent user list` shows all.")
    return found


def list_accounts(reader: Reader) -> list[Account]:
    """List people and service accounts."""
    return store.list_accounts(reader.conn)


def name_of(reader: Reader, account: str) -> str:
    """Give the name of an account; its id where there is none, as for what is automatic."""
    found = store.find_account(reader.conn, account)
    return account if found is None else found.name


def add_person(tx: Tx, name: str, display_name: str = "") -> Account:
    """Add a person. Raises: Invalid, Conflict (the name is taken)."""
    checked_name(name, "person")
    if store.find_account(tx.conn, name) is not None:
        raise Conflict(f"There is an account {name!r} already.", remedy="Choose another name.")
    person = new_id("usr")
    profile = {"salt": secrets.token_hex(32), "name": name, "display_name": display_name or name}
    tx.conn.execute(sa.insert(store.profiles).values(account=person, **profile))
    tx.record(PersonAdded(person=person, profile=digest(profile)))
    return get_account(tx, person)


def add_service(tx: Tx, name: str) -> Account:
    """Add a service account. Raises: Invalid, Conflict."""
    checked_name(name, "service account")
    if store.find_account(tx.conn, name) is not None:
        raise Conflict(f"There is an account {name!r} already.", remedy="Choose another name.")
    service = new_id("svc")
    tx.record(ServiceAdded(service=service, name=name))
    return get_account(tx, service)


def roles_of(reader: Reader, account: str) -> list[Binding]:
    """List the roles of an account."""
    return store.bindings_of(reader.conn, account)


def bind(tx: Tx, account: str, role: str, project: str = EVERYWHERE) -> None:
    """Give an account a role; giving it again changes nothing. Raises: Invalid, NotFound."""
    checked_role(role)
    held = get_account(tx, account)
    if project != EVERYWHERE:
        from assent.identity.service.projects import get_project  # noqa: PLC0415 -- the two modules know each other

        get_project(tx, project)
    if Binding(role, project) not in roles_of(tx, held.id):
        tx.record(RoleBound(account=held.id, role=role, project=project))


def unbind(tx: Tx, account: str, role: str, project: str = EVERYWHERE) -> None:
    """Take a role away. Raises: NotFound."""
    held = get_account(tx, account)
    if Binding(role, project) not in roles_of(tx, held.id):
        raise NotFound(f"{held.name} does not hold {role!r} in {project!r}.")
    tx.record(RoleUnbound(account=held.id, role=role, project=project))


def authorised(reader: Reader, actor: Actor, permission: Permission | str, project: str | None) -> bool:
    """Tell whether the actor may do this in the project, or, for None, everywhere."""
    if actor.scopes is not None and permission not in actor.scopes:
        return False
    return permission in permissions_of(store.bindings_of(reader.conn, actor.id), project)


def bootstrap(tx: Tx, name: str, secret: str | None = None) -> str | None:
    """Add the first administrator and give the token; None when somebody exists already."""
    if store.any_person(tx.conn):
        return None
    person = add_person(tx, name)
    tx.record(RoleBound(account=person.id, role="admin", project=EVERYWHERE))
    return credentials.issue(
        tx, credentials.Grant(person.id, "first administrator", auth_at=tx.now()), secret
    )
