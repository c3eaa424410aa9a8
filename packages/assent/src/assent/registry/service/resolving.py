"""Resolve: all that is needed to call a version, by its number, by a label, or as the latest."""

from __future__ import annotations

from dataclasses import dataclass

from assent.kernel.canonical import canonical
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.prompts.domain import split_ref
from assent.registry.domain import LATEST, parse_label
from assent.registry.store import bundles


@dataclass(frozen=True, slots=True)
class Bundle:
    """A version of a model or prompt with its documents, as the texts that their digests are of."""

    kind: str
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
        known = canonical({"kind": self.kind, "ref": self.ref, "digest": self.digest})
        return b'%s,"document":%s,"prompts":%s}' % (known[:-1], document, used)


def resolve(reader: Reader, project: str, ref: str, kind: str = "model") -> Bundle:
    """Find what `name@number`, `name@label` or `name@latest` names, in one query; `kind`: model or prompt.

    Raises: Invalid, NotFound.
    """
    name, at, which = ref.partition("@")
    queries = bundles.QUERIES[kind]
    query = queries.by_number
    if name and which == LATEST:
        query = queries.latest
    elif name and at and which[:1].isalpha():
        parse_label(which)
        query = queries.by_label
    else:
        split_ref(ref)
    row = bundles.find_bundle(reader, query, {"project": project, "name": name, "which": which})
    if row is None:
        raise NotFound(
            f"There is no {kind} {ref[:200]} in {project}.",
            remedy=f"`assent {kind} list --name {name}` shows versions and labels.",
        )
    return Bundle(kind, f"{row.name}@{row.number}", row.digest, row.prompt, row.content, row.prompt_content)
