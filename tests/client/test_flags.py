# ruff: noqa: FBT003 -- a flag's default stands where OpenFeature puts it
"""Feature flags in an application's process: any doubt is the default, exposures are recorded once."""

import os
import sys
import threading

import pytest
from forge import model_document, route
from served import until

from assent_client import flags as flags_module
from assent_client.client import Client

BEYOND = [{"attribute": "organisation", "op": "in", "value": ["acme"]}]


def flag(variants=None, share=0, **changes):
    variants = variants or {"on": True, "off": False}
    (first, last), (start, end) = (next(iter(variants)), list(variants)[-1]), (share, 1_000_000)
    split = [{"variant": first, "start": 0, "end": share}] if share else []
    if share < end:
        split.append({"variant": last, "start": start, "end": end})
    changed = {"kind": "flag", "variants": variants, "split": split, "off": last} | changes
    return route("x") | changed


def publish(server, **flags):
    server.publish(model_document(), routes={name: one | {"key": name} for name, one in flags.items()})


@pytest.fixture
def client(server, settings):
    publish(
        server,
        gpt4=flag(share=500_000),
        everybody=flag(share=1_000_000),
        nobody=flag(share=1_000_000, enabled=False),
        ruled=flag(rules=[{"id": "acme", "when": BEYOND, "variant": "on"}]),
        team=flag(share=500_000, unit="organisation"),
        needy=flag(share=1_000_000, prerequisites=[{"flag": "nobody", "variants": ["on"]}]),
        limit=flag({"many": 50, "few": 10}, share=1_000_000),
        text=flag({"a": "x", "b": "y"}, share=1_000_000),
        shape=flag({"a": {"deep": [1]}, "b": {}}, share=1_000_000),
        items=flag({"a": [1], "b": []}, share=1_000_000),
        none=flag(share=1_000_000, enabled=False, off=None),
    )
    with Client(settings) as client:
        assert client.wait()
        yield client


def test_the_brief_s_own_words_work(client):
    feature_enabled = client.feature_enabled
    assert feature_enabled("everybody") is True
    on = [user for user in map(str, range(200)) if client.feature_enabled("gpt4", user=user)]
    assert 60 < len(on) < 140
    assert on == [user for user in map(str, range(200)) if client.decide("gpt4", unit=user).value]


@pytest.mark.parametrize(
    ("name", "who", "reason"),
    [
        ("unheard-of", {"user": "u"}, "not_found"),
        ("gpt4", {}, "no_unit"),
        ("gpt4", {"organisation": "acme"}, "no_unit"),
        ("ruled", {}, "no_unit"),
        ("needy", {}, "no_unit"),
        ("gpt4", {"user": True}, "invalid_unit"),
        ("gpt4", {"user": object()}, "invalid_unit"),
        ("gpt4", {"user": "u", "context": [1]}, "invalid_context"),
        ("gpt4", {"user": "u", "context": {1: 2}}, "invalid_context"),
        ("limit", {"user": "u"}, "type_mismatch"),
        ("none", {"user": "u"}, "disabled"),
    ],
)
def test_any_doubt_is_the_default_with_its_reason(client, server, name, who, reason):
    assert client.feature_enabled(name, **who) is False
    found = client.flag(name, False, **who)
    assert (found.value, found.variant, found.reason, found.is_default) == (False, None, reason, True)
    assert found.message
    client.close()
    assert server.rows == []


def test_without_a_snapshot_it_is_the_default(server, settings):
    with Client(settings) as client:
        assert client.feature_enabled("gpt4", user="u") is False
        assert client.flag("gpt4", True, user="u")[:3] == (True, None, "unavailable")


@pytest.mark.parametrize(
    ("name", "who", "value", "reason"),
    [
        ("everybody", {"user": "u"}, True, "static"),
        ("nobody", {"user": "u"}, False, "disabled"),
        ("nobody", {}, False, "disabled"),
        ("ruled", {"user": "u", "organisation": "acme"}, True, "rule"),
        ("ruled", {"user": "u", "context": {"organisation": "acme"}}, True, "rule"),
        (
            "ruled",
            {"user": "u", "organisation": "other", "context": {"organisation": "acme"}},
            False,
            "static",
        ),
        ("needy", {"user": "u"}, False, "prerequisite"),
    ],
)
def test_a_value_comes_with_its_reason(client, name, who, value, reason):
    found = client.flag(name, None, **who)
    assert (found.value, found.reason, found.is_default) == (value, reason, False)


def test_a_flag_sticks_to_what_it_says_and_numbers_are_texts(client):
    by_team = {client.flag("team", None, user=str(n), organisation="acme").variant for n in range(50)}
    assert by_team == {client.decide("team", unit="acme").variant}
    assert client.flag("gpt4", None, user=17) == client.flag("gpt4", None, user="17")


@pytest.mark.parametrize(
    ("name", "default", "value"),
    [
        ("limit", 1, 50),
        ("limit", 1.0, 50),
        ("limit", "1", "1"),
        ("limit", True, True),
        ("text", "-", "x"),
        ("shape", {}, {"deep": [1]}),
        ("items", [], [1]),
        ("items", (), [1]),
        ("items", {}, {}),
    ],
)
def test_a_value_has_the_type_of_the_default(client, name, default, value):
    assert client.flag(name, default, user="u").value == value


def test_what_a_caller_does_to_a_value_changes_nothing(client):
    client.flag("shape", {}, user="u").value["deep"].append(2)
    assert client.flag("shape", {}, user="u").value == {"deep": [1]}


def test_an_exposure_is_recorded_once_for_each_unit_and_variant(client, server):
    for _ in range(3):
        for user in "abc":
            client.feature_enabled("everybody", user=user)
    publish(server, everybody=flag(share=1_000_000, enabled=False))
    until(lambda: client.snapshot.payload.serial == server.serial)
    assert client.feature_enabled("everybody", user="a") is False
    client.close()
    assert [row["variant"] for row in server.rows] == ["on", "on", "on", "off"]
    assert len({row["unit"] for row in server.rows}) == 3


def test_only_so_many_exposures_are_remembered(client, server, monkeypatch):
    monkeypatch.setattr(flags_module, "REMEMBERED", 2)
    for user in "abcacdea":
        client.feature_enabled("everybody", user=user)
    client.close()
    assert len(server.rows) == 5  # a was used again in time


def test_sixteen_threads_record_each_exposure_once_while_snapshots_change(client, server):
    before, faults = sys.getswitchinterval(), []
    sys.setswitchinterval(1e-5)
    start = threading.Barrier(17)

    def ask():
        start.wait()
        answers = [client.feature_enabled("everybody", user=str(n % 50)) for n in range(400)]
        faults.extend(answer for answer in answers if answer is not True)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    try:
        for thread in threads:
            thread.start()
        start.wait()
        publish(server, everybody=flag(share=1_000_000, generation=2))
        for thread in threads:
            thread.join(15)
    finally:
        sys.setswitchinterval(before)
    client.close()
    assert faults == []
    assert len(server.rows) == 50


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_workers_forked_after_loading_decide_and_record_by_themselves(client, server):
    assert client.feature_enabled("everybody", user="a")
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:  # the child leaves by os._exit, whatever happens
            code = 1
            try:
                if client.feature_enabled("everybody", user="a"):
                    client.close()
                    code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    client.close()
    assert len(server.rows) == 3


def test_the_disk_serves_flags_when_the_server_is_away(client, server, settings):
    client.close()
    server.envelope = b""
    with Client(settings) as again:
        assert again.feature_enabled("everybody", user="u") is True


def test_a_corrupted_disk_is_refused_and_reported(client, server, settings, caplog):
    client.close()
    (file,) = settings.data_dir.glob("*.snapshot.json")
    file.write_bytes(file.read_bytes().replace(b"signatures", b"signaturez"))
    server.envelope = b""
    with Client(settings) as again:
        assert again.feature_enabled("everybody", user="u") is False
        assert "malformed" in again.trouble
    assert "malformed" in caplog.text


def test_an_older_serial_is_refused_and_told(client, server):
    told = []
    client.listen(told.append)
    good, server.serial = server.serial, 3
    publish(server, everybody=flag(share=1_000_000, enabled=False))
    notice = until(lambda: next((one for one in told if one.kind == "refused"), None))
    assert "lies behind" in notice.message
    assert client.feature_enabled("everybody", user="u") is True
    assert client.snapshot.payload.serial == good


def test_listeners_hear_what_changed_and_one_that_fails_stops_nobody(client, server):
    told = []

    def fail(notice):
        raise ValueError(notice)

    client.listen(fail)
    stop = client.listen(told.append)
    routes = dict(client.snapshot.payload.routes)
    server.publish(model_document(), routes=routes | {"gpt4": routes["gpt4"] | {"enabled": False}})
    until(lambda: told)
    assert [(one.kind, one.names) for one in told] == [("changed", ("gpt4",))]
    stop()
    server.publish(model_document(), routes=routes)
    until(lambda: client.snapshot.payload.serial == server.serial)
    assert len(told) == 1


def test_a_segment_that_changes_may_change_every_flag(client, server):
    told = []
    client.listen(told.append)
    routes = dict(client.snapshot.payload.routes)
    server.publish(model_document(), routes=routes, segments={"s": {"any": [BEYOND]}})
    until(lambda: told)
    assert told[0].names == tuple(sorted(routes))
