"""Checks of a system: its people, its switch, its incidents, its retention."""

from __future__ import annotations

from datetime import timedelta

from assent.compliance.domain.records import Facts, Record, Seen, days_old

DRILL_DAYS = 365
LOGS_DAYS = 183
RECORDS_DAYS = 3653
ROLES = ("owner", "oversight", "risk", "privacy", "operations")
"""Who answers for what of a system; `owner` answers for the whole."""


def holders(facts: Facts) -> dict[str, Record]:
    """Give the newest assignment of each role."""
    found: dict[str, Record] = {}
    for record in facts.of_system("compliance.role.assigned"):
        found.setdefault(str(record.fields.get("role")), record)
    return found


def _role(facts: Facts, role: str) -> Seen:
    held = holders(facts).get(role)
    return Seen(f"role {role} is held", (held,)) if held else Seen(f"nobody holds the role {role}")


def accountable_owner(facts: Facts) -> Seen:
    """See who is accountable for the system."""
    return _role(facts, "owner")


def human_oversight(facts: Facts) -> Seen:
    """See who oversees it."""
    return _role(facts, "oversight")


def inventory(facts: Facts) -> Seen:
    """See that the system is listed with versions, an owner and a tier."""
    versions = facts.of_system("registry.version.registered")
    owner, classified = holders(facts).get("owner"), facts.of_system("compliance.system.classified")
    lacks = [
        word for word, there in (("versions", versions), ("owner", owner), ("tier", classified)) if not there
    ]
    if not versions or owner is None or not classified:
        return Seen(f"listed without {', '.join(lacks)}")
    count = f"{len(versions)} version" + ("" if len(versions) == 1 else "s")
    return Seen(f"{count}, owner and tier", (versions[0], owner, classified[0]))


def classified(facts: Facts) -> Seen:
    """See the answers to the risk questionnaire that is in use."""
    found = facts.of_system("compliance.system.classified")
    if not found:
        return Seen("the system was not classified")
    if found[0].fields.get("questionnaire") != facts.questionnaire:
        have = f"classified by {found[0].fields.get('questionnaire')}, which is not the newest"
        return Seen(have, (), (), (found[0],))
    return Seen(f"tier {found[0].fields.get('tier')} by {facts.questionnaire}", (found[0],))


def kill_drill(facts: Facts) -> Seen:
    """See that the switch was used and undone within a year."""
    for killed in facts.of_system("delivery.route.killed"):
        place = {"environment": killed.fields.get("environment")}
        back = [r for r in facts.of_system("delivery.route.restored", **place) if r.at >= killed.at]
        if back:
            fresh = facts.recent([killed], DRILL_DAYS)
            return Seen(
                f"switched off and on again, {days_old(facts, killed)}", (*fresh, *back[:1]) if fresh else ()
            )
    return Seen("the switch was never tried")


def policy_in_force(facts: Facts) -> Seen:
    """See a policy bound to an environment of the project, or a release that was decided by one."""
    found = facts.of("approvals.policy.bound", project=facts.project)
    found = found or facts.of("approvals.decision.made", project=facts.project, kind="release")
    if not found:
        return Seen("no environment has a policy of its own, and none has decided")
    return Seen(f"{found[0].fields.get('policy_ref')} in {found[0].fields.get('environment')}", (found[0],))


def incident_clock(facts: Facts, days: int) -> Seen:
    """See that every incident of the system was looked back on within so many days."""
    incidents = facts.of("monitoring.incident.opened", project=facts.project, route=facts.name)
    late, waiting, kept = [], [], []
    for opened in incidents:
        reviews = facts.of("monitoring.incident.reviewed", incident=opened.fields.get("incident"))
        limit = opened.at + timedelta(days=days)
        if reviews and reviews[-1].at <= limit:
            kept.append(opened)
        elif reviews or facts.now > limit:
            late.append(opened)
        else:
            waiting.append(opened)
    if late:
        return Seen(f"{len(late)} not looked back on within {days} days", (), tuple(late))
    if waiting:
        have = f"{len(waiting)} to be looked back on within {days} days"
    else:
        have = f"{len(kept)} looked back on within {days} days" if kept else "no incident is on record"
    return Seen(have, tuple(kept), (), tuple(waiting))


def incident_15_days(facts: Facts) -> Seen:
    """See the general clock."""
    return incident_clock(facts, 15)


def incident_10_days(facts: Facts) -> Seen:
    """See the clock where somebody died."""
    return incident_clock(facts, 10)


def incident_2_days(facts: Facts) -> Seen:
    """See the clock of widespread infringements and critical infrastructure."""
    return incident_clock(facts, 2)


def _retention(facts: Facts, field: str, need: int) -> Seen:
    found = facts.of("compliance.retention.set", project=facts.project)
    days = found[0].fields.get(field) if found else None
    if not isinstance(days, int):
        return Seen("no retention is set")
    have = f"kept for {days:,} days"
    return Seen(have, (found[0],)) if days >= need else Seen(have, (), (found[0],))


def logs_kept(facts: Facts) -> Seen:
    """See that observations are to be kept for at least six months."""
    return _retention(facts, "logs_days", LOGS_DAYS)


def records_kept(facts: Facts) -> Seen:
    """See that what was decided is to be kept for ten years."""
    return _retention(facts, "records_days", RECORDS_DAYS)


def retirement(facts: Facts) -> Seen:
    """See that a version of the system reached the end of its life by the record."""
    ended = facts.of_system("registry.version.advanced", stage="retirement")
    return (
        Seen(f"{ended[0].fields.get('number')} is retired", (ended[0],)) if ended else Seen("none is retired")
    )


def event_log(facts: Facts) -> Seen:
    """See entries about this version in the ledger."""
    entries = tuple(r for r in facts.of_version("registry.version.advanced") if r.index is not None)
    return Seen(f"{len(entries)} entries of its life" if entries else "no entry of its life", entries)
