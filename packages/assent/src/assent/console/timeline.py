"""Who did what, when and why, read from the ledger."""

import json
import re
from collections.abc import Iterable
from typing import Any

from assent.console.parts import TimelineEntry
from assent.identity import service as identity
from assent.kernel.errors import NotFound
from assent.kernel.tx import SYSTEM, Reader
from assent.ledger import service as ledger
from assent.ledger.domain import Leaf, Query
from assent.web.charts import percent

# Sentences over an entry's fields; an event that has none is told by its type and what it speaks of.
SENTENCES = {
    "registry.version.registered": "Version {number} registered",
    "prompts.version.registered": "Prompt version {number} registered",
    "prompts.version.advanced": "Prompt version {number}: {status}",
    "prompts.version.deprecated": "Prompt version {number} deprecated",
    "prompts.suite.bound": "Suite {suite_ref} bound, through {through_ref}",
    "prompts.suite.unbound": "Suite {suite} not bound any more",
    "registry.version.advanced": "Version {number}: stage {stage}, status {status}",
    "registry.version.deleted": "Version {number} deleted",
    "registry.label.moved": "Label {label} moved",
    "evidence.claim.recorded": "Evidence recorded: {kind}",
    "evaluation.run.submitted": "Evaluation of {subject_ref} by {suite_ref} started",
    "evaluation.schedule.set": "{name} in {environment} is evaluated by {suite_ref} again and again",
    "evaluation.run.closed": "Evaluation ended: {verdict}",
    "approvals.request.submitted": "Release of {ref} to {environment} requested",
    "approvals.request.submitted card": "Publication of the card of {ref} requested",
    "approvals.request.executed": "Request executed: what was approved was begun",
    "approvals.vote.cast": "Vote: {verdict}",
    "approvals.decision.made": "Release of {ref} to {environment}: {effect}",
    "approvals.decision.made card": "Card of {ref}: {effect}",
    "approvals.policy.proposed": "Policy {policy_ref} proposed for {environment}",
    "approvals.policy.bound": "{environment} asks for the policy {policy_ref}",
    "approvals.break_glass.opened": "Break-glass: {ref} goes out before its policy is fulfilled",
    "approvals.break_glass.seconded": "Break-glass seconded",
    "approvals.break_glass.ended": "Break-glass ended ({outcome})",
    "approvals.break_glass.reviewed": "Break-glass reviewed: {finding}",
    "approvals.comment.made": "Comment made",
    "approvals.comment.resolved": "Comments settled",
    "cards.card.drafted": "Card of {number} written, revision {revision}",
    "cards.card.submitted": "Vote on a card asked for",
    "cards.card.published": "Card of {number} published",
    "delivery.version.adopted": "{ref} adopted in {environment}",
    "delivery.rollout.planned": "Rollout of {ref} to {environment} planned",
    "delivery.rollout.queued": "Rollout waits until {start_at}",
    "delivery.rollout.started": "Rollout started at {share}",
    "delivery.rollout.admitted": "Rollout approved after its break-glass",
    "delivery.rollout.advanced": "Rollout advanced to {share}",
    "delivery.rollout.paused": "Rollout paused ({because})",
    "delivery.rollout.resumed": "Rollout resumed",
    "delivery.rollout.promoted": "Rollout promoted: all traffic",
    "delivery.rollout.aborted": "Rollout aborted",
    "delivery.rollout.rolled_back": "Rollout rolled back ({because})",
    "delivery.rollout.concluded": "A/B test concluded: {winner}",
    "delivery.route.cooled": "The version before is kept warm no more",
    "delivery.route.drilled": "Rollback drill",
    "delivery.drill.measured": "Rollback drill: slowest replica {slowest_ms} ms",
    "delivery.route.killed": "{name} switched off in {environment}",
    "delivery.route.restored": "{name} switched on in {environment}",
    "monitoring.alert.set": "Alert {name} set for {environment}",
    "monitoring.alert.removed": "Alert {name} removed",
    "monitoring.alert.fired": "Alert {name} fired: {says}",
    "monitoring.alert.repeated": "Alert {name} goes on: {says}",
    "monitoring.alert.resolved": "Alert {name} resolved: {says}",
    "monitoring.alert.silenced": "Alert {name} silenced until {until}",
    "monitoring.silence.ended": "Silence of {name} ended",
    "monitoring.watch.started": "Watch over {route} began in {environment}",
    "monitoring.watch.ended": "Watch {watch} ended",
    "monitoring.regression.detected": "Worse since it is live: {says}",
    "monitoring.incident.opened": "Incident: {summary}",
    "monitoring.incident.opened by hand": "Incident opened by hand",
    "monitoring.incident.noted": "Noted",
    "monitoring.incident.mitigated": "Users are harmed no longer",
}
# One per second while a rollout runs: the rollout's page shows them, a history would drown in them.
LEFT_OUT = ("monitoring.block.closed", "monitoring.watch.sealed")
TOLD_TEXTS = {
    "monitoring.incident.opened": "title",
    "monitoring.incident.noted": "note",
    "monitoring.incident.resolved": "note",
}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
TOLD = ("ref", "name", "environment", "state", "verdict", "effect")


def sentence(kind: str, fields: dict[str, Any]) -> str:
    """Say in words what happened."""
    share = fields.get("share")
    shown = {**fields, "share": percent(float(share))} if isinstance(share, str) else fields
    if kind == "monitoring.incident.opened" and not fields.get("guard"):
        return SENTENCES[f"{kind} by hand"]
    try:
        return (SENTENCES.get(f"{kind} {fields.get('kind')}") or SENTENCES[kind]).format_map(shown)
    except KeyError:
        words = " ".join(kind.split(".")[1:]).replace("_", " ").capitalize()
        told = [str(fields[name]) for name in TOLD if isinstance(fields.get(name), str)]
        return f"{words}: {', '.join(told)}" if told else words


def reason_text(reader: Reader, reason: str | None) -> str:
    """Give the words of a reason; a leaf holds the digest of a body {"salt", "text"} that can be erased."""
    if reason is None or not DIGEST.match(reason):
        return reason or ""
    try:
        return str(json.loads(reader.blobs.get(reason))["text"])
    except NotFound:
        return "(erased)"


def _text_of(kind: str, fields: dict[str, Any]) -> str | None:
    """Give the digest of what a person wrote where the entry is there to tell it."""
    name = TOLD_TEXTS.get(kind)
    return fields.get(name) if name else None


class Names:
    """Names of actors; each is looked up once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known = {SYSTEM.id: "Assent"}

    def of(self, actor: str) -> str:
        """Give the name of an actor, or the id of one that is known no longer."""
        if actor not in self._known:
            try:
                self._known[actor] = identity.get_account(self._reader, actor).name
            except NotFound:
                self._known[actor] = actor
        return self._known[actor]


def told(reader: Reader, leaves: Iterable[Leaf]) -> list[TimelineEntry]:
    """Tell leaves as entries of a timeline."""
    names, entries = Names(reader), []
    for leaf in leaves:
        entry = json.loads(leaf.entry)
        entries.append(
            TimelineEntry(
                at=leaf.at,
                who=names.of(leaf.actor),
                what=sentence(leaf.type, entry["data"]),
                why=reason_text(reader, entry["reason"] or _text_of(leaf.type, entry["data"])),
                type=leaf.type,
                index=leaf.index,
                proof=f"/leaves/{leaf.index}",
            )
        )
    return entries


def timeline(reader: Reader, query: Query) -> tuple[list[TimelineEntry], int | None]:
    """Read a page of what happened, newest first, and where the next page begins."""
    leaves, older = ledger.entries(reader, query)
    return told(reader, (leaf for leaf in leaves if leaf.type not in LEFT_OUT)), older
