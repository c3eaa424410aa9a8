"""How a status looks: icon, word and tone, the same everywhere; never by colour alone."""

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What a colour stands for."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    BUSY = "busy"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Look:
    """The look of one status; `icon` names a symbol of `icons.html`."""

    icon: str
    word: str
    tone: Tone


# Read top down this is also the order in which statuses are listed: what needs somebody comes first.
LOOKS: dict[str, Look] = {
    "not_met": Look("cross", "Not met", Tone.BAD),
    "dead": Look("cross", "Given up", Tone.BAD),
    "disabled": Look("stop", "Disabled", Tone.BAD),
    "fail": Look("cross", "Fail", Tone.BAD),
    "breach": Look("cross", "Breach", Tone.BAD),
    "firing": Look("cross", "Firing", Tone.BAD),
    "rejected": Look("cross", "Rejected", Tone.BAD),
    "reject": Look("cross", "Reject", Tone.BAD),
    "refused": Look("cross", "Refused", Tone.BAD),
    "rolled_back": Look("undo", "Rolled back", Tone.BAD),
    "killed": Look("stop", "Killed", Tone.BAD),
    "overdue": Look("clock", "Overdue", Tone.BAD),
    "unjustified": Look("cross", "Unjustified", Tone.BAD),
    "unseconded": Look("undo", "Not seconded", Tone.BAD),
    "break_glass": Look("clock", "Out now", Tone.WARN),
    "unknown": Look("question", "Unknown", Tone.WARN),
    "inconclusive": Look("balance", "Inconclusive", Tone.WARN),
    "stale": Look("clock", "Stale", Tone.WARN),
    "silenced": Look("pause", "Silenced", Tone.WARN),
    "paused": Look("pause", "Paused", Tone.WARN),
    "deprecated": Look("clock", "Deprecated", Tone.WARN),
    "frozen": Look("pause", "Frozen", Tone.WARN),
    "no_harm": Look("balance", "No harm shown", Tone.QUIET),
    "read_now": Look("dot", "Read now", Tone.QUIET),
    "draft": Look("dot", "Draft", Tone.QUIET),
    "review": Look("eye", "In review", Tone.BUSY),
    "submitted": Look("eye", "Submitted", Tone.BUSY),
    "open": Look("eye", "Open", Tone.BUSY),
    "planned": Look("dot", "Planned", Tone.BUSY),
    "waiting": Look("clock", "Waiting", Tone.BUSY),
    "pending": Look("clock", "Waiting", Tone.BUSY),
    "running": Look("play", "Running", Tone.BUSY),
    "executing": Look("play", "Executing", Tone.BUSY),
    "concluded": Look("check", "Concluded", Tone.GOOD),
    "met": Look("check", "Met", Tone.GOOD),
    "pinned": Look("check", "Pinned", Tone.GOOD),
    "pass": Look("check", "Pass", Tone.GOOD),
    "approve": Look("check", "Approve", Tone.GOOD),
    "approved": Look("check", "Approved", Tone.GOOD),
    "published": Look("check", "Published", Tone.GOOD),
    "promoted": Look("check", "Promoted", Tone.GOOD),
    "executed": Look("check", "Executed", Tone.GOOD),
    "delivered": Look("check", "Delivered", Tone.GOOD),
    "enabled": Look("check", "Enabled", Tone.GOOD),
    "mitigated": Look("check", "Mitigated", Tone.BUSY),
    "acknowledged": Look("eye", "Acknowledged", Tone.BUSY),
    "resolved": Look("check", "Resolved", Tone.GOOD),
    "reviewed": Look("check", "Reviewed", Tone.QUIET),
    "quiet": Look("check", "Quiet", Tone.GOOD),
    "live": Look("check", "Live", Tone.GOOD),
    "justified": Look("check", "Justified", Tone.GOOD),
    "done": Look("check", "Done", Tone.QUIET),
    "settled": Look("check", "Settled", Tone.QUIET),
    "over": Look("undo", "Over", Tone.QUIET),
    "taken_back": Look("undo", "Taken back", Tone.QUIET),
    "not_applicable": Look("dash", "Not applicable", Tone.QUIET),
    "local": Look("question", "Local", Tone.WARN),
    "abstain": Look("dash", "Abstain", Tone.QUIET),
    "aborted": Look("stop", "Aborted", Tone.QUIET),
    "withdrawn": Look("dash", "Withdrawn", Tone.QUIET),
    "expired": Look("dash", "Expired", Tone.QUIET),
    "superseded": Look("dash", "Superseded", Tone.QUIET),
    "retired": Look("dash", "Retired", Tone.QUIET),
}


def look(status: str) -> Look:
    """Give the look of a status; one that has none of its own shows its word, quietly."""
    return LOOKS.get(status) or Look("dot", status.replace("_", " ").capitalize() or "None", Tone.QUIET)
