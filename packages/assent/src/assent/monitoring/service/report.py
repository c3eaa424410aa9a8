"""What was served over a period, by version and by variant: counts, rates, latency, tokens and money."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from assent.delivery import service as delivery
from assent.kernel.errors import Invalid
from assent.kernel.tx import Reader
from assent.monitoring.domain import figures as rules
from assent.monitoring.domain.figures import Tally, merge
from assent.monitoring.domain.kinds import Kind
from assent.monitoring.service.prices import price_of
from assent.monitoring.service.sums import SLOT_S
from assent.monitoring.store import reading
from assent.monitoring.store.observations import ROLLUP_SUMS
from assent.providers.service import Price
from assent_client.observe import SHADOW

LONGEST = timedelta(days=92)
PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}


class Key(NamedTuple):
    """What figures are told apart by."""

    environment: str
    route: str
    variant: str
    version: str


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, widened to whole slots of ten seconds; its end is not part of it."""

    start: datetime
    end: datetime

    @property
    def slots(self) -> tuple[int, int]:
        """Give the first slot and the one after the last."""
        return int(self.start.timestamp() // SLOT_S), int(-(-self.end.timestamp() // SLOT_S))


def last(reader: Reader, seconds: float) -> Period:
    """Give the last seconds, the present slot included."""
    now = reader.now()
    return Period(now - timedelta(seconds=seconds), now + timedelta(seconds=SLOT_S))


def between(reader: Reader, start: datetime | None, end: datetime | None) -> Period:
    """Check a period of somebody's own; without an end it goes to now. Raises: Invalid."""
    now = reader.now()
    until = end or now + timedelta(seconds=SLOT_S)
    since = start or until - PERIODS["1h"]
    if since >= until:
        raise Invalid("The period ends before it begins.", remedy="Give a beginning before its end.")
    if until - since > LONGEST:
        text = f"The period has {(until - since).days} days; at most {LONGEST.days} are shown at once."
        raise Invalid(text, remedy="Ask for a shorter one.")
    return Period(since, until)


def tallies(
    reader: Reader, project: str, period: Period, where: Mapping[str, str]
) -> list[tuple[Key, Tally]]:
    """Add up what each variant of each version did."""
    rows = reading.sums_by_series(reader.conn, {"project": project, **where}, *period.slots)
    merged = reading.histograms(reader.conn, [row.id for row in rows], *period.slots)
    kinds: dict[int, dict[int, Mapping[int, int]]] = {}
    for (series, kind), counts in merged.items():
        kinds.setdefault(series, {})[kind] = counts
    return [
        (
            Key(row.environment, row.route, row.variant, row.version),
            Tally({name: float(getattr(row, name)) for name in ROLLUP_SUMS}, kinds.get(row.id, {})),
        )
        for row in rows
    ]


def figures(tally: Tally, price: Price | None = None) -> dict[str, Any]:
    """Write the figures of a tally, each estimate with its interval."""
    n_calls = int(tally.of("n_calls"))
    latency, first = (tally.histograms.get(kind, {}) for kind in (Kind.LATENCY, Kind.FIRST_TOKEN))
    n_counted = tally.of("n_counted")
    return {
        "n_calls": n_calls,
        "errors": rules.rate(tally.of("n_errors"), n_calls),
        "refusals": rules.rate(tally.of("n_refusals"), n_calls),
        "guardrails": rules.rate(tally.of("n_guardrails"), n_calls),
        "thumbs_down": rules.rate(tally.of("badness"), tally.of("n_feedback")),
        "n_unguarded": int(tally.of("n_unguarded")),
        "n_not_as_approved": int(tally.of("n_not_as_approved")),
        "tokens_in": int(tally.of("tokens_in")),
        "tokens_out": int(tally.of("tokens_out")),
        "tokens_in_per_call": rules.per_call(tally.of("tokens_in"), tally.of("in_in"), n_counted),
        "tokens_out_per_call": rules.per_call(tally.of("tokens_out"), tally.of("out_out"), n_counted),
        "latency_s": rules.quantiles(latency),
        "latency_intervals": rules.quantile_intervals(latency),
        "ttft_s": rules.quantiles(first),
        "ttft_intervals": rules.quantile_intervals(first),
        "cost": rules.cost(tally, price),
    }


def live(found: Iterable[tuple[Key, Tally]]) -> list[tuple[Key, Tally]]:
    """Leave out what was mirrored: it answered nobody."""
    return [(key, tally) for key, tally in found if key.variant != SHADOW]


def report(reader: Reader, project: str, period: Period, **where: str) -> dict[str, Any]:
    """Give what was served over a period, by version and by variant of each version, with its cost.

    Mirrored calls are a variant of their own; they cost money, and are left out of all else.
    """
    found = tallies(reader, project, period, where)
    known = _Versions(reader, project)
    by_version: dict[tuple[str, str, str], list[Tally]] = {}
    for key, tally in live(found):
        by_version.setdefault((key.environment, key.route, key.version), []).append(tally)
    versions = [
        {**known.row(*key), **figures(merge(parts), known.price(key[2]))} for key, parts in by_version.items()
    ]
    variants = [
        {
            **known.row(key.environment, key.route, key.version),
            "variant": key.variant,
            **figures(tally, known.price(key.version)),
        }
        for key, tally in found
    ]
    return {
        "from_at": period.start,
        "to_at": period.end,
        "n_calls": sum(row["n_calls"] for row in versions),
        "cost": total_cost([*versions, *(row for row in variants if row["variant"] == SHADOW)]),
        "versions": versions,
        "variants": variants,
    }


def total_cost(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up money by currency; calls whose price or tokens nobody knows are counted, never taken as 0."""
    totals: dict[str, float] = {}
    n_unknown = 0
    for row in rows:
        if row["cost"] is None:
            n_unknown += row["n_calls"]
            continue
        currency = row["cost"]["currency"]
        totals[currency] = totals.get(currency, 0.0) + row["cost"]["total"]
        n_unknown += row["cost"]["n_unknown"]
    return {"totals": totals, "n_unknown": n_unknown}


class _Versions:
    """Names and prices of versions; each is looked up once."""

    def __init__(self, reader: Reader, project: str) -> None:
        self._reader, self._project = reader, project
        self._prices: dict[str, Price | None] = {}

    def row(self, environment: str, route: str, version: str) -> dict[str, Any]:
        ref = delivery.ref_of(self._reader, self._project, version)
        return {"environment": environment, "route": route, "version": version, "ref": ref}

    def price(self, version: str) -> Price | None:
        if version not in self._prices:
            self._prices[version] = price_of(self._reader, self._project, version)
        return self._prices[version]
