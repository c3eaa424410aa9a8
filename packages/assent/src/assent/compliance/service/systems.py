"""Systems: who answers for them, how risky they are, how long their records are kept, what people state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assent.compliance import store
from assent.compliance.domain import (
    ROLES,
    ControlAttested,
    RetentionSet,
    RoleAssigned,
    SystemClassified,
    tier_of,
)
from assent.compliance.domain.version_checks import TIERS
from assent.compliance.service import shelf
from assent.compliance.service.gathering import find_subject
from assent.compliance.store import Classification, Retention, Role
from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.reasons import needed_reason
from assent.kernel.tx import Reader, Tx
from assent.registry import service as registry

MAX_DAYS = 36_525
MAX_STATEMENT_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A line of the inventory. `below`: the version states a lower tier than the questionnaire."""

    project: str
    name: str
    n_versions: int
    version: str
    why: str
    live: Sequence[str]
    roles: Mapping[str, str]
    tier: str
    classified: str | None
    classified_at: datetime | None
    below: bool


def roles_of(reader: Reader, project: str, name: str) -> dict[str, Role]:
    """Give who answers for what of a system."""
    return store.roles_of(reader, project, name)


def classification_of(reader: Reader, project: str, name: str) -> Classification | None:
    """Find the newest classification of a system."""
    return store.classification(reader, project, name)


def retention_of(reader: Reader, project: str) -> Retention | None:
    """Find how long a project keeps logs and records."""
    identity.get_project(reader, project)
    return store.retention(reader, project)


def assign(tx: Tx, place: tuple[str, str], role: str, person: str, reason: str | None) -> Role:
    """Let a person answer for something of a system (project, name). Raises: Invalid, NotFound."""
    project, name = place
    registry.list_versions(tx, project, name)
    if role not in ROLES:
        raise Invalid(f"There is no role {role!r} of a system.", remedy=f"There are {', '.join(ROLES)}.")
    account = identity.get_account(tx, person)
    if account.kind != "person":
        raise Invalid(f"{account.name} is a service account.", remedy="Only people answer for systems.")
    kept = needed_reason(tx, reason, "Assigning a role")
    tx.record(RoleAssigned(project=project, name=name, role=role, person=account.id), reason=kept)
    return store.roles_of(tx, project, name)[role]


def classify(
    tx: Tx, place: tuple[str, str], answers: Mapping[str, Any], reason: str | None
) -> Classification:
    """Answer the risk questionnaire about a system (project, name). Raises: Invalid, NotFound."""
    project, name = place
    registry.list_versions(tx, project, name)
    asked = shelf.questionnaire()
    tier = tier_of(asked, answers)
    kept = needed_reason(tx, reason, "Classifying a system")
    tx.record(
        SystemClassified(
            classification=new_id("cls"),
            project=project,
            name=name,
            questionnaire=asked.id,
            questionnaire_digest=shelf.questionnaire_digest(),
            answers={one.id: str(answers[one.id]) for one in asked.questions},
            tier=tier,
        ),
        reason=kept,
    )
    found = store.classification(tx, project, name)
    if found is None:
        raise NotFound(f"{name} was not classified.")
    return found


def retain(tx: Tx, project: str, days: tuple[int, int], reason: str | None) -> Retention:
    """Set how long a project keeps (logs, records), in days. Raises: Invalid, NotFound."""
    identity.get_project(tx, project)
    logs_days, records_days = days
    if not all(1 <= one <= MAX_DAYS for one in days):
        raise Invalid(
            f"A retention is 1 to {MAX_DAYS:,} days.", remedy="AI Act: 183 for logs, 3653 for records."
        )
    kept = needed_reason(tx, reason, "Setting the retention")
    tx.record(RetentionSet(project=project, logs_days=logs_days, records_days=records_days), reason=kept)
    found = store.retention(tx, project)
    if found is None:
        raise NotFound(f"{project} has no retention.")
    return found


def attest(tx: Tx, place: tuple[str, str], control: tuple[str, str, int], reason: str | None) -> datetime:
    """State that an organisational control (catalogue, row, days) is in place; gives when that ends.

    Raises: Invalid, NotFound.
    """
    project, name = place
    catalogue, row, days = control
    registry.list_versions(tx, project, name)
    found = next((one for one in shelf.find_catalogue(catalogue).rows if one.id == row), None)
    if found is None:
        raise NotFound(f"{catalogue} has no row {row!r}.", remedy=f"assent compliance catalogue {catalogue}")
    if not found.organisational:
        raise Invalid(
            f"{catalogue} {row} is shown by records, not by statements.",
            remedy=f"assent compliance coverage {name} --catalogue {catalogue}",
        )
    if not 1 <= days <= MAX_STATEMENT_DAYS:
        raise Invalid(f"A statement holds 1 to {MAX_STATEMENT_DAYS} days.", remedy="Look again after a year.")
    kept = needed_reason(tx, reason, "A statement")
    until = tx.now() + timedelta(days=days)
    stated = ControlAttested(project=project, name=name, catalogue=catalogue, row=row, expires_at=until)
    tx.record(stated, reason=kept)
    return until


def inventory(reader: Reader, project: str) -> list[System]:
    """List every system of a project."""
    identity.get_project(reader, project)
    return [_system(reader, project, name) for name in registry.list_models(reader, project)]


def _system(reader: Reader, project: str, name: str) -> System:
    subject = find_subject(reader, project, name)
    classified = store.classification(reader, project, name)
    live = [
        f"{one.environment}: {delivery.ref_of(reader, project, one.route.stable).rpartition('@')[2]}"
        for one in delivery.list_live(reader, project)
        if one.route.key == name and one.route.enabled
    ]
    held = store.roles_of(reader, project, name)
    tier = subject.version.tier
    return System(
        project=project,
        name=name,
        n_versions=len(registry.list_versions(reader, project, name)),
        version=subject.version.number,
        why=subject.why,
        live=live,
        roles={role: identity.get_account(reader, held[role].person).name for role in ROLES if role in held},
        tier=tier,
        classified=classified.tier if classified else None,
        classified_at=classified.classified_at if classified else None,
        below=classified is not None and TIERS.index(tier) < TIERS.index(classified.tier),
    )
