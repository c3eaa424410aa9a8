"""Keys of applications: what each may use, what it used of that, its limits by form, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.console.monitoring import money
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.identity.domain.limits import COUNTS, LIMITS, MOST
from assent.kernel.errors import AssentError, Forbidden, Reason
from assent.kernel.tx import Reader
from assent.monitoring import service as monitoring
from assent.web.forms import Form, posted_form
from assent.web.pages import count

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/keys")
Seen = Annotated[Visit, visits(Permission.KEY_READ)]
Posted = Annotated[Form, Depends(posted_form)]
WORDS = {
    "requests_per_minute": "Calls a minute",
    "tokens_per_minute": "Tokens a minute",
    "tokens_per_day": "Tokens a day",
    "cost_per_day": "Money a day",
    "cost_per_month": "Money a month",
    "currency": "Currency of the money",
}
WATCHED = (("tokens_per_day", "day"), ("cost_per_day", "day"), ("cost_per_month", "month"))
NOTHING: Mapping[str, Any] = {"n_calls": 0, "tokens_in": 0, "tokens_out": 0, "cost": {}, "n_cost_unknown": 0}
FULL = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A key in the list."""

    name: str
    address: str
    environment: str
    models: str
    limits: Sequence[str]
    today: str
    month: str
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of a limit is used, in words and in percent of it."""

    name: str
    says: str
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """What the page of a key shows."""

    name: str
    address: str
    revoked_at: datetime | None
    facts: Sequence[tuple[str, Any]]
    meters: Sequence[Meter]
    used: Sequence[tuple[str, str, str]]
    versions: Sequence[tuple[str, str, str, str]]
    n_unknown: int
    fields: Sequence[tuple[str, str, str]]
    may_limit: Sequence[Any]
    may_revoke: Sequence[Any]


def _address(project: str, key: str) -> str:
    return f"/projects/{project}/keys/{key}"


def _cost(figures: Mapping[str, Any]) -> str:
    found = [money(amount, currency) for currency, amount in sorted(figures["cost"].items())]
    return ", ".join(found) or "none"


def _told(figures: Mapping[str, Any]) -> str:
    if not figures["n_calls"]:
        return "no calls"
    tokens = figures["tokens_in"] + figures["tokens_out"]
    return f"{count(figures['n_calls'])} calls, {count(tokens)} tokens, {_cost(figures)}"


def _limit_text(limits: Mapping[str, Any], name: str) -> str:
    value = limits[name]
    said = count(value) if name in COUNTS else f"{value} {limits['currency']}"
    return f"{WORDS[name]}: {said}"


def _limits(limits: Mapping[str, Any]) -> list[str]:
    return [_limit_text(limits, name) for name in LIMITS if name in limits and name != "currency"]


def _models(names: Sequence[str]) -> str:
    return "every name" if "*" in names else ", ".join(names)


@router.get("")
def list_keys(visit: Seen) -> Response:
    """List the keys, those in force first, with what was used today and this month."""
    with visit.read() as reader:
        found = identity.list_keys(reader, visit.project)
        limits = identity.key_limits(reader, [key["id"] for key in found])
        used = monitoring.usage.by_application(reader, visit.project)
    none = {"day": NOTHING, "month": NOTHING}
    rows = [
        Row(
            name=key["name"],
            address=_address(visit.project, key["id"]),
            environment=key["environment"],
            models=_models(key["names"]),
            limits=_limits(limits.get(key["id"], {})),
            today=_told(used.get(key["id"], none)["day"]),
            month=_told(used.get(key["id"], none)["month"]),
            revoked_at=key["revoked_at"],
        )
        for key in sorted(found, key=lambda key: key["revoked_at"] is not None)
    ]
    return visit.page("keys/list.html", rows=rows)


def _meters(limits: Mapping[str, Any], used: Mapping[str, Any]) -> list[Meter]:
    meters = []
    for name, period in WATCHED:
        if name not in limits:
            continue
        figures, most = used[period], float(limits[name])
        if name in COUNTS:
            spent = float(figures["tokens_in"] + figures["tokens_out"])
            says = f"{count(int(spent))} of {count(limits[name])}"
        else:
            currency = limits["currency"]
            spent = figures["cost"].get(currency, 0.0)
            says = f"{money(spent, currency)} of {limits[name]} {currency}"
        share = FULL * spent / most
        meters.append(Meter(WORDS[name], f"{says}, {share:.3g} %", min(share, FULL)))
    return meters


def _build(visit: Visit, reader: Reader, key: str, typed: Mapping[str, str] | None) -> KeyView:
    found = identity.get_key(reader, visit.project, key)
    limits = identity.key_limits(reader, [key]).get(key, {})
    used = monitoring.usage.of_application(reader, visit.project, key)
    day, month = used["day"], used["month"]
    shown = typed if typed is not None else {name: str(value) for name, value in limits.items()}
    return KeyView(
        name=found["name"],
        address=_address(visit.project, key),
        revoked_at=found["revoked_at"],
        facts=[
            ("Id", key),
            ("Environment", found["environment"]),
            ("May call", _models(found["names"])),
            ("Issued", found["issued_at"]),
            *([("Revoked", found["revoked_at"])] if found["revoked_at"] else []),
            *([("Limits", "; ".join(_limits(limits)) or "none")]),
        ],
        meters=_meters(limits, used),
        used=[
            ("Calls", count(day["n_calls"]), count(month["n_calls"])),
            ("Tokens in", count(day["tokens_in"]), count(month["tokens_in"])),
            ("Tokens out", count(day["tokens_out"]), count(month["tokens_out"])),
            ("Cost", _cost(day), _cost(month)),
        ],
        versions=[
            (one["ref"], count(one["n_calls"]), count(one["tokens_in"] + one["tokens_out"]), _cost(one))
            for one in used["versions"]
        ],
        n_unknown=month["n_cost_unknown"],
        fields=[(name, word, shown.get(name, "")) for name, word in WORDS.items()],
        may_limit=visit.lacks(Permission.KEY_ISSUE),
        may_revoke=visit.lacks(Permission.KEY_REVOKE),
    )


def _show(
    visit: Visit, key: str, typed: Mapping[str, str] | None = None, error: AssentError | None = None
) -> Response:
    with visit.read() as reader:
        view = _build(visit, reader, key, typed)
    errors = (error.reasons or (error,)) if error else ()
    return visit.page("keys/page.html", status=error.status if error else 200, view=view, errors=errors)


@router.get("/{key}")
def show(visit: Seen, key: str) -> Response:
    """Show a key."""
    return _show(visit, key)


def _number(text: str) -> int | str | None:
    """Read a count as it was typed; what is none is refused by name later."""
    plain = text.replace(",", "").replace(" ", "")
    is_number = plain.isascii() and plain.isdecimal() and len(plain) <= len(str(MOST))
    return int(plain) if is_number else text or None


@router.post("/{key}/limits")
def limit(visit: Seen, key: str, form: Posted) -> Response:
    """Set what the key allows; an empty field is no limit."""
    typed = {name: form.text(name, limit=100) for name in LIMITS}
    wanted = {name: _number(text) if name in COUNTS else text or None for name, text in typed.items()}
    try:
        _need(visit.lacks(Permission.KEY_ISSUE))
        with visit.begin() as tx:
            identity.limit_key(tx, visit.project, key, wanted)
            tx.after_commit(lambda: visit.runtime.signals.notify("delivery"))
    except AssentError as error:
        return _show(visit, key, typed, error)
    return see_other(_address(visit.project, key))


def _need(lacks: Sequence[Reason]) -> None:
    if lacks:
        raise Forbidden(lacks[0].message)


@router.get("/{key}/revocation")
def ask(visit: Seen, key: str) -> Response:
    """Ask whether the key is to end, saying what that leads to."""
    return _ask(visit, key)


def _ask(visit: Visit, key: str, error: AssentError | None = None) -> Response:
    with visit.read() as reader:
        found = identity.get_key(reader, visit.project, key)
        month = monitoring.usage.of_application(reader, visit.project, key)
    back, lacks = _address(visit.project, key), visit.lacks(Permission.KEY_REVOKE)
    return visit.page(
        "keys/revoke.html",
        status=error.status if error else 200,
        question=f"Revoke the key of {found['name']}?",
        crumbs=[
            ("Systems", "/"),
            ("Keys", f"/projects/{visit.project}/keys"),
            (found["name"], back),
        ],
        errors=(error,) if error else lacks,
        consequence=(
            f"Gateways of {found['environment']} refuse every call with it by 401, within a second of now. "
            "That is for good: the application needs a new key, and its settings must change."
        ),
        facts=[("Used today", _told(month["day"])), ("Used this month", _told(month["month"]))],
        action=f"{back}/revocation",
        fields={},
        verb="Revoke it",
        dangerous=True,
        back=back,
    )


@router.post("/{key}/revocation")
def revoke(visit: Seen, key: str, form: Posted) -> Response:
    """Revoke it."""
    del form
    try:
        _need(visit.lacks(Permission.KEY_REVOKE))
        with visit.begin() as tx:
            identity.revoke_key(tx, visit.project, key)
            tx.after_commit(lambda: visit.runtime.signals.notify("delivery"))
    except AssentError as error:
        return _ask(visit, key, error)
    return see_other(_address(visit.project, key))
