"""What resolving reads: a version with its document and its prompt's, in one query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.registry.domain import Status
from assent.registry.store.tables import documents, labels, states, versions

_CONTENTS = prompts.documents.alias("contents")
_PROMPTS = prompts.version_rows
_NAME: sa.BindParameter[str] = sa.bindparam("name")
_PROJECT: sa.BindParameter[str] = sa.bindparam("project")
_WHICH: sa.BindParameter[str] = sa.bindparam("which")
_MODELS = (
    sa.select(
        versions.c.name,
        versions.c.number,
        versions.c.digest,
        versions.c.prompt,
        documents.c.content,
        _CONTENTS.c.content.label("prompt_content"),
    )
    .join(states, states.c.digest == versions.c.digest)
    .outerjoin(documents, documents.c.digest == versions.c.digest)
    .outerjoin(_CONTENTS, _CONTENTS.c.digest == versions.c.prompt)
    .where(states.c.status != Status.DELETED.value)
)
_TEXTS = sa.select(
    _PROMPTS.c.name,
    _PROMPTS.c.number,
    _PROMPTS.c.digest,
    sa.null().label("prompt"),
    _CONTENTS.c.content,
    sa.null().label("prompt_content"),
).outerjoin(_CONTENTS, _CONTENTS.c.digest == _PROMPTS.c.digest)


@dataclass(frozen=True, slots=True)
class Queries:
    """How a version of one kind is found, in one query each."""

    by_number: sa.Select[Any]
    by_label: sa.Select[Any]
    latest: sa.Select[Any]


def _queries(kind: str, select: sa.Select[Any], table: sa.Table) -> Queries:
    here = (table.c.project == _PROJECT, table.c.name == _NAME)
    pointed = sa.select(labels.c.digest).where(
        labels.c.project == _PROJECT,
        labels.c.kind == kind,
        labels.c.name == _NAME,
        labels.c.label == _WHICH,
    )
    return Queries(
        by_number=select.where(*here, table.c.number == _WHICH),
        by_label=select.where(table.c.digest == pointed.scalar_subquery()),
        latest=select.where(*here).order_by(table.c.sort_key.desc()).limit(1),
    )


QUERIES = {"model": _queries("model", _MODELS, versions), "prompt": _queries("prompt", _TEXTS, _PROMPTS)}


def find_bundle(reader: Reader, query: sa.Select[Any], place: dict[str, str]) -> sa.Row[Any] | None:
    """Read a version by one of the queries above; `place`: project, name, which."""
    return reader.conn.execute(query, place).first()
