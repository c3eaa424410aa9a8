"""Observed calls as files, as their readers see them."""

import csv
import io
import json
from datetime import timedelta

import duckdb
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.kernel.errors import Invalid
from assent.monitoring import service
from assent.monitoring.domain.export import COLUMNS, NAMES, open_form
from assent.monitoring.domain.parquet import Column, Kind, Writer
from assent.monitoring.service import export
from assent_client.cli.main import main
from assent_client.errors import Forbidden
from assent_client.errors import Invalid as InvalidThere

VALUES = {
    Kind.BOOL: st.booleans(),
    Kind.INT: st.integers(0, 2**62),
    Kind.FLOAT: st.floats(allow_nan=False),
    Kind.TEXT: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    Kind.TIME: st.integers(0, 2**52),
}
FLAT = [Column(kind.name.lower(), kind) for kind in Kind]
ROW = st.tuples(*(st.none() | VALUES[column.kind] for column in FLAT))


def written(columns, groups):
    writer = Writer(columns)
    return b"".join([writer.start(), *(writer.group(rows) for rows in groups), writer.end()])


def read(content, folder, what="*"):
    path = folder / "file.parquet"
    path.write_bytes(content)
    return duckdb.sql(f"SELECT {what} FROM '{path}'").fetchall()


@given(groups=st.lists(st.lists(ROW, min_size=1, max_size=30), max_size=3))
def test_duckdb_reads_what_was_written(tmp_path_factory, groups):
    content = written(FLAT, groups)
    what = '"bool", "int", "float", "text", epoch_us("time")'
    assert read(content, tmp_path_factory.mktemp("p"), what) == [row for rows in groups for row in rows]


def test_a_file_of_more_columns_and_longer_texts_than_short_forms_hold(tmp_path):
    columns = [Column(f"c{n}", Kind.TEXT) for n in range(40)]
    rows = [tuple(f"{n}é" * 90 for n in range(40)) for _ in range(300)]
    assert read(written(columns, [rows]), tmp_path) == rows


@pytest.fixture
def three(running):
    first = running.call("u1", ago_s=5, guardrails=("pii", "words"), language="de", unguarded=True)
    running.send(
        first,
        running.thumb(first, 0.25),
        running.call("u2", "canary", status=500, error_class='=1,"a"\nb', ago_s=4, operation="embeddings"),
    )
    running.send(running.call("u3", environment="staging", ttft_s=0.5, as_approved=None, ago_s=3))
    return running


def exported(desk, form, *, seconds=60, **where):
    period = desk.read(service.report.last, seconds)
    return b"".join(export.stream(desk.session.read, "acme", period, where, form))


def test_each_form_holds_the_same_rows(three, tmp_path):
    lines = [json.loads(line) for line in exported(three, "jsonl").splitlines()]
    assert [line["unit"] for line in lines] == ["u1", "u2", "u3"]
    assert (lines[0]["feedback"], lines[0]["guardrails"], lines[0]["language"]) == (0.25, "pii,words", "de")
    assert (lines[0]["unguarded"], lines[1]["unguarded"]) == (True, False)
    assert [line["operation"] for line in lines] == ["chat", "embeddings", "chat"]
    assert (lines[2]["environment"], lines[2]["ttft_s"], lines[2]["as_approved"]) == ("staging", 0.5, None)
    at = three.clock.now() - timedelta(seconds=5)
    assert lines[0]["called_at"] == f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"
    table = list(csv.DictReader(io.StringIO(exported(three, "csv").decode(), newline="")))
    texts = [
        {
            name: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in line.items()
        }
        for line in lines
    ]
    assert table == texts
    names = ", ".join(f'"{name}"' for name in NAMES[1:])
    rows = read(exported(three, "parquet"), tmp_path, f"epoch_us(called_at), {names}")
    assert [row[1:] for row in rows] == [tuple(line[name] for name in NAMES[1:]) for line in lines]
    assert rows[0][0] == round(at.timestamp() * 1e6)


def test_a_period_and_a_place_narrow_the_rows(three):
    assert len(exported(three, "jsonl", environment="staging").splitlines()) == 1
    assert len(exported(three, "jsonl", route="other").splitlines()) == 0
    three.clock.advance(120)
    three.send(three.call("u4"))
    assert [json.loads(line)["unit"] for line in exported(three, "jsonl").splitlines()] == ["u4"]
    assert len(exported(three, "jsonl", seconds=3600).splitlines()) == 4


def test_pages_follow_each_other_without_a_gap(three, monkeypatch):
    monkeypatch.setattr(export, "PAGE", 2)
    assert len(exported(three, "csv").splitlines()) == 1 + 3 + 1  # one text holds a line break


def test_more_than_a_file_holds_is_refused_before_it_begins(three, monkeypatch):
    monkeypatch.setattr(export, "MOST_ROWS", 2)
    period = three.read(service.report.last, 60)
    with pytest.raises(Invalid, match="more than 2 calls"):
        three.read(export.check, "acme", period, {})
    three.read(export.check, "acme", period, {"environment": "staging"})


def test_nobody_but_operators_and_auditors_takes_calls_away(served):
    served.desk.send(served.desk.call("u1"))
    with served.api("gateway") as api, pytest.raises(Forbidden):
        api.read("/v1/projects/acme/observations")
    with served.api("auditor") as api:
        assert json.loads(api.read("/v1/projects/acme/observations"))["unit"] == "u1"
        with pytest.raises(InvalidThere):
            api.read("/v1/projects/acme/observations", format="xlsx")


def test_a_file_says_its_kind_and_name(served):
    head = {"authorization": f"Bearer {served.tokens['auditor']}"}
    address = f"{served.url}/v1/projects/acme/observations"
    asked = {"format": "parquet", "from_at": "2026-01-01T00:00:00Z", "to_at": "2026-01-01T01:00:00Z"}
    answer = httpx.get(address, params=asked, headers=head)
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert "observations-20260101T000000Z-20260101T010000Z.parquet" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"PAR1")
    assert answer.content.endswith(b"PAR1")


def test_the_command_writes_a_file_or_leaves_none(served, monkeypatch, capsys, tmp_path):
    served.desk.send(served.desk.call("u1"), served.desk.call("u2"))
    for name, value in {"URL": served.url, "TOKEN": served.tokens["admin"], "PROJECT": "acme"}.items():
        monkeypatch.setenv(f"ASSENT_{name}", value)
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["--json", "monitor", "export", "--format", "parquet", "--since", "24h"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "file": "observations.parquet",
        "format": "parquet",
        "bytes": (folder / "observations.parquet").stat().st_size,
    }
    assert duckdb.sql(f"SELECT count(*) FROM '{folder / said['file']}'").fetchall() == [(2,)]
    assert main(["monitor", "export", "--out", str(tmp_path / "nowhere" / "f.csv"), "--format", "csv"]) == 20
    assert "cannot be written" in capsys.readouterr().err
    assert main(["monitor", "export", "--since", "9d"]) == 10
    assert [path.name for path in folder.iterdir()] == ["observations.parquet"]


def test_every_column_of_an_export_is_one_of_the_query(three):
    with three.session.read() as reader:
        row = export.store.page(reader.conn, export.store.Asked("acme", 0, 4e9, {}), -1, 1)[0]
    assert len(row) == 1 + len(COLUMNS)
    with pytest.raises(KeyError):
        open_form("xlsx")
