"""Samplings: which units' answers a judge grades on live calls. Off unless somebody sets it."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, replace

from assent.delivery import store
from assent.delivery.domain import Route, read_route
from assent.delivery.domain.events import SamplingSet
from assent.delivery.domain.sampling import Wanted
from assent.delivery.service.routes import Place, get_route
from assent.delivery.service.sampled import Sampling, list_samplings
from assent.delivery.service.watch import announce
from assent.evaluation import service as evaluation
from assent.identity import service as identity
from assent.kernel.errors import Conflict, NotFound, Reason, Refused
from assent.kernel.reasons import needed_reason
from assent.kernel.sealing import box_key
from assent.kernel.tx import Reader, Tx

SEALED_FOR = "samples"
"""The purpose of the key that samples are sealed to."""


def set_sampling(tx: Tx, place: Place, wanted: Wanted, secret: bytes, reason: str | None) -> Sampling:
    """Have a judge grade a share of a name's units; the same again records nothing.

    `secret` is the installation's: what is sampled is sealed to a key that is derived from it.
    Raises: NotFound (route, judge's provider), Conflict (no model), Refused (the judge may not decide),
    Invalid (it cannot grade live calls; no reason).
    """
    _need_model(get_route(tx, place))
    evaluation.grading.judge_of(tx, place.project, wanted.judge, place.name)
    present = find_sampling(tx, place)
    if present is not None and present.wanted == wanted:
        return present
    # The salt stays with a new share: who was sampled at a smaller one still is.
    salt = secrets.token_hex(16) if present is None else present.salt
    public = box_key(secret, SEALED_FOR).public_key().public_bytes_raw()
    return _record(tx, place, wanted, (salt, base64.b64encode(public).decode()), reason)


def _need_model(route: Route) -> None:
    if route.kind != "model":
        raise Conflict(
            f"{route.key} is a {route.kind}: its calls do not pass here.", remedy="Sample a model."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What setting a sampling would change (of a new one: nothing), and what has to come first."""

    is_new: bool
    differs: list[str]
    waits: list[Reason]


def compare_sampling(reader: Reader, place: Place, wanted: Wanted) -> Comparison:
    """Say what setting a sampling would change; it waits for a release, and for its judge's passport.

    Raises: NotFound (environment, judge's provider), Conflict (no model), Invalid (the judge cannot grade
    live calls).
    """
    identity.get_environment(reader, place.project, place.environment)
    present = find_sampling(reader, place)
    differs = wanted.differences(present.wanted if present else None)
    is_same = present is not None and not differs
    waits = [] if is_same else [*_first_release(reader, place), *_passport(reader, place, wanted.judge)]
    return Comparison(is_new=present is None, differs=differs, waits=waits)


def _first_release(reader: Reader, place: Place) -> list[Reason]:
    row = store.find_route(reader.conn, place.project, place.environment, place.name)
    if row is None:
        message = f"Nothing was released as {place.name} to {place.environment} yet."
        return [Reason("route", message, f"Release a version of {place.name} first.")]
    _need_model(read_route(row.document))
    return []


def _passport(reader: Reader, place: Place, judge: str) -> list[Reason]:
    try:
        evaluation.grading.judge_of(reader, place.project, judge, place.name)
    except Refused as error:
        return list(error.reasons)
    return []


def stop_sampling(tx: Tx, place: Place, reason: str | None) -> Sampling:
    """Sample a name no more; what was kept is erased in its time. Raises: NotFound, Conflict, Invalid."""
    present = get_sampling(tx, place)
    if not present.wanted.enabled:
        raise Conflict(f"{place.name} is not sampled in {place.environment}.")
    wanted = replace(present.wanted, enabled=False)
    return _record(tx, place, wanted, (present.salt, present.key), reason)


def _record(tx: Tx, place: Place, wanted: Wanted, seal: tuple[str, str], reason: str | None) -> Sampling:
    kept = needed_reason(tx, reason, "A change of what is sampled")
    salt, key = seal
    tx.record(
        SamplingSet(
            project=place.project,
            environment=place.environment,
            name=place.name,
            judge=wanted.judge,
            share=f"{wanted.share.normalize():f}",
            per_day=wanted.per_day,
            keep_days=wanted.keep_days,
            enabled=wanted.enabled,
            salt=salt,
            key=key,
        ),
        reason=kept,
    )
    announce(tx.conn)
    return get_sampling(tx, place)


def get_sampling(reader: Reader, place: Place) -> Sampling:
    """Get a sampling. Raises: NotFound."""
    found = find_sampling(reader, place)
    if found is None:
        raise NotFound(
            f"{place.name} is not sampled in {place.environment}.",
            remedy=f"assent quality set {place.name} --environment {place.environment} --judge NAME",
        )
    return found


def find_sampling(reader: Reader, place: Place) -> Sampling | None:
    """Find a sampling, whether it is enabled or not."""
    found = list_samplings(reader, place.project, place.environment, place.name)
    return found[0] if found else None
