"""File a release: a rollout with its plan, and the request that asks for its approval."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assent.approvals import service as approvals
from assent.delivery.domain import (
    OPEN,
    Plan,
    Rollout,
    Winner,
    detectability,
    exact,
    parse_plan,
    plan_document,
)
from assent.delivery.domain.events import RolloutPlanned
from assent.delivery.domain.sampling import Wanted
from assent.delivery.service import effects, rollouts
from assent.delivery.service.sampled import judged_by
from assent.delivery.service.subjects import Subject, expect_no_flag, find_subject
from assent.identity import service as identity
from assent.kernel.canonical import canonical
from assent.kernel.errors import Conflict, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.reasons import keep_reason
from assent.kernel.tx import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is to go out, where and by which plan; `subject` is a digest or name@version."""

    project: str
    environment: str
    subject: str
    plan: Mapping[str, Any]
    reason: str | None = None


def request_release(tx: Tx, release: Release) -> Rollout:
    """File the rollout and the request for its approval; the plan's digest is part of what is voted on.

    Raises: Invalid (the plan, with every fault), NotFound, Conflict (the same version is on its way already),
    Refused (its end is announced).
    """
    plan = parse_plan(release.plan)
    identity.get_environment(tx, release.project, release.environment)
    subject = find_subject(tx, release.project, release.subject)
    _expect_staying(subject)
    _expect_calls(subject, plan)
    lock_name(tx, "route", release.project, f"{release.environment}/{subject.name}")
    expect_no_flag(tx, release.project, release.environment, subject.name)
    _expect_none_open(tx, release, subject)
    kept = keep_reason(tx, release.reason)
    document = plan_document(plan)
    plan_digest = tx.blobs.put(canonical(document))
    judged = judged_by(tx, (release.project, release.environment, subject.name), plan)
    effects.claim_plan(tx, release.project, subject.digest, _plan_value(release, (plan, plan_digest), judged))
    request = approvals.submit(
        tx,
        approvals.NewRequest(
            project=release.project,
            environment=release.environment,
            subject=subject.digest,
            plan=plan_digest,
        ),
    )
    planned = RolloutPlanned(
        project=release.project,
        environment=release.environment,
        rollout=new_id("ro"),
        name=subject.name,
        kind=subject.kind,
        subject=subject.digest,
        ref=subject.ref,
        request=request.id,
        plan=document,
        plan_digest=plan_digest,
        salt=secrets.token_hex(16),
    )
    recorded = tx.record(planned, reason=kept)
    rollout = rollouts.get(tx, planned.rollout)
    effects.moved(tx, rollout, recorded)
    return rollout


def release_winner(tx: Tx, concluded: Rollout, plan: Mapping[str, Any], reason: str | None) -> Rollout:
    """File the release of the version that won an A/B test: a request of its own, to be approved anew.

    Raises: Conflict (nothing new won), Invalid, NotFound, Refused.
    """
    if rollouts.get_row(tx, concluded.id)["winner"] != Winner.CANARY:
        raise Conflict(
            f"{concluded.ref} did not win its A/B test, so nothing is to be released.",
            remedy="Leave the plan out.",
        )
    release = Release(
        project=concluded.project,
        environment=concluded.environment,
        subject=concluded.subject,
        plan=plan,
        reason=reason,
    )
    return request_release(tx, release)


def _expect_staying(subject: Subject) -> None:
    """Refuse to take up what is on its way out. Raises: Refused, with the successor as the remedy."""
    end = subject.deprecation
    if end is None:
        return
    following = end["successor"]
    state = "retired" if end.get("is_retired") else "deprecated"
    reason = Reason(
        id=f"version.{state}",
        message=f"{subject.ref} is {state}, so it is not released again.",
        remedy=f"Release {following}." if following else "Release a version that stays.",
        have=state,
    )
    raise Refused(reason.message, reasons=[reason], remedy=reason.remedy)


def _expect_calls(subject: Subject, plan: Plan) -> None:
    """Refuse to mirror the calls of what is not called. Raises: Refused."""
    if subject.kind != "model" and plan.steps[0].shadow:
        text = f"{subject.ref} is a {subject.kind}: calls are mirrored to models."
        remedy = "Leave `shadow` out, or release a model that has the prompt."
        raise Refused(text, reasons=[Reason("shadow", text, remedy)], remedy=remedy)


def _expect_none_open(tx: Tx, release: Release, subject: Subject) -> None:
    where = {"environment": release.environment, "subject": subject.digest, "state": sorted(OPEN)}
    found, _ = rollouts.list_(tx, release.project, where, limit=1)
    if found:
        raise Conflict(
            f"{subject.ref} is on its way to {release.environment}: {found[0].id} is {found[0].state}.",
            remedy="Use that rollout, or abort it first.",
        )


def _plan_value(release: Release, planned: tuple[Plan, str], judged: Wanted | None) -> dict[str, Any]:
    """Say of the plan (with its digest) what a policy asks: fractions are decimal strings."""
    plan, plan_digest = planned
    found = detectability(plan, judged)
    value: dict[str, Any] = exact(
        {
            "environment": release.environment,
            "plan": plan_digest,
            "strategy": plan.strategy.value,
            "first_share": plan.entry_share,
            "n_steps": len(plan.steps),
            "steps": [step.share for step in plan.steps],
            "detectable": found.ok and (judged is not None or not plan.is_judged),
            "units_needed": found.units_needed,
            "accepts_undetectable": plan.accept_undetectable is not None,
            **({"shadow": plan.steps[0].shadow} if plan.steps[0].shadow else {}),
        }
    )
    return value
