"""`assent user`: people and service accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from assent_client.api import Api
from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, ask_secret, emit, note, print_text
from assent_client.errors import Invalid

__all__ = ["app"]

app = typer.Typer()

EVERYWHERE = "*"
Where = Annotated[str, typer.Option("--in", metavar="PROJECT", help="The project; `*` is everywhere.")]


def _roles(roles: list[dict[str, str]]) -> str:
    named = (r["role"] if r["project"] == EVERYWHERE else f"{r['role']} in {r['project']}" for r in roles)
    return ", ".join(named)


ROLES = Column("roles", show=_roles)
CREDENTIALS: Columns = [
    "password",
    Column("totp", "authenticator"),
    Column("n_recovery_codes", "recovery codes"),
]
LOGINS: Columns = ["id", "issuer", "subject", Column("linked_at", "since")]
SESSIONS: Columns = [
    "id",
    "how",
    Column("agent", "browser"),
    Column("opened_at", "since"),
    Column("expires_at", "until"),
]
COLUMNS: Columns = ["name", "kind", Column("display_name", "called"), ROLES, "id"]


@app.command("list")
def list_() -> None:
    """List people and service accounts with their roles."""
    with connect() as api:
        emit(list(api.pages("/v1/accounts")), COLUMNS)


@app.command()
def get(name: str) -> None:
    """Show an account."""
    with connect() as api:
        emit(api.get(api.join("v1", "accounts", name)), COLUMNS)


@app.command()
def me() -> None:
    """Show who you are to the server, and what you may."""
    with connect() as api:
        emit(api.get("/v1/me"), [*COLUMNS, "permissions", Column("auth_at", "signed in")])


@app.command()
def add(
    name: str,
    called: Annotated[str, typer.Option("--called", metavar="NAME", help="The name that people see.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="A role to begin with; may be given again.")] = None,
    within: Where = EVERYWHERE,
    *,
    service: Annotated[bool, typer.Option("--service", help="A service account, not a person.")] = False,
) -> None:
    """Add a person or service account, with roles."""
    kind = "services" if service else "people"
    with connect() as api:
        account = api.post(f"/v1/{kind}", {"name": name, "display_name": called})
        for one in role or ():
            account = _bind(api, name, one, within)
        emit(account, COLUMNS)


@app.command()
def bind(name: str, role: str, within: Where = EVERYWHERE) -> None:
    """Give an account a role, everywhere or in one project."""
    with connect() as api:
        emit(_bind(api, name, role, within), COLUMNS)


@app.command()
def unbind(name: str, role: str, within: Where = EVERYWHERE) -> None:
    """Take a role from an account."""
    with connect() as api:
        api.delete("/v1/bindings", account=name, role=role, project=within)
        emit(api.get(api.join("v1", "accounts", name)), COLUMNS)


@app.command()
def link(name: str) -> None:
    """Make a one-time sign-in link to the console for a person; it lives 15 minutes."""
    with connect() as api:
        emit(api.post(api.join("v1", "people", name, "links")), ["url"])


@app.command()
def password(
    *, remove: Annotated[bool, typer.Option("--remove", help="Remove it; you sign in by links then.")] = False
) -> None:
    """Set or change your own password; it is asked for twice, or is the first two lines of a pipe.

    You must have signed in within the last minutes. It signs you in together with an authenticator's
    code only: `assent user totp` sets one up.

    Example: assent user password
    """
    with connect() as api:
        if remove:
            api.delete("/v1/me/password")
        else:
            typed = ask_secret("New password")
            if ask_secret("Again") != typed:
                raise Invalid("The two passwords differ.", remedy="Type the same one twice.")
            api.put("/v1/me/password", {"password": typed})
        emit(api.get("/v1/me/credentials"), CREDENTIALS)


@app.command()
def totp(
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it, and its recovery codes.")] = False,
    recovery: Annotated[bool, typer.Option("--recovery", help="Make new recovery codes only.")] = False,
) -> None:
    """Set up an authenticator: type its secret into your app, then the code that the app shows.

    You must have signed in within the last minutes. The recovery codes are shown once.

    Example: assent user totp
    """
    with connect() as api:
        if remove:
            api.delete("/v1/me/totp")
            emit(api.get("/v1/me/credentials"), CREDENTIALS)
            return
        if recovery:
            emit(api.post("/v1/me/recovery-codes"), _print_codes)
            return
        begun = api.post("/v1/me/totp")
        note(f"Secret for your authenticator: {begun['secret']}")
        note(f"The same as an address:        {begun['uri']}")
        emit(api.post("/v1/me/totp/confirmation", {"code": ask_secret("Code")}), _print_codes)
    note("Keep the recovery codes where your authenticator is not: each signs you in once.")


@app.command()
def reset(name: str) -> None:
    """Remove a person's password and authenticator and end their sessions; it takes a fresh sign-in."""
    with connect() as api:
        api.delete(api.join("v1", "people", name, "credentials"))
        emit({"name": name, "reset": True})
    note(f"Next: assent user link {name}")


@app.command()
def sessions(
    end: Annotated[str | None, typer.Option(metavar="ID", help="End this one.")] = None,
) -> None:
    """List your console sessions, or end one."""
    with connect() as api:
        if end is not None:
            api.delete(api.join("v1", "me", "sessions", end))
        emit(list(api.pages("/v1/me/sessions")), SESSIONS, empty="You are signed in nowhere.")


@app.command()
def logins(name: str) -> None:
    """List the logins at providers that sign a person in."""
    with connect() as api:
        emit(list(api.pages(api.join("v1", "people", name, "logins"))), LOGINS, empty="None signs them in.")


@app.command("add-login")
def add_login(
    name: str,
    issuer: Annotated[str, typer.Option(help="Issuer of the provider, as the settings name it.")],
    subject: Annotated[str, typer.Option(help="What the provider calls the person: its `sub`.")],
) -> None:
    """Link a login at a provider to a person: whoever signs in there is they. It takes a fresh sign-in.

    Example: assent user add-login ada --issuer https://login.example --subject 00u1
    """
    path = ("v1", "people", name, "logins")
    with connect() as api:
        api.post(api.join(*path), {"issuer": issuer, "subject": subject})
        emit(list(api.pages(api.join(*path))), LOGINS)


@app.command("remove-login")
def remove_login(name: str, login: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Unlink a login at a provider; it signs nobody in any more."""
    with connect() as api:
        api.delete(api.join("v1", "people", name, "logins", login))
    emit({"id": login, "removed": True})


def _bind(api: Api, name: str, role: str, within: str) -> dict[str, Any]:
    account: dict[str, Any] = api.post("/v1/bindings", {"account": name, "role": role, "project": within})
    return account


def _print_codes(made: Mapping[str, Any]) -> None:
    """Print one code a line, as they are written down."""
    for code in made["recovery_codes"]:
        print_text(code)
