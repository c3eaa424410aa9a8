"""Looking at flags: history, why somebody gets what they get, who would get what, what is stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assent.flags import store
from assent.flags.domain import (
    Environment,
    Explanation,
    Export,
    Flag,
    Seen,
    explain,
    export_flagd,
    flag_of,
    published_route,
    published_segment,
    read_flag,
    stale_reasons,
)
from assent.flags.service.places import Place, Stored, body_of, flags_of, get, list_, segments_of
from assent.kernel.errors import Invalid, NotFound, Reason
from assent.kernel.tx import Reader, Tx
from assent_client.decide import RouteError

MAX_CONTEXTS = 10_000
KEEP_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose answer is asked for: a unit's id and its context."""

    unit: str
    context: Mapping[str, Any]


def explained(
    reader: Reader, place: Place, subject: Subject, form: Mapping[str, Any] | None = None
) -> Explanation:
    """Say why a unit gets what it gets, or would under a proposed document. Raises: NotFound, Invalid."""
    return explain(_environment(reader, place, form), place.name, subject.unit, subject.context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Who would get what: the decision for each subject, now and under what is proposed, and counts."""

    now: Sequence[Any]
    then: Sequence[Any] | None

    @property
    def counts(self) -> dict[str, int]:
        """Count the subjects by variant."""
        return dict(Counter(one.variant for one in self.now))

    @property
    def counts_then(self) -> dict[str, int]:
        """Count them under what is proposed."""
        return dict(Counter(one.variant for one in self.then or ()))

    @property
    def n_changed(self) -> int:
        """Count the subjects that would get another variant."""
        return sum(a.variant != b.variant for a, b in zip(self.now, self.then or (), strict=False))


def preview(
    reader: Reader, place: Place, subjects: Sequence[Subject], form: Mapping[str, Any] | None = None
) -> Preview:
    """Decide for many subjects, and beside it under a proposed document. Raises: NotFound, Invalid."""
    if len(subjects) > MAX_CONTEXTS:
        raise Invalid(f"{len(subjects):,} contexts are too many; {MAX_CONTEXTS:,} at a time.")
    get(reader, place)
    return Preview(
        now=_decided(_environment(reader, place, None), place.name, subjects),
        then=None if form is None else _decided(_environment(reader, place, form), place.name, subjects),
    )


def proposed(reader: Reader, place: Place) -> dict[str, Any] | None:
    """Give the fields of what waits for a second person; None where nothing does. Raises: NotFound."""
    held = get(reader, place).proposal
    document = None if held is None else document_at(reader, held.body)
    return None if document is None else {name: value for name, value in document.items() if name != "salt"}


def history(
    reader: Reader, place: Place, before: int | None = None, limit: int = 50
) -> list[store.Generation]:
    """List what a flag or segment was, newest first. Raises: NotFound (it never was)."""
    if store.find(reader.conn, place.key) is None:
        get(reader, place)
    return store.list_generations(reader.conn, place.key, before, limit)


def generation_of(reader: Reader, place: Place, generation: int) -> dict[str, Any]:
    """Read what a flag was. Raises: NotFound."""
    held = store.find_generation(reader.conn, place.key, generation)
    if held is None:
        raise NotFound(f"{place.name} has no generation {generation}.", remedy="Choose one from its history.")
    return body_of(reader, held.body)


def document_at(reader: Reader, body: str) -> dict[str, Any] | None:
    """Read a document of the history; None where it was erased."""
    try:
        return body_of(reader, body)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much a flag was asked for."""

    last_at: datetime | None
    counts: Mapping[str, int]


def uses(reader: Reader, project: str, environment: str, days: int) -> dict[str, Use]:
    """Say what applications were given in the last days, by flag."""
    since = (reader.now() - timedelta(days=days)).date()
    found: dict[str, Use] = {}
    for one in store.list_sightings(reader.conn, project, environment, since):
        held = found.get(one.name, Use(last_at=None, counts={}))
        last = max(one.last_at, held.last_at or one.last_at)
        found[one.name] = Use(last_at=last, counts={**held.counts, one.variant: one.n})
    return found


def stale(reader: Reader, project: str, environment: str, days: int) -> list[tuple[Stored, list[Reason]]]:
    """List the flags that look stale, each with why. Raises: NotFound (no such environment)."""
    lately, ever = uses(reader, project, environment, days), uses(reader, project, environment, KEEP_DAYS)
    found = []
    for one in list_(reader, project, environment):
        seen = Seen(
            last_at=ever[one.row.name].last_at if one.row.name in ever else None,
            variants=frozenset(lately[one.row.name].counts) if one.row.name in lately else frozenset(),
        )
        reasons = stale_reasons(one.flag, one.row.changed_at, seen, reader.now(), days)
        if reasons:
            found.append((one, reasons))
    return found


def see(tx: Tx, project: str, given: Mapping[tuple[str, str, str], int], at: datetime) -> None:
    """Count what applications were given: (environment, flag, variant) → times."""
    flags = store.names_of(tx.conn, project, [(environment, name) for environment, name, _ in given])
    for (environment, name, variant), n in sorted(given.items()):
        if (environment, name) in flags:
            key = {"project": project, "environment": environment, "name": name, "variant": variant}
            store.add_sighting(tx.conn, key, n, at)
            store.prune_sightings(tx.conn, key, (at - timedelta(days=KEEP_DAYS)).date())


def exported(reader: Reader, project: str, environment: str) -> Export:
    """Write an environment's flags for flagd. Raises: NotFound (no such environment)."""
    place = Place(project=project, environment=environment, name="")
    list_(reader, project, environment)
    return export_flagd(flags_of(reader, place), segments_of(reader, place), f"{project}/{environment}")


def published(reader: Reader, project: str, environment: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give routes and segments as they travel in snapshots: listed ids of people as keyed hashes."""
    rows = store.list_rows(reader.conn, {"project": project, "environment": environment})
    bodies = {(row.kind, row.name): body_of(reader, row.body) for row in rows}
    flags = {row: flag_of(bodies[row.kind, row.name]) for row in rows if row.kind == store.FLAG}
    units = {flag.unit for flag in flags.values()}
    routes = {row.name: published_route(row.name, flag, row.generation) for row, flag in flags.items()}
    segments = {
        name: published_segment(body, units) for (kind, name), body in bodies.items() if kind == store.SEGMENT
    }
    return routes, segments


def _decided(environment: Environment, name: str, subjects: Sequence[Subject]) -> list[Any]:
    return [environment.decide(name, one.unit, one.context) for one in subjects]


def _environment(reader: Reader, place: Place, form: Mapping[str, Any] | None) -> Environment:
    flags: dict[str, Flag] = flags_of(reader, place)
    held = get(reader, place).flag
    if form is not None:
        flags[place.name] = read_flag(form, held.salt, held)
    try:
        return Environment.compiled(flags, segments_of(reader, place))
    except RouteError as error:
        reasons = [Reason("rules", f"{problem}.") for problem in error.problems]
        raise Invalid(f"{error}.", reasons=reasons) from error
