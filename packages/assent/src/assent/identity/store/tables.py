"""Tables, projections and queries of identity."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.identity.domain import (
    Binding,
    EnvironmentCreated,
    GroupCreated,
    KeyIssued,
    KeyRevoked,
    LinkIssued,
    MemberAdded,
    MemberRemoved,
    PersonAdded,
    ProjectCreated,
    RoleBound,
    RoleUnbound,
    ServiceAdded,
    SignedIn,
    TokenIssued,
    TokenRevoked,
)
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer

ID = sa.String(64)
NAME = sa.String(63)

accounts = table(
    "identity_accounts",
    sa.Column("id", ID, primary_key=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("name", NAME),  # services only; a person's name stands in identity_profiles
    sa.Column("profile", sa.String(71)),
    sa.Column("created_at", Utc, nullable=False),
    kind="governed",
)
profiles = table(
    "identity_profiles",
    sa.Column("account", ID, primary_key=True),
    sa.Column("name", NAME, nullable=False, unique=True),
    sa.Column("display_name", sa.String(200), nullable=False),
    sa.Column("salt", sa.String(64), nullable=False),
    kind="body",
)
bindings = table(
    "identity_bindings",
    sa.Column("account", ID, primary_key=True),
    sa.Column("role", NAME, primary_key=True),
    sa.Column("project", NAME, primary_key=True),
    sa.Column("bound_at", Utc, nullable=False),
    kind="governed",
)
projects = table(
    "identity_projects",
    sa.Column("name", NAME, primary_key=True),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    kind="governed",
)
environments = table(
    "identity_environments",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("protected", sa.Boolean, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    kind="governed",
)
groups = table(
    "identity_groups",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("created_at", Utc, nullable=False),
    kind="governed",
)
members = table(
    "identity_members",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("group", NAME, primary_key=True),
    sa.Column("person", ID, primary_key=True),
    sa.Column("since", Utc, nullable=False),
    kind="governed",
)
tokens = table(
    "identity_tokens",
    sa.Column("id", ID, primary_key=True),
    sa.Column("account", ID, nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("scopes", Json),
    sa.Column("auth_at", Utc),
    sa.Column("issued_at", Utc, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("revoked_at", Utc),
    kind="governed",
)
token_hashes = table(
    "identity_token_hashes",
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("token", ID, nullable=False, unique=True),
    kind="operational",
)
keys = table(
    "identity_keys",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("names", Json, nullable=False),
    sa.Column("issued_at", Utc, nullable=False),
    sa.Column("revoked_at", Utc),
    sa.Index("ix_identity_keys_environment", "project", "environment"),
    kind="governed",
)
key_hashes = table(
    "identity_key_hashes",
    sa.Column("key", ID, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    kind="operational",
)
links = table(
    "identity_links",
    sa.Column("id", ID, primary_key=True),
    sa.Column("person", ID, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("used_at", Utc),
    kind="governed",
)
link_hashes = table(
    "identity_link_hashes",
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("link", ID, nullable=False, unique=True),
    kind="operational",
)
sessions = table(
    "identity_sessions",
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("person", ID, nullable=False),
    sa.Column("auth_at", Utc, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("how", sa.String(10), nullable=False, server_default="link"),
    sa.Column("agent", sa.String(200), nullable=False, server_default=""),
    sa.Column("is_proven", sa.Boolean, nullable=False, server_default=sa.true()),
    kind="operational",
)

projections = Projections("identity")


@projections.on(PersonAdded)
def _person(conn: Writer, r: Recorded[PersonAdded]) -> None:
    values = {"id": r.event.person, "kind": "person", "profile": r.event.profile, "created_at": r.at}
    conn.execute(sa.insert(accounts).values(values))


@projections.on(ServiceAdded)
def _service(conn: Writer, r: Recorded[ServiceAdded]) -> None:
    values = {"id": r.event.service, "kind": "service", "name": r.event.name, "created_at": r.at}
    conn.execute(sa.insert(accounts).values(values))


@projections.on(RoleBound)
def _bound(conn: Writer, r: Recorded[RoleBound]) -> None:
    e = r.event
    conn.execute(sa.insert(bindings).values(account=e.account, role=e.role, project=e.project, bound_at=r.at))


@projections.on(RoleUnbound)
def _unbound(conn: Writer, r: Recorded[RoleUnbound]) -> None:
    e = r.event
    b = bindings.c
    conn.execute(sa.delete(bindings).where(b.account == e.account, b.role == e.role, b.project == e.project))


@projections.on(ProjectCreated)
def _project(conn: Writer, r: Recorded[ProjectCreated]) -> None:
    conn.execute(sa.insert(projects).values(name=r.event.project, title=r.event.title, created_at=r.at))


@projections.on(EnvironmentCreated)
def _environment(conn: Writer, r: Recorded[EnvironmentCreated]) -> None:
    e = r.event
    values = {"project": e.project, "name": e.name, "protected": e.protected, "created_at": r.at}
    conn.execute(sa.insert(environments).values(values))


@projections.on(GroupCreated)
def _group(conn: Writer, r: Recorded[GroupCreated]) -> None:
    conn.execute(sa.insert(groups).values(project=r.event.project, name=r.event.name, created_at=r.at))


@projections.on(MemberAdded)
def _member(conn: Writer, r: Recorded[MemberAdded]) -> None:
    e = r.event
    conn.execute(sa.insert(members).values(project=e.project, group=e.group, person=e.person, since=r.at))


@projections.on(MemberRemoved)
def _left(conn: Writer, r: Recorded[MemberRemoved]) -> None:
    e = r.event
    m = members.c
    conn.execute(sa.delete(members).where(m.project == e.project, m.group == e.group, m.person == e.person))


@projections.on(TokenIssued)
def _token(conn: Writer, r: Recorded[TokenIssued]) -> None:
    e = r.event
    conn.execute(
        sa.insert(tokens).values(
            id=e.token,
            account=e.account,
            name=e.name,
            scopes=None if e.scopes is None else list(e.scopes),
            auth_at=e.auth_at,
            issued_at=r.at,
            expires_at=e.expires_at,
        )
    )


@projections.on(TokenRevoked)
def _token_revoked(conn: Writer, r: Recorded[TokenRevoked]) -> None:
    conn.execute(sa.update(tokens).where(tokens.c.id == r.event.token).values(revoked_at=r.at))


@projections.on(KeyIssued)
def _key(conn: Writer, r: Recorded[KeyIssued]) -> None:
    e = r.event
    conn.execute(
        sa.insert(keys).values(
            id=e.key,
            project=e.project,
            environment=e.environment,
            name=e.name,
            names=list(e.names),
            issued_at=r.at,
        )
    )


@projections.on(KeyRevoked)
def _key_revoked(conn: Writer, r: Recorded[KeyRevoked]) -> None:
    conn.execute(sa.update(keys).where(keys.c.id == r.event.key).values(revoked_at=r.at))


@projections.on(LinkIssued)
def _link(conn: Writer, r: Recorded[LinkIssued]) -> None:
    e = r.event
    conn.execute(sa.insert(links).values(id=e.link, person=e.person, expires_at=e.expires_at))


@projections.on(SignedIn)
def _signed_in(conn: Writer, r: Recorded[SignedIn]) -> None:
    conn.execute(sa.update(links).where(links.c.id == r.event.link).values(used_at=r.at))


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a service account; `name` is what people type."""

    id: str
    kind: str
    name: str
    display_name: str


def _accounts() -> sa.Select[Any]:
    name = sa.func.coalesce(profiles.c.name, accounts.c.name, accounts.c.id)
    return sa.select(
        accounts.c.id,
        accounts.c.kind,
        name.label("name"),
        sa.func.coalesce(profiles.c.display_name, name).label("display_name"),
    ).select_from(accounts.outerjoin(profiles, profiles.c.account == accounts.c.id))


def find_account(conn: sa.Connection, name_or_id: str) -> Account | None:
    """Find a person or service by name or id."""
    query = _accounts().where(
        sa.or_(accounts.c.id == name_or_id, accounts.c.name == name_or_id, profiles.c.name == name_or_id)
    )
    row = conn.execute(query).first()
    return None if row is None else Account(*row)


def list_accounts(conn: sa.Connection) -> list[Account]:
    """List all, by time of joining."""
    return [Account(*row) for row in conn.execute(_accounts().order_by(accounts.c.created_at, accounts.c.id))]


def bindings_of(conn: sa.Connection, account: str) -> list[Binding]:
    """List an account's roles."""
    query = sa.select(bindings.c.role, bindings.c.project).where(bindings.c.account == account)
    return [Binding(*row) for row in conn.execute(query.order_by(bindings.c.role, bindings.c.project))]


def any_person(conn: sa.Connection) -> bool:
    """Tell whether anybody was added yet."""
    return (
        conn.execute(sa.select(accounts.c.id).where(accounts.c.kind == "person").limit(1)).first() is not None
    )


def group_members(conn: sa.Connection, project: str, group: str) -> dict[str, datetime]:
    """Give the members of a group, and since when."""
    query = sa.select(members.c.person, members.c.since).where(
        members.c.project == project, members.c.group == group
    )
    return {row.person: row.since for row in conn.execute(query)}


@dataclass(frozen=True, slots=True)
class Credential:
    """What a token stands for, and the roles of its owner."""

    token: str
    account: str
    kind: str
    scopes: tuple[str, ...] | None
    auth_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None
    bindings: tuple[Binding, ...]


_CREDENTIAL = (
    sa.select(
        tokens.c.id,
        tokens.c.account,
        accounts.c.kind,
        tokens.c.scopes,
        tokens.c.auth_at,
        tokens.c.expires_at,
        tokens.c.revoked_at,
        bindings.c.role,
        bindings.c.project,
    )
    .select_from(token_hashes)
    .join(tokens, tokens.c.id == token_hashes.c.token)
    .join(accounts, accounts.c.id == tokens.c.account)
    .outerjoin(bindings, bindings.c.account == tokens.c.account)
    .where(token_hashes.c.hash == sa.bindparam("hash"))
)


def find_credential(conn: sa.Connection, hash_: str) -> Credential | None:
    """Find a token by its hash, in one query: it is asked for with every call."""
    rows = conn.execute(_CREDENTIAL, {"hash": hash_}).all()
    if not rows:
        return None
    row = rows[0]
    return Credential(
        token=row.id,
        account=row.account,
        kind=row.kind,
        scopes=None if row.scopes is None else tuple(row.scopes),
        auth_at=row.auth_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        bindings=tuple(Binding(one.role, one.project) for one in rows if one.role is not None),
    )


@dataclass(frozen=True, slots=True)
class Key:
    """An application's key, as the data plane needs it."""

    id: str
    name: str
    hash: str
    names: tuple[str, ...]


def list_keys(conn: sa.Connection, project: str, environment: str) -> list[Key]:
    """List the keys in force."""
    k = keys.c
    query = (
        sa.select(k.id, k.name, key_hashes.c.hash, k.names)
        .join(key_hashes, key_hashes.c.key == k.id)
        .where(k.project == project, k.environment == environment, k.revoked_at.is_(None))
        .order_by(k.id)
    )
    return [Key(row[0], row[1], row[2], tuple(row[3])) for row in conn.execute(query)]
