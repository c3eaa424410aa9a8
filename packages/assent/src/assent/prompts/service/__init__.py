"""Prompts' use cases: register, read, compare, render; other slices enter here."""

from assent.prompts.service.statuses import advance, deprecate
from assent.prompts.service.suites import NewSuiteBinding, bind_suite, unbind_suite
from assent.prompts.service.templates import render
from assent.prompts.service.versions import (
    Comparison,
    NewPrompt,
    bounded,
    compare,
    contributors_of,
    find_by_digest,
    get,
    get_by_digest,
    list_prompts,
    list_versions,
    preview,
    register,
    search,
)
from assent.prompts.service.wire import change_to_wire, comparison_to_wire, fields_to_wire, version_to_wire
from assent.prompts.store import (
    Filtered,
    PromptVersion,
    SuiteBinding,
    checked_content,
    documents,
    projections,
    read_document,
    wholes_of,
)
from assent.prompts.store import list_suites as list_suite_bindings
from assent.prompts.store import versions as version_rows

__all__ = [
    "Comparison",
    "Filtered",
    "NewPrompt",
    "NewSuiteBinding",
    "PromptVersion",
    "SuiteBinding",
    "advance",
    "bind_suite",
    "bounded",
    "change_to_wire",
    "checked_content",
    "compare",
    "comparison_to_wire",
    "contributors_of",
    "deprecate",
    "documents",
    "fields_to_wire",
    "find_by_digest",
    "get",
    "get_by_digest",
    "list_prompts",
    "list_suite_bindings",
    "list_versions",
    "preview",
    "projections",
    "read_document",
    "register",
    "render",
    "search",
    "unbind_suite",
    "version_rows",
    "version_to_wire",
    "wholes_of",
]
