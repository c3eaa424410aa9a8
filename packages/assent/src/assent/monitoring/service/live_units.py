"""Which calls count for the watches over what is live, and what their units are kept under."""

from collections import defaultdict
from collections.abc import Iterable

import sqlalchemy as sa

from assent.monitoring.domain.detector import DAY_S
from assent.monitoring.service.facets import Calls, SeriesKey
from assent.monitoring.service.outcomes import About, limit_of
from assent.monitoring.store import blocks, regressions
from assent.monitoring.store.blocks import Watch

VARIANTS = ("stable", "canary", "previous")


def key_of(watch: str, at_s: float) -> str:
    """Give what the units of a watch's day are kept under: each has one score a day (UTC)."""
    return f"{watch}:{int(at_s // DAY_S)}"


class LiveUnits:
    """The watches of a project by the series of their versions; empty where nobody asked for one."""

    def __init__(self, conn: sa.Connection, project: str) -> None:
        self._watches: dict[str, Watch] = {}
        self._by_series: dict[int, list[Watch]] = defaultdict(list)
        self._by_key: dict[str, Watch] = {}
        active = {live.id: live for live in regressions.list_active(conn, project=project)}
        for watch in blocks.list_watches(conn, list(active)):
            live = active[watch.rollout]
            self._watches[live.id] = watch
            for variant in VARIANTS:
                series = SeriesKey(project, live.environment, live.route, variant, live.version)
                self._by_series[series.id].append(watch)

    @property
    def ids(self) -> frozenset[str]:
        """Give the watches that go on."""
        return frozenset(self._watches)

    def keys(self, series: int, at: float) -> list[str]:
        """Give what the unit of a call is kept under, for each watch over its version."""
        watches = self._by_series.get(series, ()) if self._by_series else ()
        found = {key_of(watch.rollout, at): watch for watch in watches}
        self._by_key |= found
        return list(found)

    def about(self, calls: Calls) -> About:
        """Give which calls say something about units of watched versions; whom a rule chose is left out."""
        counted = [facet.row.rule is None and facet.row.series in self._by_series for facet in calls.shared]
        places: list[int] = []
        keys: list[str] = []
        limits: list[float] = []
        for place, (facet, at) in enumerate(zip(calls.facets, calls.at, strict=True) if any(counted) else ()):
            for key in self.keys(calls.shared[facet].row.series, at) if counted[facet] else ():
                places.append(place)
                keys.append(key)
                limits.append(limit_of(self._by_key[key]))
        return About(places, keys, limits)

    def by_key(self, keys: Iterable[str] = ()) -> dict[str, Watch]:
        """Give the watch behind each key that was given, here or before (`keys`) by the same watches."""
        before = {key: self._watches[key.partition(":")[0]] for key in keys}
        return before | self._by_key
