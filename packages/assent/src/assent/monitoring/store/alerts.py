"""Alerts and the last look at each."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from assent.kernel.events import Recorded
from assent.kernel.tx import Writer
from assent.monitoring.domain.alert_events import (
    AlertFired,
    AlertRemoved,
    AlertRepeated,
    AlertResolved,
    AlertSet,
    AlertSilenced,
    SilenceEnded,
)
from assent.monitoring.store.blocks import projections
from assent.monitoring.store.tables import alert_checks, alerts


@projections.on(AlertSet)
def _set(conn: Writer, r: Recorded[AlertSet]) -> None:
    e = r.event
    # Its state begins anew with its condition: what held of another condition says nothing of this one.
    conn.execute(sa.delete(alerts).where(alerts.c.id == e.alert))
    conn.execute(
        sa.insert(alerts).values(
            id=e.alert,
            project=e.project,
            name=e.name,
            environment=e.environment,
            route=e.route,
            condition=dict(e.condition),
            set_at=r.at,
            set_by=r.actor,
            firing=False,
        )
    )


@projections.on(AlertRemoved)
def _removed(conn: Writer, r: Recorded[AlertRemoved]) -> None:
    conn.execute(sa.delete(alerts).where(alerts.c.id == r.event.alert))


@projections.on(AlertFired)
def _fired(conn: Writer, r: Recorded[AlertFired]) -> None:
    told = {"firing": True, "fired_at": r.at, "told_at": r.at, "resolved_at": None, "says": r.event.says}
    conn.execute(_change(r.event.alert).values(told))


@projections.on(AlertRepeated)
def _repeated(conn: Writer, r: Recorded[AlertRepeated]) -> None:
    conn.execute(_change(r.event.alert).values(told_at=r.at, says=r.event.says))


@projections.on(AlertResolved)
def _resolved(conn: Writer, r: Recorded[AlertResolved]) -> None:
    conn.execute(_change(r.event.alert).values(firing=False, resolved_at=r.at, says=r.event.says))


@projections.on(AlertSilenced)
def _silenced(conn: Writer, r: Recorded[AlertSilenced]) -> None:
    silence = {"silenced_until": r.event.until, "silenced_by": r.actor, "silence_reason": r.reason}
    conn.execute(_change(r.event.alert).values(silence))


@projections.on(SilenceEnded)
def _heard(conn: Writer, r: Recorded[SilenceEnded]) -> None:
    none = {"silenced_until": None, "silenced_by": None, "silence_reason": None}
    conn.execute(_change(r.event.alert).values(none))


def _change(alert: str) -> sa.Update:
    return sa.update(alerts).where(alerts.c.id == alert)


_CHECK = tuple(
    alert_checks.c[name] for name in ("checked_at", "holds", "value", "n", "true_since", "true_at")
)


def _selected() -> sa.Select[Any]:
    last = alert_checks.c.says.label("last_says")
    joined = alerts.outerjoin(alert_checks, alert_checks.c.alert == alerts.c.id)
    return sa.select(alerts, *_CHECK, last).select_from(joined)


def list_alerts(conn: sa.Connection, project: str | None = None) -> list[sa.Row[Any]]:
    """List the alerts of a project, or of all, by name, each with the last look at it."""
    wanted = _selected()
    if project is not None:
        wanted = wanted.where(alerts.c.project == project)
    return list(conn.execute(wanted.order_by(alerts.c.project, alerts.c.name)))


def find_alert(conn: sa.Connection, project: str, name: str) -> sa.Row[Any] | None:
    """Find an alert by its name."""
    return conn.execute(_selected().where(alerts.c.project == project, alerts.c.name == name)).one_or_none()


def lock_alert(conn: sa.Connection, alert: str) -> bool:
    """Hold an alert until the transaction ends; False where it was removed."""
    wanted = sa.select(alerts.c.id).where(alerts.c.id == alert).with_for_update()
    return conn.execute(wanted).first() is not None


def put_check(conn: sa.Connection, row: Mapping[str, Any]) -> None:
    """Keep the last look at an alert."""
    conn.execute(sa.delete(alert_checks).where(alert_checks.c.alert == row["alert"]))
    conn.execute(sa.insert(alert_checks).values(row))


def drop_check(conn: sa.Connection, alert: str) -> None:
    """Forget the last look at an alert."""
    conn.execute(sa.delete(alert_checks).where(alert_checks.c.alert == alert))
