"""What a run's answers took: latency, tokens and money on each side, each estimate with its interval.

What an endpoint did not count, and what has no price, is unknown (None), never 0.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from assent.evaluation.domain.cases import Answer, CaseRecord, Side
from assent.evaluation.domain.figures import figure
from assent.evaluation.domain.paired import Floats, mean
from assent.evaluation.domain.quantiles import incomplete_beta
from assent.providers.domain.prices import Price, plain

TAIL = 0.025
BYTES_PER_TOKEN = 4
"""Where nothing was counted: about so many bytes of UTF-8 are a token."""
_QUANTILES = {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95}


@dataclass(frozen=True, slots=True)
class Bounded:
    """A value with its two-sided 95 % interval; an end that the data does not bound is None."""

    value: float
    low: float | None
    high: float | None

    def to_document(self) -> dict[str, str | None]:
        """Write it with decimal text."""
        return {"value": figure(self.value), "low": figure(self.low), "high": figure(self.high)}


def quantile(values: Floats, p: float) -> Bounded:
    """Estimate a quantile; the interval is between two order statistics, whatever the distribution.

    Source: Conover 1999, Practical Nonparametric Statistics, sec. 3.2.
    """
    ordered = np.sort(values)
    n = len(ordered)
    low, high = _rank(n, p, TAIL), _rank(n, p, 1 - TAIL)
    return Bounded(
        float(np.quantile(ordered, p)),
        float(ordered[low - 1]) if low > 0 else None,
        float(ordered[high]) if high < n else None,
    )


def _rank(n: int, p: float, share: float) -> int:
    """Give the smallest k with P(Binomial(n, p) ≤ k) > share: the quantile of a count."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if incomplete_beta(n - middle, middle + 1, 1 - p) > share:
            high = middle
        else:
            low = middle + 1
    return low


def tokens_of(answer: Answer) -> tuple[int, int] | None:
    """Give the tokens read and written, where the endpoint counted both."""
    if answer.n_prompt_tokens is None or answer.n_completion_tokens is None:
        return None
    return answer.n_prompt_tokens, answer.n_completion_tokens


def spent_on(price: Price, answer: Answer, n_bytes: int) -> Decimal:
    """Give what an answer cost; what was not counted is guessed by its bytes, so that budgets hold."""
    n_in, n_out = tokens_of(answer) or (
        math.ceil(n_bytes / BYTES_PER_TOKEN),
        math.ceil(len(answer.text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN),
    )
    return price.cost(n_in, n_out, min(n_in, answer.n_cached_tokens or 0))


def to_documents(records: Iterable[CaseRecord], prices: Mapping[Side, Price | None]) -> list[dict[str, Any]]:
    """Write what each side took; `prices` has every side of the run."""
    kept = list(records)
    return [_side([r for r in kept if r.side == side], side, price) for side, price in prices.items()]


def lines_of(documents: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Write each side for people: figures with their intervals; what is not known reads `unknown`."""
    return [_line(one) for one in documents]


def _line(took: Mapping[str, Any]) -> dict[str, str]:
    price = took["price"]
    currency = "" if price is None else f" {price['currency']}"
    n_tokens = None if took["tokens_in"] is None else f"{took['tokens_in']:,} in, {took['tokens_out']:,} out"
    return {
        "side": took["side"],
        "n": str(took["n"]),
        "latency_p50_ms": _shown(took["latency_p50_ms"]),
        "latency_p95_ms": _shown(took["latency_p95_ms"]),
        "tokens": n_tokens or "unknown",
        "cost": "unknown" if took["cost"] is None else took["cost"] + currency,
        "spent": "unknown" if took["spent"] is None else took["spent"] + currency,
        "price": "unknown" if price is None else f"{price['model']}, {price['source']}, {price['as_of']}",
    }


def _shown(estimate: Mapping[str, str | None] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "unknown"
    return f"{estimate['value']} [{estimate['low'] or 'open'}, {estimate['high'] or 'open'}]"


def prices_of(documents: Iterable[Mapping[str, Any]]) -> dict[Side, Price | None]:
    """Read back the prices that were published with a result."""
    return {one["side"]: _price(one["price"]) for one in documents}


def metrics_of(documents: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Give the candidate's figures by name, those that are known."""
    own = next((one for one in documents if one["side"] == "candidate"), {})
    wanted = (*_QUANTILES, "tokens_per_answer", "cost_per_answer")
    return {name: own[name]["value"] for name in wanted if own.get(name) is not None}


def _side(records: Sequence[CaseRecord], side: Side, price: Price | None) -> dict[str, Any]:
    answered = [(record, record.answer) for record in records if record.answer is not None]
    times = np.array([r.latency_ms for r, _ in answered if r.latency_ms is not None], dtype=np.float64)
    counted = [(record, answer, n) for record, answer in answered if (n := tokens_of(answer)) is not None]
    whole = bool(counted) and len(counted) == len(answered)
    costs = [] if price is None or not whole else [(r, spent_on(price, a, 0)) for r, a, _ in counted]
    asked = [cost for record, cost in costs if record.reused_from is None]
    return {
        "side": side,
        "n": len(answered),
        "n_reused": sum(record.reused_from is not None for record, _ in answered),
        "n_counted": len(counted),
        **{name: quantile(times, p).to_document() if len(times) else None for name, p in _QUANTILES.items()},
        "tokens_in": sum(n[0] for *_, n in counted) if whole else None,
        "tokens_out": sum(n[1] for *_, n in counted) if whole else None,
        "tokens_per_answer": _mean([float(sum(n)) for *_, n in counted]),
        "cost_per_answer": _mean([float(cost) for _, cost in costs]),
        "cost": _sum([cost for _, cost in costs]) if costs else None,
        "spent": _sum(asked) if costs else None,
        "price": None if price is None else _written(price),
    }


def _sum(costs: Sequence[Decimal]) -> str:
    return plain(sum(costs, Decimal(0)))


def _mean(values: Sequence[float]) -> dict[str, str | None] | None:
    if not values:
        return None
    found = mean(np.array(values))
    interval = found.interval(TAIL)
    return Bounded(
        found.value, max(0.0, interval.low) if interval else None, interval.high if interval else None
    ).to_document()


def _written(price: Price) -> dict[str, Any]:
    return {
        "model": price.model,
        "currency": price.currency,
        "input": plain(price.input),
        "output": plain(price.output),
        "cached": None if price.cached is None else plain(price.cached),
        "as_of": price.as_of.isoformat(),
        "source": price.source,
    }


def _price(said: Mapping[str, Any] | None) -> Price | None:
    if said is None:
        return None
    return Price(
        model=said["model"],
        currency=said["currency"],
        input=Decimal(said["input"]),
        output=Decimal(said["output"]),
        cached=None if said["cached"] is None else Decimal(said["cached"]),
        as_of=date.fromisoformat(said["as_of"]),
        source=said["source"],
    )
