"""The index of words, written anew from the documents that are there."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from assent.kernel.db import is_sqlite
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Tx
from assent.registry.store.search import put_text, texts
from assent.registry.store.tables import versions
from assent.registry.store.versions import WHOLE, ModelVersion

N_CHUNK = 500


def rewrite_texts(tx: Tx) -> tuple[int, list[str]]:
    """Write every text anew; gives how many, and the refs of versions whose document is erased or changed."""
    if not is_sqlite(tx.conn):
        # Registrations wait: a text that is written meanwhile would be written twice.
        tx.conn.execute(sa.text("LOCK TABLE registry_texts IN SHARE ROW EXCLUSIVE MODE"))
    tx.conn.execute(sa.delete(texts))
    n, left_out = 0, []
    for version in _all(tx):
        try:
            put_text(tx, version.id, version.document)
            n += 1
        except (NotFound, Invalid):
            left_out.append(version.ref)
    return n, left_out


def _all(tx: Tx) -> Iterator[ModelVersion]:
    """Walk all versions in the order in which they were registered: pages of words go by it."""
    after = ""
    while True:
        query = WHOLE.where(versions.c.id > after).order_by(versions.c.id).limit(N_CHUNK)
        rows = [ModelVersion(**row) for row in tx.conn.execute(query).mappings()]
        yield from rows
        if len(rows) < N_CHUNK:
            return
        after = rows[-1].id
