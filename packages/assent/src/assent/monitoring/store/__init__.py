"""Tables, projections and queries of monitoring."""

from assent.monitoring.store import alerts, blocks, observations, reading, tables
from assent.monitoring.store.blocks import projections

__all__ = ["alerts", "blocks", "observations", "projections", "reading", "tables"]
