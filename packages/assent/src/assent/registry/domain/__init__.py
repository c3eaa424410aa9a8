"""Model versions: their documents, their life, their labels, and what happens to them."""

from assent.registry.domain.document import CLIENT_SYSTEM, TIERS, UNSTATED_TIER, parse_model, trained_on
from assent.registry.domain.events import LabelMoved, VersionAdvanced, VersionDeleted, VersionRegistered
from assent.registry.domain.labels import KINDS, LATEST, Step, parse_label, previous
from assent.registry.domain.stages import Stage, Status, parse_stage, parse_status

__all__ = [
    "CLIENT_SYSTEM",
    "KINDS",
    "LATEST",
    "TIERS",
    "UNSTATED_TIER",
    "LabelMoved",
    "Stage",
    "Status",
    "Step",
    "VersionAdvanced",
    "VersionDeleted",
    "VersionRegistered",
    "parse_label",
    "parse_model",
    "parse_stage",
    "parse_status",
    "previous",
    "trained_on",
]
