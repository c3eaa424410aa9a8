"""Put fragments into a prompt that is being registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.kernel.errors import AssentError, NotFound, Reason
from assent.kernel.tx import Reader
from assent.prompts import store
from assent.prompts.domain import Composition, Fragment, compose, pins, refs_of, refuse, split_ref
from assent.prompts.store import PromptVersion


def composed(
    reader: Reader, project: str, name: str, raw: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what an author wrote with its fragments in place, and what the document keeps of them.

    Raises: Invalid with every mistake: a fragment that does not exist, is recursive, nested too deeply, more
    than a text, or makes the prompt too long.
    """
    mistakes: list[Reason] = []
    found: dict[str, Fragment] = {}
    for alias, ref in refs_of(raw, mistakes).items():
        try:
            found[alias] = _fragment(reader, _version(reader, project, ref))
        except AssentError as error:
            where = f"fragments.{alias}"
            mistakes.append(Reason(where, f"{where}: {error.message}", error.remedy or ""))
    syntax = raw.get("syntax", "jinja")
    content = compose(raw, Composition(name, syntax if isinstance(syntax, str) else "", found, mistakes))
    refuse(mistakes, "prompt", name)
    return content, pins(raw, found)


def digests_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """List the digests of a document's fragments, each once."""
    return tuple(sorted({one["digest"] for one in (document.get("fragments") or {}).values()}))


def _version(reader: Reader, project: str, ref: str) -> PromptVersion:
    found = store.find(reader, project, *split_ref(ref))
    if found is None:
        raise NotFound(f"there is no prompt {ref[:200]} in {project}")
    return found


def _fragment(reader: Reader, version: PromptVersion) -> Fragment:
    """Gather what a fragment is made of; registration bounds how deep this goes."""
    document = version.document
    within, depth = {version.name}, 0
    for digest in digests_of(document):
        inner = store.find_by_digest(reader, version.project, digest)
        if inner is not None:
            part = _fragment(reader, inner)
            within |= part.within
            depth = max(depth, part.depth + 1)
    return Fragment(version.ref, version.digest, document, frozenset(within), depth)
