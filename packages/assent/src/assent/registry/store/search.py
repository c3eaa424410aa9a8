"""Search: what each field of a filter compares, and the full text, in FTS5 or as a tsvector."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel import filter_sql
from assent.kernel.canonical import is_digest
from assent.kernel.db import is_sqlite, table
from assent.kernel.errors import Invalid
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
STATUSES = [one for one in Status if one is not Status.DELETED]
RARE = 1000
"""Of so many versions the ids are fetched; more are asked one by one in the order of the page."""
MOST_STRIDE = 2000
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
_WORDS = sa.TableClause("registry_texts_fts", sa.column("rowid"), sa.column("registry_texts_fts"))

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
        families = {"metrics": lambda name: _metric(reader, project, name)}
        query = query.where(filter_sql.where(wanted.filter, fields, families))
    words = list(dict.fromkeys(_words(wanted.text or "")))[:MAX_WORDS]
    if words:
        return _by_words(reader, query, words, (before, limit))
    if before is not None:
        query = query.where(versions.c.id < before)
    return _rows(reader, query.order_by(versions.c.id.desc()).limit(limit))


def _rows(reader: Reader, query: sa.Select[Any]) -> list[ModelVersion]:
    return [ModelVersion(**row) for row in reader.conn.execute(query).mappings()]


def _by_words(
    reader: Reader, query: sa.Select[Any], words: Sequence[str], page: tuple[str | None, int]
) -> list[ModelVersion]:
    """Walk the index of words, newest first, in growing strides, until the page is full."""
    before, limit = page
    found: list[ModelVersion] = []
    at: int | None = None
    if before is not None:
        at = reader.conn.execute(sa.select(texts.c.seq).where(texts.c.version == before)).scalar_one_or_none()
    stride = limit
    while len(found) < limit:
        walked = list(reader.conn.execute(_matching(reader, words, at).limit(stride)).scalars())
        if walked:
            found += _read(reader, query, walked)
        if len(walked) < stride:
            break
        at, stride = walked[-1], min(MOST_STRIDE, 4 * stride)
    return found[:limit]


def _read(reader: Reader, query: sa.Select[Any], walked: Sequence[int]) -> list[ModelVersion]:
    """Read the versions of a stride that satisfy the query, in the order of the index."""
    kept = sa.select(texts.c.version).where(texts.c.seq.in_(walked)).order_by(texts.c.seq.desc())
    order = {version: n for n, version in enumerate(reader.conn.execute(kept).scalars())}
    return sorted(_rows(reader, query.where(versions.c.id.in_(order))), key=lambda one: order[one.id])


def _matching(reader: Reader, words: Sequence[str], before: int | None) -> sa.Select[Any]:
    """Select the rows of the index that hold all words, newest first."""
    if is_sqlite(reader.conn):
        asked = " ".join(f'"{word[:MAX_WORD]}"{"*" if len(word) >= LEAST_PREFIX else ""}' for word in words)
        row: sa.ColumnElement[int] = _WORDS.c.rowid
        query = sa.select(row).where(_WORDS.c.registry_texts_fts.op("MATCH")(asked))
    else:
        asked = " & ".join(f"{word[:MAX_WORD]}{':*' if len(word) >= LEAST_PREFIX else ''}" for word in words)
        simple = sa.literal_column("'simple'::regconfig", sa.String)
        matched = sa.func.to_tsvector(simple, texts.c.text).op("@@")(sa.func.to_tsquery(simple, asked))
        row = texts.c.seq
        query = sa.select(row).where(matched)
    if before is not None:
        query = query.where(row < before)
    return query.order_by(row.desc())


def _fields(reader: Reader, project: str) -> dict[str, Field]:
    v, s = versions.c, states.c
    plain = {name: filter_sql.plain(v[name]) for name in ("name", "owner", "provider", "base_model")}
    return {
        **plain,
        "upstream_model": filter_sql.plain(v.upstream_model),
        "digest": filter_sql.plain(v.digest),
        "version": filter_sql.keyed(v.sort_key, lambda text: parse_number(text).sort_key, "version number"),
        "tier": filter_sql.ranked(v.tier, TIERS),
        "stage": _of_state(reader, project, lambda row: filter_sql.ranked(row.stage, list(Stage))),
        "status": _of_state(reader, project, lambda row: filter_sql.choice(row.status, STATUSES)),
        "registered_at": filter_sql.moment(v.registered_at),
        "since": filter_sql.moment(s.since),
        "tag": filter_sql.held(tags.c.tag, lambda compare: _tagged(reader, project, compare)),
        "label": filter_sql.held(labels.c.label, lambda compare: _labelled(reader, project, compare)),
        "prompt": filter_sql.translated(v.prompt, lambda text: _prompt(reader, project, text)),
        "registered_by": filter_sql.translated(
            v.registered_by, lambda text: identity.get_account(reader, text).id
        ),
    }


def _chosen(reader: Reader, held: sa.Select[Any], each: Clause) -> Clause:
    """Let few versions be fetched by what holds them, and of many ask each: a page is full soon.

    `held` selects ids, or digests of versions. Neither database can know which is better, so up to RARE are
    counted.
    """
    counted = sa.select(sa.func.count()).select_from(held.limit(RARE + 1).subquery())
    if reader.conn.execute(counted).scalar_one() > RARE:
        return each
    key = held.selected_columns[0]
    if key is tags.c.version:
        return versions.c.id.in_(held)
    own = versions.alias()
    found = held.subquery()
    return versions.c.id.in_(sa.select(own.c.id).join(found, found.c[0] == own.c.digest))


def _of_state(reader: Reader, project: str, field: Callable[[Any], Field]) -> Field:
    def compare(term: Term) -> Clause:
        own = states.alias()
        held = sa.select(own.c.digest).where(own.c.project == project, field(own.c)(term))
        return _chosen(reader, held, field(states.c)(term))

    return compare


def _tagged(reader: Reader, project: str, compare: Clause) -> Clause:
    held = sa.select(tags.c.version).where(tags.c.project == project, compare)
    return _chosen(reader, held, _each(held, versions.c.id))


def _labelled(reader: Reader, project: str, compare: Clause) -> Clause:
    where = (labels.c.project == project, labels.c.kind == "model", compare)
    held = sa.select(labels.c.digest).where(*where)
    return _chosen(reader, held, _each(held, versions.c.digest))


def _metric(reader: Reader, project: str, name: str) -> Field:
    """Compare the newest figure of a metric; a version without one satisfies nothing but !=."""

    def compare(term: Term) -> Clause:
        held = evidence.subjects_by_metric(project, name, lambda value: filter_sql.number(value)(term))
        return _chosen(reader, held, _each(held, versions.c.digest))

    return compare


def _each(held: sa.Select[Any], key: sa.ColumnElement[Any]) -> Clause:
    return held.where(held.selected_columns[0] == key).correlate(versions).exists()


def _prompt(reader: Reader, project: str, text: str) -> str:
    return prompts.get(reader, project, *split_ref(text)).digest if "@" in text else text


def label_of_prompt(project: str) -> Field:
    """Compare the labels that point to a prompt version."""
    rows = prompts.version_rows

    def holds(compare: Clause) -> Clause:
        where = (labels.c.project == project, labels.c.kind == "prompt", compare)
        return rows.c.digest.in_(sa.select(labels.c.digest).where(*where))

    return filter_sql.held(labels.c.label, holds)
