import io
import json
import os
import pty
import re
import sys

import pytest

from assent_client.cli.connection import OPTIONS
from assent_client.cli.output import Column, cell, emit, note, plain, print_text, progress


def test_a_list_is_a_table_of_the_named_columns(capsys):
    rows = [
        {"name": "a", "tier": "low", "live": {"ref": "a@1.0.0"}, "n": 1},
        {"name": "bcd", "tier": None, "n": 20},
    ]
    emit(rows, ["name", Column("live.ref", "live"), Column("n", right=True)])
    assert capsys.readouterr().out.splitlines() == [
        "NAME  LIVE      N",
        "a     a@1.0.0   1",
        "bcd   -        20",
    ]


def test_a_page_is_printed_as_its_items(capsys):
    emit({"items": [{"name": "a"}], "next": None})
    assert capsys.readouterr().out.splitlines() == ["NAME", "a"]


def test_a_mapping_is_a_view_of_names_and_values(capsys):
    emit({"name": "a", "created_at": None, "labels": ["x", "y"]}, title="model")
    assert capsys.readouterr().out.splitlines() == [
        "model",
        "name        a",
        "created at  -",
        "labels      x, y",
    ]


def test_an_empty_list_says_so_beside_the_results(capsys):
    emit([], ["name"], empty="No models yet.")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "No models yet.\n")


def test_a_list_of_words_is_one_a_line(capsys):
    emit(["a", "b"])
    assert capsys.readouterr().out == "a\nb\n"


def test_a_single_value_and_nothing(capsys):
    emit("text")
    emit(None)
    assert capsys.readouterr().out == "text\n"


def test_a_command_may_print_its_result_its_own_way(capsys):
    emit({"a": 1}, lambda value: print_text(f"<{value['a']}>"))
    assert capsys.readouterr().out == "<1>\n"


def test_with_json_the_value_is_printed_as_it_is_and_notes_are_silent(capsys):
    OPTIONS.json = True
    emit({"items": [{"name": "ü"}], "next": "c"}, ["name"])
    note("hello")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"items": [{"name": "ü"}], "next": "c"}
    assert captured.err == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0.1 + 0.2, "0.3"),
        ("0.0274286669", "0.0274287"),
        ("1.51e-05", "1.51e-05"),
        ("-29.048123456", "-29.0481"),
        ("1.10.12345678", "1.10.12345678"),
        ("2026-11-26T23:22:42.270574Z", "2026-11-26T23:22:42Z"),
        ("2026-11-26T23:22:42.270574+00:00", "2026-11-26T23:22:42Z"),
        ("2026-11-26T23:22:42Z", "2026-11-26T23:22:42Z"),
        ([], "-"),
        ([1, "a"], "1, a"),
        ({}, "-"),
        ({"a": 1}, '{"a": 1}'),
        ([{"a": 1}], '[{"a": 1}]'),
    ],
)
def test_every_json_value_reads_in_one_cell(value, text):
    assert cell(value) == text


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x1b]0;title\x07", "a\rb", "\u202egpj", "\u2028", "\x9b1m"])
def test_text_from_elsewhere_cannot_steer_the_terminal(evil, capsys):
    emit([{"name": evil}], ["name"])
    emit({"name": evil})
    print_text(evil)
    note(evil)
    captured = capsys.readouterr()
    for character in (c for c in evil if not c.isprintable()):
        assert character not in captured.out + captured.err
    assert "\\u" in captured.out


def test_markup_in_a_value_is_only_text(capsys):
    emit([{"name": "[red]x[/red]"}], ["name"])
    note("[bold]y[/bold] :smile:")
    captured = capsys.readouterr()
    assert "[red]x[/red]" in captured.out
    assert "[bold]y[/bold] :smile:" in captured.err


def test_words_of_all_scripts_stay_as_they_are():
    assert plain("naïve Größe 日本語 👩\u200d💻\n\tx") == "naïve Größe 日本語 👩\u200d💻\n\tx"


def test_a_column_shows_its_value_its_own_way(capsys):
    emit([{"share": 0.05}], [Column("share", show=lambda share: f"{share:.0%}"), "share.deeper"])
    assert capsys.readouterr().out.splitlines() == ["SHARE  DEEPER", "5%     -"]


def test_progress_is_silent_where_nobody_watches(capsys):
    with progress("running", 10) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")


def on_a_terminal(monkeypatch, columns, *printed):
    """Give what a terminal of so many columns gets, line by line."""
    master, slave = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        emit(*printed)
        print_text("that was all")
        terminal.flush()
        seen = b""
        while b"that was all" not in seen:
            seen += os.read(master, 65536)
    os.close(master)
    plainly = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())
    return [line.rstrip() for line in plainly.splitlines()][:-1]


ROWS = [{"id": "ro_01a21a2af9d374cf9ab1", "state": "open", "note": "answers are rude"}, {"id": "ro_2"}]


def test_a_table_folds_sentences_and_never_an_id(monkeypatch):
    assert on_a_terminal(monkeypatch, 42, ROWS, ["id", "state", "note"]) == [
        "ID                       STATE  NOTE",
        "ro_01a21a2af9d374cf9ab1  open   answers",
        "                                are rude",
        "ro_2                     -      -",
    ]


def test_a_narrow_table_breaks_other_words_before_an_id(monkeypatch):
    rows = [{"id": "ro_01a21a2af9d374cf9ab1", "version": "customer-support-assistant@2.2.0"}]
    assert on_a_terminal(monkeypatch, 40, rows, ["id", "version"]) == [
        "ID                       VERSION",
        "ro_01a21a2af9d374cf9ab1  customer-suppor",
        "                         t-assistant@2.2",
        "                         .0",
    ]


def test_a_table_whose_words_do_not_fit_is_shown_line_by_line_without_what_is_absent(monkeypatch):
    assert on_a_terminal(monkeypatch, 30, ROWS, ["id", "state", "note"]) == [
        "id     ro_01a21a2af9d374cf9ab1",
        "state  open",
        "note   answers are rude",
        "",
        "id  ro_2",
    ]


def test_on_a_terminal_progress_moves_and_tables_are_drawn(monkeypatch):
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(sys, "stdout", terminal)
        with progress("running", 10) as advance:
            advance(5)
        emit([{"name": "a"}])
        terminal.flush()
        seen = b""
        while b"NAME" not in seen:  # a read gives what has arrived, not all that was written
            seen += os.read(master, 65536)
    os.close(master)
    assert b"running" in seen


def test_a_terminal_that_cannot_show_a_character_gets_its_escape(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    print_text("ü")
    narrow.flush()
    assert narrow.buffer.getvalue() == b"\\xfc\n"
