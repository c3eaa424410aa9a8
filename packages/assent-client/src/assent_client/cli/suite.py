"""`assent suite`: what is measured, and what passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import split_ref
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.cli.strict_yaml import read
from assent_client.cli.suite_forms import FORMS, Form
from assent_client.errors import Invalid

__all__ = ["app", "gate_text"]

app = typer.Typer()


def gate_text(gate: Mapping[str, Any]) -> str:
    """Say a gate in words."""
    if gate["rule"] == "max_gap":
        return (
            f"{gate['metric']} no further apart than {gate['max_gap']} between groups, alpha {gate['alpha']}"
        )
    limit = {"non_inferior": f"within {gate.get('margin')} of", "superior": "better than"}
    if gate["rule"] == "threshold":
        bound = "at least" if gate["direction"] == "higher" else "at most"
        return f"{gate['metric']} {bound} {gate['threshold']}, alpha {gate['alpha']}"
    return f"{gate['metric']} {limit[gate['rule']]} {gate['baseline']}, alpha {gate['alpha']}"


LIST = [
    Column("ref", "suite"),
    Column("kind"),
    Column("gate", show=gate_text),
    Column("digest"),
    Column("registered_at", "registered"),
]  # fmt: skip
PACKS = [
    Column("name", "pack"),
    Column("version"),
    Column("n_rows", "cases", right=True),
    Column("languages", show=", ".join),
    Column("licence"),
    Column("origin"),
    Column("digest"),
]
Ref = Annotated[str, typer.Argument(metavar="NAME[@VERSION]")]


@app.command()
def register(
    file: Annotated[Path, typer.Argument(help="The suite (YAML or JSON).")],
    name: Annotated[str | None, typer.Option("--name", help="Its name, where the file has none.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", "-v", help="Its number; without one, the next minor.")
    ] = None,
) -> None:
    """Register a suite as a version; its gate is fixed from here on."""
    document = read(file).value
    if not isinstance(document, dict):
        raise Invalid(f"{file} holds no suite.", remedy="Write a mapping with dataset, scorers and gate.")
    body = {**document, **({"name": name} if name else {}), **({"version": version} if version else {})}
    if "name" not in body:
        raise Invalid(f"{file} names no suite.", remedy="Add `name:` or give --name.")
    with connect() as api:
        found = api.post(api.path("suites"), body)
    note("Registered." if found["created"] else "This suite is registered already.")
    emit(found, LIST)


@app.command()
def new(form: Annotated[Form, typer.Option("--form", help="What kind of questions.")]) -> None:
    """Print a suite to start from, as YAML, with a row of its dataset.

    Example: assent suite new --form choice > suite.yaml
    """
    print_text(FORMS[form])


@app.command("list")
def list_(name: Annotated[str | None, typer.Option("--name", help="Only of this name.")] = None) -> None:
    """List suite versions, newest first."""
    with connect() as api:
        emit(list(api.pages(api.path("suites"), name=name)), LIST, empty="No suites.")


@app.command()
def show(suite: Ref) -> None:
    """Show a suite version, every default written out."""
    with connect() as api:
        found = api.get(api.path("suites", *split_ref(suite)))
    emit(found, _print_suite)


@app.command()
def diff(old: Ref, new: Ref) -> None:
    """Show what differs between two suite versions."""
    with connect() as api:
        before, after = (api.get(api.path("suites", *split_ref(ref)))["document"] for ref in (old, new))
    emit(list(_differences(before, after)), ["where", "before", "after"], empty="No difference.")


@app.command()
def packs() -> None:
    """List the packs of datasets and suites that ship with Assent."""
    with connect() as api:
        emit(api.get(api.path("suite-packs")), PACKS)


@app.command()
def install(name: Annotated[str, typer.Argument(metavar="PACK")]) -> None:
    """Register a pack's datasets and suites; what is there already stays as it is."""
    with connect() as api:
        found = api.post(api.path("suite-packs", name, "installations"), {})
    note("Registered." if found["created"] else "This pack is registered already.")
    emit(found["installed"], ["kind", "ref", "digest"])


def _print_suite(found: Any) -> None:
    document = found["document"]
    emit(
        {
            key: found[key]
            for key in ("ref", "digest", "kind", "dataset_ref", "registered_at", "registered_by")
        }
    )
    emit(
        {
            "gate": gate_text(found["gate"]),
            **{k: v for k, v in document.items() if k not in {"gate", "kind", "scorers"}},
        }
    )
    emit(document["scorers"])


def _differences(before: Any, after: Any, at: str = "") -> Iterator[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(key), after.get(key), f"{at}.{key}" if at else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{at}[{index}]")
    elif before != after:
        yield {"where": at, "before": before, "after": after}
