"""What tokens cost: a dated table that ships, and what a project says before it; unknown is never 0."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from assent.kernel.errors import Invalid, Reason
from assent.kernel.events import Event
from assent.providers.domain.sources import checked_source

MAX_MODEL = 200
MAX_AMOUNT = Decimal(1_000_000)
MILLION = Decimal(1_000_000)
_MODEL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:/@-]{{0,{MAX_MODEL - 2}}}\*?\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSet(Event):
    """A project said what a model's tokens cost, as decimal text per million; before the shipped table."""

    TYPE: ClassVar[str] = "providers.price.set"
    project: str
    model: str
    currency: str
    input: str
    output: str
    cached: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRemoved(Event):
    """What a project said of a model's price no longer counts."""

    TYPE: ClassVar[str] = "providers.price.removed"
    project: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens of a model cost, as `source` said on the day `as_of`.

    `model` is a name, or the beginning of names where it ends with `*`. `cached`: input that the provider had
    in its cache; None where no such price is known, then it costs as much as other input.
    """

    model: str
    currency: str
    input: Decimal
    output: Decimal
    cached: Decimal | None
    as_of: date
    source: str
    provider: str = ""
    is_override: bool = False

    def cost(self, n_in: float, n_out: float, n_cached: float = 0) -> Decimal:
        """Give what so many tokens cost; `n_cached` of `n_in` came from the cache."""
        known = self.input if self.cached is None else self.cached
        fresh, kept, said = (Decimal(repr(n)) for n in (n_in - n_cached, n_cached, n_out))
        return (fresh * self.input + kept * known + said * self.output) / MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrice:
    """What people say of a price; amounts are numbers or decimal text."""

    model: str
    currency: str
    input: Any
    output: Any
    source: str
    cached: Any = None


def checked_price(project: str, new: NewPrice) -> PriceSet:
    """Check all of it. Raises: Invalid with every mistake."""
    mistakes: list[Reason] = []
    if not _MODEL.match(new.model):
        text = f"{new.model[:MAX_MODEL]!r} names no model."
        mistakes.append(Reason("model", text, "Write its name, or the beginning of names: gpt-4o*."))
    if not _CURRENCY.match(new.currency):
        mistakes.append(Reason("currency", f"{new.currency[:20]!r} is no currency.", "Write USD, EUR, …"))
    amounts = {
        name: _amount(name, getattr(new, name), mistakes)
        for name in ("input", "output", "cached")
        if name != "cached" or new.cached is not None
    }
    try:
        checked_source(new.source)
    except Invalid as error:
        mistakes.append(Reason("source", error.message, error.remedy or ""))
    if mistakes:
        raise Invalid(
            " ".join(mistake.message for mistake in mistakes), remedy=mistakes[0].remedy, reasons=mistakes
        )
    return PriceSet(
        project=project,
        model=new.model,
        currency=new.currency,
        input=amounts["input"],
        output=amounts["output"],
        cached=amounts.get("cached"),
        source=new.source,
    )


def _amount(name: str, value: Any, mistakes: list[Reason]) -> str:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount <= MAX_AMOUNT:
        text = f"{name} must be 0 to {MAX_AMOUNT:,} per million tokens."
        mistakes.append(Reason(name, text, "Leave a price out that you do not know.", have=str(value)[:40]))
        return "0"
    return plain(amount)


def plain(amount: Decimal) -> str:
    """Write an amount without an exponent or needless zeros."""
    return f"{amount.normalize():f}"


def find_price(names: Sequence[str], tables: Iterable[Iterable[Price]]) -> Price | None:
    """Find a price for the first name that any table has, the first table first.

    In a table the very name goes before beginnings, and a longer beginning before a shorter one.
    """
    for table in tables:
        known = list(table)
        for name in names:
            fitting = [one for one in known if _fits(one.model.lower(), name.lower())]
            if fitting:
                return max(fitting, key=lambda one: (not one.model.endswith("*"), len(one.model)))
    return None


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def parse_prices(document: Mapping[str, Any]) -> tuple[Price, ...]:
    """Read a table of prices.

    {"providers": [{"name", "currency", "source", "as_of", "prices": [{"models": ["gpt-4o", "gpt-4o-2024*"],
    "input": "2.5", "output": "10", "cached": "1.25"?}]}]}: per million tokens. Raises: Invalid.
    """
    try:
        found = tuple(_prices(document["providers"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(f"This is not a table of prices: {error!r}.") from error
    names = [one.model for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"The table of prices names {twice[0]} twice.")
    return found


def _prices(providers: Sequence[Mapping[str, Any]]) -> Iterator[Price]:
    for provider in providers:
        for row in provider["prices"]:
            for model in row["models"]:
                new = NewPrice(
                    model=model,
                    currency=provider["currency"],
                    input=row["input"],
                    output=row["output"],
                    cached=row.get("cached"),
                    source=provider["source"],
                )
                as_of = date.fromisoformat(provider["as_of"])
                yield price_of(checked_price("", new), as_of, provider=provider["name"])


def price_of(said: Any, as_of: date, *, provider: str = "", is_override: bool = False) -> Price:
    """Make a price of an event or a row."""
    return Price(
        model=said.model,
        currency=said.currency,
        input=Decimal(said.input),
        output=Decimal(said.output),
        cached=None if said.cached is None else Decimal(said.cached),
        as_of=as_of,
        source=said.source,
        provider=provider,
        is_override=is_override,
    )
