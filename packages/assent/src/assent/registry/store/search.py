"""Search: what each field of a filter compares, and the full text, in FTS5 or as a tsvector."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel import filter_sql
from assent.kernel.canonical import is_digest
from assent.kernel.db import is_sqlite, table
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.filter_sql import Clause, Field, Term
from assent.kernel.guards import unchanging
from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.prompts.domain import parse_number, split_ref
from assent.registry.domain import TIERS, Stage, Status
from assent.registry.store.tables import ID, labels, states, tags, versions
from assent.registry.store.versions import ModelVersion

MAX_TEXT = 200_000
MAX_WORDS = 16
MAX_WORD = 64
LEAST_PREFIX = 3
"""A shorter word must stand as it is; a longer one is the beginning of a word."""
_WORD = re.compile(r"[^\W_]+")

texts = unchanging(
    table(
        "registry_texts",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("version", ID, nullable=False, unique=True),
        sa.Column("text", sa.Text, nullable=False),
        kind="body",
    ),
    erasable=True,
)
_INDEX = sa.table("registry_texts_fts", sa.column("rowid"), sa.column("registry_texts_fts"))

_SQLITE = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS registry_texts_fts USING fts5(
    text, content='registry_texts', content_rowid='seq', tokenize='unicode61 remove_diacritics 0')""",
    """CREATE TRIGGER IF NOT EXISTS registry_texts_added AFTER INSERT ON registry_texts BEGIN
    INSERT INTO registry_texts_fts(rowid, text) VALUES (new.seq, new.text); END""",
    """CREATE TRIGGER IF NOT EXISTS registry_texts_erased AFTER DELETE ON registry_texts BEGIN
    INSERT INTO registry_texts_fts(registry_texts_fts, rowid, text)
    VALUES ('delete', old.seq, old.text); END""",
)
_POSTGRES = (
    """CREATE INDEX IF NOT EXISTS registry_texts_fts ON registry_texts
    USING gin (to_tsvector('simple'::regconfig, text))""",
)


@sa.event.listens_for(texts, "after_create")
def _index(_created: sa.Table, conn: sa.Connection, **_: Any) -> None:
    for statement in _SQLITE if conn.dialect.name == "sqlite" else _POSTGRES:
        conn.exec_driver_sql(statement)


def put_text(tx: Tx, version: str, document: Mapping[str, Any]) -> None:
    """Let a version be found by the words of its document."""
    text = " ".join(_words(_told(document)))[:MAX_TEXT]
    tx.conn.execute(sa.insert(texts).values(version=version, text=text))


def erase_text(tx: Tx, version: str) -> None:
    """Let a version be found by its words no longer."""
    tx.conn.execute(sa.delete(texts).where(texts.c.version == version))


def _told(value: Any) -> str:
    return "\n".join(_leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    """Give the texts of a document, digests apart."""
    if isinstance(value, str) and not is_digest(value):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)


def _words(text: str) -> Iterator[str]:
    """Give the words of a text, without case and accents: the same on both databases."""
    plain = unicodedata.normalize("NFKD", text[: 4 * MAX_TEXT].casefold())
    yield from _WORD.findall("".join(one for one in plain if not unicodedata.combining(one)))


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: exact values of fields, an expression, and words that must all occur."""

    where: Mapping[str, str]
    filter: str | None = None
    text: str | None = None


_LINE = sa.select(
    versions, states.c.stage, states.c.status, states.c.since, states.c.because, sa.null().label("content")
).join(states, states.c.digest == versions.c.digest)


def search(
    reader: Reader, project: str, wanted: Search, before: str | None = None, limit: int = 50
) -> list[ModelVersion]:
    """List versions without their documents, newest first. Raises: Invalid with the place in the filter."""
    query = _LINE.where(versions.c.project == project, states.c.status != Status.DELETED.value)
    fields = _fields(reader, project)
    for key, value in wanted.where.items():
        query = query.where(fields[key](Term("=", (value,), Invalid)))
    if wanted.filter:
        query = query.where(filter_sql.where(wanted.filter, fields, _families(project)))
    words = list(dict.fromkeys(_words(wanted.text or "")))[:MAX_WORDS]
    query = _by_text(reader, query, words, before) if words else _by_id(query, before)
    return [ModelVersion(**row) for row in reader.conn.execute(query.limit(limit)).mappings()]


def _by_id(query: sa.Select[Any], before: str | None) -> sa.Select[Any]:
    query = query.order_by(versions.c.id.desc())
    return query if before is None else query.where(versions.c.id < before)


def _by_text(
    reader: Reader, query: sa.Select[Any], words: Sequence[str], before: str | None
) -> sa.Select[Any]:
    """Walk the index of words, newest first: common words fill a page soon, rare ones have few rows."""
    query = query.join(texts, texts.c.version == versions.c.id)
    if is_sqlite(reader.conn):
        found = " ".join(f'"{word[:MAX_WORD]}"{"*" if len(word) >= LEAST_PREFIX else ""}' for word in words)
        query = query.join(_INDEX, _INDEX.c.rowid == texts.c.seq)
        query = query.where(_INDEX.c.registry_texts_fts.op("MATCH")(found))
        order: sa.ColumnElement[Any] = _INDEX.c.rowid
    else:
        found = " & ".join(f"{word[:MAX_WORD]}{':*' if len(word) >= LEAST_PREFIX else ''}" for word in words)
        simple = sa.literal_column("'simple'::regconfig", sa.String)
        matched = sa.func.to_tsvector(simple, texts.c.text).op("@@")(sa.func.to_tsquery(simple, found))
        query, order = query.where(matched), texts.c.seq
    if before is not None:
        at = sa.select(texts.c.seq).where(texts.c.version == before).scalar_subquery()
        query = query.where(order < at)
    return query.order_by(order.desc())


def _fields(reader: Reader, project: str) -> dict[str, Field]:
    v, s = versions.c, states.c
    plain = {name: filter_sql.plain(v[name]) for name in ("name", "owner", "provider", "base_model")}
    return {
        **plain,
        "upstream_model": filter_sql.plain(v.upstream_model),
        "digest": filter_sql.plain(v.digest),
        "version": filter_sql.keyed(v.sort_key, lambda text: parse_number(text).sort_key, "version number"),
        "tier": filter_sql.ranked(v.tier, TIERS),
        "stage": filter_sql.ranked(s.stage, list(Stage)),
        "status": filter_sql.choice(s.status, [one for one in Status if one is not Status.DELETED]),
        "registered_at": filter_sql.moment(v.registered_at),
        "since": filter_sql.moment(s.since),
        "tag": filter_sql.held(v.id, lambda c: _tagged(project, c), tags.c.tag),
        "label": filter_sql.held(v.digest, lambda c: _labelled(project, c), labels.c.label),
        "prompt": _translated(v.prompt, lambda text: _prompt(reader, project, text)),
        "registered_by": _translated(v.registered_by, lambda text: identity.get_account(reader, text).id),
    }


def _families(project: str) -> dict[str, Any]:
    return {"metrics": lambda name: _metric(project, name)}


def _tagged(project: str, compare: Clause) -> sa.Select[Any]:
    return sa.select(tags.c.version).where(tags.c.project == project, compare)


def _labelled(project: str, compare: Clause) -> sa.Select[Any]:
    return sa.select(labels.c.digest).where(
        labels.c.project == project, labels.c.kind == "model", labels.c.digest.is_not(None), compare
    )


def _metric(project: str, name: str) -> Field:
    """Compare the newest figure of a metric; a version without one satisfies nothing but !=."""

    def compare(term: Term) -> Clause:
        return versions.c.digest.in_(
            evidence.subjects_by_metric(project, name, lambda value: filter_sql.number(value)(term))
        )

    return compare


def _translated(column: sa.ColumnElement[Any], known_as: Any) -> Field:
    """Compare what people name otherwise than the row does: prompts by their refs, people by their names."""
    inner = filter_sql.plain(column)

    def compare(term: Term) -> Clause:
        try:
            values = tuple(known_as(value) for value in term.values)
        except NotFound as error:
            raise term.refuse(error.message.rstrip(".")) from error
        return inner(Term(term.operator, values, term.refuse))

    return compare


def _prompt(reader: Reader, project: str, text: str) -> str:
    return prompts.get(reader, project, *split_ref(text)).digest if "@" in text else text
