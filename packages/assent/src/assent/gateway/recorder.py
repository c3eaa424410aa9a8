"""Write calls and opinions down, so that monitoring can judge versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assent.gateway.feedback import Completions
from assent.gateway.money import Hold
from assent.gateway.quotas import Quotas
from assent.gateway.served import Served
from assent.gateway.targets import NOWHERE, Upstream
from assent_client import observe
from assent_client.calls import choosing
from assent_client.calls.choosing import Ending
from assent_client.calls.feedback import Thumb, opinion
from assent_client.calls.refusals import Refusal
from assent_client.calls.sampling import Given, Samples, Taken
from assent_client.calls.stream import Outcome
from assent_client.snapshot import KeyLimits


@dataclass(slots=True, kw_only=True)
class Chosen(choosing.Chosen):
    """A request with the version that answers it, and where that is asked."""

    served: Served
    limits: KeyLimits | None
    upstream: Upstream = NOWHERE
    start: bytes = b""
    hold: Hold | None = None
    """What is held of the key's budget until it is known what the call cost."""
    mirror: Callable[[], None] | None = None
    """Mirror the call to the version that is a shadow of this one, once it has ended."""
    next: Callable[[], Chosen | None] | None = None
    """Choose the version that answers when this one's upstream does not."""


class Recorder:
    """Where calls are written down; `unit_key` (32 bytes) hides who a unit was."""

    def __init__(
        self,
        observations: observe.Observations,
        completions: Completions,
        unit_key: bytes,
        quotas: Quotas,
        samples: Samples,
    ) -> None:
        self.quotas = quotas
        self._samples = samples
        self._observations = observations
        self._completions = completions
        self._unit_key = unit_key

    @property
    def state(self) -> dict[str, int]:
        """Give what waits and what was lost."""
        return {
            "batches_waiting": self._observations.n_waiting,
            "observations_dropped": self._observations.n_dropped,
            "samples_dropped": self._samples.n_dropped,
        }

    def call(self, chosen: Chosen, outcome: Outcome, ending: Ending, given: Given | None = None) -> None:
        """Write a call down; `given` is the answer of a sampled one."""
        unit = observe.hash_unit(self._unit_key, chosen.unit)
        row = choosing.observed(chosen, outcome, ending, unit)
        self._observations.add(row)
        if chosen.limits is not None:
            tokens = (outcome.tokens_in or 0) + (outcome.tokens_out or 0)
            self.quotas.spend(chosen.application, chosen.limits, tokens)
        if chosen.hold is not None:
            chosen.hold.settle(outcome, ending)
        if row.completion_id is not None and row.reason != observe.SHADOW:
            self._completions.remember(row.completion_id, row)
        if given is not None and chosen.sampling is not None:
            self._samples.take(Taken(row, chosen.sampling, chosen.ask, *given))

    def refused(self, chosen: choosing.Chosen, refusal: Refusal, latency_s: float) -> None:
        """Write a call down whose version was never asked."""
        unit = observe.hash_unit(self._unit_key, chosen.unit)
        ending = Ending(refusal.status, choosing.error_class_of(refusal), latency_s, None)
        self._observations.add(choosing.observed(chosen, Outcome(), ending, unit))

    def feedback(self, thumb: Thumb, environment: str, application: str) -> bool:
        """Write an opinion down, and tell whether its call is known here.

        Raises: Refusal (403) where the completion was given to another application.
        """
        known = self._completions.find(thumb.completion_id)
        if known is not None and known.application != application:
            raise Refusal(403, "not_your_completion", "This completion was given to another application.")
        self._observations.add(opinion(thumb, known, environment, application))
        return known is not None
