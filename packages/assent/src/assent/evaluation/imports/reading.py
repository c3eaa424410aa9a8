"""Choose the importer, hold its result to the rules of all, and name what it read by digest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assent.evaluation.domain.imported import Imported, check_rows, check_totals
from assent.evaluation.imports import deepeval, inspect_ai, jsonl, junit, lm_eval, promptfoo
from assent.evaluation.imports.bounded import Archive
from assent.evaluation.imports.secrets import scrubbed
from assent.kernel.canonical import digest_bytes
from assent.kernel.errors import Invalid

FORMATS: Mapping[str, Any] = {
    "inspect": inspect_ai,
    "lm-eval": lm_eval,
    "promptfoo": promptfoo,
    "deepeval": deepeval,
    "junit": junit,
    "jsonl": jsonl,
}
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says, who read it, and the files to keep, by name, with the digests they arrived with."""

    imported: Imported
    importer: str
    kept: Mapping[str, bytes]
    arrived: Mapping[str, str]


def read(format_: str, name: str, content: bytes) -> Read:
    """Read a file of a format. Raises: Invalid, TooLarge, Refused (its totals contradict its rows)."""
    importer = FORMATS.get(format_)
    if importer is None:
        raise Invalid(f"There is no format {format_!r}.", remedy="Use one of " + ", ".join(FORMATS) + ".")
    if not content:
        raise Invalid(f"{name} is empty.")
    sources = {name: content}
    if importer is lm_eval:
        if content.startswith(_ZIP):
            archive = Archive(content, name)
            sources = {one: archive.read(one) for one in archive.names() if one.endswith((".json", ".jsonl"))}
        imported = lm_eval.read(sources)
    else:
        imported = importer.read(content, name)
    check_rows(imported.rows)
    check_totals(imported)
    kept = {one: scrubbed(source) for one, source in sources.items()}
    arrived = {one: digest_bytes(source) for one, source in sources.items()}
    return Read(imported, f"{format_}/{importer.VERSION}", kept, arrived)
