"""Choose the version that answers a request, the next one of its chain, and write down how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

from assent_client.calls.dialects import Dialect
from assent_client.calls.edit import Ask
from assent_client.calls.guarding import GUARDRAIL_BLOCKED, Guard, blocked
from assent_client.calls.hooks import Hook
from assent_client.calls.refusals import Refusal
from assent_client.calls.sampling import sampling_of
from assent_client.calls.served import Served, ServedRoute, ServedVersion, ending
from assent_client.calls.stream import Outcome
from assent_client.conversations import new_conversation
from assent_client.decide import Decision
from assent_client.observe import SHADOW, Call
from assent_client.sampling import Sampling

log = logging.getLogger(__name__)

FALLING: Final = frozenset({408, 429, 500, 502, 503, 504, 529})
"""Answers after which the next version of a chain is asked: this upstream is busy or broken."""

REDIRECTS: Final = frozenset({300, 301, 302, 303, 305, 307, 308})
SUCCESS: Final = range(200, 300)
_CUT_SHORT: Final = frozenset(
    {"client_gone", "client_stalled", "killed", "upstream_timeout", "upstream_cut", "upstream_rubbish"}
)
_MOST_GUARDRAILS: Final = 3
_MAX_UNIT: Final = 512
_LANGUAGE: Final = range(2, 4)  # ISO 639 codes have two or three letters
NEW: Final = "new"
"""What the header X-Assent-Conversation says where a conversation begins and has no id yet."""


@dataclass(slots=True, kw_only=True)
class Chosen:
    """A request with the version that answers it; `headers` are ours on the answer, as lines."""

    dialect: Dialect
    ask: Ask
    served: Served
    route: ServedRoute
    decision: Decision
    version: ServedVersion
    headers: bytes
    unit: str
    sticky: bool
    application: str
    body: bytes = b""
    hop: int = 0
    """How many versions were asked in vain before this one; comparisons leave such calls out."""
    guardrails: tuple[str, ...] | None = None
    """The guardrails that the call hit; None where none looked at it."""
    sampling: Sampling | None = None
    """How its question and answer are kept for a judge; None for most calls."""
    unguarded: bool = False
    """Whether a guardrail that fails open gave no answer, so that the call passed it unseen."""

    def note(self, hit: Sequence[Guard | Hook]) -> None:
        """Keep the names of guardrails that looked and hit, as many as an observation holds."""
        names = (*(self.guardrails or ()), *(guard.name for guard in hit))
        self.guardrails = names[:_MOST_GUARDRAILS]


class Ending(NamedTuple):
    """How a call ended, and how long it took in seconds."""

    status: int
    error_class: str | None
    latency_s: float
    ttft_s: float | None


AnyChosen = TypeVar("AnyChosen", bound=Chosen)


class Caller(NamedTuple):
    """Who calls, and what the headers of the call name."""

    application: str
    conversation: str | None
    preview: str | None


def choose(  # noqa: PLR0913 -- each is a part of the choice
    kind: type[AnyChosen],
    ask: Ask,
    dialect: Dialect,
    served: Served,
    route: ServedRoute,
    caller: Caller,
    *,
    new_unit: Callable[[], str],
    **more: Any,
) -> AnyChosen:
    """Choose the version that answers; `new_unit` names who names no unit. Raises: Refusal."""
    named, told = unit_of(ask, route, caller.conversation)
    unit = new_unit() if named is None else named
    decision, version = decided(served, route, unit, context_of(ask, caller.preview))
    return kind(
        dialect=dialect,
        ask=ask,
        served=served,
        route=route,
        decision=decision,
        version=version,
        headers=route.headers[decision.variant or ""] + told,
        unit=unit,
        sticky=named is not None,
        application=caller.application,
        sampling=sampling_of(route, unit, dialect),
        **more,
    )


def decided(
    served: Served, route: ServedRoute, unit: str, context: Mapping[str, Any]
) -> tuple[Decision, ServedVersion]:
    """Give the decision and its version. Raises: Refusal (404: the name is switched off)."""
    decision = route.decide(unit, context)
    if decision.variant is None:
        raise Refusal(404, "model_not_found", f"{route.key} is switched off.", "model")
    return decision, served.versions[decision.value]


def unit_of(ask: Ask, route: ServedRoute, conversation: str | None) -> tuple[str | None, bytes]:
    """Give what sticks, as the caller names it, and the header that tells a new conversation its id.

    Where conversations stick, their id goes before that of the user. Raises: Refusal (400).
    """
    told = b""
    if conversation == NEW:
        conversation = new_conversation()
        told = b"x-assent-conversation: %b\r\n" % conversation.encode()
    if route.unit == "conversation":
        unit = ask.extras.unit or conversation or _who(ask)
    else:
        unit = ask.extras.unit or _who(ask) or conversation
    unit = unit or None
    if unit is not None and len(unit) > _MAX_UNIT:
        raise Refusal(
            400, "invalid_request", f"A unit's id has at most {_MAX_UNIT} characters.", "assent.unit"
        )
    return unit, told


def _who(ask: Ask) -> str | None:
    for key in ("safety_identifier", "user"):
        if key in ask.fields and (found := ask.text(key)):
            return found
    return ask.user_id() if "metadata" in ask.fields else None


def context_of(ask: Ask, preview: str | None) -> Mapping[str, Any]:
    """Give what routes read of a call: what the caller says of it, and the word of a preview."""
    return ask.extras.context if preview is None else {**ask.extras.context, "preview": preview}


def prepare(chosen: Chosen, now: Callable[[], datetime]) -> None:
    """Write the body that goes upstream. Raises: Refusal (the version has ended, or does not take it)."""
    end = chosen.route.ends.get(chosen.decision.variant or "")
    ended = None if end is None else ending(end, chosen.version.ref, now())
    if ended is not None:
        raise ended
    chosen.body = chosen.version.editor(chosen.dialect).edit(chosen.ask)
    if chosen.version.guards:
        hit = chosen.version.guards.asked(chosen.ask)
        chosen.note(hit)
        stopped = blocked(hit)
        if stopped is not None:
            raise stopped


def error_class_of(refusal: Refusal) -> str | None:
    """Give the class under which a refusal is observed; a guardrail that stops a call is no error."""
    return None if refusal.code == GUARDRAIL_BLOCKED else refusal.code


def next_hop(
    before: AnyChosen, hops: Iterator[str], place: Callable[[ServedVersion], Mapping[str, Any]]
) -> AnyChosen | None:
    """Choose the next approved version of the chain that can take the request as it is.

    `place` gives the fields of the choice that say where a version is asked, or raises Refusal.
    """
    served = before.served
    for digest in hops:
        version = served.versions.get(digest)
        if version is None:
            continue  # it is not admitted here, so it is not in the snapshot
        try:
            where = place(version)
            body = version.editor(before.dialect).edit(before.ask)
        except Refusal as refusal:
            log.warning("the fallback %s cannot take the call: %s", version.ref, refusal)
            continue
        hit = version.guards.asked(before.ask)
        if blocked(hit) is None:
            n = before.hop + 1
            headers = served.headers(before.decision.variant or "", digest) + b"x-assent-fallback: %d\r\n" % n
            hop = replace(
                before,
                version=version,
                body=body,
                hop=n,
                headers=headers,
                guardrails=None,
                unguarded=False,
                **where,
            )
            if version.guards:
                hop.note(hit)
            return hop
    return None


def observed(chosen: Chosen, outcome: Outcome, ending: Ending, unit: str) -> Call:
    """Write a call as an observation; `unit` is the keyed hash of its unit."""
    decision, version, model = chosen.decision, chosen.version, outcome.model
    return Call(
        at=datetime.now(UTC),
        environment=chosen.served.environment,
        route=chosen.route.key,
        variant=decision.variant or "",
        version=version.digest,
        serial=chosen.served.serial,
        rule=decision.rule,
        reason="fallback" if chosen.hop else decision.reason,
        rollout=None if chosen.hop or decision.reason == SHADOW else chosen.route.rollout,
        unit=unit,
        sticky=chosen.sticky,
        stream=chosen.ask.stream,
        completion_id=outcome.completion_id,
        status=ending.status,
        error_class=ending.error_class,
        latency_s=ending.latency_s,
        ttft_s=ending.ttft_s,
        tokens_in=outcome.tokens_in,
        tokens_out=outcome.tokens_out,
        finish_reason=outcome.finish_reason,
        response_model=model,
        as_approved=None if model is None else model in version.allowed_models,
        application=chosen.application,
        guardrails=chosen.guardrails,
        language=language_of(chosen.ask),
        unguarded=chosen.unguarded,
        operation=chosen.dialect.operation,
    )


def may_cost(status: int, error_class: str | None) -> bool:
    """Tell whether an upstream may charge for a call that ended so and whose tokens nobody counted."""
    return status in SUCCESS or error_class in _CUT_SHORT


def language_of(ask: Ask) -> str | None:
    """Give the language that the caller's context names (`de`, `pt-BR`), without what follows it."""
    said = ask.extras.context.get("language")
    if said is None:
        return None
    language = said.replace("_", "-").partition("-")[0].lower() if isinstance(said, str) else ""
    is_tag = language.isascii() and language.isalpha() and len(language) in _LANGUAGE
    return language if is_tag else None
