"""Flags' rules: documents, splits, what a change exposes, explanations, exports; pure."""

from assent.flags.domain.document import Flag, Rule, flag_document, flag_of, list_faults, switched
from assent.flags.domain.explaining import (
    Environment,
    Explanation,
    Step,
    condition_text,
    explain,
    shares_text,
)
from assent.flags.domain.exposure import asking_reasons, decides_alike, grows
from assent.flags.domain.flagd import Export, export_flagd
from assent.flags.domain.reading import read_flag
from assent.flags.domain.segments import (
    check_environment,
    published_condition,
    published_route,
    published_segment,
    read_segment,
)
from assent.flags.domain.splits import Range, redistribute, shares_of
from assent.flags.domain.staleness import Seen, named_by, stale_reasons, using_segment

__all__ = [
    "Environment",
    "Explanation",
    "Export",
    "Flag",
    "Range",
    "Rule",
    "Seen",
    "Step",
    "asking_reasons",
    "check_environment",
    "condition_text",
    "decides_alike",
    "explain",
    "export_flagd",
    "flag_document",
    "flag_of",
    "grows",
    "list_faults",
    "named_by",
    "published_condition",
    "published_route",
    "published_segment",
    "read_flag",
    "read_segment",
    "redistribute",
    "shares_of",
    "shares_text",
    "stale_reasons",
    "switched",
    "using_segment",
]
