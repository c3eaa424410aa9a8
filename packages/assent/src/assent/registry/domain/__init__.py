"""Model versions: their documents, their life, and what happens to them."""

from assent.registry.domain.document import CLIENT_SYSTEM, TIERS, UNSTATED_TIER, parse_model, trained_on
from assent.registry.domain.events import VersionAdvanced, VersionRegistered
from assent.registry.domain.stages import Stage, Status, parse_stage, parse_status

__all__ = [
    "CLIENT_SYSTEM",
    "TIERS",
    "UNSTATED_TIER",
    "Stage",
    "Status",
    "VersionAdvanced",
    "VersionRegistered",
    "parse_model",
    "parse_stage",
    "parse_status",
    "trained_on",
]
