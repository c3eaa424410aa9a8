"""Alerts: set, removed, silenced by people; fired, told again and resolved by the worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from assent.identity import service as identity
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.reasons import needed_reason, reason_text
from assent.kernel.tx import Reader, Tx
from assent.monitoring.domain import alerts as rules
from assent.monitoring.domain.alert_events import (
    AlertFired,
    AlertRemoved,
    AlertRepeated,
    AlertResolved,
    AlertSet,
    AlertSilenced,
    SilenceEnded,
)
from assent.monitoring.domain.alerts import NAME, Condition, Finding, Kind, Standing, Step
from assent.monitoring.service import readings
from assent.monitoring.service.readings import Scope
from assent.monitoring.store import alerts as store

MAX_ALERTS = 200
SELDOM, SELDOM_EVERY = frozenset({Kind.DRIFT}), timedelta(minutes=5)
"""What reads days of figures is not looked at every ten seconds."""

LONGEST_SILENCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewAlert:
    """What people say of an alert; `route` is the name that it watches, None for all."""

    name: str
    environment: str
    condition: Mapping[str, Any]
    route: str | None = None


def set_(tx: Tx, project: str, new: NewAlert) -> tuple[sa.Row[Any], bool]:
    """Set an alert, or change it; the same again records nothing. Gives it and whether it is new.

    Raises: Invalid with every mistake, NotFound (environment), Conflict (too many).
    """
    if not NAME.match(new.name):
        raise Invalid(f"{new.name[:63]!r} is no name of an alert.", remedy="Use a-z, 0-9 and -, 63 at most.")
    identity.get_environment(tx, project, new.environment)
    condition = rules.condition_document(rules.parse_condition(new.condition))
    present = store.find_alert(tx.conn, project, new.name)
    if present is None and len(store.list_alerts(tx.conn, project)) >= MAX_ALERTS:
        raise Conflict(
            f"{project} has {MAX_ALERTS} alerts already.", remedy="Remove one: assent alert remove."
        )
    wanted = (new.environment, new.route or None, condition)
    if present is None or (present.environment, present.route, present.condition) != wanted:
        identifier = present.id if present else new_id("alr")
        store.drop_check(tx.conn, identifier)
        tx.record(
            AlertSet(
                project=project,
                alert=identifier,
                name=new.name,
                environment=new.environment,
                route=new.route or None,
                condition=condition,
            )
        )
    return get(tx, project, new.name), present is None


def get(reader: Reader, project: str, name: str) -> sa.Row[Any]:
    """Get an alert. Raises: NotFound."""
    found = store.find_alert(reader.conn, project, name)
    if found is None:
        raise NotFound(f"{project} has no alert {name!r}.", remedy="`assent alert list` shows them.")
    return found


def list_(reader: Reader, project: str) -> list[sa.Row[Any]]:
    """List the alerts of a project, by name."""
    return store.list_alerts(reader.conn, project)


def remove(tx: Tx, project: str, name: str) -> None:
    """Remove an alert. Raises: NotFound."""
    found = get(tx, project, name)
    store.drop_check(tx.conn, found.id)
    tx.record(AlertRemoved(project=project, alert=found.id, name=name))


def silence(tx: Tx, project: str, name: str, until: datetime, reason: str | None) -> sa.Row[Any]:
    """Have an alert tell nothing until a time. Raises: NotFound, Invalid."""
    found, now = get(tx, project, name), tx.now()
    if not now < until <= now + LONGEST_SILENCE:
        raise Invalid(
            "A silence ends in the future, within 30 days.", remedy="Say for how long: --for 2h, --for 3d."
        )
    kept = needed_reason(tx, reason, "A silence")
    tx.record(AlertSilenced(project=project, alert=found.id, name=name, until=until), reason=kept)
    return get(tx, project, name)


def unsilence(tx: Tx, project: str, name: str) -> sa.Row[Any]:
    """End a silence before its time. Raises: NotFound, Conflict."""
    found = get(tx, project, name)
    if not is_silent(found, tx.now()):
        raise Conflict(f"{name} is not silenced.")
    tx.record(SilenceEnded(project=project, alert=found.id, name=name))
    return get(tx, project, name)


def is_silent(alert: sa.Row[Any], now: datetime) -> bool:
    """Tell whether an alert is silenced."""
    return alert.silenced_until is not None and now < alert.silenced_until


def state_of(alert: sa.Row[Any], now: datetime) -> str:
    """Give where an alert stands."""
    if is_silent(alert, now):
        return "silenced"
    if alert.firing:
        return "firing"
    return "quiet" if alert.holds is False else "pending" if alert.holds else "unknown"


def document(reader: Reader, alert: sa.Row[Any]) -> dict[str, Any]:
    """Write an alert with where it stands and what the last look found."""
    now = reader.now()
    return {
        "name": alert.name,
        "environment": alert.environment,
        "route": alert.route,
        "condition": alert.condition,
        "state": state_of(alert, now),
        "firing": alert.firing,
        "fired_at": alert.fired_at,
        "told_at": alert.told_at,
        "resolved_at": alert.resolved_at,
        "says": alert.last_says or alert.says,
        "value": alert.value,
        "n": alert.n,
        "checked_at": alert.checked_at,
        "silenced_until": alert.silenced_until if is_silent(alert, now) else None,
        "silence_reason": reason_text(reader, alert.silence_reason) if is_silent(alert, now) else None,
        "set_at": alert.set_at,
        "set_by": identity.name_of(reader, alert.set_by),
    }


def look(reader: Reader, ttl_s: float) -> list[tuple[sa.Row[Any], Finding]]:
    """Look at every alert."""
    found, now = [], reader.now()
    for alert in store.list_alerts(reader.conn):
        condition = rules.parse_condition(alert.condition)
        if condition.kind in SELDOM and alert.checked_at and now - alert.checked_at < SELDOM_EVERY:
            continue
        scope = Scope(alert.project, alert.environment, alert.route, ttl_s, alert.id)
        found.append((alert, readings.find(reader, scope, condition)))
    return found


def apply(tx: Tx, looked: sa.Row[Any], finding: Finding) -> Step:
    """Keep what a look found, and record what follows from it."""
    alert = store.find_alert(tx.conn, looked.project, looked.name)
    if alert is None or alert.condition != looked.condition:
        return Step.NOTHING  # somebody changed it meanwhile; the next look is of the new condition
    now = tx.now()
    before = Standing(alert.firing, alert.told_at, alert.silenced_until, alert.true_since, alert.true_at)
    standing = rules.seen(before, finding, now)
    store.put_check(
        tx.conn,
        {
            "alert": alert.id,
            "checked_at": now,
            "holds": finding.holds,
            "says": finding.says,
            "value": finding.value,
            "n": finding.n,
            "true_since": standing.true_since,
            "true_at": standing.true_at,
        },
    )
    condition: Condition = rules.parse_condition(alert.condition)
    step = rules.decide(condition, standing, now)
    event = _EVENTS.get(step)
    if event is not None:
        told = {"project": alert.project, "alert": alert.id, "name": alert.name}
        tx.record(event(**told, environment=alert.environment, says=finding.says))
    return step


_EVENTS: Mapping[Step, Any] = {
    Step.FIRE: AlertFired,
    Step.REPEAT: AlertRepeated,
    Step.RESOLVE: AlertResolved,
}
