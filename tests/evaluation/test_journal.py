"""The journal: whole lines only, one writer, no record twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome, Score
from assent.evaluation.journal import Journal, read_lines, read_records, write_line
from assent.kernel.errors import Conflict, Invalid

HEADER = {"run": "run_1"}


def record(key, text="A: 1"):
    return CaseRecord(
        "candidate",
        "sha256:s",
        0,
        key,
        Outcome.SCORED,
        Answer(text),
        (Score("correct", "k", 1.0),),
        "",
        "2026",
        1.5,
        1,
    )


def write(path, keys):
    with Journal(path, HEADER) as journal:
        for key in keys:
            journal.append(record(key))
    return path.read_bytes()


def test_what_is_written_is_read_back(tmp_path):
    with Journal(tmp_path / "j", HEADER) as journal:
        strange = record("a", 'line\nbreak, "quotes", \x00, é, \u2028')
        journal.append(strange)
    header, records = read_records((tmp_path / "j").read_bytes())
    assert header == {"journal": 1, "run": "run_1"}
    assert records == [strange]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 10_000), rubbish=st.binary(max_size=40))
def test_a_torn_tail_is_cut_and_whole_records_stay(cut, rubbish, tmp_path_factory):
    path = tmp_path_factory.mktemp("journals") / "j"
    whole = write(path, "abcdef")
    torn = whole[: cut % (len(whole) + 1)]
    path.write_bytes(torn + rubbish)
    n_whole = max(0, torn.count(b"\n") - 1)
    with Journal(path, HEADER) as journal:
        assert len(journal.records) == n_whole
        for key in "abcdef":
            if ("candidate", key) not in journal.records:
                journal.append(record(key))
    assert [r.answer_key for r in read_records(path.read_bytes())[1]] == list("abcdef")


@given(at=st.integers(0, 10_000), change=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_no_changed_byte_is_read_as_a_finished_journal(at, change, tmp_path_factory):
    path = tmp_path_factory.mktemp("journals") / "j"
    content = bytearray(write(path, "abc"))
    content[at % len(content)] ^= change
    with pytest.raises(Invalid):
        read_records(bytes(content))


def test_two_processes_do_not_write_one_journal(tmp_path):
    with Journal(tmp_path / "j", HEADER), pytest.raises(Conflict, match="Another process"):
        Journal(tmp_path / "j", HEADER)


def test_a_journal_of_another_run_is_not_continued(tmp_path):
    write(tmp_path / "j", "a")
    with pytest.raises(Conflict, match="another run"):
        Journal(tmp_path / "j", {"run": "run_2"})


def test_a_case_is_recorded_once(tmp_path):
    with Journal(tmp_path / "j", HEADER) as journal:
        journal.append(record("a"))
        with pytest.raises(Conflict, match="already"):
            journal.append(record("a"))
    assert len(read_records((tmp_path / "j").read_bytes())[1]) == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [(b'{"journal":2}', "format 2"), (b"[]", "header"), (b"{", "header"), (b"", "damaged")],
)
def test_a_header_of_another_kind_is_refused(header, message):
    with pytest.raises(Invalid, match=message):
        read_records(write_line(header) if header else b"")


def test_a_record_that_is_no_record_is_named():
    content = write_line(b'{"journal":1}') + write_line(b'{"side":"candidate"}')
    with pytest.raises(Invalid, match="Record 1"):
        read_records(content)
    assert len(list(read_lines(content))) == 2
