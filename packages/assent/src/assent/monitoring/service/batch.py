"""Batches of observations as they arrive: strict about each row, so that one bad row costs only itself.

The form is that of `assent_client.observe`:
{"batch", "instance", "project", "environment", "gateway", "n_dropped",
 "observations": [{"kind": "call|feedback|exposure|sample", …}]}
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from assent.kernel.errors import Invalid, TooLarge
from assent_client import observe

MAX_ROWS = 20_000
MAX_SHOWN_REJECTIONS = 20
FUTURE_S = 60.0
ANCIENT_S = 7 * 86_400.0

Moment = Annotated[datetime, Meta(tz=True)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=63)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
_DIGEST = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, Meta(pattern=_DIGEST)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Tokens = Annotated[int, Meta(ge=0, le=10**9)]  # a full batch of them still fits a sum of 63 bits
Seconds = Annotated[float, Meta(ge=0, le=1e6)]


class Call(observe.Call, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One governed call, with the limits that the store relies on."""

    at: Moment
    environment: Name
    route: Word
    variant: Word
    version: Digest
    serial: Count
    rule: Word | None
    reason: Id
    rollout: Id | None
    unit: Id
    completion_id: Word | None
    status: Annotated[int, Meta(ge=0, le=999)]
    error_class: Text | None
    latency_s: Seconds
    ttft_s: Seconds | None
    tokens_in: Tokens | None
    tokens_out: Tokens | None
    finish_reason: Text | None
    response_model: Text | None
    application: Text
    guardrails: Annotated[tuple[Id, ...], Meta(max_length=3)] | None = None
    language: Annotated[str, Meta(min_length=2, max_length=16)] | None = None
    operation: Annotated[str, Meta(min_length=1, max_length=32)] = observe.CHAT


class Feedback(observe.Feedback, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One opinion, with the limits that the store relies on."""

    at: Moment
    environment: Name
    completion_id: Word
    value: Annotated[float, Meta(ge=0, le=1)]
    comment: Annotated[str, Meta(max_length=10_000)] | None
    application: Text


class Exposure(observe.Exposure, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One decision acted on in an application, with the limits that the store relies on."""

    at: Moment
    environment: Name
    route: Word
    variant: Word
    serial: Count
    rule: Word | None
    reason: Id
    rollout: Id | None
    unit: Id


class Sample(observe.Sample, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """Question and answer of a sampled call, sealed, with the limits that the store relies on."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    at: Moment
    environment: Name
    route: Word
    variant: Word
    version: Digest
    rule: Word | None
    reason: Id
    rollout: Id | None
    unit: Id
    completion_id: Word | None
    sealed: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+={0,2}$", min_length=64, max_length=600_000)]
    n_redacted: Count
    is_cut: bool


Row = Call | Feedback | Exposure | Sample


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a batch says of itself."""

    batch: Word
    instance: Word
    project: Name
    environment: Name | None = None
    gateway: Text | None = None
    n_dropped: Count = 0


class Envelope(Head, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A batch whose rows are not read yet."""

    observations: list[msgspec.Raw]


class Unmatched(Call, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A call whose version may be no digest: a pattern costs as much as half of all else that is read."""

    version: str


class Whole(Head, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A batch without a bad row, if the versions of its calls are digests: read at once, in half the time."""

    observations: list[Unmatched | Feedback | Exposure | Sample]


@dataclass(frozen=True, slots=True, order=True)
class Rejection:
    """A row that was not taken, and why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch, its rows by kind; `rejections` holds every row that is not among them.

    `indexes` and `times` hold, for each call, its index in the batch and its time in seconds; a sample comes
    with its index.
    """

    id: str
    instance: str
    project: str
    n_dropped: int
    calls: Sequence[Call] = ()
    indexes: Sequence[int] = ()
    times: Sequence[float] = ()
    feedback: Sequence[Feedback] = ()
    exposures: Sequence[Exposure] = ()
    samples: Sequence[tuple[int, Sample]] = ()
    rejections: Sequence[Rejection] = field(default=())


_read_envelope = msgspec.json.Decoder(Envelope).decode
_read_whole = msgspec.json.Decoder(Whole).decode
_read_row = msgspec.json.Decoder(Row).decode
_is_digest = re.compile(_DIGEST).search
_NUL = rb"\u0000"  # in JSON it stands in this form only; PostgreSQL keeps no text with it


def parse(body: bytes, now: datetime) -> Batch:
    """Read a batch. Raises: Invalid for a malformed one, TooLarge for too many rows."""
    present = now.timestamp()
    envelope = _read(body)
    if len(envelope.observations) > MAX_ROWS:
        raise TooLarge(
            f"The batch has {len(envelope.observations):,} rows; at most {MAX_ROWS:,} are taken at once.",
            remedy="Send smaller batches.",
        )
    calls: list[Call] = []
    indexes: list[int] = []
    times: list[float] = []
    feedback: list[Feedback] = []
    exposures: list[Exposure] = []
    samples: list[tuple[int, Sample]] = []
    rejections: list[Rejection] = []
    oldest, newest = present - ANCIENT_S, present + FUTURE_S
    rows: Iterable[tuple[int, Row]] = (
        enumerate(envelope.observations) if isinstance(envelope, Whole) else _readable(envelope, rejections)
    )
    for index, row in rows:
        at = row.at.timestamp()
        if not oldest <= at <= newest:
            rejections.append(Rejection(index, _untimely(present - at)))
        elif isinstance(row, Call):
            calls.append(row)
            indexes.append(index)
            times.append(at)
        elif isinstance(row, Feedback):
            feedback.append(row)
        elif isinstance(row, Sample):
            samples.append((index, row))
        else:
            exposures.append(row)
    head = (envelope.batch, envelope.instance, envelope.project, envelope.n_dropped)
    return Batch(*head, calls, indexes, times, feedback, exposures, samples, sorted(rejections))


def _read(body: bytes) -> Envelope | Whole:
    """Read all rows at once where all are right, which is twice as fast; else leave them unread."""
    if b"\\" not in body or _NUL not in body:  # to look for one character takes a tenth of the time
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):  # a bad row costs only itself: see below
            whole = _read_whole(body)
            if all(map(_is_digest, {row.version for row in whole.observations if isinstance(row, Call)})):
                return whole
    try:
        envelope = _read_envelope(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(
            f"This is not a batch of observations: {error}.",
            remedy="Send the JSON that assent_client.observe writes; numbers are finite.",
        ) from error
    if "\0" in f"{envelope.batch}{envelope.instance}{envelope.project}":
        raise Invalid("The batch's names hold a NUL character.", remedy="Leave it out.")
    return envelope


def _readable(envelope: Envelope, rejections: list[Rejection]) -> Iterator[tuple[int, Row]]:
    """Give the rows that can be read; add the others to the rejections."""
    for index, row in enumerate(envelope.observations):
        try:
            read = _read_row(row)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            rejections.append(Rejection(index, str(error)))
            continue
        if any("\0" in text for text in _texts(read)):
            rejections.append(Rejection(index, "a text holds a NUL character"))
        else:
            yield index, read


def _texts(row: Row) -> Iterator[str]:
    for value in msgspec.structs.astuple(row):
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from value


def _untimely(age_s: float) -> str:
    if age_s < 0:
        return f"`at` lies {-age_s:.0f} s in the future; set the clock of the sender"
    return f"`at` lies {age_s / 86_400:.1f} days back; at most {ANCIENT_S / 86_400:.0f} are taken"
