"""`assent flag rule` and `assent flag segment`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.flag_forms import change, flag_path, read_shares
from assent_client.cli.output import Column, emit, note
from assent_client.cli.strict_yaml import read
from assent_client.errors import Invalid, NotFound
from assent_client.typed import read_condition

__all__ = ["condition_text", "print_rules", "print_segment", "rule", "segment", "split_text"]

rule = typer.Typer()
segment = typer.Typer()
MILLION = 1_000_000

Name = Annotated[str, typer.Argument(help="Name of the flag.")]
SegmentName = Annotated[str, typer.Argument(help="Name of the segment.")]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why; a protected environment asks for it.")]
When = Annotated[
    list[str] | None,
    typer.Option(
        "--when",
        help="ATTRIBUTE OP VALUE, such as 'country in DE,AT'; or segment NAME, not_segment NAME, "
        "flag NAME VARIANT; may be repeated: all must hold.",
    ),
]


@rule.command(
    epilog="Example: assent flag rule add search staff --env dev --when 'email suffix @acme.com' --give on"
)
def add(  # noqa: PLR0913, PLR0917 -- each is an option of the command
    name: Name,
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="A name for the rule.")],
    environment: Environment,
    when: When = None,
    give: Annotated[
        list[str] | None, typer.Option("--give", help="A variant, or VARIANT=SHARE, which may be repeated.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="The rule that it goes before; else it is the last.")
    ] = None,
    reason: Why = None,
) -> None:
    """Add a rule, or replace the one of this name."""
    if not when or not give:
        raise Invalid(
            "A rule needs --when and --give.", remedy="assent flag rule add --help shows an example."
        )
    new = {"id": rule_id, "when": [read_condition(one) for one in when], "split": read_shares(give)}
    with connect() as api:
        rules = api.get(flag_path(api, environment, "flags", name))["document"]["rules"]
        places = [one["id"] for one in rules]
        if rule_id in places and before is None:
            rules[places.index(rule_id)] = new
        else:
            rules = [one for one in rules if one["id"] != rule_id]
            rules.insert(_place(rules, before), new)
        _told(change(api, environment, name, {"rules": rules}, reason), environment)


@rule.command(epilog="Example: assent flag rule remove new-search staff --env staging")
def remove(
    name: Name,
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="The rule's name.")],
    environment: Environment,
    reason: Why = None,
) -> None:
    """Take a rule away."""
    with connect() as api:
        rules = api.get(flag_path(api, environment, "flags", name))["document"]["rules"]
        kept = [one for one in rules if one["id"] != rule_id]
        if len(kept) == len(rules):
            raise NotFound(
                f"{name} has no rule {rule_id}.", remedy=f"assent flag show {name} --env {environment}"
            )
        _told(change(api, environment, name, {"rules": kept}, reason), environment)


@segment.command(
    "set", epilog="Example: assent flag segment set beta --env staging --when 'organisation in acme'"
)
def set_(
    name: SegmentName,
    environment: Environment,
    when: When = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="`any`: lists of conditions (YAML or JSON).")
    ] = None,
    reason: Why = None,
) -> None:
    """Make or change a segment: the conditions of one group all hold (--when), or of any group (--file)."""
    document = read(file).value if file else {"any": [[read_condition(one) for one in when or []]]}
    with connect() as api:
        path = flag_path(api, environment, "segments", name)
        found = api.put(path, {"document": document, "reason": reason})
    if found["proposal"] is not None:
        note(
            f"Proposed; a second person confirms it: assent flag confirm {name} --env {environment} --segment"
        )
    emit(found, print_segment)


@segment.command("list", epilog="Example: assent flag segment list --env staging")
def list_(environment: Environment) -> None:
    """List the segments of an environment."""
    columns = [
        Column("name"),
        Column("document.description", "description"),
        Column("generation", right=True),
    ]
    with connect() as api:
        emit(list(api.pages(flag_path(api, environment, "segments"))), columns, empty="No segments.")


@segment.command("show", epilog="Example: assent flag segment show beta --env staging")
def show_(name: SegmentName, environment: Environment) -> None:
    """Show a segment and what is proposed for it."""
    with connect() as api:
        emit(api.get(flag_path(api, environment, "segments", name)), print_segment)


def print_segment(found: Any) -> None:
    """Print a segment's groups of conditions."""
    emit({key: found[key] for key in ("name", "generation", "changed_at")})
    groups = [" and ".join(condition_text(one) for one in group) for group in found["document"]["any"]]
    emit("\nor ".join(groups))


def print_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    """Print rules in their order."""
    rows = [
        {
            "rule": one["id"],
            "when": " and ".join(condition_text(entry) for entry in one["when"]),
            "gives": split_text(one["split"]),
        }
        for one in rules
    ]
    if rows:
        emit(rows, ["rule", "when", "gives"])


def condition_text(entry: Mapping[str, Any]) -> str:
    """Write a condition as it is typed."""
    if "attribute" not in entry:
        return " ".join(",".join(one) if isinstance(one, list) else str(one) for one in _words(entry))
    value = entry["value"]
    shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{entry['attribute']} {entry['op']} {shown}"


def split_text(ranges: Sequence[Mapping[str, Any]]) -> str:
    """Write what a split gives."""
    found: dict[str, int] = {}
    for one in ranges:
        found[one["variant"]] = found.get(one["variant"], 0) + one["end"] - one["start"]
    return ", ".join(name if n == MILLION else f"{name}={n / MILLION:.6g}" for name, n in found.items())


def _words(entry: Mapping[str, Any]) -> list[Any]:
    if "flag" in entry:
        return ["flag", entry["flag"], entry["variants"]]
    return next([key, value] for key, value in entry.items())


def _place(rules: Sequence[Mapping[str, Any]], before: str | None) -> int:
    if before is None:
        return len(rules)
    places = [one["id"] for one in rules]
    if before not in places:
        raise NotFound(f"There is no rule {before}.", remedy=f"There are {', '.join(places) or 'none'}.")
    return places.index(before)


def _told(found: Any, environment: str) -> None:
    if found["proposal"] is not None:
        what = f"{found['name']} --env {environment}"
        note(f"Proposed; a second person confirms it: assent flag confirm {what}")
    emit(found, lambda shown: print_rules((shown["proposal"] or shown)["document"]["rules"]))
