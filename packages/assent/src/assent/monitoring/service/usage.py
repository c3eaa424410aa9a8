"""What applications used of their keys: calls, tokens and money of this day and this month (UTC).

Gateways count for themselves before each call; this is what was observed so far, by the prices of today.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.kernel.tx import Reader
from assent.monitoring.service.prices import price_of
from assent.monitoring.store import reading
from assent.monitoring.store.observations import DAY_S
from assent.providers.service import Price

Figures = dict[str, Any]


def by_application(reader: Reader, project: str) -> dict[str, Figures]:
    """Give the figures of each application that called this month: `{"day": …, "month": …}`."""
    of: dict[str, list[sa.Row[Any]]] = {}
    for row in reading.usage_since(reader.conn, project, _first_day(reader.now())):
        of.setdefault(row.application, []).append(row)
    prices = _Prices(reader, project)
    today = _day(reader.now())
    return {name: _periods(rows, today, prices) for name, rows in of.items()}


def of_application(reader: Reader, project: str, application: str) -> Figures:
    """Give an application's figures: this day, this month, and the month by version."""
    rows = reading.usage_since(reader.conn, project, _first_day(reader.now()), application)
    prices = _Prices(reader, project)
    versions: dict[str, list[sa.Row[Any]]] = {}
    for row in rows:
        versions.setdefault(row.version, []).append(row)
    return {
        **_periods(rows, _day(reader.now()), prices),
        "versions": [
            {
                "version": version,
                "ref": delivery.ref_of(reader, project, version),
                **_figures(its, prices),
            }
            for version, its in versions.items()
        ],
    }


class _Prices:
    """Prices of versions; each is looked up once."""

    def __init__(self, reader: Reader, project: str) -> None:
        self._reader, self._project = reader, project
        self._known: dict[str, Price | None] = {}

    def of(self, version: str) -> Price | None:
        if version not in self._known:
            self._known[version] = price_of(self._reader, self._project, version)
        return self._known[version]


def _periods(rows: list[sa.Row[Any]], today: int, prices: _Prices) -> Figures:
    return {
        "day": _figures((row for row in rows if row.day == today), prices),
        "month": _figures(rows, prices),
    }


def _figures(rows: Iterable[sa.Row[Any]], prices: _Prices) -> Figures:
    """Add up; calls without tokens or without a price are counted, never taken as free."""
    n_calls = n_unknown = tokens_in = tokens_out = 0
    cost: dict[str, float] = {}
    for row in rows:
        into, out, price = int(row.tokens_in), int(row.tokens_out), prices.of(row.version)
        n_calls, tokens_in, tokens_out = n_calls + int(row.n_calls), tokens_in + into, tokens_out + out
        n_unknown += int(row.n_calls) - (0 if price is None else int(row.n_counted))
        if price is not None:
            cost[price.currency] = cost.get(price.currency, 0.0) + float(price.cost(into, out))
    return {
        "n_calls": n_calls,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "cost": cost,
        "n_cost_unknown": n_unknown,
    }


def _day(at: datetime) -> int:
    return int(at.timestamp() // DAY_S)


def _first_day(now: datetime) -> int:
    return _day(datetime(now.year, now.month, 1, tzinfo=UTC))
