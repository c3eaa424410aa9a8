"""Who may do what: permissions, roles, and what happens to people, groups, projects and credentials."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from assent.identity.domain.credentials import KeyIssued as KeyIssued
from assent.identity.domain.credentials import KeyRevoked as KeyRevoked
from assent.identity.domain.credentials import LinkIssued as LinkIssued
from assent.identity.domain.credentials import SignedIn as SignedIn
from assent.kernel.errors import Invalid
from assent.kernel.events import Event

EVERYWHERE = "*"


class Permission(StrEnum):
    """All permissions, `slice.noun.verb`."""

    SELF_READ = "identity.self.read"
    SELF_CHANGE = "identity.self.change"
    PROJECT_CREATE = "identity.project.create"
    PROJECT_READ = "identity.project.read"
    ENVIRONMENT_CREATE = "identity.environment.create"
    PERSON_ADD = "identity.person.add"
    PERSON_READ = "identity.person.read"
    LINK_ISSUE = "identity.link.issue"
    CREDENTIAL_RESET = "identity.credential.reset"
    LOGIN_LINK = "identity.login.link"
    SERVICE_ADD = "identity.service.add"
    ROLE_BIND = "identity.role.bind"
    GROUP_CHANGE = "identity.group.change"
    MEMBER_CONFIRM = "identity.member.confirm"
    TOKEN_ISSUE = "identity.token.issue"  # noqa: S105 -- a permission, not a token
    TOKEN_REVOKE = "identity.token.revoke"  # noqa: S105 -- a permission, not a token
    KEY_ISSUE = "identity.key.issue"
    KEY_READ = "identity.key.read"
    KEY_REVOKE = "identity.key.revoke"
    LEDGER_READ = "ledger.entry.read"
    SUBSCRIPTION_READ = "notifications.subscription.read"
    SUBSCRIPTION_CHANGE = "notifications.subscription.change"
    DELIVERY_REPEAT = "notifications.delivery.repeat"
    PROVIDER_READ = "providers.provider.read"
    PROVIDER_CHANGE = "providers.provider.change"
    PROMPT_READ = "prompts.version.read"
    PROMPT_REGISTER = "prompts.version.register"
    PROMPT_DEPRECATE = "prompts.version.deprecate"
    MODEL_READ = "registry.version.read"
    MODEL_REGISTER = "registry.version.register"
    MODEL_DEPRECATE = "registry.version.deprecate"
    MODEL_DELETE = "registry.version.delete"
    LABEL_READ = "registry.label.read"
    LABEL_MOVE = "registry.label.move"
    EVALUATION_READ = "evaluation.run.read"
    DATASET_REGISTER = "evaluation.dataset.register"
    SUITE_REGISTER = "evaluation.suite.register"
    SUITE_BIND = "evaluation.suite.bind"
    RUN_SUBMIT = "evaluation.run.submit"
    JUDGE_CALIBRATE = "evaluation.judge.calibrate"
    LABELLING_OPEN = "evaluation.labelling.open"
    LABELLING_EXPORT = "evaluation.labelling.export"
    ANSWER_LABEL = "evaluation.answer.label"
    RESULT_IMPORT = "evaluation.result.import"
    POLICY_READ = "approvals.policy.read"
    POLICY_REGISTER = "approvals.policy.register"
    POLICY_CONFIRM = "approvals.policy.confirm"
    FLAG_READ = "flags.flag.read"
    FLAG_CHANGE = "flags.flag.change"
    FLAG_SWITCH_OFF = "flags.flag.switch_off"
    FLAG_CONFIRM = "flags.flag.confirm"
    FLAG_EVALUATE = "flags.flag.evaluate"
    REQUEST_READ = "approvals.request.read"
    REQUEST_SUBMIT = "approvals.request.submit"
    REQUEST_VOTE = "approvals.request.vote"
    REQUEST_COMMENT = "approvals.request.comment"
    BREAK_GLASS_OPEN = "approvals.break_glass.open"
    BREAK_GLASS_SECOND = "approvals.break_glass.second"
    BREAK_GLASS_REVIEW = "approvals.break_glass.review"
    ROLLOUT_READ = "delivery.rollout.read"
    ROLLOUT_START = "delivery.rollout.start"
    ROLLOUT_PAUSE = "delivery.rollout.pause"
    ROLLOUT_PROMOTE = "delivery.rollout.promote"
    ROLLOUT_ABORT = "delivery.rollout.abort"
    ROLLOUT_ROLL_BACK = "delivery.rollout.roll_back"
    VERSION_ADOPT = "delivery.version.adopt"
    ROUTE_KILL = "delivery.route.kill"
    ROUTE_RESTORE = "delivery.route.restore"
    SAMPLING_CHANGE = "delivery.sampling.change"
    SNAPSHOT_READ = "delivery.snapshot.read"
    SNAPSHOT_ACKNOWLEDGE = "delivery.snapshot.acknowledge"
    OBSERVATION_RECORD = "monitoring.observation.record"
    OBSERVATION_EXPORT = "monitoring.observation.export"
    SAMPLE_OPEN = "monitoring.sample.open"
    MONITORING_READ = "monitoring.window.read"
    ALERT_CHANGE = "monitoring.alert.change"
    ALERT_SILENCE = "monitoring.alert.silence"
    INCIDENT_OPEN = "monitoring.incident.open"
    INCIDENT_RESOLVE = "monitoring.incident.resolve"
    CARD_READ = "cards.card.read"
    CARD_WRITE = "cards.card.write"
    CARD_REVIEW = "cards.card.review"
    RETIREMENT_WAIVE = "retirement.version.waive"
    COVERAGE_READ = "compliance.coverage.read"
    ROLE_ASSIGN = "compliance.role.assign"
    SYSTEM_CLASSIFY = "compliance.system.classify"
    RETENTION_SET = "compliance.retention.set"
    CONTROL_ATTEST = "compliance.control.attest"
    PACK_CREATE = "compliance.pack.create"


_READING = frozenset(
    p for p in Permission if p.endswith(".read") and p not in {Permission.SNAPSHOT_READ, Permission.KEY_READ}
)
_READING |= {Permission.SELF_CHANGE}  # whoever may look around keeps their own password and authenticator
_NEVER_BY_ADMIN = frozenset(
    {
        Permission.REQUEST_VOTE,
        Permission.CARD_REVIEW,
        Permission.BREAK_GLASS_OPEN,
        Permission.BREAK_GLASS_SECOND,
        Permission.BREAK_GLASS_REVIEW,
    }
)
"""An administrator may not approve by being one."""

_ABOUT_ONESELF = frozenset(
    {Permission.SELF_READ, Permission.SELF_CHANGE, Permission.TOKEN_ISSUE, Permission.TOKEN_REVOKE}
)
"""Held in one project is held: whoever works in one project signs in and makes tokens like anybody."""

ROLES: Mapping[str, frozenset[Permission]] = {
    "admin": frozenset(Permission) - _NEVER_BY_ADMIN,
    "engineer": _READING
    | {
        Permission.PROMPT_REGISTER,
        Permission.PROMPT_DEPRECATE,
        Permission.MODEL_REGISTER,
        Permission.MODEL_DEPRECATE,
        Permission.MODEL_DELETE,
        Permission.LABEL_MOVE,
        Permission.DATASET_REGISTER,
        Permission.SUITE_REGISTER,
        Permission.SUITE_BIND,
        Permission.RUN_SUBMIT,
        Permission.JUDGE_CALIBRATE,
        Permission.LABELLING_OPEN,
        Permission.LABELLING_EXPORT,
        Permission.ANSWER_LABEL,
        Permission.RESULT_IMPORT,
        Permission.FLAG_CHANGE,
        Permission.FLAG_SWITCH_OFF,
        Permission.FLAG_EVALUATE,
        Permission.REQUEST_SUBMIT,
        Permission.REQUEST_COMMENT,
        Permission.ALERT_CHANGE,
        Permission.INCIDENT_OPEN,
        Permission.CARD_WRITE,
        Permission.PACK_CREATE,
        Permission.SNAPSHOT_READ,
        Permission.TOKEN_ISSUE,
        Permission.TOKEN_REVOKE,
    },
    "reviewer": _READING
    | {
        Permission.RETIREMENT_WAIVE,
        Permission.ANSWER_LABEL,
        Permission.REQUEST_VOTE,
        Permission.REQUEST_COMMENT,
        Permission.POLICY_CONFIRM,
        Permission.MEMBER_CONFIRM,
        Permission.FLAG_CONFIRM,
        Permission.BREAK_GLASS_SECOND,
        Permission.BREAK_GLASS_REVIEW,
        Permission.CARD_REVIEW,
        Permission.SYSTEM_CLASSIFY,
        Permission.CONTROL_ATTEST,
        Permission.PACK_CREATE,
        Permission.TOKEN_ISSUE,
        Permission.TOKEN_REVOKE,
    },
    "operator": _READING
    | {
        Permission.RETIREMENT_WAIVE,
        Permission.ROLLOUT_START,
        Permission.ROLLOUT_PAUSE,
        Permission.ROLLOUT_PROMOTE,
        Permission.ROLLOUT_ABORT,
        Permission.ROLLOUT_ROLL_BACK,
        Permission.ROUTE_KILL,
        Permission.ROUTE_RESTORE,
        Permission.FLAG_CHANGE,
        Permission.FLAG_SWITCH_OFF,
        Permission.FLAG_CONFIRM,
        Permission.FLAG_EVALUATE,
        Permission.VERSION_ADOPT,
        Permission.REQUEST_COMMENT,
        Permission.BREAK_GLASS_OPEN,
        Permission.BREAK_GLASS_SECOND,
        Permission.ALERT_CHANGE,
        Permission.INCIDENT_OPEN,
        Permission.ALERT_SILENCE,
        Permission.INCIDENT_RESOLVE,
        Permission.OBSERVATION_EXPORT,
        Permission.SAMPLING_CHANGE,
        Permission.SUBSCRIPTION_CHANGE,
        Permission.DELIVERY_REPEAT,
        Permission.SNAPSHOT_READ,
        Permission.KEY_READ,
        Permission.TOKEN_ISSUE,
        Permission.TOKEN_REVOKE,
    },
    "auditor": _READING
    | {
        Permission.OBSERVATION_EXPORT,
        Permission.PACK_CREATE,
        Permission.TOKEN_ISSUE,
        Permission.TOKEN_REVOKE,
    },
    "gateway": frozenset(
        {
            Permission.SELF_READ,
            Permission.SNAPSHOT_READ,
            Permission.SNAPSHOT_ACKNOWLEDGE,
            Permission.OBSERVATION_RECORD,
            Permission.FLAG_EVALUATE,
        }
    ),
    "application": frozenset(
        {
            Permission.SELF_READ,
            Permission.SNAPSHOT_READ,
            Permission.OBSERVATION_RECORD,
            Permission.FLAG_EVALUATE,
        }
    ),
}


@dataclass(frozen=True, slots=True)
class Binding:
    """A role held everywhere (`*`) or in one project."""

    role: str
    project: str


def permissions_of(bindings: Iterable[Binding], project: str | None) -> frozenset[Permission]:
    """Give what the bindings allow in a project, or, for None, everywhere."""
    allowed: frozenset[Permission] = frozenset()
    for binding in bindings:
        if binding.project in {EVERYWHERE, project}:
            allowed |= ROLES[binding.role]
        elif project is None:
            allowed |= ROLES[binding.role] & _ABOUT_ONESELF
    return allowed


def checked_role(role: str) -> str:
    """Check that the role exists. Raises: Invalid."""
    if role not in ROLES:
        raise Invalid(f"There is no role {role!r}.", remedy=f"The roles are {', '.join(sorted(ROLES))}.")
    return role


def checked_scopes(scopes: Iterable[str] | None, held: frozenset[Permission]) -> tuple[str, ...] | None:
    """Check that a token's scopes exist and are held. None means: whatever its owner may. Raises: Invalid."""
    if scopes is None:
        return None
    wanted = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in set(Permission)]
    if unknown:
        raise Invalid(
            f"Unknown permissions: {', '.join(unknown)}.", remedy="`assent token permissions` lists them."
        )
    beyond = [scope for scope in wanted if scope not in held]
    if beyond:
        raise Invalid(
            f"You do not hold {', '.join(beyond)} yourself.", remedy="A token can do no more than its owner."
        )
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAdded(Event):
    """A person joined; the leaf holds a commitment, the name stands in an erasable row."""

    TYPE: ClassVar[str] = "identity.person.added"
    person: str
    profile: str
    """Digest of {salt, name, display_name}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAdded(Event):
    """A service account was made."""

    TYPE: ClassVar[str] = "identity.service.added"
    service: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBound(Event):
    """An account got a role in a project, or everywhere."""

    TYPE: ClassVar[str] = "identity.role.bound"
    account: str
    role: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUnbound(Event):
    """An account lost a role."""

    TYPE: ClassVar[str] = "identity.role.unbound"
    account: str
    role: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCreated(Event):
    """A project was made."""

    TYPE: ClassVar[str] = "identity.project.created"
    project: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCreated(Event):
    """A project got an environment; a protected one is reached through a policy only."""

    TYPE: ClassVar[str] = "identity.environment.created"
    project: str
    name: str
    protected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCreated(Event):
    """A project got a group."""

    TYPE: ClassVar[str] = "identity.group.created"
    project: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAdded(Event):
    """A person joined a group; it counts for requests filed from then on."""

    TYPE: ClassVar[str] = "identity.member.added"
    project: str
    group: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRemoved(Event):
    """A person left a group."""

    TYPE: ClassVar[str] = "identity.member.removed"
    project: str
    group: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssued(Event):
    """A token was issued; its hash stands outside the ledger."""

    TYPE: ClassVar[str] = "identity.token.issued"
    token: str
    account: str
    name: str
    scopes: tuple[str, ...] | None
    auth_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked(Event):
    """A token was revoked."""

    TYPE: ClassVar[str] = "identity.token.revoked"
    token: str
