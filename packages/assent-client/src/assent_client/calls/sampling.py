"""Samples of live calls: what was asked and answered, redacted, cut and sealed before it leaves the process.

All of that happens in the thread that delivers, not on the path of a call. What waits in memory is bounded in
bytes, what waits on disk is sealed; what finds no room is dropped, counted, and told to the server.
"""

from __future__ import annotations

import base64
import logging
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from assent_client.calls.dialects import EMBEDDINGS, Dialect
from assent_client.calls.edit import Ask
from assent_client.calls.served import ServedRoute
from assent_client.calls.texts import texts_answered, texts_of
from assent_client.observe import Call, Observations, Pace, Sample, Sink
from assent_client.redaction import prepared
from assent_client.sampling import Sampling, is_sampled
from assent_client.sealed import seal_to
from assent_client.spool import Spool

log = logging.getLogger(__name__)

MAX_WAITING_BYTES: Final = 33_554_432
MAX_SPOOLED_BYTES: Final = 33_554_432
_OVERHEAD_BYTES: Final = 1024
_BATCH_ROWS: Final = 50
_decode = msgspec.json.Decoder().decode


class Given(NamedTuple):
    """The bytes of an answer, as the caller got it."""

    answer: bytes
    is_stream: bool


class Taken(NamedTuple):
    """A sampled call as it ended: its observation, its request, and its answer's bytes."""

    call: Call
    sampling: Sampling
    ask: Ask
    answer: bytes
    is_stream: bool

    @property
    def n_bytes(self) -> int:
        """Give about how much memory it holds."""
        return _OVERHEAD_BYTES + len(self.answer) + sum(map(len, self.ask.fields.values()))


def sampling_of(route: ServedRoute, unit: str, dialect: Dialect) -> Sampling | None:
    """Give how a call is sampled; None for most."""
    sampling = route.sampling
    if sampling is None or dialect is EMBEDDINGS or not is_sampled(sampling, unit):
        return None
    return sampling


class Samples:
    """Takes sampled calls and delivers them in batches of their own; `take` is safe from any thread."""

    def __init__(
        self,
        sink: Sink,
        folder: Path,
        labels: Mapping[str, str],
        interval_s: float = 1.0,
        waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        """Take at most `waiting_bytes` of texts that are not redacted yet into memory."""
        spool = Spool(folder, MAX_SPOOLED_BYTES)
        pace = Pace(batch_rows=_BATCH_ROWS, interval_s=interval_s)
        self._lock = threading.Lock()
        self._n_bytes, self._waiting_bytes = 0, waiting_bytes
        self._observations = Observations(sink, spool, labels, pace, make=self._made)
        self.start, self.close = self._observations.start, self._observations.close

    @property
    def n_dropped(self) -> int:
        """Give the number of samples that this process has lost."""
        return self._observations.n_dropped

    def take(self, taken: Taken) -> None:
        """Take a sampled call; without room it is dropped and counted."""
        with self._lock:
            fits = self._n_bytes + taken.n_bytes <= self._waiting_bytes
            self._n_bytes += taken.n_bytes if fits else 0
        if fits:
            self._observations.add(taken)
        else:
            self._observations.lose(1)

    def _made(self, taken: Taken) -> Sample | None:
        """Make a sample; of what cannot be read there is none, and nothing of it reaches the log."""
        with self._lock:
            self._n_bytes -= taken.n_bytes
        try:
            return sample_of(taken)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, TypeError, AttributeError) as error:
            log.warning("a sampled call of %s cannot be read: %s", taken.call.route, type(error).__name__)
            return None


def sample_of(taken: Taken) -> Sample:
    """Redact, cut and seal. Raises: msgspec.MsgspecError, RecursionError, UnicodeError."""
    call, most = taken.call, taken.sampling.max_bytes
    question, n_asked, is_asked_cut = prepared(question_of(taken.ask), most, keep_end=True)
    said = "\n".join(filter(None, texts_answered(taken.answer, is_stream=taken.is_stream)))
    answer, n_said, is_said_cut = prepared(said, most)
    name = secrets.token_hex(16)
    content = msgspec.json.encode({"question": question, "answer": answer})
    return Sample(
        id=name,
        at=call.at,
        environment=call.environment,
        route=call.route,
        variant=call.variant,
        version=call.version,
        rule=call.rule,
        reason=call.reason,
        rollout=call.rollout,
        unit=call.unit,
        completion_id=call.completion_id,
        sealed=seal_to(base64.b64decode(taken.sampling.key), name, content),
        n_redacted=n_asked + n_said,
        is_cut=is_asked_cut or is_said_cut,
    )


def question_of(ask: Ask) -> str:
    """Write what was asked as one text: a single turn as it stands, several as lines with their roles."""
    turns = []
    for key in ("system", "instructions", "messages", "input"):
        if key in ask.fields:
            value = _decode(ask.fields[key])
            named = "user" if key == "input" else "system"
            turns += [_turn(one, named) for one in (value if isinstance(value, list) else [value])]
    if ask.extras.variables:
        turns.append(("variables", msgspec.json.encode(ask.extras.variables).decode()))
    return turns[0][1] if len(turns) == 1 else "\n".join(f"{role}: {text}" for role, text in turns)


def _turn(value: Any, named: str) -> tuple[str, str]:
    role = value.get("role") if isinstance(value, dict) else None
    return (role if isinstance(role, str) else named, "\n".join(texts_of(value)))
