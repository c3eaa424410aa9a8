"""Model cards: their sections, form, document and written forms, and what happens to them."""

from assent.cards.domain.comparing import tree_of
from assent.cards.domain.completeness import Asked, Completeness, completeness
from assent.cards.domain.document import (
    FORMAT,
    MAX_NAMED,
    Document,
    differences,
    title_of,
)
from assent.cards.domain.events import CardDrafted, CardPublished, CardReturned, CardSubmitted
from assent.cards.domain.form import FIELDS, PERFORMANCE, Blank, Declared, declared_at, parse_form, print_form
from assent.cards.domain.importing import READERS, merge, read_card
from assent.cards.domain.parts import Block, Facts, Grid, Items, Live, Part, Sentence, facts, parts_of
from assent.cards.domain.rendering import Edition, brief_markdown, full_markdown, to_wire
from assent.cards.domain.schema import SCHEMA
from assent.cards.domain.sections import LIVE, REQUIRED, SECTIONS, Origin, Section, named, required

__all__ = [
    "FIELDS",
    "FORMAT",
    "LIVE",
    "MAX_NAMED",
    "PERFORMANCE",
    "READERS",
    "REQUIRED",
    "SCHEMA",
    "SECTIONS",
    "Asked",
    "Blank",
    "Block",
    "CardDrafted",
    "CardPublished",
    "CardReturned",
    "CardSubmitted",
    "Completeness",
    "Declared",
    "Document",
    "Edition",
    "Facts",
    "Grid",
    "Items",
    "Live",
    "Origin",
    "Part",
    "Section",
    "Sentence",
    "brief_markdown",
    "completeness",
    "declared_at",
    "differences",
    "facts",
    "full_markdown",
    "merge",
    "named",
    "parse_form",
    "parts_of",
    "print_form",
    "read_card",
    "required",
    "title_of",
    "to_wire",
    "tree_of",
]
