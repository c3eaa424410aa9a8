"""Use cases of delivery, by noun; other slices enter here."""

from assent.delivery.service.adoption import Adoption, adopt
from assent.delivery.service.emergency import EmergencyStart, settle_break_glass, start_by_break_glass
from assent.delivery.service.feed import TOPIC, Feed
from assent.delivery.service.judging import latest_judgement
from assent.delivery.service.release import Release, request_release
from assent.delivery.service.rollouts import (
    Ask,
    Stepped,
    abort,
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
from assent.kernel.reasons import reason_text

__all__ = [
    "EPOCH",
    "TOPIC",
    "Adoption",
    "Ask",
    "Audience",
    "EmergencyStart",
    "Feed",
    "Issue",
    "Live",
    "Place",
    "Release",
    "Scope",
    "Stepped",
    "Subject",
    "abort",
    "acknowledge",
    "adopt",
    "compile_snapshot",
    "find_subject",
    "get",
    "get_route",
    "get_row",
    "kill",
    "latest_judgement",
    "list_",
    "list_acknowledgements",
    "list_live",
    "list_running",
    "list_waiting",
    "pause",
    "promote",
    "reason_text",
    "ref_of",
    "request_release",
    "restore",
    "resume",
    "roll_back",
    "settle_break_glass",
    "start",
    "start_by_break_glass",
    "step",
    "verdict",
]
