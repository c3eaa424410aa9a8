"""Prompts: the list of a project, and a prompt with its versions, differences, preview and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from assent.console.parts import TimelineEntry
from assent.console.timeline import Names, timeline
from assent.console.visit import PageRoute, Visit, visits
from assent.delivery import service as delivery
from assent.evaluation import service as evaluation
from assent.evaluation.service import SuiteBinding
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Invalid, Reason
from assent.kernel.tx import Reader
from assent.ledger.domain import Query as Entries
from assent.monitoring import service as monitoring
from assent.prompts import service as prompts
from assent.prompts.service import Comparison, PromptVersion

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/prompts")

VARIABLE = "var."
MAX_GIVEN = 100_000
SHOWN_KINDS = (str, int, float, bool)
Number = Annotated[str | None, Query(max_length=64)]


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt in the list: its newest version and where it is live."""

    name: str
    address: str
    number: str
    status: str
    n_versions: int
    live: Sequence[str]
    registered_at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version in the table; `because`: the event that its status is due to."""

    number: str
    status: str
    bump: str
    digest: str
    since: datetime
    registered_at: datetime
    by: str
    address: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is written: role, or the name of a placeholder, and its text."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class VariableRow:
    """A variable, and what was typed for it."""

    name: str
    required: bool
    schema: str
    default: str
    description: str
    typed: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What came of filling the variables in."""

    messages: Sequence[Message] = ()
    mistakes: Sequence[Reason] = ()
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptView:
    """What the page of a prompt shows."""

    project: str
    name: str
    shown: PromptVersion
    by: str
    successor: str
    versions: Sequence[VersionRow]
    live: Sequence[str]
    messages: Sequence[Message]
    variables: Sequence[VariableRow]
    rest: Mapping[str, Any]
    fragments: Mapping[str, Mapping[str, str]]
    part_of: Sequence[str]
    comparison: Comparison | None
    preview: Preview
    suites: Sequence[SuiteBinding]
    metrics: Mapping[str, Any]
    timeline: Sequence[TimelineEntry] = field(default_factory=tuple)


def _live(reader: Reader, project: str, version: PromptVersion, users: Sequence[str]) -> list[str]:
    """Say where a version answers: by a route of its own, or within the versions that pin it."""
    told = []
    for found in delivery.list_live(reader, project):
        route = found.route
        shares = ((route.stable, 1 - route.share), (route.canary, route.share))
        for digest, share in shares if route.enabled else ():
            ref = None if digest is None else delivery.ref_of(reader, project, digest)
            if ref is not None and (digest == version.digest or ref in users):
                through = "" if digest == version.digest else f", in {ref}"
                told.append(f"{found.environment}: {share:.0%} of {route.key}{through}")
    return told


def _row(reader: Reader, project: str, name: str, names: Names) -> PromptRow:
    versions = prompts.list_versions(reader, project, name)
    newest = versions[0]
    live = [
        f"{found.environment}: {delivery.ref_of(reader, project, found.route.stable).rpartition('@')[2]}"
        for found in delivery.list_live(reader, project)
        if found.route.key == name and found.route.kind == "prompt" and found.route.enabled
    ]
    return PromptRow(
        name=name,
        address=f"/projects/{project}/prompts/{name}",
        number=newest.number,
        status=newest.status,
        n_versions=len(versions),
        live=live,
        registered_at=newest.registered_at,
        by=names.of(newest.registered_by),
    )


@router.get("")
def list_all(visit: Annotated[Visit, visits(Permission.PROMPT_READ)]) -> Response:
    """List the prompts of a project."""
    with visit.read() as reader:
        names = Names(reader)
        found = prompts.list_prompts(reader, visit.project)
        rows = [_row(reader, visit.project, name, names) for name in found]
    return visit.page("prompt/list.html", project=visit.project, rows=rows)


@router.get("/{name}")
def show(
    visit: Annotated[Visit, visits(Permission.PROMPT_READ)],
    name: str,
    version: Number = None,
    against: Number = None,
) -> Response:
    """Show a prompt: one version of it, and how that differs from another."""
    typed = {
        key.removeprefix(VARIABLE): value[:MAX_GIVEN]
        for key, value in visit.request.query_params.items()
        if key.startswith(VARIABLE)
    }
    with visit.read() as reader:
        shown = prompts.get(reader, visit.project, name, version)
        other = _other(reader, shown, against)
        view = _build(reader, visit, shown, other, typed)
    return visit.page("prompt/page.html", view=view)


def _other(reader: Reader, shown: PromptVersion, against: str | None) -> PromptVersion | None:
    """Find what a version is compared with: what was named, else what it followed."""
    if against:
        return prompts.get(reader, shown.project, shown.name, against)
    if shown.supersedes is None:
        return None
    return prompts.find_by_digest(reader, shown.project, shown.supersedes)


def _build(
    reader: Reader, visit: Visit, shown: PromptVersion, other: PromptVersion | None, typed: Mapping[str, str]
) -> PromptView:
    project, names, document = visit.project, Names(reader), shown.document
    sees_figures = not visit.lacks(Permission.MONITORING_READ)
    metrics = monitoring.metrics.of_version(reader, project, shown.digest) if sees_figures else {}
    successor = prompts.find_by_digest(reader, project, shown.successor) if shown.successor else None
    entries = Entries(project=project, subject=shown.name, before=None)
    return PromptView(
        project=project,
        name=shown.name,
        shown=shown,
        by=names.of(shown.registered_by),
        successor=successor.number if successor else "",
        versions=[_version(one, names) for one in prompts.list_versions(reader, project, shown.name)],
        live=_live(reader, project, shown, metrics.get("used_by", ())),
        messages=_messages(document["messages"]),
        variables=_variables(document, typed),
        rest={key: document[key] for key in ("tools", "response_format", "parameters") if document[key]},
        fragments=document.get("fragments") or {},
        part_of=[one.ref for one in prompts.wholes_of(reader, project, shown.digest)],
        comparison=prompts.compare(other, shown) if other else None,
        preview=_preview(document, typed),
        suites=evaluation.list_bindings(reader, project, shown.name),
        metrics=metrics,
        timeline=timeline(reader, entries)[0],
    )


def _version(version: PromptVersion, names: Names) -> VersionRow:
    return VersionRow(
        number=version.number,
        status=version.status,
        bump=version.bump if version.supersedes else "the first",
        digest=version.digest,
        since=version.since,
        registered_at=version.registered_at,
        by=names.of(version.registered_by),
        address=f"/projects/{version.project}/prompts/{version.name}?version={version.number}",
    )


def _messages(written: Sequence[Mapping[str, Any]]) -> list[Message]:
    told = []
    for message in written:
        content = message.get("content")
        if "placeholder" in message:
            told.append(Message("messages", f"those that the caller gives as {message['placeholder']}"))
        elif isinstance(content, str):
            told.append(Message(str(message["role"]), content))
        else:
            rest = {key: value for key, value in message.items() if key != "role"}
            told.append(Message(str(message["role"]), json.dumps(rest, ensure_ascii=False, indent=2)))
    return told


def _told(schema: Any, *, placed: bool) -> str:
    if placed:
        return "a list of messages with role and content"
    return json.dumps(schema, ensure_ascii=False) if schema else "anything"


def _variables(document: Mapping[str, Any], typed: Mapping[str, str]) -> list[VariableRow]:
    declared = document["variables"]
    placed = {one["placeholder"] for one in document["messages"] if "placeholder" in one}
    return [
        VariableRow(
            name=name,
            required=bool(one["required"]),
            schema=_told(one["schema"], placed=name in placed),
            default=json.dumps(one["default"], ensure_ascii=False) if "default" in one else "",
            description=str(one.get("description", "")),
            typed=typed.get(name, ""),
        )
        for name, one in declared.items()
    ]


def _preview(document: Mapping[str, Any], typed: Mapping[str, str]) -> Preview:
    """Fill in what was typed; what was left empty has its default."""
    declared = document["variables"]
    if declared and not typed:
        return Preview()
    given = {
        name: _value(declared.get(name, {}).get("schema", {}), text) for name, text in typed.items() if text
    }
    try:
        return Preview(_messages(prompts.render(document, given)), asked=True)
    except Invalid as error:
        return Preview(mistakes=error.reasons or (Reason("template", error.message),), asked=True)
    except AssentError as error:
        return Preview(mistakes=(Reason("template", error.message, error.remedy or ""),), asked=True)


def _value(schema: Any, text: str) -> Any:
    """Read JSON where the schema asks for something else than text, and where it is JSON."""
    if isinstance(schema, Mapping) and schema.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
