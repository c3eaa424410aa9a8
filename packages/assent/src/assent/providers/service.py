"""Providers of a project, their keys by reference, and when base models end; other slices enter here."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from assent.identity import service as identity
from assent.kernel.errors import NotFound
from assent.kernel.references import read_reference
from assent.kernel.tx import Reader, Tx
from assent.providers import store
from assent.providers.domain import (
    BaseModelDated,
    BaseModelUndated,
    Calendar,
    End,
    Provider,
    ProviderRemoved,
    ProviderSet,
    Upstream,
    checked_base_model,
    checked_upstream,
    parse_calendar,
    to_ms,
)
from assent.providers.domain.prices import (
    NewPrice,
    Price,
    PriceRemoved,
    checked_price,
    find_price,
    parse_prices,
    price_of,
)
from assent.providers.domain.sources import checked_source
from assent.providers.store import projections
from assent.web.api import checked_name

__all__ = [
    "End",
    "NewPrice",
    "Price",
    "Provider",
    "Upstream",
    "calendar",
    "date_base_model",
    "end_of",
    "ends_on",
    "find_provider",
    "forget_price",
    "get_provider",
    "list_ends",
    "list_prices",
    "list_providers",
    "price_for",
    "projections",
    "remove_provider",
    "resolve_key",
    "set_price",
    "set_provider",
    "shipped_prices",
    "undate_base_model",
]


def set_provider(tx: Tx, project: str, name: str, upstream: Upstream) -> tuple[Provider, bool]:
    """Set a provider up, or change it; the same again records nothing.

    Gives the provider and whether it is new. Raises: Invalid with every mistake, NotFound (project).
    """
    checked_name(name, "provider")
    identity.get_project(tx, project)
    wanted = checked_upstream(upstream)
    present = find_provider(tx, project, name)
    if present is None or _upstream(present) != wanted:
        tx.record(
            ProviderSet(
                project=project,
                name=name,
                kind=wanted.kind,
                base_url=wanted.base_url,
                api_key=wanted.api_key,
                connect_timeout_ms=to_ms(wanted.connect_timeout_s),
                first_token_timeout_ms=to_ms(wanted.first_token_timeout_s),
                idle_timeout_ms=to_ms(wanted.idle_timeout_s),
            )
        )
    return get_provider(tx, project, name), present is None


def remove_provider(tx: Tx, project: str, name: str) -> None:
    """Remove a provider: versions that name it can be asked no more. Raises: NotFound."""
    get_provider(tx, project, name)
    tx.record(ProviderRemoved(project=project, name=name))


def get_provider(reader: Reader, project: str, name: str) -> Provider:
    """Get a provider. Raises: NotFound, naming those that exist."""
    found = store.find_provider(reader, project, name)
    if found is None:
        known = ", ".join(one.name for one in store.list_providers(reader, project)) or "none"
        raise NotFound(
            f"{project} has no provider {name!r}; it has: {known}.",
            remedy=f"Add it: assent provider add {name} --base-url URL.",
        )
    return found


def find_provider(reader: Reader, project: str, name: str) -> Provider | None:
    """Find a provider."""
    return store.find_provider(reader, project, name)


def list_providers(reader: Reader, project: str) -> list[Provider]:
    """List the providers of a project by name."""
    return store.list_providers(reader, project)


def _upstream(provider: Provider) -> Upstream:
    names = Upstream.__dataclass_fields__
    return Upstream(**{name: getattr(provider, name) for name in names})


def resolve_key(reference: str | None) -> str | None:
    """Read a key where its reference, `env:NAME` or `file:/path`, says; in worker and gateway only.

    Raises: Invalid.
    """
    if reference is None:
        return None
    return read_reference(reference, "Set the provider again.", "gateway and worker")


@cache
def calendar() -> Calendar:
    """Give the calendar of announced ends that this release ships."""
    text = resources.files("assent.providers").joinpath("calendar.json").read_text(encoding="utf-8")
    return parse_calendar(json.loads(text))


def ends_on(reader: Reader | None, base_model: str) -> date | None:
    """Give the day on which a base model ends; None where nobody said so. Without a reader: as shipped."""
    end = end_of(reader, base_model)
    return None if end is None else end.ends_on


def end_of(reader: Reader | None, base_model: str) -> End | None:
    """Find what is known of a base model's end: an operator's word first, else the calendar."""
    shipped = calendar().find(base_model)
    if reader is None:
        return shipped
    for name in _names(base_model, shipped):
        row = store.find_override(reader, name)
        if row is not None:
            return _override(row)
    return shipped


def list_ends(reader: Reader) -> Sequence[End]:
    """List all that is known, operators' words in place of the calendar's, by name."""
    ends = {end.base_model: end for end in calendar().ends.values()}
    for row in store.list_overrides(reader):
        shipped = calendar().find(row.base_model)
        ends.pop(shipped.base_model if shipped else "", None)
        ends[row.base_model] = _override(row)
    return [ends[name] for name in sorted(ends)]


def date_base_model(tx: Tx, base_model: str, ends_on: date | None, source: str) -> End:
    """Say when a base model ends, before and against the calendar; the same again records nothing.

    `source` is the address of the page that says so. Raises: Invalid.
    """
    event = BaseModelDated(
        base_model=checked_base_model(base_model),
        ends_on=None if ends_on is None else ends_on.isoformat(),
        source=checked_source(source),
    )
    row = store.find_override(tx, base_model)
    if row is None or (row.ends_on, row.source) != (event.ends_on, event.source):
        tx.record(event)
    return _override(store.find_override(tx, base_model))


def undate_base_model(tx: Tx, base_model: str) -> None:
    """Let the calendar speak again. Raises: NotFound."""
    if store.find_override(tx, base_model) is None:
        raise NotFound(
            f"Nobody said here when {base_model!r} ends.", remedy="`assent provider ends` lists all."
        )
    tx.record(BaseModelUndated(base_model=base_model))


def _names(base_model: str, shipped: End | None) -> Sequence[str]:
    """Give the names under which an operator may have dated it: as asked, bare, with its provider."""
    if shipped is None:
        return (base_model,)
    known = (base_model, shipped.base_model, f"{shipped.provider}/{shipped.base_model}")
    return tuple(dict.fromkeys(known))


def _override(row: Any) -> End:
    return End(
        base_model=row.base_model,
        ends_on=None if row.ends_on is None else date.fromisoformat(row.ends_on),
        source=row.source,
        as_of=row.set_at.date(),
        is_override=True,
    )


@cache
def shipped_prices() -> tuple[Price, ...]:
    """Give the table of prices that this release ships."""
    text = resources.files("assent.providers").joinpath("prices.json").read_text(encoding="utf-8")
    return parse_prices(json.loads(text))


def price_for(reader: Reader, project: str, *names: str | None) -> Price | None:
    """Find what a model's tokens cost, by its upstream name or base model; None where nobody said so.

    What the project says goes before the shipped table.
    """
    return find_price([name for name in names if name], (_own_prices(reader, project), shipped_prices()))


def list_prices(reader: Reader, project: str, model: str | None = None) -> list[Price]:
    """List all that is known, the project's own first; of one model, the price that counts for it."""
    if model is not None:
        found = price_for(reader, project, model)
        return [] if found is None else [found]
    own = _own_prices(reader, project)
    said = {one.model for one in own}
    return [*own, *(one for one in shipped_prices() if one.model not in said)]


def set_price(tx: Tx, project: str, new: NewPrice) -> Price:
    """Say what a model's tokens cost, before the shipped table; the same again records nothing.

    Raises: Invalid with every mistake, NotFound (project).
    """
    identity.get_project(tx, project)
    event = checked_price(project, new)
    held = {one.model: one for one in _own_prices(tx, project)}.get(event.model)
    wanted = price_of(event, tx.now().date(), is_override=True)
    if held is not None and replace(held, as_of=wanted.as_of) == wanted:
        return held
    tx.record(event)
    return wanted


def forget_price(tx: Tx, project: str, model: str) -> None:
    """Let the shipped table speak again. Raises: NotFound."""
    if model not in {one.model for one in _own_prices(tx, project)}:
        raise NotFound(f"{project} says nothing of the price of {model!r}.", remedy="assent provider prices")
    tx.record(PriceRemoved(project=project, model=model))


def _own_prices(reader: Reader, project: str) -> list[Price]:
    return [price_of(row, row.set_at.date(), is_override=True) for row in store.list_prices(reader, project)]
