"""Use cases of delivery, by noun; other slices enter here."""

from assent.delivery.service.adoption import Adoption, adopt
from assent.delivery.service.emergency import EmergencyStart, settle_break_glass, start_by_break_glass
from assent.delivery.service.evaluating import Counted, RateLimit, ServedFlags, flags_in, served_flags
from assent.delivery.service.feed import TOPIC, Feed
from assent.delivery.service.judging import latest_judgement
from assent.delivery.service.previewing import preview
from assent.delivery.service.release import Release, release_winner, request_release
from assent.delivery.service.rollouts import (
    Ask,
    Stepped,
    abort,
    conclude,
    get,
    get_row,
    list_,
    list_running,
    list_waiting,
    pause,
    promote,
    resume,
    roll_back,
    start,
    step,
    verdict,
)
from assent.delivery.service.routes import (
    Live,
    Place,
    acknowledge,
    get_route,
    kill,
    list_acknowledgements,
    list_live,
    restore,
)
from assent.delivery.service.snapshots import EPOCH, Audience, Issue, Scope, compile_snapshot
from assent.delivery.service.subjects import Subject, find_subject, ref_of
from assent.delivery.service.warmth import (
    cool,
    drill,
    get_drill,
    has_drills_due,
    list_drills,
    list_warm,
    measure_due,
)
from assent.kernel.reasons import reason_text

__all__ = [
    "EPOCH",
    "TOPIC",
    "Adoption",
    "Ask",
    "Audience",
    "Counted",
    "EmergencyStart",
    "Feed",
    "Issue",
    "Live",
    "Place",
    "RateLimit",
    "Release",
    "Scope",
    "ServedFlags",
    "Stepped",
    "Subject",
    "abort",
    "acknowledge",
    "adopt",
    "compile_snapshot",
    "conclude",
    "cool",
    "drill",
    "find_subject",
    "flags_in",
    "get",
    "get_drill",
    "get_route",
    "get_row",
    "has_drills_due",
    "kill",
    "latest_judgement",
    "list_",
    "list_acknowledgements",
    "list_drills",
    "list_live",
    "list_running",
    "list_waiting",
    "list_warm",
    "measure_due",
    "pause",
    "preview",
    "promote",
    "reason_text",
    "ref_of",
    "release_winner",
    "request_release",
    "restore",
    "resume",
    "roll_back",
    "served_flags",
    "settle_break_glass",
    "start",
    "start_by_break_glass",
    "step",
    "verdict",
]
