"""How much an application may use a key: by minute, by day and by month (UTC), in calls, tokens and money."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from assent.kernel.errors import Invalid, Reason
from assent.kernel.events import Event

COUNTS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day")
COSTS = ("cost_per_day", "cost_per_month")
LIMITS = (*COUNTS, *COSTS, "currency")
MOST = 10**12
MOST_MONEY = 10**9
_CENTS = Decimal("0.000001")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")

Limit = int | str
"""A number of calls or tokens, an amount of money as decimal text, or the code of its currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimited(Event):
    """An application's key got limits, or other ones; what is not named has none."""

    TYPE: ClassVar[str] = "identity.key.limited"
    key: str
    project: str
    environment: str
    limits: dict[str, Limit]


def checked_limits(wanted: Mapping[str, Any]) -> dict[str, Limit]:
    """Give the limits that are set. Raises: Invalid with every mistake."""
    found = {name: value for name, value in wanted.items() if value is not None}
    mistakes = list(_mistakes(found))
    mistakes += [
        Reason(name, f"There is no limit {name!r}.", f"There are {', '.join(LIMITS)}.")
        for name in wanted
        if name not in LIMITS
    ]
    if mistakes:
        raise Invalid(" ".join(mistake.message for mistake in mistakes), reasons=mistakes)
    money = {name: f"{_amount(found[name]).normalize():f}" for name in COSTS if name in found}
    return {name: money.get(name, found[name]) for name in LIMITS if name in found}


def _mistakes(found: Mapping[str, Any]) -> Iterator[Reason]:
    for name in COUNTS:
        value = found.get(name, 1)
        if type(value) is not int or not 1 <= value <= MOST:
            yield Reason(name, f"{name} must be 1 to {MOST}.", have=str(value)[:40])
    costs = [name for name in COSTS if name in found]
    for name in costs:
        amount = _amount(found[name])
        if not (amount.is_finite() and _CENTS <= amount <= MOST_MONEY and amount % _CENTS == 0):
            text = f"{name} must be an amount up to {MOST_MONEY:,} with at most six decimals."
            yield Reason(name, text, have=str(found[name])[:40])
    currency = found.get("currency")
    if costs and not (isinstance(currency, str) and _CURRENCY.match(currency)):
        yield Reason("currency", "A budget needs its currency.", "Write USD, EUR, …, as prices do.")
    if currency is not None and not costs:
        yield Reason("currency", "A currency belongs to a budget.", f"Set {' or '.join(COSTS)} with it.")


def _amount(value: Any) -> Decimal:
    try:
        return Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        return Decimal("NaN")
