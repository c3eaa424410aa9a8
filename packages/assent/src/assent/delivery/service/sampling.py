"""Samplings: which units' answers a judge grades on live calls. Off unless somebody sets it."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace

from assent.delivery.domain.events import SamplingSet
from assent.delivery.domain.sampling import Wanted
from assent.delivery.service.routes import Place, get_route
from assent.delivery.service.sampled import Sampling, list_samplings
from assent.delivery.service.watch import announce
from assent.evaluation import service as evaluation
from assent.kernel.errors import Conflict, NotFound
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
    route = get_route(tx, place)
    if route.kind != "model":
        raise Conflict(
            f"{place.name} is a {route.kind}: its calls do not pass here.", remedy="Sample a model."
        )
    evaluation.grading.judge_of(tx, place.project, wanted.judge, place.name)
    present = find_sampling(tx, place)
    if present is not None and present.wanted == wanted:
        return present
    # The salt stays with a new share: who was sampled at a smaller one still is.
    salt = secrets.token_hex(16) if present is None else present.salt
    public = box_key(secret, SEALED_FOR).public_key().public_bytes_raw()
    return _record(tx, place, wanted, (salt, base64.b64encode(public).decode()), reason)


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
