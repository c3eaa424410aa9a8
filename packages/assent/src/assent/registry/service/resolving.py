"""Resolve: all that is needed to call a version, by its number, by a label, or as the latest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assent.kernel.canonical import canonical
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.prompts.domain import split_ref
from assent.registry.domain import LATEST, parse_label
from assent.registry.store import bundles


@dataclass(frozen=True, slots=True)
class Bundle:
    """A version, its document and its prompt's, as the texts that their digests are of."""

    ref: str
    digest: str
    prompt: str | None
    content: str | None
    prompt_content: str | None

    def wire(self) -> bytes:
        """Write it as JSON, its documents as they are. Raises: NotFound (erased), Invalid (changed)."""
        document = prompts.checked_content(self.ref, self.digest, self.content)
        used = b"{}"
        if self.prompt is not None:
            text = prompts.checked_content(f"the prompt of {self.ref}", self.prompt, self.prompt_content)
            used = b'{"%s":%s}' % (self.prompt.encode(), text)
        known = canonical({"kind": "model", "ref": self.ref, "digest": self.digest})
        return b'%s,"document":%s,"prompts":%s}' % (known[:-1], document, used)


def resolve(reader: Reader, project: str, ref: str) -> Bundle:
    """Find what `name@number`, `name@label` or `name@latest` names, in one query.

    Raises: Invalid, NotFound.
    """
    name, at, which = ref.partition("@")
    query: Any = bundles.BY_NUMBER
    if name and which == LATEST:
        query = bundles.LATEST
    elif name and at and which[:1].isalpha():
        parse_label(which)
        query = bundles.BY_LABEL
    else:
        split_ref(ref)
    row = bundles.find_bundle(reader, query, {"project": project, "name": name, "which": which})
    if row is None:
        raise NotFound(
            f"There is no model {ref[:200]} in {project}.",
            remedy=f"`assent model list --name {name}` shows versions and labels.",
        )
    return Bundle(f"{row.name}@{row.number}", row.digest, row.prompt, row.content, row.prompt_content)
