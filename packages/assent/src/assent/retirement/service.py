"""Announce that a version ends, tell who depends on it, waive, retire; and who a provider's end touches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from assent.delivery import service as delivery
from assent.evidence import service as evidence
from assent.evidence.domain import DEPRECATION
from assent.identity import service as identity
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.reasons import needed_reason
from assent.kernel.tx import Reader, Tx
from assent.monitoring import service as monitoring
from assent.providers import service as providers
from assent.registry import service as registry
from assent.registry.service import ModelVersion
from assent.retirement import store
from assent.retirement.domain import (
    BaseModelNeared,
    BrownoutNeared,
    Dependents,
    Deprecation,
    DeprecationUndone,
    NoticeGiven,
    State,
    VersionDeprecated,
    VersionRetired,
    WaiverGranted,
    WaiverKind,
    brownouts_of,
    checked_sunset,
    claim_of,
    due_brownout,
    due_notice,
    expect_open,
    expect_retirable,
    expect_undoable,
    expect_waivable,
)
from assent.retirement.store import projections

__all__ = [
    "Announcement",
    "Touched",
    "Wanted",
    "callers",
    "dependents",
    "deprecate",
    "find",
    "give_notice",
    "list_",
    "list_notices",
    "near",
    "projections",
    "retire",
    "touched",
    "undo",
    "waive",
]

LATELY_S = 86_400.0
N_PAGE = 500
HORIZON = timedelta(days=90)
"""How long before a provider's end the owners of touched versions are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What is said when a version is deprecated; `successor` is name@number, None: there is none."""

    sunset_at: datetime
    reason: str
    successor: str | None = None
    brownouts: Sequence[tuple[datetime, datetime]] | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """A version whose base model ends: where it is live, and who owns it."""

    version: ModelVersion
    ends_on: date
    source: str
    live: tuple[str, ...]

    @property
    def base_model(self) -> str:
        """Give the base model that ends."""
        return self.version.base_model or self.version.upstream_model

    @property
    def key(self) -> str:
        """Give its place in the order by end and name."""
        return f"{self.ends_on.isoformat()}/{self.version.ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which touched versions are asked for: those that pass a filter of the registry.

    `live` asks for those that serve, or that do not; `after` is the `key` of the last one of the page before,
    and `limit` None is all.
    """

    filter: str | None = None
    live: bool | None = None
    after: str | None = None
    limit: int | None = None


ALL = Wanted()


def deprecate(tx: Tx, version: ModelVersion, said: Announcement) -> Deprecation:
    """Announce the end of a version. Raises: Invalid, NotFound (successor), Conflict (it is deprecated)."""
    now = tx.now()
    checked_sunset(now, said.sunset_at)
    lock_name(tx, "ends of model", version.project, version.name)
    present = store.find(tx, version.project, version.digest, lock=True)
    if version.status in {"deprecated", "retired"} or (present and present.state == State.DEPRECATED):
        raise Conflict(f"{version.ref} is deprecated or retired already.", remedy="Undo that first.")
    successor = None
    if said.successor is not None:
        successor = registry.get_ref(tx, version.project, said.successor)
        if successor.digest == version.digest or successor.status in {"deprecated", "retired"}:
            raise Invalid(
                f"{successor.ref} cannot succeed {version.ref}.", remedy="Name a version that stays."
            )
    event = VersionDeprecated(
        deprecation=new_id("dep"),
        project=version.project,
        name=version.name,
        number=version.number,
        subject=version.digest,
        successor=None if successor is None else successor.digest,
        successor_ref=None if successor is None else successor.ref,
        sunset_at=said.sunset_at,
        brownouts=brownouts_of(said.brownouts, now, said.sunset_at),
    )
    recorded = tx.record(event, reason=needed_reason(tx, said.reason, "A deprecation"))
    _claim(tx, event, State.DEPRECATED, recorded.at)
    registry.advance(tx, version.digest, version.stage, recorded.id, "deprecated")
    return _get(tx, version)


def undo(tx: Tx, version: ModelVersion, reason: str) -> Deprecation:
    """Take a deprecation back before the sunset. Raises: Conflict, Invalid (no reason)."""
    found = expect_open(store.find(tx, version.project, version.digest, lock=True), version.ref)
    expect_undoable(found, tx.now())
    event = DeprecationUndone(deprecation=found.id, **_place(version))
    recorded = tx.record(event, reason=needed_reason(tx, reason, "Taking a deprecation back"))
    _claim(tx, _event(found), State.UNDONE, found.at)
    registry.advance(tx, version.digest, version.stage, recorded.id, registry.status_of(version.stage))
    return _get(tx, version)


def waive(tx: Tx, version: ModelVersion, kind: WaiverKind, expires_at: datetime, reason: str) -> Deprecation:
    """Let a version retire with dependents left. Raises: Refused, Conflict, Invalid (no reason)."""
    found = expect_open(store.find(tx, version.project, version.digest, lock=True), version.ref)
    expect_waivable(found, tx.actor.id, expires_at, tx.now())
    event = WaiverGranted(
        deprecation=found.id,
        project=version.project,
        subject=version.digest,
        waiver=kind.value,
        expires_at=expires_at,
    )
    tx.record(event, reason=needed_reason(tx, reason, "A waiver"))
    return _get(tx, version)


def retire(tx: Tx, version: ModelVersion, reason: str) -> Deprecation:
    """End a version for good. Raises: Refused with every dependent, Conflict, Invalid (no reason)."""
    found = expect_open(store.find(tx, version.project, version.digest, lock=True), version.ref)
    waived = expect_retirable(found, dependents(tx, version), tx.now())
    event = VersionRetired(deprecation=found.id, waived=waived, **_place(version))
    recorded = tx.record(event, reason=needed_reason(tx, reason, "A retirement"))
    _claim(tx, _event(found), State.RETIRED, found.at)
    registry.advance(tx, version.digest, "retirement", recorded.id)
    return _get(tx, version)


def dependents(reader: Reader, version: ModelVersion) -> Dependents:
    """Find who depends on a version: what is built from it, what serves it, who called it in the last day."""
    _, built = registry.lineage(reader, version.project, version.digest)
    declared = set()
    for edge in built:
        other = registry.find_by_digest(reader, version.project, edge.source)
        if edge.kind != "supersedes" and other is not None and other.status != "retired":
            declared.add(other.ref)
    serving = tuple(
        f"{one.environment}/{one.route.key}"
        for one in delivery.list_live(reader, version.project)
        if one.route.enabled and version.digest in one.route.digests
    )
    calling: dict[str, int] = {}
    for _, application, n in callers(reader, version, LATELY_S):
        calling[application] = calling.get(application, 0) + n
    return Dependents(tuple(sorted(declared)), serving, calling, identity.key_names(reader, version.project))


def callers(reader: Reader, version: ModelVersion, since_s: float) -> list[tuple[str, str, int]]:
    """Count the answered calls of a version by day and application, as far back as calls are kept."""
    since = reader.now().timestamp() - since_s
    return monitoring.callers(reader, version.project, version.digest, since)


def find(reader: Reader, version: ModelVersion) -> Deprecation | None:
    """Find how a version ends, if that was announced; one that was taken back counts too."""
    return store.find(reader, version.project, version.digest)


def list_(reader: Reader, project: str | None, state: State | None = None) -> list[Deprecation]:
    """List deprecations by sunset; None: of all projects."""
    return store.list_(reader, project, state)


def list_notices(reader: Reader, deprecation: Deprecation) -> list[dict[str, Any]]:
    """List the notices given, oldest first."""
    return store.list_notices(reader, deprecation.id)


def give_notice(tx: Tx, deprecation: Deprecation) -> bool:
    """Record the notices that are due: who depends, who still calls. Gives whether one was."""
    found = store.find(tx, deprecation.project, deprecation.subject, lock=True)
    if found is None or found.id != deprecation.id or found.state != State.DEPRECATED:
        return False
    days = due_notice(found, [one["days"] for one in list_notices(tx, found)], tx.now())
    brownout = due_brownout(found, store.told_brownouts(tx, found.id), tx.now())
    if days is None and brownout is None:
        return False
    version = registry.get_by_digest(tx, found.project, found.subject)
    about = {"deprecation": found.id, **_known(tx, version), **_place(version)}
    if days is not None:
        tx.record(NoticeGiven(days=days, sunset_at=found.sunset_at, **about))
    if brownout is not None:
        start, end = brownout
        tx.record(BrownoutNeared(starts_at=start, ends_at=end, successor_ref=found.successor_ref, **about))
    return True


def _known(reader: Reader, version: ModelVersion) -> dict[str, Any]:
    """Say who depends and who calls, as notices tell it."""
    known = dependents(reader, version)
    return {
        "dependents": (*known.declared, *known.serving),
        "applications": tuple(sorted(known.calling)),
        "n_calls": sum(known.calling.values()),
    }


def touched(reader: Reader, project: str, within: timedelta, wanted: Wanted = ALL) -> list[Touched]:
    """List the versions, not retired, whose base model ends by then, the soonest first.

    Raises: Invalid (a filter that does not parse, with the place).
    """
    horizon = (reader.now() + within).date()
    live = _live(reader, project)
    ends: dict[str, providers.End | None] = {}
    found = []
    for version in _versions(reader, project, wanted.filter):
        base_model = version.base_model or version.upstream_model
        if base_model not in ends:
            ends[base_model] = providers.end_of(reader, base_model)
        end = ends[base_model]
        if version.status == State.RETIRED or end is None or end.ends_on is None or end.ends_on > horizon:
            continue
        places = tuple(sorted(live.get(version.digest, ())))
        if wanted.live in {None, bool(places)}:
            found.append(Touched(version, end.ends_on, end.source, places))
    found.sort(key=lambda one: one.key)
    rest = [one for one in found if wanted.after is None or one.key > wanted.after]
    return rest[: wanted.limit]


def _live(reader: Reader, project: str) -> dict[str, list[str]]:
    live: dict[str, list[str]] = {}
    for one in delivery.list_live(reader, project):
        for digest in one.route.digests:
            live.setdefault(digest, []).append(one.environment)
    return live


def _versions(reader: Reader, project: str, wanted: str | None) -> Iterator[ModelVersion]:
    """Walk the versions that pass a filter, the newest first."""
    search, before = registry.Search({}, wanted, None), None
    while found := registry.search(reader, project, search, before=before, limit=N_PAGE):
        yield from found
        before = found[-1].id


def near(tx: Tx, project: str) -> int:
    """Record, once each, that a base model's end came within the horizon; gives how many."""
    by_end: dict[tuple[str, str], list[Touched]] = {}
    for one in touched(tx, project, HORIZON):
        by_end.setdefault((one.base_model, one.ends_on.isoformat()), []).append(one)
    new = [key for key in by_end if not store.is_neared(tx, project, *key)]
    for base_model, ends_on in new:
        ones = by_end[base_model, ends_on]
        tx.record(
            BaseModelNeared(
                project=project,
                base_model=base_model,
                ends_on=ends_on,
                versions=tuple(one.version.ref for one in ones)[:200],
                live=tuple(one.version.ref for one in ones if one.live)[:200],
                owners=tuple(sorted({one.version.owner for one in ones if one.version.owner}))[:200],
            )
        )
    return len(new)


def _get(reader: Reader, version: ModelVersion) -> Deprecation:
    found = find(reader, version)
    if found is None:
        raise NotFound(f"{version.ref} was never deprecated.")
    return found


def _place(version: ModelVersion) -> dict[str, str]:
    return {
        "project": version.project,
        "name": version.name,
        "number": version.number,
        "subject": version.digest,
    }


def _event(found: Deprecation) -> VersionDeprecated:
    return VersionDeprecated(
        deprecation=found.id,
        project=found.project,
        name=found.name,
        number=found.number,
        subject=found.subject,
        successor=found.successor,
        successor_ref=found.successor_ref,
        sunset_at=found.sunset_at,
        brownouts=found.brownouts,
    )


def _claim(tx: Tx, event: VersionDeprecated, state: State, at: datetime) -> None:
    value = claim_of(event, at, state)
    evidence.record(tx, project=event.project, kind=DEPRECATION, subject=event.subject, value=value)
