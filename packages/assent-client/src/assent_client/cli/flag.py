"""`assent flag`: flags that decide for users, organisations and shares of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli import flag_look, flag_rules
from assent_client.cli.connection import connect
from assent_client.cli.flag_forms import change, flag_path, read_pairs, read_shares
from assent_client.cli.output import Column, Columns, emit, note
from assent_client.cli.rollout import confirm as ask
from assent_client.cli.strict_yaml import read
from assent_client.errors import Invalid

__all__ = ["app"]

app = typer.Typer()
app.add_typer(flag_rules.rule, name="rule", help="Rules: who gets what before the split is asked.")
app.add_typer(
    flag_rules.segment, name="segment", help="Segments: conditions with a name, used by many flags."
)
for _command in (flag_look.explain, flag_look.preview, flag_look.history, flag_look.stale, flag_look.export):
    app.command()(_command)

LIST: Columns = [
    Column("name"),
    Column("enabled", "on"),
    Column("shares", show=lambda shares: ", ".join(f"{name} {share:.6g}" for name, share in shares.items())),
    Column("document.rules", "rules", right=True, show=lambda rules: str(len(rules))),
    Column("document.owner", "owner"),
    Column("proposal", "waits", show=lambda held: f"for a second person ({held['how']})" if held else "-"),
    Column("generation", right=True),
]
Name = Annotated[str, typer.Argument(help="Name of the flag.")]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept on record.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why; a protected environment asks for it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
File = Annotated[
    Path | None, typer.Option("--file", "-f", help="The document, or parts of it (YAML or JSON).")
]
Share = Annotated[
    list[str] | None,
    typer.Option("--share", help="VARIANT=SHARE in [0, 1]; may be repeated. Or a variant: it gets all."),
]
Description = Annotated[str | None, typer.Option("--description", help="What it is for, in a sentence.")]
Owner = Annotated[str | None, typer.Option("--owner", help="Who answers for it: a person or a team.")]
Ends = Annotated[str | None, typer.Option("--ends-on", help="When it should be gone: 2027-01-31.")]
Permanent = Annotated[bool | None, typer.Option("--permanent/--temporary", help="Whether it stays for good.")]
Needs = Annotated[
    list[str] | None,
    typer.Option(
        "--needs", help="FLAG=VARIANT that must be given, else the off variant is; may be repeated."
    ),
]


@app.command(
    epilog="Example: assent flag create new-search --env staging --share on=0.05 --owner search-team"
)
def create(  # noqa: PLR0913, PLR0917 -- each is an option of the command
    name: Name,
    environment: Environment,
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", help="NAME=VALUE (JSON); without any: on=true, off=false."),
    ] = None,
    off: Annotated[str | None, typer.Option(help="The variant that is given when it is off.")] = None,
    unit: Annotated[str | None, typer.Option(help="What sticks: user, organisation, …")] = None,
    share: Share = None,
    needs: Needs = None,
    file: File = None,
    description: Description = None,
    owner: Owner = None,
    ends_on: Ends = None,
    permanent: Permanent = None,
    reason: Why = None,
) -> None:
    """Make a flag. In a protected environment it is off until a second person confirms what it gives."""
    variants = read_pairs(variant, "a variant and its value") if variant else None
    given = {"variants": variants, "off": off, "unit": unit}
    document = _document(file, share, needs, given, description, owner, ends_on, permanent)
    with connect() as api:
        body = {"name": name, "document": document, "reason": reason}
        _told(api.post(flag_path(api, environment, "flags"), body), environment)


@app.command("set", epilog="Example: assent flag set new-search --env staging --share on=0.2")
def set_(  # noqa: PLR0913, PLR0917 -- each is an option of the command
    name: Name,
    environment: Environment,
    share: Share = None,
    needs: Needs = None,
    file: File = None,
    description: Description = None,
    owner: Owner = None,
    ends_on: Ends = None,
    permanent: Permanent = None,
    reason: Why = None,
) -> None:
    """Change a flag; what is not named stays. What gives more in a protected environment is proposed."""
    document = _document(file, share, needs, {}, description, owner, ends_on, permanent)
    if not document:
        raise Invalid("Nothing is to change.", remedy="Give --share, --file or another option: see --help.")
    with connect() as api:
        _told(change(api, environment, name, document, reason), environment)


@app.command("list", epilog="Example: assent flag list --env staging")
def list_(environment: Environment) -> None:
    """List the flags of an environment."""
    with connect() as api:
        emit(list(api.pages(flag_path(api, environment, "flags"))), LIST, empty="No flags.")


@app.command(epilog="Example: assent flag show new-search --env staging --json")
def show(name: Name, environment: Environment) -> None:
    """Show a flag: variants, rules in their order, the split, and what is proposed."""
    with connect() as api:
        emit(api.get(flag_path(api, environment, "flags", name)), _print_flag)


@app.command(epilog='Example: assent flag on new-search --env staging --reason "it is mended"')
def on(name: Name, environment: Environment, reason: Why = None) -> None:
    """Let a flag decide again."""
    _act(environment, name, "switch-ons", {"reason": reason})


@app.command(epilog='Example: assent flag off new-search --env production --reason "searches fail" --yes')
def off(
    name: Name,
    environment: Environment,
    reason: Reason,
    *,
    yes: Yes = False,
) -> None:
    """Give everybody the off variant, at once; one person is enough in every environment."""
    ask(f"Give everybody in {environment} the off variant of {name}?", yes=yes)
    _act(environment, name, "switch-offs", {"reason": reason})


@app.command(epilog="Example: assent flag confirm new-search --env production")
def confirm(
    name: Name, environment: Environment, *, segment: Annotated[bool, typer.Option("--segment")] = False
) -> None:
    """Do what somebody else proposed; look at it first by `assent flag show`."""
    with connect() as api:
        path = flag_path(api, environment, "segments" if segment else "flags", name)
        held = api.get(path)["proposal"]
        if held is None:
            raise Invalid(
                f"Nothing is proposed for {name} in {environment}.", remedy=f"assent flag show {name}"
            )
        _told(api.post(f"{path}/confirmations", {"digest": held["digest"]}), environment)


@app.command(epilog="Example: assent flag withdraw new-search --env production")
def withdraw(
    name: Name, environment: Environment, *, segment: Annotated[bool, typer.Option("--segment")] = False
) -> None:
    """Take a proposal back."""
    with connect() as api:
        path = flag_path(api, environment, "segments" if segment else "flags", name)
        _told(api.post(f"{path}/withdrawals"), environment)


@app.command(epilog="Example: assent flag restore new-search 3 --env staging")
def restore(
    name: Name,
    generation: Annotated[int, typer.Argument(help="Which one, from `assent flag history`.")],
    environment: Environment,
    reason: Why = None,
) -> None:
    """Go back to what a flag was, as a new generation."""
    _act(environment, name, "restorations", {"generation": generation, "reason": reason})


@app.command(
    epilog='Example: assent flag archive new-search --env staging --reason "it is in the code" --yes'
)
def archive(
    name: Name,
    environment: Environment,
    reason: Reason,
    *,
    yes: Yes = False,
) -> None:
    """Remove a flag that gives everybody the off variant: applications get their own default."""
    ask(f"Remove {name} from {environment}?", yes=yes)
    with connect() as api:
        path = flag_path(api, environment, "flags", name)
        api.post(f"{path}/archivings", {"reason": reason}, if_match=str(api.get(path)["generation"]))
    note(f"{name} is gone from {environment}.")


def _document(
    file: Path | None,
    share: list[str] | None,
    needs: list[str] | None,
    given: dict[str, Any],
    *texts: Any,
) -> dict[str, Any]:
    """Put the parts of a document together; what is typed stands above what the file says."""
    read_file = read(file).value if file else {}
    if not isinstance(read_file, dict):
        raise Invalid(
            f"{file} holds no flag.", remedy="Write a mapping of the fields of docs/how-to/flags.md."
        )
    named = dict(zip(("description", "owner", "ends_on", "permanent"), texts, strict=True))
    pairs = read_pairs(needs or [], "a flag and its variant")
    found = {
        **read_file,
        **{name: value for name, value in {**given, **named}.items() if value is not None},
    }
    if share:
        found["split"] = read_shares(share)
    if needs:
        found["prerequisites"] = [{"flag": flag, "variants": [str(one)]} for flag, one in pairs.items()]
    return found


def _act(environment: str, name: str, action: str, body: dict[str, Any]) -> None:
    with connect() as api:
        path = flag_path(api, environment, "flags", name)
        held = api.get(path)
        _told(api.post(f"{path}/{action}", body, if_match=str(held["generation"])), environment)


def _told(found: Any, environment: str) -> None:
    """Show a flag, and say so where it waits for a second person."""
    if found["proposal"] is not None:
        what = f"{found['name']} --env {environment}"
        note(f"Proposed; a second person confirms it: assent flag confirm {what}")
    emit(found, _print_flag if "shares" in found else flag_rules.print_segment)


def _print_flag(found: Any) -> None:
    document = found["document"]
    emit([found], LIST)
    said = {
        key: document[key] for key in ("description", "ends_on", "permanent", "off", "unit") if document[key]
    }
    emit({**said, "variants": document["variants"]})
    for need in document["prerequisites"]:
        emit(f"needs {need['flag']}: {' or '.join(need['variants'])}")
    flag_rules.print_rules(document["rules"])
    held = found["proposal"]
    if held is not None and held["document"] is not None:
        emit({"proposed": held["how"], "by": held["proposed_by"], "reason": held["reason"]}, title="Proposal")
        flag_rules.print_rules(held["document"]["rules"])
        emit(f"split: {flag_rules.split_text(held['document']['split'])}")
