"""The closed vocabulary of computed checks: a row of a catalogue names some of these, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from assent.compliance.domain import system_checks as system
from assent.compliance.domain import version_checks as version
from assent.compliance.domain.records import Check

RUN = "assent eval run SUITE --subject {ref}"
ROLLOUT = "assent request create {ref} --env production --plan FILE"
REVIEW = "assent incident review INCIDENT --text TEXT"

CHECKS: Mapping[str, Check] = {
    "gate_before_run": Check(
        "a passed run whose gate was registered before it", RUN, version.gate_before_run
    ),
    "run_with_bounds": Check(
        f"a passed run with interval and n, at most {version.RUN_DAYS} days old", RUN, version.run_with_bounds
    ),
    "safety_run": Check(
        f"a passed safety suite, at most {version.RUN_DAYS} days old", RUN, version.safety_run
    ),
    "signed_report": Check(
        "a closed run, and votes on the same digest; `assent pack create` signs the report",
        ROLLOUT,
        version.signed_report,
    ),
    "independent_vote": Check(
        "an approval by people who neither asked nor contributed", ROLLOUT, version.independent_vote
    ),
    "plan_and_policy": Check(
        "a rollout plan that was approved as it is, under a policy", ROLLOUT, version.plan_and_policy
    ),
    "staged_release": Check("a rollout in more than one step", ROLLOUT, version.staged_release),
    "lifecycle": Check("the registration and the stages of the version", RUN, version.lifecycle),
    "observed": Check(
        f"calls observed in the last {version.OBSERVED_DAYS} days",
        "assent env show production",
        version.observed,
    ),
    "feedback": Check(
        f"feedback in the last {version.OBSERVED_DAYS} days", "assent env show production", version.feedback
    ),
    "guarded": Check("a rollout with guards and no open incident", ROLLOUT, version.guarded),
    "card_table": Check(
        "a published card that is complete for its tier", "assent card submit {ref}", version.card_table
    ),
    "rollback_ready": Check("a rollout with a way back", ROLLOUT, version.rollback_ready),
    "tier_floor": Check(
        "a version whose tier is not below the questionnaire's",
        "assent compliance classify {name} -f ANSWERS --reason TEXT",
        version.tier_floor,
    ),
    "accountable_owner": Check(
        "a person who is accountable",
        "assent compliance assign {name} owner PERSON --reason TEXT",
        system.accountable_owner,
    ),
    "human_oversight": Check(
        "a person who oversees the system",
        "assent compliance assign {name} oversight PERSON --reason TEXT",
        system.human_oversight,
    ),
    "inventory": Check(
        "the system with versions, owner and tier", "assent compliance inventory", system.inventory
    ),
    "classified": Check(
        "answers to the newest risk questionnaire",
        "assent compliance classify {name} -f ANSWERS --reason TEXT",
        system.classified,
    ),
    "kill_drill": Check(
        f"the switch tried and undone in the last {system.DRILL_DAYS} days",
        "assent env kill production {name} --reason TEXT",
        system.kill_drill,
    ),
    "policy_in_force": Check(
        "a policy bound to an environment", "assent policy bind production POLICY", system.policy_in_force
    ),
    "incident_15_days": Check("incidents looked back on within 15 days", REVIEW, system.incident_15_days),
    "incident_10_days": Check("incidents looked back on within 10 days", REVIEW, system.incident_10_days),
    "incident_2_days": Check("incidents looked back on within 2 days", REVIEW, system.incident_2_days),
    "logs_kept": Check(
        f"logs kept for at least {system.LOGS_DAYS} days",
        "assent compliance retain --logs-days 400 --records-days 3653 --reason TEXT",
        system.logs_kept,
    ),
    "records_kept": Check(
        f"records kept for at least {system.RECORDS_DAYS:,} days",
        "assent compliance retain --logs-days 400 --records-days 3653 --reason TEXT",
        system.records_kept,
    ),
    "retirement": Check("a version that was retired by the record", "assent model list", system.retirement),
    "event_log": Check("entries of the version's life in the ledger", RUN, system.event_log),
}
