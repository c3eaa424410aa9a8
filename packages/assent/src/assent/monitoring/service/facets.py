"""Calls by column: what is each call's own, and the facet that it shares with many others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from assent.monitoring.domain.kinds import finish_bucket, has_failed, language_bucket
from assent.monitoring.domain.scores import Arm
from assent.monitoring.service.batch import Batch, Call

REFUSALS = frozenset({"content_filter", "refusal"})
_SHARED = attrgetter(
    "environment", "route", "variant", "version",
    "serial", "rule", "reason", "rollout", "sticky", "stream", "status", "error_class",
    "finish_reason", "response_model", "as_approved", "application", "guardrails", "language",
    "unguarded", "operation",
)  # fmt: skip


class SeriesKey(NamedTuple):
    """What live figures are told apart by."""

    project: str
    environment: str
    route: str
    variant: str
    version: str

    @property
    def id(self) -> int:
        """Give the key's number: 63 bits of its hash, so nobody has to look it up."""
        return _number("\x1f".join(self).encode())


class FacetRow(NamedTuple):
    """What many calls have in common, as `monitoring_facets` keeps it."""

    series: int
    serial: int
    rule: str | None
    reason: str
    rollout: str | None
    sticky: bool
    stream: bool
    status: int
    error_class: str | None
    finish_reason: str | None
    response_model: str | None
    as_approved: bool | None
    application: str
    guardrails: str | None
    language: str | None
    unguarded: bool
    operation: str


@dataclass(frozen=True, slots=True)
class Facet:
    """What many calls have in common, with its number and what follows from it.

    `fell` tells whether chance decided who gets the version, so that its units may be compared; `guarded`
    whether a guardrail looked at the calls.
    """

    id: int
    key: SeriesKey
    row: FacetRow
    failed: bool
    refused: bool
    fell: bool
    guarded: bool
    finish: int
    language: int | None

    @property
    def seen(self) -> tuple[bool, bool]:
        """Tell whether a guardrail looked at the calls, and whether one hit."""
        return self.guarded, self.row.guardrails is not None

    @property
    def asked(self) -> tuple[str, str]:
        """Give the application, and the language that it said; empty where it said none."""
        return self.row.application, self.row.language or ""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls by column; `facets` holds, for each call, a place in `shared`.

    A call's key is its completion and its time: some upstreams give one id to many answers.
    """

    shared: Sequence[Facet]
    completions: Sequence[str]
    at: Sequence[float]
    facets: Sequence[int]
    units: Sequence[str]
    latency_s: Sequence[float]
    ttft_s: Sequence[float | None]
    tokens_in: Sequence[int | None]
    tokens_out: Sequence[int | None]

    def __len__(self) -> int:
        """Give the number of calls."""
        return len(self.at)

    def pick(self, places: Iterable[int]) -> "Calls":
        """Give some of the calls."""
        wanted = list(places)
        return Calls(
            self.shared,
            [self.completions[i] for i in wanted],
            [self.at[i] for i in wanted],
            [self.facets[i] for i in wanted],
            [self.units[i] for i in wanted],
            [self.latency_s[i] for i in wanted],
            [self.ttft_s[i] for i in wanted],
            [self.tokens_in[i] for i in wanted],
            [self.tokens_out[i] for i in wanted],
        )

    def rows(self, numbers: Iterable[int]) -> list[tuple[Any, ...]]:
        """Give the columns of `monitoring_calls`, each call with the number that stands first."""
        ids = [facet.id for facet in self.shared]
        return list(
            zip(
                numbers, self.completions, self.at, [ids[place] for place in self.facets], self.units,
                self.latency_s, self.ttft_s, self.tokens_in, self.tokens_out,
                strict=False,
            )
        )  # fmt: skip


NO_CALLS = Calls((), (), (), (), (), (), (), (), ())


def by_column(batch: Batch) -> Calls:
    """Turn a batch's calls into columns; of two calls with one key the first stands."""
    places: dict[tuple[Any, ...], int] = {}
    shared: list[Facet] = []
    facets: list[int] = []
    last, place = None, None
    for values in map(_SHARED, batch.calls):
        if values != last:  # to compare is cheaper than to hash
            last, place = values, places.get(values)
        if place is None:
            place = places[values] = len(shared)
            shared.append(_facet(batch.project, values))
        facets.append(place)
    at = batch.times
    completions = [
        call.completion_id or f"{batch.id}:{index}"
        for index, call in zip(batch.indexes, batch.calls, strict=True)
    ]
    columns = Calls(shared, completions, at, facets, *_own(batch.calls))
    n = len(at)
    if len(set(completions)) == n or len(set(zip(completions, at, strict=True))) == n:
        return columns
    first: dict[tuple[str, float], int] = {}
    for place, key in enumerate(zip(completions, at, strict=True)):
        first.setdefault(key, place)
    return columns.pick(first.values())


def _own(
    calls: Sequence[Call],
) -> tuple[list[str], list[float], list[float | None], list[int | None], list[int | None]]:
    return (
        [call.unit for call in calls],
        [call.latency_s for call in calls],
        [call.ttft_s for call in calls],
        [call.tokens_in for call in calls],
        [call.tokens_out for call in calls],
    )


def _facet(project: str, values: tuple[Any, ...]) -> Facet:
    key = SeriesKey(project, *values[:4])
    *shared, guardrails, language, unguarded, operation = values[4:]
    stopped = ",".join(guardrails) if guardrails else None
    row = FacetRow._make([key.id, *shared, stopped, language, unguarded, operation])
    failed = has_failed(row.status, row.error_class)
    return Facet(
        id=_number(msgspec.msgpack.encode(row)),
        key=key,
        row=row,
        failed=failed,
        refused=row.finish_reason in REFUSALS,
        fell=fell(row.rule, row.reason, key.variant),
        guarded=guardrails is not None,
        finish=finish_bucket(row.finish_reason, failed=failed),
        language=language_bucket(language) if language else None,
    )


def fell(rule: str | None, reason: str, variant: str) -> bool:
    """Tell whether chance decided, or all traffic goes to the new version."""
    return rule is None and (reason == "split" or variant == Arm.CANARY)


def _number(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") >> 1
