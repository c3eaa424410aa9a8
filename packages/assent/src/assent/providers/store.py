"""Tables, projections and queries of providers."""

from typing import Any

import sqlalchemy as sa

from assent.kernel.db import Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Reader, Writer
from assent.providers.domain import (
    MAX_BASE_MODEL,
    MAX_URL,
    BaseModelDated,
    BaseModelUndated,
    Provider,
    ProviderRemoved,
    ProviderSet,
)
from assent.providers.domain.prices import MAX_MODEL, PriceRemoved, PriceSet

NAME = sa.String(63)

providers = table(
    "providers_providers",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("base_url", sa.String(MAX_URL), nullable=False),
    sa.Column("api_key", sa.String(1010)),
    sa.Column("connect_timeout_ms", sa.Integer, nullable=False),
    sa.Column("first_token_timeout_ms", sa.Integer, nullable=False),
    sa.Column("idle_timeout_ms", sa.Integer, nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", sa.String(64), nullable=False),
    kind="governed",
)
base_models = table(
    "providers_base_models",
    sa.Column("base_model", sa.String(MAX_BASE_MODEL), primary_key=True),
    sa.Column("ends_on", sa.String(10)),
    sa.Column("source", sa.String(MAX_URL), nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", sa.String(64), nullable=False),
    kind="governed",
)

prices = table(
    "providers_prices",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("model", sa.String(MAX_MODEL), primary_key=True),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("input", sa.String(40), nullable=False),
    sa.Column("output", sa.String(40), nullable=False),
    sa.Column("cached", sa.String(40)),
    sa.Column("source", sa.String(MAX_URL), nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", sa.String(64), nullable=False),
    kind="governed",
)

projections = Projections("providers")


@projections.on(ProviderSet)
def _provider_set(conn: Writer, r: Recorded[ProviderSet]) -> None:
    e = r.event
    conn.execute(sa.delete(providers).where(providers.c.project == e.project, providers.c.name == e.name))
    conn.execute(
        sa.insert(providers).values(
            project=e.project,
            name=e.name,
            kind=e.kind,
            base_url=e.base_url,
            api_key=e.api_key,
            connect_timeout_ms=e.connect_timeout_ms,
            first_token_timeout_ms=e.first_token_timeout_ms,
            idle_timeout_ms=e.idle_timeout_ms,
            set_at=r.at,
            set_by=r.actor,
        )
    )


@projections.on(ProviderRemoved)
def _provider_removed(conn: Writer, r: Recorded[ProviderRemoved]) -> None:
    e = r.event
    conn.execute(sa.delete(providers).where(providers.c.project == e.project, providers.c.name == e.name))


@projections.on(BaseModelDated)
def _base_model_dated(conn: Writer, r: Recorded[BaseModelDated]) -> None:
    e = r.event
    conn.execute(sa.delete(base_models).where(base_models.c.base_model == e.base_model))
    conn.execute(
        sa.insert(base_models).values(
            base_model=e.base_model, ends_on=e.ends_on, source=e.source, set_at=r.at, set_by=r.actor
        )
    )


@projections.on(BaseModelUndated)
def _base_model_undated(conn: Writer, r: Recorded[BaseModelUndated]) -> None:
    conn.execute(sa.delete(base_models).where(base_models.c.base_model == r.event.base_model))


@projections.on(PriceSet)
def _price_set(conn: Writer, r: Recorded[PriceSet]) -> None:
    e = r.event
    conn.execute(sa.delete(prices).where(prices.c.project == e.project, prices.c.model == e.model))
    conn.execute(
        sa.insert(prices).values(
            project=e.project,
            model=e.model,
            currency=e.currency,
            input=e.input,
            output=e.output,
            cached=e.cached,
            source=e.source,
            set_at=r.at,
            set_by=r.actor,
        )
    )


@projections.on(PriceRemoved)
def _price_removed(conn: Writer, r: Recorded[PriceRemoved]) -> None:
    e = r.event
    conn.execute(sa.delete(prices).where(prices.c.project == e.project, prices.c.model == e.model))


def find_provider(reader: Reader, project: str, name: str) -> Provider | None:
    """Find a provider of a project."""
    query = sa.select(providers).where(providers.c.project == project, providers.c.name == name)
    row = reader.conn.execute(query).first()
    return None if row is None else _provider(row)


def list_providers(reader: Reader, project: str) -> list[Provider]:
    """List the providers of a project by name."""
    query = sa.select(providers).where(providers.c.project == project).order_by(providers.c.name)
    return [_provider(row) for row in reader.conn.execute(query)]


def find_override(reader: Reader, base_model: str) -> Any:
    """Find the row that an operator's word on a base model left."""
    query = sa.select(base_models).where(base_models.c.base_model == base_model)
    return reader.conn.execute(query).first()


def list_overrides(reader: Reader) -> list[Any]:
    """List what operators said of base models, by name."""
    return list(reader.conn.execute(sa.select(base_models).order_by(base_models.c.base_model)))


def list_prices(reader: Reader, project: str) -> list[Any]:
    """List what a project says of prices, by model."""
    query = sa.select(prices).where(prices.c.project == project).order_by(prices.c.model)
    return list(reader.conn.execute(query))


def _provider(row: Any) -> Provider:
    return Provider(
        project=row.project,
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        api_key=row.api_key,
        connect_timeout_s=row.connect_timeout_ms / 1000,
        first_token_timeout_s=row.first_token_timeout_ms / 1000,
        idle_timeout_s=row.idle_timeout_ms / 1000,
        set_at=row.set_at,
        set_by=row.set_by,
    )
