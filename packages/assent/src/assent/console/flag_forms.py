"""Flags by form: making one; the switch, shares, rules, confirming, taking back, going back ask first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from assent.console.flags import address_of, show_list
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.flags import service
from assent.flags.domain import Rule, condition_text, shares_text
from assent.flags.service import Place, Stored
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.announcing import TOPIC, announce
from assent.kernel.errors import AssentError, Forbidden, Invalid, NotFound
from assent.kernel.tx import Reader, Tx
from assent.web.forms import Form, posted_form
from assent_client.typed import read_condition

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/flags")
Seen = Annotated[Visit, visits(Permission.FLAG_READ)]
SHARE = "share."
KEPT = ("to", "rule", "when", "gives")
"""What a form of a change carries through the page that asks."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was filled in: the place as it was seen, the fields of the form, and why."""

    place: Place
    fields: Mapping[str, str]
    reason: str | None
    step_up_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that may be done with a flag."""

    path: str
    question: str
    verb: str
    permission: Permission
    run: Callable[[Tx, Wanted], Stored]
    dangerous: bool = False
    reason_required: bool = False


def _switch_off(tx: Tx, wanted: Wanted) -> Stored:
    return service.switch_off(tx, wanted.place, wanted.reason)


def _switch_on(tx: Tx, wanted: Wanted) -> Stored:
    return service.switch_on(tx, wanted.place, wanted.reason)


def _share(tx: Tx, wanted: Wanted) -> Stored:
    form = {"split": shares_in(wanted.fields)}
    return service.change(tx, service.Change(place=wanted.place, form=form, reason=wanted.reason))


def _add_rule(tx: Tx, wanted: Wanted) -> Stored:
    return _change_rules(tx, wanted, rules_with(service.get(tx, wanted.place), wanted.fields))


def _remove_rule(tx: Tx, wanted: Wanted) -> Stored:
    return _change_rules(tx, wanted, rules_without(service.get(tx, wanted.place), wanted.fields))


def _change_rules(tx: Tx, wanted: Wanted, rules: list[dict[str, Any]]) -> Stored:
    return service.change(tx, service.Change(place=wanted.place, form={"rules": rules}, reason=wanted.reason))


def _confirm(tx: Tx, wanted: Wanted) -> Stored:
    seen = service.Confirmation(
        place=wanted.place, body=wanted.fields.get("digest", ""), step_up_s=wanted.step_up_s
    )
    return service.confirm(tx, seen)


def _withdraw(tx: Tx, wanted: Wanted) -> Stored:
    return service.withdraw(tx, wanted.place)


def _restore(tx: Tx, wanted: Wanted) -> Stored:
    return service.restore(tx, wanted.place, _generation(wanted.fields), wanted.reason)


ACTIONS = {
    one.path: one
    for one in (
        Action(
            path="switch-off",
            question="Switch off",
            verb="Switch off now",
            permission=Permission.FLAG_SWITCH_OFF,
            run=_switch_off,
            dangerous=True,
            reason_required=True,
        ),
        Action(
            path="switch-on",
            question="Switch on",
            verb="Switch on",
            permission=Permission.FLAG_CHANGE,
            run=_switch_on,
        ),
        Action(
            path="share",
            question="Change the shares of",
            verb="Change the shares",
            permission=Permission.FLAG_CHANGE,
            run=_share,
        ),
        Action(
            path="rule-add",
            question="Set a rule of",
            verb="Set the rule",
            permission=Permission.FLAG_CHANGE,
            run=_add_rule,
        ),
        Action(
            path="rule-remove",
            question="Take a rule away from",
            verb="Take the rule away",
            permission=Permission.FLAG_CHANGE,
            run=_remove_rule,
        ),
        Action(
            path="confirm",
            question="Confirm what is proposed for",
            verb="Confirm it",
            permission=Permission.FLAG_CONFIRM,
            run=_confirm,
        ),
        Action(
            path="withdraw",
            question="Take back what is proposed for",
            verb="Take it back",
            permission=Permission.FLAG_CHANGE,
            run=_withdraw,
        ),
        Action(
            path="restore",
            question="Go back to an earlier state of",
            verb="Go back to it",
            permission=Permission.FLAG_CHANGE,
            run=_restore,
        ),
    )
}


def shares_in(fields: Mapping[str, str]) -> dict[str, float]:
    """Read percentages by variant. Raises: Invalid."""
    found = {}
    for name, text in fields.items():
        if name.startswith(SHARE):
            try:
                found[name.removeprefix(SHARE)] = round(float(text.replace(",", ".") or "0") / 100, 8)
            except ValueError:
                raise Invalid(
                    f"{text!r} is not a percentage.", remedy="Write a number from 0 to 100."
                ) from None
    return found


def rules_with(stored: Stored, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give the rules with that of the form, in place of the one of its name, else last. Raises: Invalid."""
    rule = fields.get("rule", "").strip()
    lines = [line for line in fields.get("when", "").splitlines() if line.strip()]
    if not lines:
        raise Invalid("A rule needs a condition.", remedy="Write one a line, for example: country in DE,AT")
    new = {"id": rule, "when": [read_condition(line) for line in lines], "split": fields.get("gives", "")}
    rules = list(stored.document["rules"])
    places = [one["id"] for one in rules]
    if rule in places:
        rules[places.index(rule)] = new
    else:
        rules.append(new)
    return rules


def rules_without(stored: Stored, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give the rules without the one that is named. Raises: NotFound."""
    rule = fields.get("rule", "")
    rules = [one for one in stored.document["rules"] if one["id"] != rule]
    if len(rules) == len(stored.document["rules"]):
        raise NotFound(f"{stored.row.name} has no rule {rule}.", remedy="Look at its rules again.")
    return rules


def _generation(fields: Mapping[str, str]) -> int:
    text = fields.get("to", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 -- digits of an integer column
        raise Invalid("There is no generation to go back to.", remedy="Choose one from the history.")
    return int(text)


RULES = {"rule-add": rules_with, "rule-remove": rules_without}


def _told(rules: Sequence[Rule]) -> str:
    """Say what rules give, in their order."""
    if not rules:
        return "no rules"
    each = (
        f"{rule.id} ({' and '.join(map(condition_text, rule.when))}: {shares_text(rule.ranges)})"
        for rule in rules
    )
    return "the rules " + ", then ".join(each)


def _consequence(reader: Reader, action: Action, stored: Stored, fields: Mapping[str, str]) -> str:
    """Say what the action leads to."""
    name, off = stored.row.name, stored.flag.off
    place = Place(project=stored.row.project, environment=stored.row.environment, name=name)
    if action.path == "switch-off":
        return (
            f"At once everybody in {place.environment} gets “{off}”, in every application that is connected."
        )
    if action.path == "withdraw":
        return "The proposal waits no longer; the flag stays as it is."
    if action.path == "confirm":
        return f"At once {name} is what was proposed, in every application that is connected."
    protected = identity.get_environment(reader, place.project, place.environment).protected
    form: Mapping[str, Any] = {"enabled": True}
    said = "It decides again"
    if action.path == "share":
        form = {"split": shares_in(fields)}
    if action.path in RULES:
        form = {"rules": RULES[action.path](stored, fields)}
    if action.path == "restore":
        old = service.generation_of(reader, place, _generation(fields))
        form = {key: value for key, value in old.items() if key != "salt"}
    after, is_more = service.compare(reader, place, form)
    if action.path in RULES:
        said = f"It then has {_told(after.rules)}"
    elif action.path != "switch-on":
        said = f"Whom no rule decides gets: {shares_text(after.split)}. Who had a variant that grows keeps it"
    if is_more and protected:
        return f"{said}. Somebody gets what is new to them, so a second person must confirm it."
    return f"{said}. It takes effect at once."


def _ask(
    visit: Visit,
    place: Place,
    action: Action,
    fields: Mapping[str, str],
    *,
    error: AssentError | None = None,
    reason: str = "",
) -> Response:
    with visit.read() as reader:
        stored = service.get(reader, place)
        reasons: Any = (error.reasons or (error,)) if error else visit.lacks(action.permission)
        consequence = ""
        try:
            consequence = _consequence(reader, action, stored, fields)
        except AssentError as wrong:
            reasons = reasons or wrong.reasons or (wrong,)
            error = error or wrong
        address = address_of(visit.project, place.environment, place.name)
        digest = stored.proposal.body if stored.proposal else ""
    kept = {name: text for name, text in fields.items() if name in KEPT or name.startswith(SHARE)}
    return visit.page(
        "confirm.html",
        status=error.status if error else 200,
        question=f"{action.question} {place.name} in {place.environment}?",
        crumbs=[("Systems", "/"), ("Flags", f"/projects/{visit.project}/flags"), (place.name, address)],
        errors=reasons,
        consequence=consequence,
        facts=[("Now", shares_text(stored.flag.split) if stored.flag.enabled else "switched off")],
        action=f"{address}/{action.path}",
        fields={**kept, "generation": str(stored.row.generation), "digest": digest},
        reason=reason,
        reason_required=action.reason_required,
        verb=action.verb,
        dangerous=action.dangerous,
        back=address,
    )


def _found(path: str) -> Action:
    if path not in ACTIONS:
        raise NotFound(f"There is nothing called {path!r} to do with a flag.")
    return ACTIONS[path]


@router.post("/{environment}")
def create(visit: Seen, environment: str, form: Annotated[Form, Depends(posted_form)]) -> Response:
    """Make a flag of on and off that gives everybody off, or show the form again with what was wrong."""
    texts = {name: form.text(name, limit=1000) for name in ("description", "owner", "ends_on")}
    try:
        if lacks := visit.lacks(Permission.FLAG_CHANGE):
            raise Forbidden(lacks[0].message)
        name = form.text("name", required=True, limit=100)
        place = Place(project=visit.project, environment=environment, name=name)
        document = {**texts, "ends_on": texts["ends_on"] or None}
        with visit.begin() as tx:
            service.create(tx, service.Change(place=place, form=document, reason=None))
            announce(tx.conn)
            tx.after_commit(lambda: visit.runtime.signals.notify(TOPIC))
    except AssentError as error:
        return show_list(visit, environment, form.fields, error)
    return see_other(address_of(visit.project, environment, name))


@router.get("/{environment}/{name}/{path}")
def ask(visit: Seen, environment: str, name: str, path: str, request: Request) -> Response:
    """Ask whether an action is meant, saying what it leads to."""
    place = Place(project=visit.project, environment=environment, name=name)
    return _ask(visit, place, _found(path), dict(request.query_params))


@router.post("/{environment}/{name}/{path}")
def act(
    visit: Seen, environment: str, name: str, path: str, form: Annotated[Form, Depends(posted_form)]
) -> Response:
    """Do it, if the flag is still as it was on the page; or say every reason why not."""
    action = _found(path)
    place = Place(
        project=visit.project, environment=environment, name=name, generation=form.whole("generation")
    )
    reason = form.text("reason", limit=2000)
    try:
        if visit.lacks(action.permission):
            raise Forbidden(visit.lacks(action.permission)[0].message)
        wanted = Wanted(place, form.fields, reason or None, visit.runtime.settings.step_up_s)
        with visit.begin() as tx:
            action.run(tx, wanted)
            announce(tx.conn)
            tx.after_commit(lambda: visit.runtime.signals.notify(TOPIC))
    except AssentError as error:
        seen = Place(project=visit.project, environment=environment, name=name)
        return _ask(visit, seen, action, form.fields, error=error, reason=reason)
    return see_other(address_of(visit.project, environment, name))
