"""tx.record and the session: what is projected, what is appended, what is left after a failure."""

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import pytest
import sqlalchemy as sa

from assent.kernel.db import connect
from assent.kernel.errors import Frozen, Invalid, TooLarge, Unavailable
from assent.kernel.events import MAX_ENTRY_BYTES, Event, decode
from assent.kernel.tx import SYSTEM, Actor, Projections, Projector, Session

DUE = datetime(2026, 12, 1, tzinfo=UTC)


def test_a_projection_sees_the_event_as_a_replay_reads_it(shelf, words):
    with shelf.begin() as tx:
        recorded = tx.record(
            words.Added(title="one", due_at=DUE, notes={"at": DUE}, tags=["a", "b"]), reason="new"
        )
    with shelf.session.read() as reader:
        row = reader.conn.execute(sa.select(words.table)).mappings().one()
    assert row["seen"] == {"notes": "str", "tags": "tuple"}
    assert row["notes"] == {"at": "2026-12-01T00:00:00.000000Z"}
    assert row["due_at"] == DUE
    [leaf] = shelf.leaves()
    assert decode(leaf.entry, shelf.session.ports.projector.known) == recorded


def test_an_entry_says_what_who_when_and_why_in_canonical_form(shelf, words):
    with shelf.begin(Actor("usr_1", "person")) as tx:
        recorded = tx.record(words.Added(title="one"), reason="the first")
    [leaf] = shelf.leaves()
    assert json.loads(leaf.entry) == {
        "v": 1,
        "type": "shelf.book.added",
        "ev": 1,
        "id": recorded.id,
        "at": "2026-11-24T02:15:12.123456Z",
        "actor": "usr_1",
        "reason": "the first",
        "data": {"title": "one", "due_at": None, "notes": {}, "tags": []},
    }
    assert leaf.entry.startswith(b'{"actor":"usr_1","at":')


def test_several_events_of_a_transaction_enter_the_ledger_in_their_order(shelf, words):
    with shelf.begin() as tx:
        for title in ("b", "a", "c"):
            tx.record(words.Added(title=title))
            assert title in tx.conn.execute(sa.select(words.table.c.title)).scalars().all()
    assert [json.loads(leaf.entry)["data"]["title"] for leaf in shelf.leaves()] == ["b", "a", "c"]
    assert [leaf.index for leaf in shelf.leaves()] == [0, 1, 2]


def test_a_rollback_leaves_neither_rows_nor_leaves_nor_calls(shelf, words):
    called = []
    with pytest.raises(RuntimeError, match="changed my mind"), shelf.begin() as tx:  # noqa: PT012 -- the transaction is what fails
        tx.record(words.Added(title="one"))
        tx.after_commit(lambda: called.append(1))
        raise RuntimeError("changed my mind")
    assert (shelf.titles(), shelf.leaves(), called) == ([], [], [])
    with shelf.begin() as tx:
        tx.record(words.Added(title="two"))
    assert shelf.titles() == ["two"]
    assert shelf.leaves()[0].index == 0


def test_what_is_called_after_the_commit_finds_the_change_durable(shelf, words):
    found = []
    with shelf.begin() as tx:
        tx.after_commit(lambda: found.append(shelf.titles()))
        tx.record(words.Added(title="one"))
        assert found == []
    assert found == [["one"]]


def test_a_transaction_without_events_appends_nothing(shelf):
    with shelf.begin() as tx:
        tx.enqueue("shelf.sort", by="title")
    assert shelf.leaves() == []
    assert shelf.jobs == [("shelf.sort", {"by": "title"})]


def test_a_row_that_the_tables_refuse_leaves_no_leaf(shelf, words):
    with shelf.begin() as tx:
        tx.record(words.Added(title="one"))
    with pytest.raises(sa.exc.IntegrityError), shelf.begin() as tx:
        tx.record(words.Added(title="one"))
    assert len(shelf.leaves()) == 1


def test_a_projection_cannot_read(shelf, words):
    with pytest.raises(TypeError, match="it reads nothing"), shelf.begin() as tx:
        tx.record(words.Counted())
    assert shelf.leaves() == []


def test_an_event_without_a_projection_is_refused(shelf, words):
    with (
        pytest.raises(Invalid, match=r"No projection knows the event .*shelf\.book\.lost"),
        shelf.begin() as tx,
    ):
        tx.record(words.Lost(title="one"))
    assert shelf.leaves() == []


def test_an_entry_of_the_largest_size_is_taken_and_one_byte_more_is_not(shelf, words):
    with shelf.begin() as tx:
        tx.record(words.Added(title="one", notes={"text": ""}))
        room = MAX_ENTRY_BYTES - len(tx._entries[0].content)  # noqa: SLF001 -- the size before the commit
        tx.record(words.Added(title="two", notes={"text": "x" * room}))
        assert len(tx._entries[1].content) == MAX_ENTRY_BYTES  # noqa: SLF001 -- the size before the commit
        with pytest.raises(TooLarge, match="65,536 bytes; a ledger entry holds 65,535") as refused:
            tx.record(words.Added(title="six", notes={"text": "x" * (room + 1)}))
    assert "name its digest" in refused.value.remedy
    assert shelf.titles() == ["one", "two"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, object(), "\ud800", {1: 2}])
def test_what_json_cannot_hold_is_invalid_and_leaves_nothing(shelf, words, value):
    with pytest.raises((Invalid, TypeError)) as refused, shelf.begin() as tx:
        tx.record(words.Added(title="one", notes={"value": value}))
    assert isinstance(refused.value, Invalid), "a caller's mistake has a code"
    assert (shelf.titles(), shelf.leaves()) == ([], [])


@pytest.mark.parametrize(
    "type_",
    [
        "shelf.book",
        "shelf.book.Added",
        "other.book.added",
        "shelf.book.added\n",
        "shelf.book.added2",
        "shelf..added",
    ],
)
def test_an_event_type_outside_the_grammar_is_refused(type_):
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Odd(Event):
        TYPE: ClassVar[str] = type_

    with pytest.raises(ValueError, match=r"it must read shelf\.noun\.past"):
        Projections("shelf").on(Odd)


def test_a_second_projection_of_an_event_is_refused(words):
    with pytest.raises(ValueError, match=r"shelf\.book\.added has a projection already"):
        words.declared.on(words.Added)


def test_two_events_of_one_name_are_refused(words):
    twin = Projections("shelf")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Twin(Event):
        TYPE: ClassVar[str] = "shelf.book.added"

    twin.on(Twin)(lambda conn, r: None)
    with pytest.raises(ValueError, match="two events are called"):
        Projector([words.declared, twin])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"id":"evt_1"}',
        b'{"v":1,"type":"shelf.book.added","ev":1,"id":"e","at":"yesterday","actor":"a","reason":null,"data":{"title":"x"}}',
        b'{"v":1,"type":"shelf.book.added","ev":1,"id":"e","at":"2026-01-01T00:00:00","actor":"a","reason":null,"data":{"title":"x"}}',
        b'{"v":1,"type":"shelf.book.added","ev":1,"id":"e","at":"2026-01-01T00:00:00Z","actor":"a","reason":null,"data":{}}',
        b'{"v":1,"type":"shelf.book.added","ev":2,"id":"e","at":"2026-01-01T00:00:00Z","actor":"a","reason":null,"data":{"title":"x"}}',
    ],
)
def test_a_damaged_or_unknown_entry_is_invalid(shelf, content):
    with pytest.raises(Invalid, match=r"not a ledger entry|No projection knows"):
        decode(content, shelf.session.ports.projector.known)


def test_two_threads_that_write_wait_for_each_other(shelf, words):
    inside = threading.Event()
    go_on = threading.Event()

    def slow():
        with shelf.begin() as tx:
            tx.record(words.Added(title="slow"))
            inside.set()
            assert go_on.wait(20)

    def fast():
        with shelf.begin() as tx:
            tx.record(words.Added(title="fast"))

    threads = [threading.Thread(target=slow)]
    threads[0].start()
    assert inside.wait(20)
    threads.append(threading.Thread(target=fast))
    threads[1].start()
    assert shelf.titles() == ([] if shelf.session.engine.dialect.name == "sqlite" else shelf.titles())
    go_on.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert shelf.titles() == ["fast", "slow"]
    assert [leaf.index for leaf in shelf.leaves()] == [0, 1]


def test_a_reader_keeps_its_view_while_others_write(shelf, words):
    with shelf.session.read() as reader:
        query = sa.select(sa.func.count()).select_from(words.table)
        assert reader.conn.execute(query).scalar() == 0
        with shelf.begin() as tx:
            tx.record(words.Added(title="one"))
        assert reader.conn.execute(query).scalar() == 0
        assert reader.now() == reader.clock.now() == shelf.session.ports.clock.now()
        assert reader.blobs is shelf.session.ports.blobs
    assert shelf.titles() == ["one"]


def test_text_that_the_database_cannot_hold_is_invalid(shelf, words):
    if shelf.session.engine.dialect.name == "sqlite":
        pytest.skip("SQLite holds it")
    for title in ("a\x00b", "x" * 21):
        with pytest.raises(Invalid, match="The database cannot hold this"), shelf.begin() as tx:
            tx.record(words.Added(title=title))
    assert (shelf.titles(), shelf.leaves()) == ([], [])


def test_a_missing_database_is_unavailable_and_says_where_to_look(shelf, tmp_path):
    session = Session(connect(f"sqlite:///{tmp_path / 'nowhere' / 'assent.db'}"), shelf.session.ports)
    for open_ in (lambda: session.begin(SYSTEM), session.read):
        with (
            pytest.raises(Unavailable, match=r"does not answer: unable to open database file\.") as refused,
            open_(),
        ):
            pytest.fail("it opened")
        assert "ASSENT_DATABASE_URL" in refused.value.remedy


def test_a_readonly_database_is_frozen_for_writers_and_open_for_readers(shelf, words, tmp_path):
    if shelf.session.engine.dialect.name != "sqlite":
        pytest.skip("a file that is read-only")
    session = Session(
        connect(f"sqlite:///file:{tmp_path / 'assent.db'}?mode=ro&uri=true"), shelf.session.ports
    )
    with (
        pytest.raises(Frozen, match="takes no changes: attempt to write a readonly database") as refused,
        session.begin(SYSTEM) as tx,
    ):
        tx.record(words.Added(title="one"))
    assert "writable" in refused.value.remedy
    with session.read() as reader:
        assert reader.conn.execute(sa.select(words.table)).all() == []
    session.engine.dispose()
    session.engine.dispose()
