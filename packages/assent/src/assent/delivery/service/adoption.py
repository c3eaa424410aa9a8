"""Adoption: a version that was live before Assent was there is taken over as it is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from assent.delivery import store
from assent.delivery.domain import Route, Unit, compile_route, moves, read_route
from assent.delivery.domain.events import VersionAdopted
from assent.delivery.service import effects
from assent.delivery.service.subjects import expect_no_flag, find_subject
from assent.delivery.service.watch import announce
from assent.identity import service as identity
from assent.kernel.locks import lock_name
from assent.kernel.reasons import needed_reason
from assent.kernel.tx import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Which version is taken over, where, and why; `subject` is a digest or name@version."""

    project: str
    environment: str
    subject: str
    reason: str | None
    unit: Unit = Unit.USER


def adopt(tx: Tx, adoption: Adoption) -> Route:
    """Take a version over; its event is the decision that admits it.

    Raises: Invalid (no reason), NotFound, Conflict (the environment routes the name already).
    """
    kept = needed_reason(tx, adoption.reason, "An adoption")
    identity.get_environment(tx, adoption.project, adoption.environment)
    subject = find_subject(tx, adoption.project, adoption.subject)
    lock_name(tx, "route", adoption.project, f"{adoption.environment}/{subject.name}")
    expect_no_flag(tx, adoption.project, adoption.environment, subject.name)
    row = store.find_route(tx.conn, adoption.project, adoption.environment, subject.name, lock=True)
    route = Route(
        key=subject.name,
        kind=subject.kind,
        stable=subject.digest,
        unit=adoption.unit.value,
        salt=secrets.token_hex(16),
        generation=1,
    )
    event = VersionAdopted(
        project=adoption.project,
        environment=adoption.environment,
        name=subject.name,
        kind=subject.kind,
        subject=subject.digest,
        ref=subject.ref,
        route=compile_route(route),
        route_generation=route.generation,
    )
    moves.adopt(None if row is None else read_route(row.document), event)
    effects.adopted(tx, event, tx.record(event, reason=kept).id)
    announce(tx.conn)
    return route
