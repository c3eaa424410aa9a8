"""What resolving reads: a version with its document and its prompt's, in one query."""

from __future__ import annotations

import sqlalchemy as sa

from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.registry.domain import Status
from assent.registry.store.tables import documents, labels, states, versions

_CONTENTS = prompts.documents.alias("contents")
_HERE = (versions.c.project == sa.bindparam("project"), versions.c.name == sa.bindparam("name"))
_BUNDLE = (
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
_POINTED = sa.select(labels.c.digest).where(
    labels.c.project == sa.bindparam("project"),
    labels.c.kind == "model",
    labels.c.name == sa.bindparam("name"),
    labels.c.label == sa.bindparam("which"),
)
BY_NUMBER = _BUNDLE.where(*_HERE, versions.c.number == sa.bindparam("which"))
BY_LABEL = _BUNDLE.where(versions.c.digest == _POINTED.scalar_subquery())
LATEST = _BUNDLE.where(*_HERE).order_by(versions.c.sort_key.desc()).limit(1)


def find_bundle(
    reader: Reader, query: sa.Select[tuple[str, str, str, str, str, str]], place: dict[str, str]
) -> sa.Row[tuple[str, str, str, str, str, str]] | None:
    """Read a version by one of the queries above; `place`: project, name, which."""
    return reader.conn.execute(query, place).first()
