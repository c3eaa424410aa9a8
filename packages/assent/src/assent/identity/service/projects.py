"""Projects, environments, groups, and the keys of applications."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.identity import store
from assent.identity.domain import (
    EnvironmentCreated,
    GroupCreated,
    KeyIssued,
    KeyRevoked,
    ProjectCreated,
)
from assent.identity.service.credentials import hashed
from assent.identity.store import Key
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.web.api import checked_name

KEY_PREFIX = "assent_key_"


@dataclass(frozen=True, slots=True)
class Project:
    """A project: the space that names live in."""

    name: str
    title: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Environment:
    """A place that traffic reaches; a protected one is reached through a policy only."""

    project: str
    name: str
    protected: bool
    created_at: datetime


def create_project(tx: Tx, name: str, title: str = "") -> Project:
    """Create a project. Raises: Invalid, Conflict."""
    checked_name(name, "project")
    if tx.conn.execute(sa.select(store.projects.c.name).where(store.projects.c.name == name)).first():
        raise Conflict(f"There is a project {name!r} already.")
    tx.record(ProjectCreated(project=name, title=title or name))
    return get_project(tx, name)


def get_project(reader: Reader, name: str) -> Project:
    """Get a project. Raises: NotFound."""
    row = reader.conn.execute(sa.select(store.projects).where(store.projects.c.name == name)).first()
    if row is None:
        raise NotFound(
            f"There is no project {name!r}.", remedy="`assent project list` shows those that you may see."
        )
    return Project(*row)


def list_projects(reader: Reader) -> list[Project]:
    """List all projects by name."""
    return [
        Project(*row)
        for row in reader.conn.execute(sa.select(store.projects).order_by(store.projects.c.name))
    ]


def create_environment(tx: Tx, project: str, name: str, *, protected: bool) -> Environment:
    """Create an environment of a project. Raises: Invalid, NotFound, Conflict."""
    checked_name(name, "environment")
    get_project(tx, project)
    if any(e.name == name for e in list_environments(tx, project)):
        raise Conflict(f"{project} has an environment {name!r} already.")
    tx.record(EnvironmentCreated(project=project, name=name, protected=protected))
    return get_environment(tx, project, name)


def get_environment(reader: Reader, project: str, name: str) -> Environment:
    """Get an environment. Raises: NotFound, naming those that exist."""
    known = list_environments(reader, project)
    for environment in known:
        if environment.name == name:
            return environment
    names = ", ".join(e.name for e in known) or "none"
    raise NotFound(f"{project} has no environment {name!r}.", remedy=f"Its environments: {names}.")


def list_environments(reader: Reader, project: str) -> list[Environment]:
    """List the environments of a project."""
    e = store.environments
    query = sa.select(e).where(e.c.project == project).order_by(e.c.name)
    return [Environment(*row) for row in reader.conn.execute(query)]


def create_group(tx: Tx, project: str, name: str) -> None:
    """Create a group. Raises: Invalid, NotFound, Conflict."""
    checked_name(name, "group")
    get_project(tx, project)
    if has_group(tx, project, name):
        raise Conflict(f"{project} has a group {name!r} already.")
    tx.record(GroupCreated(project=project, name=name))


def list_groups(reader: Reader, project: str) -> dict[str, dict[str, datetime]]:
    """List groups by name with their members, and since when each is one."""
    g, m = store.groups.c, store.members.c
    inside = sa.and_(m.project == g.project, m.group == g.name)
    query = sa.select(g.name, m.person, m.since).outerjoin_from(store.groups, store.members, inside)
    found: dict[str, dict[str, datetime]] = {}
    for name, person, since in reader.conn.execute(query.where(g.project == project).order_by(g.name)):
        held = found.setdefault(name, {})
        if person is not None:
            held[person] = since
    return found


def has_group(reader: Reader, project: str, name: str) -> bool:
    """Tell whether a project has a group of this name."""
    g = store.groups.c
    query = sa.select(g.name).where(g.project == project, g.name == name)
    return reader.conn.execute(query).first() is not None


def members_of(reader: Reader, project: str, group: str) -> dict[str, datetime]:
    """Give the ids of a group's members, and since when."""
    return store.group_members(reader.conn, project, group)


def groups_of(reader: Reader, project: str, person: str, at: datetime | None = None) -> frozenset[str]:
    """Give the groups that a person is in now and was in at `at`."""
    m = store.members.c
    query = sa.select(m.group).where(m.project == project, m.person == person)
    if at is not None:
        query = query.where(m.since <= at)
    return frozenset(reader.conn.execute(query).scalars())


def issue_key(tx: Tx, project: str, environment: str, name: str, names: Iterable[str]) -> str:
    """Issue an application's key; its secret is given once, here. Raises: Invalid, NotFound."""
    get_environment(tx, project, environment)
    wanted = tuple(dict.fromkeys(names)) or ("*",)
    for each in wanted:
        if each != "*":
            checked_name(each, "model")
    if not name.strip():
        raise Invalid("A key needs a name that says which application holds it.")
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = new_id("key")
    tx.conn.execute(sa.insert(store.key_hashes).values(key=key, hash=hashed(secret)))
    tx.record(KeyIssued(key=key, project=project, environment=environment, name=name, names=wanted))
    return secret


def list_keys(reader: Reader, project: str, environment: str | None = None) -> list[dict[str, Any]]:
    """List keys, revoked ones too; never their secrets or hashes."""
    k = store.keys
    query = sa.select(k).where(k.c.project == project).order_by(k.c.id)
    if environment is not None:
        query = query.where(k.c.environment == environment)
    return [dict(row) for row in reader.conn.execute(query).mappings()]


def get_key(reader: Reader, project: str, key: str) -> dict[str, Any]:
    """Give a key, never its secret or hash. Raises: NotFound."""
    for found in list_keys(reader, project):
        if found["id"] == key:
            return found
    raise NotFound(f"{project} has no key {key!r}.", remedy="`assent key list` shows them.")


def key_names(reader: Reader, project: str) -> dict[str, str]:
    """Give the name of every key of a project by its id, revoked ones too."""
    k = store.keys.c
    rows = reader.conn.execute(sa.select(k.id, k.name).where(k.project == project))
    return {row.id: row.name for row in rows}


def revoke_key(tx: Tx, project: str, key: str) -> None:
    """Revoke a key; revoking it again changes nothing. Raises: NotFound."""
    k = store.keys
    row = tx.conn.execute(sa.select(k).where(k.c.project == project, k.c.id == key)).mappings().first()
    if row is None:
        raise NotFound(f"{project} has no key {key!r}.", remedy="`assent key list` shows them.")
    if row["revoked_at"] is None:
        tx.record(KeyRevoked(key=key, project=project, environment=row["environment"]))


def application_keys(reader: Reader, project: str, environment: str) -> list[Key]:
    """List the keys in force, with the hashes that the data plane compares."""
    return store.list_keys(reader.conn, project, environment)
