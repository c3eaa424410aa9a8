"""Catalogues: dated lists of requirements, each with the checks that show it; and what a row comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from assent.compliance.domain.records import Facts, Record, Seen, Standing
from assent.compliance.domain.version_checks import TIERS
from assent.compliance.domain.vocabulary import CHECKS

DISCLAIMER = "what the record shows, not a legal assessment"
CONTROL_ATTESTED = "compliance.control.attested"
SYSTEM_CLASSIFIED = "compliance.system.classified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One requirement in our own words. `applies_from`: the lowest tier that it is asked of; None: all.

    `organisational`: what people do; records can contradict it, only a person's statement can show it.
    """

    id: str
    says: str
    checks: tuple[str, ...]
    applies_from: str | None
    organisational: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A list of requirements as it stood on a day; `secondary`: taken from secondary sources."""

    id: str
    title: str
    as_of: date
    source: str
    secondary: bool
    note: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check of a row saw; `remedy` is the command that gives what is missing."""

    check: str
    standing: Standing
    need: str
    have: str
    leaves: tuple[int, ...]
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What the record shows of one requirement."""

    row: Row
    standing: Standing
    have: str
    checks: tuple[CheckResult, ...]
    against: tuple[Record, ...]


def parse_catalogue(raw: Mapping[str, Any]) -> Catalogue:
    """Read a catalogue's document. Raises: ValueError, KeyError for one that is not well made."""
    rows = tuple(_row(one) for one in raw["rows"])
    if len({row.id for row in rows}) != len(rows):
        raise ValueError(f"the catalogue {raw['id']} has a row twice")
    return Catalogue(
        id=raw["id"],
        title=raw["title"],
        as_of=date.fromisoformat(raw["as_of"]),
        source=raw["source"],
        secondary=raw["secondary"],
        note=raw.get("note", ""),
        rows=rows,
    )


def _row(raw: Mapping[str, Any]) -> Row:
    applies = raw.get("applies_from")
    unknown = [name for name in raw["checks"] if name not in CHECKS]
    if unknown or not raw["checks"] or applies not in {None, *TIERS}:
        raise ValueError(f"the row {raw['id']} names {unknown or applies or 'no check'}")
    return Row(
        id=raw["id"],
        says=raw["says"],
        checks=tuple(raw["checks"]),
        applies_from=applies,
        organisational=raw.get("organisational", False),
    )


def judge(catalogue: Catalogue, facts: Facts) -> tuple[RowResult, ...]:
    """Compute every row."""
    return tuple(_judge(catalogue, row, facts) for row in catalogue.rows)


def summary(results: Iterable[RowResult]) -> dict[str, int]:
    """Count rows by standing."""
    counts = dict.fromkeys((one.value for one in Standing), 0)
    for result in results:
        counts[result.standing.value] += 1
    return counts


def _judge(catalogue: Catalogue, row: Row, facts: Facts) -> RowResult:
    tier = _tier(facts)
    if row.applies_from and tier and TIERS.index(tier) < TIERS.index(row.applies_from):
        have = f"asked from tier {row.applies_from} on; the questionnaire gives {tier}"
        newest = facts.of_system(SYSTEM_CLASSIFIED)[:1]
        return RowResult(
            row=row, standing=Standing.NOT_APPLICABLE, have=have, checks=(), against=tuple(newest)
        )
    asked = ("classified", *row.checks) if row.applies_from and tier is None else row.checks
    seen = {name: CHECKS[name].look(facts) for name in asked}
    if row.organisational:
        seen["statement"] = _statement(catalogue, row, facts)
    standing, have = _together(seen)
    if row.applies_from and tier is None:
        standing = Standing.NOT_MET if standing is Standing.NOT_MET else Standing.UNKNOWN
        have = f"whether it applies is not known; {have}"
    return RowResult(
        row=row,
        standing=standing,
        have=have,
        checks=tuple(_result(name, one, facts, catalogue, row) for name, one in seen.items()),
        against=tuple(r for one in seen.values() for r in (*one.against, *one.doubts)),
    )


def _together(seen: Mapping[str, Seen]) -> tuple[Standing, str]:
    standings = {one.standing for one in seen.values()}
    worst = next(s for s in (Standing.NOT_MET, Standing.UNKNOWN, Standing.MET) if s in standings)
    return worst, "; ".join(dict.fromkeys(one.have for one in seen.values() if one.standing is worst))


def _result(name: str, seen: Seen, facts: Facts, catalogue: Catalogue, row: Row) -> CheckResult:
    if name == "statement":
        need = "a person's statement that it is in place"
        remedy = f"assent compliance attest {facts.name} {catalogue.id} '{row.id}' --reason TEXT"
    else:
        need, remedy = CHECKS[name].need, CHECKS[name].remedy
        remedy = remedy.format(ref=facts.ref, name=facts.name, project=facts.project)
    records = seen.against or seen.supports or seen.doubts
    return CheckResult(
        check=name,
        standing=seen.standing,
        need=need,
        have=seen.have,
        leaves=tuple(sorted({r.index for r in records if r.index is not None})),
        remedy="" if seen.standing is Standing.MET else remedy,
    )


def _statement(catalogue: Catalogue, row: Row, facts: Facts) -> Seen:
    stated = facts.of_system(CONTROL_ATTESTED, catalogue=catalogue.id, row=row.id)
    for record in stated:
        until = datetime.fromisoformat(str(record.fields.get("expires_at")))
        if until > facts.now:
            return Seen(f"stated by a person until {until:%Y-%m-%d}", (record,))
    return Seen("nobody states it now; what people do is not shown by records alone")


def _tier(facts: Facts) -> str | None:
    found = facts.of_system(SYSTEM_CLASSIFIED)
    tier = found[0].fields.get("tier") if found else None
    return tier if tier in TIERS else None
