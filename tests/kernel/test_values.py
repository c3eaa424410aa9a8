"""Canonical JSON and digests, identifiers, bodies on disk, column types, guards, signals, settings."""

import hashlib
import json
import os
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from assent.kernel.blobs import Blobs
from assent.kernel.canonical import canonical, digest, digest_bytes, is_digest
from assent.kernel.db import Json, Utc, connect, is_sqlite, metadata, table, tables_of
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.guards import guards, unchanging
from assent.kernel.ids import new_id
from assent.kernel.runtime import Signals
from assent.kernel.settings import load

# RFC 8785, section 3.2.2 (input), 3.2.3 (sorted keys) and appendix B (numbers).
SAMPLE = r"""{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"""
SAMPLE_CANONICAL = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
)
SORTED_KEYS = ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_the_sample_of_rfc_8785_is_written_as_published():
    assert canonical(json.loads(SAMPLE)).decode() == SAMPLE_CANONICAL


def test_keys_sort_by_utf_16_units_as_rfc_8785_says():
    assert list(json.loads(canonical(dict.fromkeys(reversed(SORTED_KEYS), 1)))) == SORTED_KEYS


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740991, "9007199254740991"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (333333333.33333325, "333333333.33333325"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
    ],
)
def test_numbers_are_written_as_rfc_8785_says(number, text):
    assert canonical(number).decode() == text


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [float("nan"), float("-inf"), 2**53, b"x", {1: 2}, "\ud800", {"\ud800": 1}, {1}, nested(100_000)]
)
def test_what_json_cannot_hold_is_invalid(value):
    with pytest.raises(Invalid, match="cannot be written as canonical JSON"):
        canonical(value)


def test_a_digest_is_the_sha_256_of_the_canonical_bytes():
    assert digest({"b": 1, "a": 2}) == "sha256:" + hashlib.sha256(b'{"a":2,"b":1}').hexdigest()
    assert digest_bytes(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "A" * 64, "sha256:" + "a" * 65, "sha256:" + "a" * 64 + "\n", 7]
)
def test_what_lacks_the_form_of_a_digest_is_none(text):
    assert not is_digest(text)
    assert is_digest("sha256:" + "a" * 64)


def test_later_identifiers_sort_after_earlier_ones():
    made = [new_id("ro") for _ in range(500)]
    assert made == sorted(set(made))
    assert all(len(each) == 35 and each.startswith("ro_") for each in made)


def stored_files(root):
    return [path for path in root.rglob("*") if path.is_file()]


def test_a_body_is_one_complete_file_by_its_digest(tmp_path):
    blobs = Blobs(tmp_path)
    name = blobs.put(b"text")
    assert blobs.put(b"text") == name == digest_bytes(b"text")
    assert (blobs.exists(name), blobs.get(name)) == (True, b"text")
    [file] = stored_files(tmp_path)
    assert file.parent.name + file.name == name.removeprefix("sha256:")


def test_a_body_changed_on_disk_is_never_given_out(tmp_path):
    blobs = Blobs(tmp_path)
    name = blobs.put(b"text")
    stored_files(tmp_path)[0].write_bytes(b"tex")
    with pytest.raises(Invalid, match="was changed on disk"):
        blobs.get(name)


def test_a_missing_or_erased_body_is_not_found(tmp_path):
    blobs = Blobs(tmp_path)
    name = blobs.put(b"text")
    blobs.erase(name)
    blobs.erase(name)
    assert not blobs.exists(name)
    with pytest.raises(NotFound, match="may have been erased"):
        blobs.get(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "sha256:../../x", "", "sha256:" + "a" * 63])
def test_a_body_is_asked_for_by_a_digest_and_by_nothing_else(tmp_path, name):
    blobs = Blobs(tmp_path)
    for ask in (blobs.get, blobs.exists, blobs.erase):
        with pytest.raises(Invalid, match="is not a digest"):
            ask(name)


def test_times_and_json_come_back_from_the_database_as_they_went_in(any_database, tmp_path):
    own = sa.MetaData()
    box = sa.Table("box", own, sa.Column("at", Utc), sa.Column("value", Json))
    engine = connect(any_database or f"sqlite:///{tmp_path / 'a.db'}")
    assert is_sqlite(engine) == (not any_database)
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    with engine.connect().execution_options(assent_writes=True) as conn, conn.begin():
        own.create_all(conn)
        conn.execute(
            sa.insert(box), [{"at": at, "value": {"b": [1.5, None], "a": "é"}}, {"at": None, "value": None}]
        )
        assert conn.execute(sa.select(box)).all() == [(at, {"a": "é", "b": [1.5, None]}), (None, None)]
        assert conn.execute(sa.text("SELECT at, value FROM box WHERE at IS NOT NULL")).one() == (
            "2026-01-02T03:04:05.000006Z",
            '{"a":"é","b":[1.5,null]}',
        )
    engine.dispose()


def test_a_guarded_table_refuses_changes_whoever_tries(any_database, tmp_path):
    own = sa.MetaData()
    kept = unchanging(sa.Table("kept", own, sa.Column("n", sa.Integer, primary_key=True)))
    erasable = unchanging(
        sa.Table("erasable", own, sa.Column("n", sa.Integer, primary_key=True)), erasable=True
    )
    engine = connect(any_database or f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as conn:
        own.create_all(conn)
        for each in (kept, erasable):
            conn.execute(sa.insert(each).values(n=1))
    refused = [sa.update(kept).values(n=2), sa.delete(kept), sa.update(erasable).values(n=2)]
    for statement in refused + ([] if is_sqlite(engine) else [sa.text("TRUNCATE kept")]):
        with (
            pytest.raises(sa.exc.DBAPIError, match="a registered version never changes"),
            engine.begin() as conn,
        ):
            conn.execute(statement)
    with engine.begin() as conn:
        conn.execute(sa.delete(erasable))
        assert conn.execute(sa.select(kept.c.n)).scalars().all() == [1]
        for statement in guards("kept", engine.dialect.name):
            conn.exec_driver_sql(statement)
    engine.dispose()


def test_tables_are_listed_by_their_kind():
    made = table("kernel_test_table", sa.Column("n", sa.Integer), kind="body")
    try:
        assert made in tables_of("body")
        assert made not in tables_of("governed") + tables_of("operational")
        names = [t.name for t in tables_of("body")]
        assert names == sorted(names)
    finally:
        metadata.remove(made)


def test_a_signal_reaches_the_subscribers_of_its_topic_until_they_end():
    signals = Signals()
    heard = []
    end = signals.subscribe("delivery", lambda: heard.append("one"))
    signals.subscribe("delivery", lambda: heard.append("two"))
    signals.subscribe("other", lambda: heard.append("other"))
    signals.notify("delivery")
    signals.notify("nobody")
    end()
    signals.notify("delivery")
    assert heard == ["one", "two", "two"]


def test_a_subscriber_may_end_itself_while_it_is_called():
    signals = Signals()
    heard = []
    end = signals.subscribe("delivery", lambda: (heard.append(1), end()))
    signals.notify("delivery")
    signals.notify("delivery")
    assert heard == [1]


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ASSENT_PORT", "9000")
    monkeypatch.setenv("ASSENT_DATA_DIR", str(tmp_path))
    settings = load()
    assert settings.port == 9000
    assert settings.database == f"sqlite:///{tmp_path / 'assent.db'}"
    assert settings.base_url == "http://127.0.0.1:9000"
    assert load(public_url="https://assent.example/").base_url == "https://assent.example"
    assert load(database_url="postgresql://h/d").database == "postgresql://h/d"


def test_each_wrong_variable_is_named(monkeypatch):
    wrong = {"PORT": "70000", "STEP_UP_S": "soon", "LOG_LEVEL": "LOUD", "ORIGIN": "two words"}
    for name, value in wrong.items():
        monkeypatch.setenv(f"ASSENT_{name}", value)
    with pytest.raises(Invalid) as refused:
        load()
    for name in wrong:
        assert f"ASSENT_{name}: " in str(refused.value)
    assert "environment variables" in refused.value.remedy


def test_the_bootstrap_token_is_not_shown(monkeypatch):
    monkeypatch.setenv("ASSENT_BOOTSTRAP_TOKEN", "assent_pat_secret")
    assert "assent_pat_secret" not in repr(load())
    assert os.environ["ASSENT_BOOTSTRAP_TOKEN"] == load().bootstrap_token.get_secret_value()
