"""What monitoring does: take observations in, watch rollouts, open incidents, show figures."""

from assent.monitoring.domain.quality import State as SampleState
from assent.monitoring.service import (
    alerts,
    baseline,
    drift,
    evidence,
    export,
    exposition,
    grading,
    incidents,
    live,
    metrics,
    otlp,
    quality,
    regressions,
    report,
    samples,
    slices,
    span_export,
    spans,
    usage,
    watch_report,
)
from assent.monitoring.service.batch import Batch, parse
from assent.monitoring.service.callers import callers
from assent.monitoring.service.ingestion import take
from assent.monitoring.service.looking import Sight, look
from assent.monitoring.service.preparing import prepare
from assent.monitoring.service.pruning import prune
from assent.monitoring.service.watching import apply, needs_writing, watch_of

__all__ = [
    "Batch",
    "SampleState",
    "Sight",
    "alerts",
    "apply",
    "baseline",
    "callers",
    "drift",
    "evidence",
    "export",
    "exposition",
    "grading",
    "incidents",
    "live",
    "look",
    "metrics",
    "needs_writing",
    "otlp",
    "parse",
    "prepare",
    "prune",
    "quality",
    "regressions",
    "report",
    "samples",
    "slices",
    "span_export",
    "spans",
    "take",
    "usage",
    "watch_of",
    "watch_report",
]
