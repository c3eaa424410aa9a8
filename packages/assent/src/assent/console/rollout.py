"""A rollout: its ramp, its guards, its figures, and the actions on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from markupsafe import Markup

from assent.approvals import service as approvals
from assent.console.arms import Arms, milliseconds, rate_text, shadow_arms
from assent.console.experiment import TestView, view_of
from assent.console.guards import (
    N_BLOCKS,
    NAMES,
    BlockRow,
    GuardView,
    block_rows,
    due_block,
    guard_view,
    weighed_series,
)
from assent.console.moves import Action, buttons, consequence, find_action, refusals, words
from assent.console.parts import ActionButton, Link, TimelineEntry
from assent.console.refs import ref_of, system_link
from assent.console.timeline import Names, reason_text, timeline
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.delivery import service as delivery
from assent.delivery.domain import EXPOSED, OPEN, Rollout, State, Strategy
from assent.flags.domain import condition_text
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Forbidden, Reason
from assent.kernel.tx import Reader
from assent.ledger.domain import Query
from assent.monitoring import service as monitoring
from assent.web import charts
from assent.web.charts import RampStep, percent
from assent.web.forms import Form, posted_form
from assent.web.pages import count, digest_element, duration, time_element
from assent_client.observe import SHADOW

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/rollouts")
Seen = Annotated[Visit, visits(Permission.ROLLOUT_READ)]
LIVE_S = 300
WINNERS = {
    "canary": "the new version is better",
    "stable": "the stable version stays",
    "none": "no difference that matters",
}


@dataclass(frozen=True, slots=True)
class Incident:
    """Why a guard took the rollout back."""

    title: str
    reason: str
    address: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Which snapshot a gateway or application serves."""

    consumer: str
    serial: int
    at: datetime
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """What the page shows."""

    subject: str
    environment: str
    system: Link
    state: str
    now: str
    as_of: datetime
    moving: bool
    address: str
    live_address: str
    incidents: Sequence[Incident]
    alarms: Sequence[str]
    ramp: Markup
    step_facts: Sequence[tuple[str, Any]]
    guards: Sequence[GuardView]
    arms: Arms
    blocks: Sequence[BlockRow]
    actions: Sequence[ActionButton]
    facts: Sequence[tuple[str, Any]]
    acks: Sequence[Ack]
    shadow: Arms | None
    test: TestView | None
    timeline: Sequence[TimelineEntry] = ()


def _incident(project: str, found: Any) -> Incident:
    what = "opened by a person" if found.guard is None else NAMES.get(found.guard, found.guard)
    return Incident(f"Incident: {what}", found.summary, f"/projects/{project}/incidents/{found.id}")


def address_of(rollout: Rollout) -> str:
    """Give the address of a rollout's page."""
    return f"/projects/{rollout.project}/rollouts/{rollout.id}"


def _step_state(rollout: Rollout, i: int) -> str:
    if rollout.state is State.PROMOTED or i < rollout.step:
        return "done"
    if i > rollout.step:
        return "next"
    return "current" if rollout.state in EXPOSED else "stopped"


def draw_ramp(rollout: Rollout) -> Markup:
    """Draw the steps of the plan and where the rollout stands."""
    steps = [RampStep(step.share, _step_state(rollout, i)) for i, step in enumerate(rollout.plan.steps)]
    return charts.ramp("Steps and their shares of the units", steps)


def _now(rollout: Rollout) -> str:
    if rollout.state in EXPOSED:
        because = f", {rollout.because}" if rollout.because else ""
        if rollout.plan.strategy is Strategy.BLUE_GREEN:
            return f"{'switched' if rollout.is_last_step else 'preview to its audience'}{because}"
        if rollout.plan.experiment is not None:
            return f"A/B test with {percent(rollout.share)} of the units{because}"
        step = f"step {rollout.step + 1} of {len(rollout.plan.steps)}"
        if rollout.current.shadow:
            return f"{step}: {percent(rollout.current.shadow)} of the calls mirrored, no units{because}"
        return f"{step}: {percent(rollout.share)} of the units{because}"
    if rollout.state is State.PROMOTED:
        return "all units"
    if rollout.state is State.CONCLUDED:
        return "the stable version serves all units"
    return f"because of: {rollout.because}" if rollout.because else "no units"


def _step_facts(reader: Reader, rollout: Rollout) -> list[tuple[str, Any]]:
    if rollout.state not in EXPOSED:
        return []
    verdict, judgement, lacking = delivery.verdict(reader, rollout)
    step = rollout.current
    began = rollout.step_started_at
    elapsed = duration((reader.now() - began).total_seconds()) if began else "not begun"
    units = judgement.n_canary_units - rollout.units_before
    advance = "no harm found" if step.advance.value == "no_harm" else "proof within the margin"
    facts: list[tuple[str, Any]] = [
        ("Verdict", verdict),
        ("Time in this step", f"{elapsed} of at least {duration(step.min_time_s)}"),
        (
            ("Mirrored calls", f"{count(judgement.n_shadow)} of at least {count(step.min_units)}")
            if step.shadow
            else ("Canary units in this step", f"{count(max(units, 0))} of at least {count(step.min_units)}")
        ),
        *([("Advances on", advance)] if rollout.plan.experiment is None else []),
    ]
    return [*facts, *(("Lacks", _lack(reason)) for reason in lacking)]


def _lack(reason: Reason) -> str:
    figures = (
        f" ({reason.have} of {reason.need})" if reason.have is not None and reason.need is not None else ""
    )
    return f"{reason.message}{figures}"


def _arms(reader: Reader, rollout: Rollout, figures: Mapping[str, Any], labels: tuple[str, str]) -> Arms:
    arms = [figures["arms"]["canary"], figures["arms"]["stable"]]
    rows = [
        ("Units exposed", [count(arm["n_units"]) for arm in arms]),
        ("Units scored", [count(arm["n_scored_units"]) for arm in arms]),
    ]
    return Arms(labels, [*rows, *(_lately(reader, rollout) if rollout.state in EXPOSED else [])])


def _lately(reader: Reader, rollout: Rollout) -> list[tuple[str, list[str]]]:
    """Give the arms' figures of now: after the end of a rollout they would be another's."""
    live = monitoring.live.by_version(
        reader, rollout.project, last_s=LIVE_S, environment=rollout.environment, route=rollout.name
    )
    digests = (rollout.subject, rollout.stable)
    live = [row for row in live if row["variant"] != SHADOW]
    found = [next((row for row in live if row["version"] == digest), None) for digest in digests]

    def lately(show: Any) -> list[str]:
        return ["–" if row is None else show(row) for row in found]  # noqa: RUF001 -- a dash for "none"

    return [
        ("Calls, last 5 min", lately(lambda row: count(row["n_calls"]))),
        ("Errors, last 5 min", lately(lambda row: rate_text(row["errors"]))),
        ("Thumbs-down of opinions, last 5 min", lately(lambda row: rate_text(row["thumbs_down"]))),
        ("Latency p50 / p95, last 5 min", lately(lambda row: milliseconds(row["latency_s"]))),
        ("Tokens out, last 5 min", lately(lambda row: count(row["tokens_out"]))),
    ]


def _acks(reader: Reader, rollout: Rollout) -> list[Ack]:
    rows = delivery.list_acknowledgements(reader, rollout.project, rollout.environment)
    newest = max((row["serial"] for row in rows), default=0)
    return [
        Ack(row["replica"], row["serial"], row["acknowledged_at"], row["serial"] == newest) for row in rows
    ]


def _facts(reader: Reader, rollout: Rollout, row: Mapping[str, Any], stable: str) -> list[tuple[str, Any]]:
    names = Names(reader)
    facts: list[tuple[str, Any]] = [
        ("Version", Markup("{}<br>{}").format(rollout.ref, digest_element(rollout.subject))),
        ("Instead of", stable),
        (
            "Request",
            Markup('<a href="/projects/{}/requests/{}">{}</a>').format(
                rollout.project, rollout.request, "conditions and votes"
            ),
        ),
        ("Plan", digest_element(row["plan_digest"])),
        ("Strategy", rollout.plan.strategy.value.replace("_", " ")),
        *([("Read as", WINNERS[row["winner"]])] if row["winner"] else []),
        *_audience(rollout),
        ("Planned", Markup("{}, {}").format(time_element(row["planned_at"]), names.of(row["planned_by"]))),
    ]
    for word, key in (("Started", "started"), ("Ended", "ended")):
        if row[f"{key}_at"] is not None:
            told = Markup("{}, {}").format(time_element(row[f"{key}_at"]), names.of(row[f"{key}_by"]))
            facts.append((word, told))
    facts += _break_glass(reader, rollout)
    reason = reason_text(reader, row["reason"])
    return [*facts, *([("Reason", reason)] if reason else []), ("α", f"{rollout.plan.alpha:g}")]  # noqa: RUF001 -- alpha as statisticians write it


def _audience(rollout: Rollout) -> list[tuple[str, Any]]:
    """Say who sees the version by rule, whatever its share."""
    if rollout.state not in EXPOSED or not rollout.current.audience:
        return []
    clauses = [" and ".join(map(condition_text, clause)) for clause in rollout.current.audience]
    return [("Audience", Markup("<br>").join(clauses))]


def _break_glass(reader: Reader, rollout: Rollout) -> list[tuple[str, Any]]:
    """Say that it went out before its policy was fulfilled, if it did, and what became of that."""
    found, _ = approvals.list_break_glass(reader, rollout.project, {"request": rollout.request}, limit=1)
    if not found:
        return []
    (held,) = found
    told = "out now" if held.outcome is None else held.outcome.value.replace("_", " ")
    address = f"/projects/{rollout.project}/requests/{rollout.request}#break-glass"
    shown = Markup('<a href="{}">{}</a>, until {}').format(address, told, time_element(held.ends_at))
    return [("Break-glass", shown)]


def build(visit: Visit, reader: Reader, rollout: Rollout, *, whole: bool) -> RolloutView:
    """Gather what the page shows; the fragment that renews itself does without the timeline."""
    stable = ref_of(reader, rollout.project, rollout.stable)
    labels = (f"canary {rollout.ref.rpartition('@')[2]}", f"stable {stable.rpartition('@')[2]}")
    figures = monitoring.live.rollout_figures(reader, rollout.project, rollout.id)
    sight = monitoring.look(reader, rollout)
    blocks = [*figures["blocks"], *(due_block(block) for block in sight.blocks)][-N_BLOCKS:]
    threshold = float(figures["threshold"])
    drawn = {
        g["metric"]: weighed_series(
            sight.watched.guards[g["metric"]].process, blocks, g["metric"], float(g["weight"])
        )
        for g in figures["guards"]
    }
    leading = max(drawn, key=lambda metric: drawn[metric][-1], default="")
    incidents, _ = monitoring.incidents.list_(reader, rollout.project, rollout=rollout.id)
    events, _ = timeline(reader, Query(subject=rollout.id)) if whole else ([], None)
    address = address_of(rollout)
    return RolloutView(
        subject=rollout.ref,
        environment=rollout.environment,
        system=system_link(rollout.project, rollout.name),
        state=rollout.state.value,
        now=_now(rollout),
        as_of=reader.now(),
        moving=rollout.state in OPEN,
        address=address,
        live_address=f"{address}/live",
        incidents=[_incident(rollout.project, one) for one in incidents],
        alarms=figures["alarms"],
        ramp=draw_ramp(rollout),
        step_facts=_step_facts(reader, rollout),
        guards=[guard_view(g, threshold, labels, drawn[g["metric"]]) for g in figures["guards"]],
        arms=_arms(reader, rollout, figures, labels),
        blocks=block_rows(blocks, leading, figures["block_s"], drawn[leading]) if leading else [],
        actions=buttons(visit, reader, rollout, address),
        facts=_facts(reader, rollout, delivery.get_row(reader, rollout.id), stable),
        acks=_acks(reader, rollout),
        shadow=shadow_arms(sight.judgement.figures.get("shadow"), labels),
        test=view_of(rollout, sight.judgement.figures.get("experiment")),
        timeline=events,
    )


def _show(visit: Visit, rollout_id: str, template: str, *, whole: bool) -> Response:
    with visit.read() as reader:
        rollout = delivery.get(reader, rollout_id, visit.project)
        view = build(visit, reader, rollout, whole=whole)
    return visit.page(template, view=view)


@router.get("/{rollout_id}")
def show(visit: Seen, rollout_id: str) -> Response:
    """Show the rollout."""
    return _show(visit, rollout_id, "rollout/page.html", whole=True)


@router.get("/{rollout_id}/live")
def live(visit: Seen, rollout_id: str) -> Response:
    """Give the part of the page that renews itself."""
    return _show(visit, rollout_id, "rollout/live.html", whole=False)


def _ask(
    visit: Visit, rollout_id: str, action: Action, *, error: AssentError | None = None, reason: str = ""
) -> Response:
    """Ask whether the action is meant, saying what it leads to."""
    with visit.read() as reader:
        rollout = delivery.get(reader, rollout_id, visit.project)
        stable = ref_of(reader, rollout.project, rollout.stable)
        reasons = (error.reasons or (error,)) if error else refusals(visit, reader, rollout, action)
    word = words(action, rollout)
    return visit.page(
        "confirm.html",
        status=error.status if error else 200,
        question=f"{word}: {rollout.ref} in {rollout.environment}?",
        crumbs=[("Systems", "/"), ("Rollout", address_of(rollout))],
        errors=reasons,
        consequence=consequence(action, rollout, stable),
        facts=[("State", f"{rollout.state.value.replace('_', ' ')}, {percent(rollout.share)}")],
        action=f"{address_of(rollout)}/{action.path}",
        fields={"generation": str(rollout.generation)},
        reason=reason,
        reason_required=action.dangerous,
        verb=f"{action.verb} now",
        dangerous=action.dangerous,
        back=address_of(rollout),
    )


@router.get("/{rollout_id}/{action_path}")
def ask(visit: Seen, rollout_id: str, action_path: str) -> Response:
    """Ask whether an action is meant."""
    return _ask(visit, rollout_id, find_action(action_path))


@router.post("/{rollout_id}/{action_path}")
def act(
    visit: Seen, rollout_id: str, action_path: str, form: Annotated[Form, Depends(posted_form)]
) -> Response:
    """Do it, if the rollout is still as it was on the page; or say every reason why not."""
    action = find_action(action_path)
    reason = form.text("reason", limit=2000)
    try:
        if visit.lacks(action.permission):
            raise Forbidden(visit.lacks(action.permission)[0].message)
        asked = delivery.Ask(
            rollout=rollout_id,
            project=visit.project,
            reason=form.text("reason", required=action.dangerous) or None,
            generation=form.whole("generation"),
        )
        with visit.begin() as tx:
            rollout = action.run(tx, asked)
    except AssentError as error:
        return _ask(visit, rollout_id, action, error=error, reason=reason)
    return see_other(address_of(rollout))
