"""What calls cost: at most, before they are made, and by their tokens afterwards; in billionths of a unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from assent.gateway.book import Lease
from assent_client.calls.choosing import Ending, may_cost
from assent_client.calls.stream import Outcome
from assent_client.snapshot import KeyLimits, Price

NANO: Final = 10**9
UNSTATED_TOKENS: Final = 4_096
"""Output that a call is held to give at most where its request states no length."""
_MOST_TOKENS: Final = 131_072
_MILLION: Final = 10**6


class _Lengths(msgspec.Struct):
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    n: Any = None


_decode = msgspec.json.Decoder(_Lengths).decode


@dataclass(frozen=True, slots=True)
class Budget:
    """What an application may spend, in billionths of a unit of its currency."""

    currency: str
    per_day: int | None
    per_month: int | None

    @classmethod
    def of(cls, limits: KeyLimits) -> Budget | None:
        """Read a key's limits."""
        if limits.currency is None:
            return None
        return cls(limits.currency, _nano(limits.cost_per_day), _nano(limits.cost_per_month))

    def told(self, by_day: bool, amount: int) -> str:  # noqa: FBT001 -- which of the two
        """Say which budget does not cover a call."""
        limit, period = (self.per_day, "day") if by_day else (self.per_month, "month")
        return (
            f"its budget of {(limit or 0) / NANO:g} {self.currency} a {period}: what is left of it does not "
            f"cover a call that may cost {amount / NANO:.6f}"
        )


def _nano(amount: str | None) -> int | None:
    return None if amount is None else int(Decimal(amount) * NANO)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one token of a version costs, in billionths of a unit."""

    currency: str
    input: float
    output: float

    @classmethod
    def of(cls, price: Price) -> Tariff:
        """Read a price."""
        return cls(
            price.currency, *(float(Decimal(one) * NANO / _MILLION) for one in (price.input, price.output))
        )

    def cost(self, n_in: int, n_out: int) -> int:
        """Give what tokens cost."""
        return math.ceil(n_in * self.input + n_out * self.output)

    def most(self, body: bytes, *, gives_text: bool) -> int:
        """Give what a request costs at most: a token has at least one byte, and its length may be stated."""
        return self.cost(len(body), _longest(body) if gives_text else 0)


def _longest(body: bytes) -> int:
    asked = _decode(body)
    stated = (asked.max_completion_tokens, asked.max_output_tokens, asked.max_tokens)
    length = next((one for one in stated if _is_count(one)), UNSTATED_TOKENS)
    return min(length, _MOST_TOKENS) * (asked.n if _is_count(asked.n) else 1)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


@dataclass(slots=True)
class Hold:
    """What was taken out of a budget for one call, until it is known what the call cost."""

    leases: Sequence[Lease]
    amount: int
    tariff: Tariff

    def settle(self, outcome: Outcome, ending: Ending) -> None:
        """Put back what the call did not cost; where nobody counted its tokens, it may have cost all."""
        for lease in self.leases:
            lease.left += self.amount - self._cost(outcome, ending)

    def _cost(self, outcome: Outcome, ending: Ending) -> int:
        if outcome.tokens_in is not None or outcome.tokens_out is not None:
            return self.tariff.cost(outcome.tokens_in or 0, outcome.tokens_out or 0)
        return self.amount if may_cost(ending.status, ending.error_class) else 0
