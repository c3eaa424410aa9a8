"""Tables, projections and queries of monitoring."""

from assent.monitoring.store import blocks, observations, reading, tables
from assent.monitoring.store.blocks import projections

__all__ = ["blocks", "observations", "projections", "reading", "tables"]
