"""Tables, projections and queries of monitoring."""

from assent.monitoring.store import (
    alerts,
    blocks,
    incidents,
    observations,
    reading,
    regressions,
    sample_tables,
    samples,
    tables,
)
from assent.monitoring.store.blocks import projections

__all__ = [
    "alerts",
    "blocks",
    "incidents",
    "observations",
    "projections",
    "reading",
    "regressions",
    "sample_tables",
    "samples",
    "tables",
]
