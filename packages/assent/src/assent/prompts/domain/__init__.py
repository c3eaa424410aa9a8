"""Prompts: their documents, their interface, their numbers, and what happens to them."""

from assent.prompts.domain.document import (
    MAX_DOCUMENT_BYTES,
    Mistakes,
    parse_prompt,
    placeholders_of,
    refuse,
    response_schema,
    tags_of,
    texts_of,
    tool_name,
)
from assent.prompts.domain.events import (
    PromptAdvanced,
    PromptDeprecated,
    PromptRegistered,
    SuiteBound,
    SuiteUnbound,
)
from assent.prompts.domain.fragments import Composition, Fragment, compose, pins, refs_of
from assent.prompts.domain.interface import (
    InterfaceChange,
    Wish,
    chosen_number,
    derived_bump,
    interface_changes,
)
from assent.prompts.domain.numbers import FIRST, Bump, Number, parse_number, split_ref, step_between
from assent.prompts.domain.statuses import Status, expect_deprecable, moves

__all__ = [
    "FIRST",
    "MAX_DOCUMENT_BYTES",
    "Bump",
    "Composition",
    "Fragment",
    "InterfaceChange",
    "Mistakes",
    "Number",
    "PromptAdvanced",
    "PromptDeprecated",
    "PromptRegistered",
    "Status",
    "SuiteBound",
    "SuiteUnbound",
    "Wish",
    "chosen_number",
    "compose",
    "derived_bump",
    "expect_deprecable",
    "interface_changes",
    "moves",
    "parse_number",
    "parse_prompt",
    "pins",
    "placeholders_of",
    "refs_of",
    "refuse",
    "response_schema",
    "split_ref",
    "step_between",
    "tags_of",
    "texts_of",
    "tool_name",
]
