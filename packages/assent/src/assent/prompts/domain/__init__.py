"""Prompts: their documents, their interface, their numbers, and what happens to them."""

from assent.prompts.domain.document import (
    MAX_DOCUMENT_BYTES,
    Mistakes,
    parse_prompt,
    refuse,
    response_schema,
    tags_of,
    texts_of,
    tool_name,
)
from assent.prompts.domain.events import PromptRegistered
from assent.prompts.domain.interface import (
    InterfaceChange,
    Wish,
    chosen_number,
    derived_bump,
    interface_changes,
)
from assent.prompts.domain.numbers import FIRST, Bump, Number, parse_number, split_ref, step_between

__all__ = [
    "FIRST",
    "MAX_DOCUMENT_BYTES",
    "Bump",
    "InterfaceChange",
    "Mistakes",
    "Number",
    "PromptRegistered",
    "Wish",
    "chosen_number",
    "derived_bump",
    "interface_changes",
    "parse_number",
    "parse_prompt",
    "refuse",
    "response_schema",
    "split_ref",
    "step_between",
    "tags_of",
    "texts_of",
    "tool_name",
]
