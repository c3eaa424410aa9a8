"""Use cases of compliance, by noun; the console and the routes enter here."""

from assent.compliance.service.coverage import Coverage, coverage
from assent.compliance.service.gathering import Subject, find_subject
from assent.compliance.service.packs import build, issue
from assent.compliance.service.shelf import catalogues, find_catalogue, questionnaire
from assent.compliance.service.systems import (
    System,
    assign,
    attest,
    classification_of,
    classify,
    inventory,
    retain,
    retention_of,
    roles_of,
)
from assent.compliance.store import Classification, Retention, Role

__all__ = [
    "Classification",
    "Coverage",
    "Retention",
    "Role",
    "Subject",
    "System",
    "assign",
    "attest",
    "build",
    "catalogues",
    "classification_of",
    "classify",
    "coverage",
    "find_catalogue",
    "find_subject",
    "inventory",
    "issue",
    "questionnaire",
    "retain",
    "retention_of",
    "roles_of",
]
