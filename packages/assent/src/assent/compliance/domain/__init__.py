"""Compliance: catalogues, what the record shows of them, questionnaires, statements, and what happens."""

from assent.compliance.domain.catalogue import (
    DISCLAIMER,
    Catalogue,
    CheckResult,
    Row,
    RowResult,
    judge,
    parse_catalogue,
    summary,
)
from assent.compliance.domain.events import (
    ControlAttested,
    RetentionSet,
    RoleAssigned,
    StatementIssued,
    SystemClassified,
)
from assent.compliance.domain.questionnaire import (
    ANSWERS,
    Question,
    Questionnaire,
    parse_questionnaire,
    tier_of,
)
from assent.compliance.domain.records import OBSERVED, Check, Facts, Record, Seen, Standing
from assent.compliance.domain.statements import ISSUED_FOR, statement_of
from assent.compliance.domain.system_checks import ROLES
from assent.compliance.domain.vocabulary import CHECKS

__all__ = [
    "ANSWERS",
    "CHECKS",
    "DISCLAIMER",
    "ISSUED_FOR",
    "OBSERVED",
    "ROLES",
    "Catalogue",
    "Check",
    "CheckResult",
    "ControlAttested",
    "Facts",
    "Question",
    "Questionnaire",
    "Record",
    "RetentionSet",
    "RoleAssigned",
    "Row",
    "RowResult",
    "Seen",
    "Standing",
    "StatementIssued",
    "SystemClassified",
    "judge",
    "parse_catalogue",
    "parse_questionnaire",
    "statement_of",
    "summary",
    "tier_of",
]
