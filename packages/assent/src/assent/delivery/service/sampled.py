"""Samplings as they stand: what snapshots say of them, and which one finds a plan's harm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from assent.delivery import store
from assent.delivery.domain.plan import Plan
from assent.delivery.domain.sampling import MAX_BYTES, Wanted
from assent.kernel.tx import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """A sampling as it stands."""

    project: str
    environment: str
    name: str
    wanted: Wanted
    salt: str
    key: str
    set_at: datetime
    set_by: str


def list_samplings(
    reader: Reader, project: str | None = None, environment: str | None = None, name: str | None = None
) -> list[Sampling]:
    """List samplings, enabled or not, by project, environment and name."""
    return [_read(row) for row in store.list_samplings(reader.conn, project, environment, name)]


def judged_by(reader: Reader, where: tuple[str, str, str], plan: Plan) -> Wanted | None:
    """Give the sampling by which a plan finds its declared harm; None where it needs none, or has none."""
    found = list_samplings(reader, *where) if plan.is_judged else []
    return found[0].wanted if found and found[0].wanted.enabled else None


def published(reader: Reader, project: str, environment: str) -> dict[str, Any]:
    """Give what a snapshot says of the samplings of an environment, by name."""
    return {
        one.name: {"end": one.wanted.end, "salt": one.salt, "key": one.key, "max_bytes": MAX_BYTES}
        for one in list_samplings(reader, project, environment)
        if one.wanted.enabled
    }


def _read(row: Any) -> Sampling:
    wanted = Wanted(
        judge=row.judge,
        share=Decimal(row.share),
        per_day=row.per_day,
        keep_days=row.keep_days,
        enabled=row.enabled,
    )
    return Sampling(
        project=row.project,
        environment=row.environment,
        name=row.name,
        wanted=wanted,
        salt=row.salt,
        key=row.key,
        set_at=row.set_at,
        set_by=row.set_by,
    )
