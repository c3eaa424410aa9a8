"""What somebody thought of an answer, and which call it belongs to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

import msgspec

from assent_client.calls.refusals import Refusal
from assent_client.observe import Call, Feedback


class Known(NamedTuple):
    """What is remembered of a call, under the names that the call's observation has."""

    at: datetime
    route: str
    variant: str
    version: str
    unit: str
    application: str


class Thumb(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an application sends to `POST /v1/feedback`."""

    completion_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: Annotated[float, msgspec.Meta(ge=0, le=1)] | Literal["up", "down"]
    comment: Annotated[str, msgspec.Meta(max_length=2000)] | None = None

    @property
    def score(self) -> float:
        """Give the value in [0, 1]; 1 is good."""
        if isinstance(self.value, str):
            return 1.0 if self.value == "up" else 0.0
        return float(self.value)


_decode = msgspec.json.Decoder(Thumb).decode


def read_thumb(body: bytes) -> Thumb:
    """Read feedback; raises Refusal (422)."""
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        message = (
            f'Feedback is {{"completion_id": "…", "value": "up" | "down" | 0…1, "comment": "…"}}: {error}.'
        )
        raise Refusal(422, "invalid_feedback", message) from None


def opinion(thumb: Thumb, known: Known | Call | None, environment: str, application: str) -> Feedback:
    """Write feedback as an observation, with the call that it judges where that is known."""
    return Feedback(
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


class Remembered:
    """The latest completions, newest last, at most `capacity`; safe in threads."""

    def __init__(self, capacity: int) -> None:
        self._known: OrderedDict[str, Known | Call] = OrderedDict()
        self._capacity = capacity

    def remember(self, completion_id: str, known: Known | Call) -> None:
        """Note a completion; the oldest is forgotten when there are too many."""
        self._known[completion_id] = known
        while len(self._known) > self._capacity:  # `shorten` may have put one back
            self._known.popitem(last=False)

    def shorten(self, known: Mapping[str, Known]) -> None:
        """Put what is needed of calls in the place of their whole observations."""
        for completion_id, one in known.items():
            if completion_id in self._known:
                self._known[completion_id] = one

    def find(self, completion_id: str) -> Known | Call | None:
        """Find a completion, or None."""
        return self._known.get(completion_id)
