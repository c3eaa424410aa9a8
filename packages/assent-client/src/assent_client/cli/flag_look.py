"""Looking at flags: why, who would get what, history, what is stale, the export for flagd."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.api import Api
from assent_client.cli.connection import OPTIONS, connect
from assent_client.cli.flag_forms import flag_path, read_file, read_pairs, read_shares
from assent_client.cli.output import Column, emit, note, print_json
from assent_client.cli.strict_yaml import read

__all__ = ["explain", "export", "history", "in_batches", "preview", "print_preview", "stale"]

BATCH = 2000

Name = Annotated[str, typer.Argument(help="Name of the flag.")]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]
File = Annotated[
    Path | None, typer.Option("--file", "-f", help="A document, or parts of it, that is only proposed.")
]
Share = Annotated[
    list[str] | None, typer.Option("--share", help="A split that is only proposed, as for `assent flag set`.")
]
MARKS = {True: "✓ holds", False: "✗ no", None: "- not asked"}


def explain(
    name: Name,
    environment: Environment,
    unit: Annotated[
        str, typer.Option(help="Whose answer: the id of the user, or whatever the flag sticks to.")
    ],
    context: Annotated[
        list[str] | None, typer.Option("--context", help="ATTRIBUTE=VALUE; may be repeated.")
    ] = None,
    file: File = None,
) -> None:
    """Say why a unit gets what it gets, rule by rule.

    Example: assent flag explain new-search --env staging --unit ada --context country=DE
    """
    body = {
        "unit": unit,
        "context": read_pairs(context or [], "an attribute"),
        "document": _proposed(file, None),
    }
    with connect() as api:
        found = api.post(flag_path(api, environment, "flags", name, "explanations"), body)
    emit(found, _print_explanation)


def preview(
    name: Name,
    contexts: Annotated[
        Path, typer.Argument(metavar="FILE", help="Contexts: JSON lines, or CSV with a header.")
    ],
    environment: Environment,
    file: File = None,
    share: Share = None,
    *,
    lines: Annotated[bool, typer.Option("--lines", help="Show every line, not counts only.")] = False,
) -> None:
    """Say who would get what, for a file of contexts; with --file or --share also what a change would do.

    Example: assent flag preview new-search users.csv --env staging --share on=0.2
    """
    document = _proposed(file, share)
    with connect() as api:
        unit = api.get(flag_path(api, environment, "flags", name))["document"]["unit"]
        given = read_file(contexts, unit)
        found = in_batches(api, flag_path(api, environment, "flags", name, "previews"), given, document)
    emit(found, lambda shown: print_preview(shown, lines=lines))


def in_batches(api: Api, path: str, given: list[dict[str, Any]], document: Any) -> dict[str, Any]:
    """Ask who would get what, some thousand contexts at a time; `document` is what is only proposed."""
    more = {} if document is None else {"document": document}
    parts = [
        api.post(path, {"contexts": given[start : start + BATCH], **more})
        for start in range(0, len(given), BATCH)
    ]
    return _summed(parts, has_change=document is not None)


def history(
    name: Name,
    environment: Environment,
    *,
    segment: Annotated[bool, typer.Option("--segment", help="Of a segment of this name.")] = False,
) -> None:
    """List what a flag was, newest first.

    Example: assent flag history new-search --env staging
    """
    columns: list[str | Column] = [
        "generation",
        "how",
        Column("enabled", "on"),
        "changed_at",
        "changed_by",
        "proposed_by",
        "reason",
    ]
    with connect() as api:
        path = flag_path(api, environment, "segments" if segment else "flags", name, "history")
        emit(list(api.pages(path)), columns)


def stale(
    environment: Environment,
    days: Annotated[int, typer.Option(min=1, max=365, help="How far to look back.")] = 30,
) -> None:
    """List the flags that nobody seems to need; exits 1 where there is one.

    Example: assent flag stale --env production --days 60
    """
    with connect() as api:
        found = list(api.pages(flag_path(api, environment, "stale-flags"), days=days))
    rows = [
        {
            "name": one["name"],
            "owner": one["document"]["owner"],
            "why": reason["message"],
            "remedy": reason["remedy"],
        }
        for one in found
        for reason in one["reasons"]
    ]
    emit(
        found if OPTIONS.json else rows,
        ["name", "owner", "why", Column("remedy", "to do")],
        empty="No stale flags.",
    )
    raise typer.Exit(1 if found else 0)


def export(
    environment: Environment,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; standard output without.")] = None,
) -> None:
    """Write the flags in the form of flagd; says what it cannot hold, and how many users differ there.

    Example: assent flag export --env staging --out flags.flagd.json
    """
    with connect() as api:
        found = api.get(flag_path(api, environment, "flagd"))
    if OPTIONS.json:
        print_json(found)
        return
    for name, why in found["left_out"].items():
        note(f"{name} is left out: {why}.")
    for name, share in found["disagreement"].items():
        note(f"{name}: flagd buckets by another hash: {100 * share:.3g} % get another variant there.")
    if out is None:
        print_json(found["flags"])
    else:
        out.write_text(json.dumps(found["flags"], indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        note(f"Written to {out}.")


def _proposed(file: Path | None, share: list[str] | None) -> Any:
    document = read(file).value if file else {}
    if share:
        document = {**document, "split": read_shares(share)}
    return document or None


def _print_explanation(found: Any) -> None:
    rows = [
        {
            "asked": f"{one['what']} {one['id']}" if one["what"] != "split" else "split",
            "answer": MARKS[one["holds"]],
            "gives": one["gives"],
            "because": "; ".join(f"{'✓' if holds else '✗'} {text}" for text, holds in one["conditions"]),
        }
        for one in found["steps"]
    ]
    emit(rows, ["asked", "answer", "gives", "because"])
    place = f", bucket {found['bucket']:,} of 1,000,000" if found["bucket"] is not None else ""
    emit(f"It gets {found['variant']} ({found['reason']}{place}).")


def _summed(parts: list[Any], *, has_change: bool) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    then: Counter[str] = Counter()
    for part in parts:
        counts.update(part["counts"])
        then.update(part.get("counts_then") or {})
    return {
        "n": sum(part["n"] for part in parts),
        "counts": dict(counts),
        "counts_then": dict(then) if has_change else None,
        "n_changed": sum(part["n_changed"] for part in parts) if has_change else None,
        "lines": [line for part in parts for line in part["lines"]],
    }


def print_preview(found: Any, *, lines: bool) -> None:
    """Print who would get what, for people."""
    n, then = found["n"] or 1, found["counts_then"]
    names = sorted({*found["counts"], *(then or {})})
    rows = [
        {
            "variant": name,
            "now": f"{found['counts'].get(name, 0):,} ({100 * found['counts'].get(name, 0) / n:.3g} %)",
            "then": f"{then.get(name, 0):,} ({100 * then.get(name, 0) / n:.3g} %)"
            if then is not None
            else "-",
        }
        for name in names
    ]
    emit(rows, ["variant", "now", *(["then"] if then is not None else [])])
    if then is not None:
        note(f"{found['n_changed']:,} of {found['n']:,} would get another variant.")
    if lines:
        shown = [{**one, "then": (one.get("then") or {}).get("variant")} for one in found["lines"]]
        emit(shown, ["unit", "variant", "rule", "reason", *(["then"] if then is not None else [])])
