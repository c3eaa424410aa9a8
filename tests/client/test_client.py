"""The client in an application's process."""

import json
import os

import pytest
from forge import Forge, digest, model_document, prompt_document, route
from served import until

from assent_client.client import Client
from assent_client.errors import Gone, NotFound, Unavailable
from assent_client.feed import read_events


def test_a_client_decides_and_gives_the_version(server, settings):
    document = model_document()
    server.publish(document)
    with Client(settings) as client:
        assert client.wait()
        chosen = client.decide("assistant", unit="u")
        assert chosen.value == digest(document)
        assert client.version("assistant", chosen).document == document


def test_without_a_snapshot_it_says_so(server, settings):
    with Client(settings) as client:
        assert client.wait(0.01) is False
        with pytest.raises(Unavailable, match="no snapshot"):
            client.decide("assistant", unit="u")
        server.publish(model_document())
        assert client.wait()


@pytest.mark.parametrize("streaming", [True, False])
def test_a_new_snapshot_arrives_by_itself(server, settings, streaming):
    server.streaming = streaming
    server.publish(model_document())
    with Client(settings) as client:
        assert client.wait()
        server.publish(
            model_document(), gone={"assistant": {"status": 410, "reason": "retired", "successor": "b"}}
        )
        until(lambda: client.snapshot.payload.serial == server.serial)
        with pytest.raises(Gone, match="retired") as error:
            client.decide("assistant", unit="u")
        assert error.value.remedy == "Use b."


def test_an_unknown_or_killed_name_is_not_found(server, settings):
    server.publish(
        model_document(), gone={"assistant": {"status": 404, "reason": "killed", "successor": None}}
    )
    with Client(settings) as client:
        assert client.wait()
        for name in ("assistant", "other"):
            with pytest.raises(NotFound):
                client.decide(name, unit="u")


def test_a_flag_has_a_value_and_no_version(server, settings):
    server.publish(routes={"assistant": route("on", kind="flag")})
    with Client(settings) as client:
        assert client.wait()
        chosen = client.decide("assistant", unit="u")
        assert chosen.value == "on"
        with pytest.raises(NotFound):
            client.version("assistant", chosen)


def test_the_disk_serves_when_the_server_is_away(server, settings):
    prompt = prompt_document()
    server.publish(prompt)
    with Client(settings) as client:
        assert client.wait()
    server.envelope = b""
    with Client(settings) as client:
        chosen = client.decide("assistant", unit="u")
        assert client.version("assistant", chosen).document == prompt


def test_a_forged_snapshot_changes_nothing(server, settings):
    server.publish(model_document())
    with Client(settings) as client:
        assert client.wait()
        good, forge = server.serial, server.forge
        server.forge = Forge()
        server.publish(model_document())
        server.forge = forge
        server.publish(model_document())
        until(lambda: client.snapshot.payload.serial == server.serial)
        assert server.serial == good + 2


def test_exposures_are_recorded_with_hashed_units(server, settings):
    server.publish(model_document())
    with Client(settings) as client:
        assert client.wait()
        client.expose("assistant", client.decide("assistant", unit="ann"), unit="ann")
    (row,) = server.rows
    assert (row["kind"], row["route"], row["variant"], row["serial"]) == (
        "exposure",
        "assistant",
        "stable",
        server.serial,
    )
    assert "ann" not in json.dumps(row)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_child_goes_on_by_itself(server, settings):
    server.publish(model_document())
    with Client(settings) as client:
        assert client.wait()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # the child leaves by os._exit, whatever happens
            try:
                client.decide("assistant", unit="u")
                os.write(writer, b"d")
                until(lambda: client.snapshot.payload.serial == 12)
                os.write(writer, b"n")
            finally:
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 1) == b"d"
        server.publish(model_document())
        assert os.read(reader, 1) == b"n"
        os.waitpid(child, 0)
        os.close(reader)
        until(lambda: client.snapshot.payload.serial == 12)


def test_events_are_read_line_by_line():
    lines = [
        ": hello",
        "event: snapshot",
        "id: 1",
        "data: {",
        "data: }",
        "",
        "",
        "data: x",
        "",
        "event: lost",
    ]
    assert list(read_events(lines)) == [("snapshot", b"{\n}"), ("", b"x")]
