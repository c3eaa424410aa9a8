"""What a run would take, before it is asked: tokens, money and time, from its texts and from past answers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from assent.evaluation.domain.cases import Side
from assent.evaluation.domain.quantiles import normal_quantile
from assent.evaluation.domain.suite import Limits
from assent.evaluation.domain.usage import BYTES_PER_TOKEN, TAIL
from assent.providers.domain.prices import Price, plain

PAST = "past answers"
BY_BYTES = f"{BYTES_PER_TOKEN} bytes a token"
_CENT_PARTS = Decimal("0.000001")
BY_LIMIT = "the version's own limit"


@dataclass(frozen=True, slots=True)
class Past:
    """What one answer took before: of a question of `n_bytes` where that is known; counts may be unknown."""

    n_bytes: int | None
    n_in: int | None
    n_out: int | None
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One side of a run to come.

    `n_bytes`: of each question that is to be asked; `most_out`: the most tokens that an answer may have.
    """

    side: Side
    ref: str
    n_reused: int
    n_bytes: Sequence[int]
    past: Sequence[Past]
    most_out: int | None
    price: Price | None


@dataclass(frozen=True, slots=True)
class Expected:
    """A total with its 95 % prediction interval and its basis; `value` None: there are only bounds."""

    value: float | None
    low: float | None
    high: float | None
    basis: str

    def to_document(self) -> dict[str, Any]:
        """Write whole numbers."""
        found = {"value": self.value, "low": self.low, "high": self.high}
        return {
            **{name: None if one is None else math.ceil(max(0.0, one)) for name, one in found.items()},
            "basis": self.basis,
        }


def tokens_in(asked: Asked) -> Expected:
    """Expect the tokens read: bytes times the ratio of past questions, or one for each four bytes."""
    total, m = sum(asked.n_bytes), len(asked.n_bytes)
    pairs = [(p.n_bytes, p.n_in) for p in asked.past if p.n_bytes and p.n_in is not None]
    if not m:
        return Expected(0.0, 0.0, 0.0, PAST)
    if not pairs:
        return Expected(total / BYTES_PER_TOKEN, None, None, BY_BYTES)
    columns = np.array(pairs, dtype=np.float64)
    ratio = float(columns[:, 1].sum() / columns[:, 0].sum())
    return _around(ratio * total, columns[:, 1] - ratio * columns[:, 0], m)


def tokens_out(asked: Asked) -> Expected | None:
    """Expect the tokens written: as past answers did, or at most what the version allows; else unknown."""
    m = len(asked.n_bytes)
    known = np.array([p.n_out for p in asked.past if p.n_out is not None], dtype=np.float64)
    if not m:
        return Expected(0.0, 0.0, 0.0, PAST)
    if len(known):
        return _around(m * float(known.mean()), known - known.mean(), m)
    return None if asked.most_out is None else Expected(None, 0.0, float(m * asked.most_out), BY_LIMIT)


def _around(value: float, residuals: Any, m: int) -> Expected:
    """Bound the total of m more of what left these residuals: m·s²·(1 + m/n) is its variance."""
    n = len(residuals)
    if n < 2:  # noqa: PLR2004 -- one answer shows no spread
        return Expected(value, None, None, PAST)
    half = -normal_quantile(TAIL) * math.sqrt(m * (1 + m / n) * float(np.sum(residuals**2)) / (n - 1))
    return Expected(value, max(0.0, value - half), value + half, PAST)


def seconds(asked: Sequence[Asked], limits: Limits) -> float | None:
    """Expect the time, with `in_flight` questions at once; None where no past answer was timed."""
    total = 0.0
    for one in asked:
        times = [p.latency_ms for p in one.past if p.latency_ms is not None]
        if one.n_bytes and not times:
            return None
        total += len(one.n_bytes) * float(np.mean(times)) / 1000 if one.n_bytes else 0.0
    return total / limits.in_flight


def estimate(asked: Sequence[Asked], limits: Limits) -> dict[str, Any]:
    """Write what a run would take: a part for each side, and which budgets it would use up."""
    sides = [_side(one) for one in asked]
    n = sum(len(one.n_bytes) for one in asked)
    took = seconds(asked, limits)
    totals = _totals(sides)
    spent = {
        "requests": n,
        "tokens": totals["tokens"],
        "seconds": took,
        limits.currency: totals["cost"].get(limits.currency) if totals["cost"] is not None else None,
    }
    set_ = {
        "requests": limits.requests,
        "tokens": limits.tokens,
        "seconds": limits.seconds,
        limits.currency: limits.money,
    }
    return {
        "n_to_ask": n,
        "n_reused": sum(one.n_reused for one in asked),
        "tokens": totals["tokens"],
        "cost": None if totals["cost"] is None else {k: plain(v) for k, v in totals["cost"].items()},
        "seconds": None if took is None else round(took, 1),
        "sides": sides,
        "budgets": [_budget(name, spent[name], limit) for name, limit in set_.items() if limit],
    }


def _side(asked: Asked) -> dict[str, Any]:
    read, written, price = tokens_in(asked), tokens_out(asked), asked.price
    return {
        "side": asked.side,
        "ref": asked.ref,
        "n_to_ask": len(asked.n_bytes),
        "n_reused": asked.n_reused,
        "n_past": len(asked.past),
        "tokens_in": read.to_document(),
        "tokens_out": None if written is None else written.to_document(),
        "cost": {slot: _cost(price, read, written, slot) for slot in ("value", "low", "high")},
        "currency": None if price is None else price.currency,
        "price": None
        if price is None
        else {
            "model": price.model,
            "input": plain(price.input),
            "output": plain(price.output),
            "as_of": price.as_of.isoformat(),
            "source": price.source,
        },
    }


def _cost(price: Price | None, read: Expected, written: Expected | None, slot: str) -> str | None:
    """Give one end; where questions are counted by their bytes, their own value stands for both ends."""
    n_in = getattr(read, slot) if getattr(read, slot) is not None else read.value
    n_out = None if written is None else getattr(written, slot)
    if price is None or n_in is None or n_out is None:
        return None
    return plain(price.cost(n_in, n_out).quantize(_CENT_PARTS))


def _totals(sides: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up; what is unknown on one side is unknown for the run."""
    tokens, cost = 0, dict[str, Decimal]()
    known_tokens = known_cost = True
    for side in sides:
        written = side["tokens_out"] and side["tokens_out"]["value"]
        known_tokens = known_tokens and written is not None
        tokens += side["tokens_in"]["value"] + (written or 0)
        if side["n_to_ask"]:
            known_cost = known_cost and side["cost"]["value"] is not None
            amount = Decimal(side["cost"]["value"] or 0)
            cost[side["currency"]] = cost.get(side["currency"], Decimal(0)) + amount
    return {"tokens": tokens if known_tokens else None, "cost": cost if known_cost else None}


def _budget(name: str, spent: Any, limit: float) -> dict[str, Any]:
    """Say whether a budget would be used up; None where that is unknown."""
    expected = None if spent is None else float(spent)
    return {
        "budget": name,
        "limit": limit,
        "expected": expected,
        "used_up": None if expected is None else expected >= limit,
    }
