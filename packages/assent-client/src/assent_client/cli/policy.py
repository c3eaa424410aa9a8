"""`assent policy`: what a release must fulfil."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import split_ref
from assent_client.cli.output import Column, Columns, emit, note, print_json, warn
from assent_client.cli.strict_yaml import read
from assent_client.errors import Invalid

__all__ = ["CHECKLIST", "app", "print_checklist"]

app = typer.Typer()

MARKS = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "? unknown"}
EXIT_CODES = {"fail": 1, "unknown": 3}

LIST = [Column("ref", "policy"), Column("digest"), Column("registered_at", "registered")]
CHECKLIST = [
    Column("ok", "", show=lambda ok: MARKS.get(ok, ok)),
    Column("title", "condition"),
    Column("need"),
    Column("have"),
    Column("remedy", "to do"),
]
BOUND: Columns = [
    "environment",
    Column("policy"),
    Column("policy_digest", "digest"),
    Column("bound", "chosen"),
    Column("bound_at"),
    Column("bound_by"),
    Column("proposed"),
    Column("proposed_by"),
]
BACKTEST = [
    Column("ref", "release"),
    Column("went_out_at", "went out"),
    Column("under"),
    Column("stopped_by", "would be stopped by"),
]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]
Ref = Annotated[str, typer.Argument(metavar="NAME[@VERSION]")]


@app.command()
def register(
    file: Annotated[Path, typer.Argument(help="The policy (YAML or JSON).")],
    name: Annotated[str | None, typer.Option("--name", help="Its name, where the file has none.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", "-v", help="Its number; without one, the next minor.")
    ] = None,
) -> None:
    """Register a policy as a version; it never changes."""
    document = read(file).value
    if not isinstance(document, dict):
        raise Invalid(f"{file} holds no policy.", remedy="Write a mapping with `name` and `conditions`.")
    body = {**document, **({"name": name} if name else {}), **({"version": version} if version else {})}
    if "name" not in body:
        raise Invalid(f"{file} names no policy.", remedy="Add `name:` or give --name.")
    with connect() as api:
        found = api.post(api.path("policies"), body)
    note("Registered." if found["created"] else "This policy is registered already.")
    emit(found, LIST)


@app.command("list")
def list_(name: Annotated[str | None, typer.Option("--name", help="Only of this name.")] = None) -> None:
    """List policy versions, newest first."""
    with connect() as api:
        emit(
            list(api.pages(api.path("policies"), name=name)), LIST, empty="No policies but the shipped ones."
        )


@app.command()
def show(
    policy: Annotated[str | None, typer.Argument(metavar="NAME[@VERSION]")] = None,
    environment: Annotated[
        str | None, typer.Option("--env", help="Show what this environment asks for.")
    ] = None,
) -> None:
    """Show a policy, every default written out; or the one that an environment asks for."""
    if (policy is None) is (environment is None):
        raise Invalid(
            "Name a policy, or an environment by --env.", remedy="assent policy show NAME[@VERSION]"
        )
    with connect() as api:
        if environment is not None:
            found = api.get(api.path("environments", environment, "policy"))
        else:
            found = api.get(api.path("policies", *split_ref(policy or "")))
    emit(found, lambda shown: _print_policy(shown, BOUND if environment else LIST))


@app.command()
def check(
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="What would go out.")],
    environment: Environment,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Ask this policy, not the one in force.")
    ] = None,
) -> None:
    """Ask whether a version may go out; exits 0 pass, 1 fail, 3 where something is unknown."""
    with connect() as api:
        asked = {"subject": version, "policy": policy}
        found = api.get(api.path("environments", environment, "assessment"), **asked)
        if found["request"]:
            request = api.get(api.path("requests", found["request"]))
            found = {**found, **{key: request[key] for key in ("ok", "conditions")}} if not policy else found
    emit(found, print_checklist)
    answers = {one["ok"] for one in found["conditions"]}
    raise typer.Exit(next((EXIT_CODES[one] for one in ("fail", "unknown") if one in answers), 0))


@app.command()
def bind(policy: Ref, environment: Environment) -> None:
    """Have an environment ask for a policy from now on; requests under way keep theirs.

    A protected environment that is in use takes a second person: assent policy confirm. Groups that have
    fewer people than votes are asked of them are named.

    Example: assent policy bind strict --env production
    """
    with connect() as api:
        found = api.put(api.path("environments", environment, "policy"), {"policy": policy})
    if found["proposed"]:
        note(f"Proposed; a second person binds it: assent policy confirm {policy} --env {environment}")
    emit(found, BOUND)
    warn(found["warnings"])


@app.command()
def confirm(policy: Ref, environment: Environment) -> None:
    """Bind what somebody else proposed; look at its backtest first."""
    with connect() as api:
        path = api.path("environments", environment, "policy-confirmations")
        found = api.post(path, {"policy": policy})
    emit(found, BOUND)
    warn(found["warnings"])


@app.command()
def backtest(policy: Ref, environment: Environment) -> None:
    """Say which past releases a policy would have stopped; exits 1 where there is one."""
    with connect() as api:
        found = api.get(api.path("environments", environment, "policy-backtest"), policy=policy)
    emit(found, _print_backtest)
    raise typer.Exit(1 if found["n_stopped"] else 0)


def _print_backtest(found: Mapping[str, Any]) -> None:
    rows = [
        {**one, "stopped_by": ", ".join(result["id"] for result in one["stopped_by"]) or "-"}
        for one in found["releases"]
    ]
    emit(rows, BACKTEST, empty=f"Nothing has gone out to {found['environment']} yet.")
    note(f"{found['policy']} would have stopped {found['n_stopped']} of {found['n_releases']} releases.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy."""
    with connect() as api:
        print_json(api.get(api.path("policy-schema")))


def print_checklist(found: Mapping[str, Any]) -> None:
    """Print each condition with what it needs, what there is, and what to do."""
    emit(found["conditions"], CHECKLIST, empty="The policy asks for nothing.")
    n = sum(one["ok"] != "pass" for one in found["conditions"])
    name = found.get("policy_ref") or found.get("policy")
    verdict = {0: "all pass.", 1: "1 does not pass."}.get(n, f"{n} do not pass.")
    note(f"{found['ref']} under {name}: {verdict}")


def _print_policy(found: Mapping[str, Any], lines: Columns) -> None:
    emit({key: value for key, value in found.items() if key != "document"}, lines)
    emit({"title": found["document"]["title"]})
    for condition in found["document"]["conditions"]:
        emit({key: value for key, value in condition.items() if key != "id" or value != condition["kind"]})
        emit("")
