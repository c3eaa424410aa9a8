"""Write calls and opinions down, so that monitoring can judge versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from assent.gateway.dialects import Dialect
from assent.gateway.edit import Ask
from assent.gateway.feedback import Completions, Thumb
from assent.gateway.guarding import Guard
from assent.gateway.problems import Refusal
from assent.gateway.quotas import Quotas
from assent.gateway.served import Served, ServedRoute, ServedVersion
from assent.gateway.stream import Outcome
from assent.gateway.targets import Upstream
from assent_client import observe
from assent_client.decide import Decision
from assent_client.snapshot import KeyLimits

_MOST_GUARDRAILS = 3


@dataclass(slots=True)
class Chosen:
    """A request with the version that answers it."""

    dialect: Dialect
    ask: Ask
    served: Served
    route: ServedRoute
    decision: Decision
    version: ServedVersion
    upstream: Upstream
    start: bytes
    body: bytes
    headers: bytes
    unit: str
    sticky: bool
    application: str
    limits: KeyLimits | None
    hop: int = 0
    """How many versions were asked in vain before this one; comparisons leave such calls out."""
    next: Callable[[], Chosen | None] | None = None
    """Choose the version that answers when this one's upstream does not."""
    guardrails: tuple[str, ...] | None = None
    """The guardrails that the call hit; None where none looked at it."""

    def note(self, hit: Sequence[Guard]) -> None:
        """Keep the names of guardrails that looked and hit, as many as an observation holds."""
        names = (*(self.guardrails or ()), *(guard.name for guard in hit))
        self.guardrails = names[:_MOST_GUARDRAILS]


class Ending(NamedTuple):
    """How a call ended, and how long it took in seconds."""

    status: int
    error_class: str | None
    latency_s: float
    ttft_s: float | None


class Recorder:
    """Where calls are written down; `unit_key` (32 bytes) hides who a unit was."""

    def __init__(
        self, observations: observe.Observations, completions: Completions, unit_key: bytes, quotas: Quotas
    ) -> None:
        self.quotas = quotas
        self._observations = observations
        self._completions = completions
        self._unit_key = unit_key

    @property
    def state(self) -> dict[str, int]:
        """Give what waits and what was lost."""
        return {
            "batches_waiting": self._observations.n_waiting,
            "observations_dropped": self._observations.n_dropped,
        }

    def call(self, chosen: Chosen, outcome: Outcome, ending: Ending) -> None:
        """Write a call down."""
        decision, version = chosen.decision, chosen.version
        model = outcome.model
        row = observe.Call(
            at=datetime.now(UTC),
            environment=chosen.served.environment,
            route=chosen.route.key,
            variant=decision.variant or "",
            version=version.digest,
            serial=chosen.served.serial,
            rule=decision.rule,
            reason="fallback" if chosen.hop else decision.reason,
            rollout=None if chosen.hop else chosen.route.rollout,
            unit=observe.hash_unit(self._unit_key, chosen.unit),
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
        )
        self._observations.add(row)
        if chosen.limits is not None:
            tokens = (outcome.tokens_in or 0) + (outcome.tokens_out or 0)
            self.quotas.spend(chosen.application, chosen.limits, tokens)
        if row.completion_id is not None:
            self._completions.remember(row.completion_id, row)

    def feedback(self, thumb: Thumb, environment: str, application: str) -> bool:
        """Write an opinion down, and tell whether its call is known here.

        Raises: Refusal (403) where the completion was given to another application.
        """
        known = self._completions.find(thumb.completion_id)
        if known is not None and known.application != application:
            raise Refusal(403, "not_your_completion", "This completion was given to another application.")
        self._observations.add(
            observe.Feedback(
                at=datetime.now(UTC),
                environment=environment,
                completion_id=thumb.completion_id,
                value=thumb.score,
                comment=thumb.comment,
                matched=known is not None,
                route=known.route if known else None,
                variant=known.variant if known else None,
                version=known.version if known else None,
                unit=known.unit if known else None,
                called_at=known.at if known else None,
                application=application,
            )
        )
        return known is not None
