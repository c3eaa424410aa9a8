"""Register policies, bind them to environments, and find the one in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from assent.approvals import store
from assent.approvals.domain.events import PolicyBound, PolicyProposed, PolicyRegistered
from assent.approvals.domain.factors import Shortage
from assent.approvals.domain.policy import DEFAULT, NONE, RESERVED_PREFIX, SHIPPED, Policy
from assent.approvals.domain.requests import STEP_UP_S, groups_named, sign_in_reasons
from assent.approvals.policy_schema import policy_of, read_document
from assent.approvals.store import Binding, PolicyVersion, Proposal, policies
from assent.evaluation.domain.numbers import next_number, split_ref
from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.canonical import canonical, digest, is_digest
from assent.kernel.errors import Conflict, Invalid, NotFound, Reason, Refused, Stale
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.tx import Reader, Tx
from assent.prompts.domain.numbers import parse_number
from assent.web.api import checked_name


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPolicy:
    """A policy to register: `content` is its title and conditions; without a number it gets the next."""

    project: str
    name: str
    content: Mapping[str, Any]
    number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The policy that an environment asks for now. `bound`: somebody chose it; else it is shipped."""

    policy: Policy
    document: Mapping[str, Any]
    digest: str
    ref: str
    bound: bool


def register_policy(tx: Tx, new: NewPolicy) -> tuple[PolicyVersion, bool]:
    """Register a policy; the same content under the same name gives the version that exists.

    Gives the version and whether it is new. Raises: Invalid with every mistake, NotFound, Conflict.
    """
    document = _read(tx, new)
    lock_name(tx, "policy", new.project, new.name)
    twin = _twin(tx, new, digest(document))
    return (twin, False) if twin else (_register(tx, document, _free_number(tx, new)), True)


def preview_policy(reader: Reader, new: NewPolicy) -> dict[str, Any]:
    """Say what registering would do; the same errors."""
    document = _read(reader, new)
    found = digest(document)
    twin = _twin(reader, new, found)
    if twin is None:
        _free_number(reader, new)
    ref = None if twin is None else twin.ref
    return {"name": new.name, "digest": found, "ref": ref, "created": False, "exists": twin is not None}


def bind_policy(tx: Tx, project: str, environment: str, which: str) -> bool:
    """Have an environment ask for a policy from now on; doing it again changes nothing.

    `which` is name@version, name (the highest) or a digest. Requests that are under way keep the policy
    that they were filed under. A protected environment that is in use takes a second person: False where
    the change is proposed and waits for one. Raises: NotFound, Invalid.
    """
    protected = identity.get_environment(tx, project, environment).protected
    version = get_policy(tx, project, which)
    bound = store.find_binding(tx.conn, project, environment)
    if bound is not None and bound.policy == version.digest:
        return True
    change = {"project": project, "environment": environment}
    change |= {"policy": version.digest, "policy_ref": version.ref}
    if not (protected and (bound is not None or _in_use(tx, project, environment))):
        tx.record(PolicyBound(**change))
        return True
    held = store.find_proposal(tx.conn, project, environment, lock=True)
    if held is None or (held.policy, held.proposed_by) != (version.digest, tx.actor.id):
        tx.record(PolicyProposed(**change))
    return False


def warnings(reader: Reader, project: str, policy: Policy) -> list[Reason]:
    """Say which groups have fewer people than a policy asks for votes of: requests could not pass it."""
    groups = identity.list_groups(reader, project)
    return [_warning(short) for one in policy.approvals for short in one.shortages(groups)]


def _warning(short: Shortage) -> Reason:
    votes = "1 vote is" if short.asked == 1 else f"{short.asked} votes are"
    people = f"{short.n} {'person is' if short.n == 1 else 'people are'} in it"
    also = ", who are asked for as members of other groups too" if short.n >= short.asked else ""
    return Reason(
        f"group_{short.group}",
        f"{short.group}: {votes} asked for (tier {', '.join(short.tiers)}), {people}{also}.",
        f"assent group add {short.group} PERSON, or ask for fewer; contributors and who asks never count.",
        have=short.n,
        need=short.asked,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """That a second person wants it too; `policy`: the one they saw, as `which` of `bind_policy`."""

    project: str
    environment: str
    policy: str
    step_up_s: int = STEP_UP_S


def confirm_policy(tx: Tx, wanted: Confirmation) -> Binding:
    """Bind what somebody else proposed. Raises: NotFound, Stale (something else is proposed), Refused."""
    held = store.find_proposal(tx.conn, wanted.project, wanted.environment, lock=True)
    if held is None:
        raise NotFound(
            f"No policy is proposed for {wanted.environment}.",
            remedy=f"assent policy bind NAME@VERSION --env {wanted.environment}",
        )
    version = get_policy(tx, wanted.project, wanted.policy)
    if version.digest != held.policy:
        raise Stale(f"{held.policy_ref} is proposed, not {version.ref}.", remedy="Look at it, then confirm.")
    reasons = _confirming_reasons(tx, held.proposed_by)
    reasons += sign_in_reasons("the confirmation of a policy", tx.actor.auth_at, tx.now(), wanted.step_up_s)
    if reasons:
        raise Refused("The policy is not bound.", reasons=reasons)
    tx.record(
        PolicyBound(
            project=held.project,
            environment=held.environment,
            policy=held.policy,
            policy_ref=held.policy_ref,
        )
    )
    return get_binding(tx, held.project, held.environment)


def find_proposal(reader: Reader, project: str, environment: str) -> Proposal | None:
    """Find what is proposed for an environment."""
    return store.find_proposal(reader.conn, project, environment)


def _confirming_reasons(tx: Tx, proposed_by: str) -> list[Reason]:
    if tx.actor.kind != "person":
        return [Reason("service_account", "Service accounts do not confirm a policy.", "Ask a person.")]
    if tx.actor.id == proposed_by:
        return [
            Reason("same_person", "You proposed it yourself.", "Ask a colleague.", "the proposer", "another")
        ]
    return []


def _in_use(reader: Reader, project: str, environment: str) -> bool:
    """Tell whether anything was asked for in an environment, or is live there."""
    c = store.requests.c
    asked = store.select_requests(reader.conn, c.project == project, c.environment == environment, limit=1)
    return bool(asked) or evidence.is_anything_live(reader, project, environment)


def find_binding(reader: Reader, project: str, environment: str) -> Binding | None:
    """Find what is bound to an environment."""
    return store.find_binding(reader.conn, project, environment)


def get_binding(reader: Reader, project: str, environment: str) -> Binding:
    """Get what is bound to an environment. Raises: NotFound."""
    found = find_binding(reader, project, environment)
    if found is None:
        raise NotFound(
            f"No policy is bound to {environment}.",
            remedy=f"assent policy bind NAME@VERSION --env {environment}",
        )
    return found


def get_policy(reader: Reader, project: str, which: str) -> PolicyVersion:
    """Get a policy by digest, name@version, or name (the highest). Raises: NotFound, Invalid."""
    c = policies.c
    where = [c.project == project]
    if is_digest(which):
        where.append(c.digest == which)
    else:
        name, number = split_ref(which)
        where += [c.name == name] + ([] if number is None else [c.number == number])
    found = store.select_policies(reader.conn, *where, limit=1)
    if not found:
        raise NotFound(f"{project} has no policy {which}.", remedy="`assent policy list` shows them.")
    return found[0]


def list_policies(
    reader: Reader, project: str, name: str | None = None, *, before: str | None = None, limit: int = 50
) -> list[PolicyVersion]:
    """List policy versions, newest first."""
    c = policies.c
    where = [c.project == project]
    where += [] if name is None else [c.name == name]
    where += [] if before is None else [c.id < before]
    return store.select_policies(reader.conn, *where, limit=limit, newest=True)


def document_of(reader: Reader, version: PolicyVersion) -> dict[str, Any]:
    """Read a policy's document. Raises: NotFound (it is gone from the disk), Invalid (it was changed)."""
    document: dict[str, Any] = msgspec.json.decode(reader.blobs.get(version.body))
    if digest(document) != version.digest:
        raise Invalid(
            f"What is stored of {version.ref} does not have its digest.", remedy="Restore it from a backup."
        )
    return document


def in_force(reader: Reader, project: str, environment: str) -> InForce:
    """Find what an environment asks for: the bound policy, else the one that is shipped for its kind.

    Raises: NotFound.
    """
    protected = identity.get_environment(reader, project, environment).protected
    bound = find_binding(reader, project, environment)
    if bound is not None:
        return pinned(reader, project, bound.policy)
    return shipped(reader, project, DEFAULT if protected else NONE)


def pinned(reader: Reader, project: str, policy: str) -> InForce:
    """Read the policy with a digest."""
    version = get_policy(reader, project, policy)
    document = document_of(reader, version)
    bound = not version.name.startswith(RESERVED_PREFIX)
    return InForce(
        policy=policy_of(document), document=document, digest=version.digest, ref=version.ref, bound=bound
    )


def shipped(reader: Reader, project: str, name: str) -> InForce:
    """Read a shipped policy as this release has it; in a project it has a number once it was used."""
    document = read_document(SHIPPED[name], project, name)
    found = digest(document)
    known = store.select_policies(reader.conn, policies.c.project == project, policies.c.digest == found)
    ref = known[0].ref if known else name
    return InForce(policy=policy_of(document), document=document, digest=found, ref=ref, bound=False)


def keep(tx: Tx, project: str, found: InForce) -> InForce:
    """Register a shipped policy at its first use, so that what was asked can be read for ever."""
    name, where = (
        str(found.document["name"]),
        (policies.c.project == project, policies.c.digest == found.digest),
    )
    if store.select_policies(tx.conn, *where):
        return found
    lock_name(tx, "policy", project, name)
    if not store.select_policies(tx.conn, *where):
        _register(tx, found.document, next_number(_highest(tx, project, name)))
    return pinned(tx, project, found.digest)


def _read(reader: Reader, new: NewPolicy) -> dict[str, Any]:
    checked_name(new.name, "policy")
    identity.get_project(reader, new.project)
    if new.name.startswith(RESERVED_PREFIX):
        raise Invalid(
            f"Names that begin with {RESERVED_PREFIX} belong to shipped policies.", remedy="Take another."
        )
    document = read_document(new.content, new.project, new.name)
    if not document["conditions"]:
        raise Invalid(f"The policy {new.name} has no condition.", remedy="Give it at least one.")
    return document


def _twin(reader: Reader, new: NewPolicy, found: str) -> PolicyVersion | None:
    c = policies.c
    twins = store.select_policies(reader.conn, c.project == new.project, c.digest == found)
    if twins and new.number not in {None, twins[0].number}:
        raise Conflict(
            f"{new.name}: this content is registered as {twins[0].number}.",
            remedy=f"Use {twins[0].ref}, or change it.",
        )
    return twins[0] if twins else None


def _free_number(reader: Reader, new: NewPolicy) -> str:
    highest = _highest(reader, new.project, new.name)
    if new.number is None:
        return next_number(highest)
    parse_number(new.number)
    c = policies.c
    where = (c.project == new.project, c.name == new.name, c.number == new.number)
    if store.select_policies(reader.conn, *where):
        raise Conflict(
            f"{new.name}: {new.number} exists with other content, and versions never change.",
            remedy=f"Register it as {next_number(highest)}.",
        )
    return new.number


def _highest(reader: Reader, project: str, name: str) -> str | None:
    c = policies.c
    found = store.select_policies(reader.conn, c.project == project, c.name == name, limit=1)
    return found[0].number if found else None


def _register(tx: Tx, document: Mapping[str, Any], number: str) -> PolicyVersion:
    event = PolicyRegistered(
        id=new_id("pol"),
        project=document["project"],
        name=document["name"],
        number=number,
        sort_key=parse_number(number).sort_key,
        digest=digest(document),
        body=tx.blobs.put(canonical(document)),
    )
    tx.record(event)
    identity.guard_groups(tx, event.project, groups_named(policy_of(document)))
    return get_policy(tx, event.project, event.digest)
