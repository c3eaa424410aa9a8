"""Routes of providers, and of the ends of base models."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Response

from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.providers import service
from assent.providers.domain.prices import plain
from assent.providers.service import End, NewPrice, Price, Provider, Upstream
from assent.web.api import Call, ProjectPath, page, requires
from assent.web.openapi import MADE

router = APIRouter(prefix="/v1", tags=["providers"])

Reading = Annotated[Call, requires(Permission.PROVIDER_READ)]
Changing = Annotated[Call, requires(Permission.PROVIDER_CHANGE)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class UpstreamWire(Wire):
    """How an endpoint is reached; see `service.Upstream`. `api_key` is `env:NAME` or `file:/path`."""

    base_url: str
    kind: str = "openai"
    api_key: str | None = None
    connect_timeout_s: float = pydantic.Field(2.0, allow_inf_nan=False)
    first_token_timeout_s: float = pydantic.Field(60.0, allow_inf_nan=False)
    idle_timeout_s: float = pydantic.Field(60.0, allow_inf_nan=False)


class EndWire(Wire):
    """When a base model ends; null: it does not. `source` is the address of the page that says so."""

    ends_on: date | None
    source: str


class PriceWire(Wire):
    """What a million tokens cost: numbers or decimal text. `source`: address of the page that says so."""

    currency: str
    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    source: str


@router.get("/projects/{project}/providers")
def list_providers(project: ProjectPath, call: Reading) -> dict[str, Any]:
    """List the providers of the project."""
    with call.read() as reader:
        return page([_provider(reader, one) for one in service.list_providers(reader, project)], None)


@router.get("/projects/{project}/providers/{name}")
def get_provider(project: ProjectPath, name: str, call: Reading) -> dict[str, Any]:
    """Show a provider."""
    with call.read() as reader:
        return _provider(reader, service.get_provider(reader, project, name))


@router.put("/projects/{project}/providers/{name}", responses=MADE)
def set_provider(
    project: ProjectPath, name: str, body: UpstreamWire, response: Response, call: Changing
) -> dict[str, Any]:
    """Set a provider up (201) or change it (200); snapshots follow at once."""
    with call.begin() as tx:
        provider, is_new = service.set_provider(tx, project, name, Upstream(**body.model_dump()))
        response.status_code = 201 if is_new else 200
        return _provider(tx, provider)


@router.delete("/projects/{project}/providers/{name}", status_code=204)
def remove_provider(project: ProjectPath, name: str, call: Changing) -> None:
    """Remove a provider: versions that name it can be asked no more."""
    with call.begin() as tx:
        service.remove_provider(tx, project, name)


@router.get("/projects/{project}/base-models")
def list_ends(project: ProjectPath, call: Reading) -> dict[str, Any]:  # noqa: ARG001 -- who reads one project may read this
    """List the known ends of base models."""
    with call.read() as reader:
        return page([_end(one) for one in service.list_ends(reader)], None)


@router.put("/base-models/{name:path}")
def date_base_model(name: str, body: EndWire, call: Changing) -> dict[str, Any]:
    """Say when a base model ends, before and against the shipped calendar, for all projects."""
    with call.begin() as tx:
        return _end(service.date_base_model(tx, name, body.ends_on, body.source))


@router.delete("/base-models/{name:path}", status_code=204)
def undate_base_model(name: str, call: Changing) -> None:
    """Let the shipped calendar speak again."""
    with call.begin() as tx:
        service.undate_base_model(tx, name)


@router.get("/projects/{project}/prices")
def list_prices(project: ProjectPath, call: Reading, model: str | None = None) -> dict[str, Any]:
    """List what tokens cost, the project's own word first; of one model, the price that counts for it."""
    with call.read() as reader:
        return page([_price(one) for one in service.list_prices(reader, project, model)], None)


@router.put("/projects/{project}/prices/{model:path}")
def set_price(project: ProjectPath, model: str, body: PriceWire, call: Changing) -> dict[str, Any]:
    """Say what the tokens of a model, or of all whose names begin so (`gpt-4o*`), cost in this project."""
    new = NewPrice(model=model, **body.model_dump())
    with call.begin() as tx:
        return _price(service.set_price(tx, project, new))


@router.delete("/projects/{project}/prices/{model:path}", status_code=204)
def forget_price(project: ProjectPath, model: str, call: Changing) -> None:
    """Let the shipped table speak again."""
    with call.begin() as tx:
        service.forget_price(tx, project, model)


def _price(price: Price) -> dict[str, Any]:
    return {
        "model": price.model,
        "provider": price.provider,
        "currency": price.currency,
        "input": plain(price.input),
        "output": plain(price.output),
        "cached": None if price.cached is None else plain(price.cached),
        "as_of": price.as_of,
        "source": price.source,
        "is_override": price.is_override,
    }


def _provider(reader: Reader, provider: Provider) -> dict[str, Any]:
    return {
        "name": provider.name,
        "kind": provider.kind,
        "base_url": provider.base_url,
        "api_key": provider.api_key,
        "connect_timeout_s": provider.connect_timeout_s,
        "first_token_timeout_s": provider.first_token_timeout_s,
        "idle_timeout_s": provider.idle_timeout_s,
        "set_at": provider.set_at,
        "set_by": identity.name_of(reader, provider.set_by),
    }


def _end(end: End) -> dict[str, Any]:
    return {
        "base_model": end.base_model,
        "provider": end.provider,
        "ends_on": end.ends_on,
        "announced_on": end.announced_on,
        "source": end.source,
        "as_of": end.as_of,
        "is_override": end.is_override,
    }
