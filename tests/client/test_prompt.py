"""Prompts, opinions and refreshing of a client, waiting and awaiting."""

import asyncio
import json
import os
from dataclasses import replace

import openai
import pytest
from forge import digest, model_document, prompt_document, route

from assent_client.client import AsyncClient, Client
from assent_client.errors import Conflict, Gone, Invalid, NotFound, Unavailable

VARIABLES = {"customer": {"required": True, "schema": {"type": "string"}}}
GREETING = prompt_document("You greet {{ customer }}.", name="greeting", variables=VARIABLES)
WARM = prompt_document("You hug {{ customer }}.", name="greeting", variables=VARIABLES)
TEXT = prompt_document(name="text", format="text", messages=[{"role": "user", "content": "Hi {{ customer }}!"}],
                       variables=VARIABLES)  # fmt: skip
ADA = {"customer": "Ada"}


def publish_prompts(server):
    half = route(digest(GREETING), digest(WARM), 500_000, key="greeting", kind="prompt")
    routes = {"greeting": half, "text": route(digest(TEXT), key="text", kind="prompt")}
    server.publish(GREETING, WARM, TEXT, routes=routes)


@pytest.fixture
def client(server, settings):
    publish_prompts(server)
    with Client(settings) as client:
        assert client.wait()
        yield client


def test_a_prompt_is_rendered_with_what_was_decided(client):
    prompt = client.prompt("greeting", ADA)
    assert prompt.messages == [{"role": "system", "content": "You greet Ada."}]
    assert (prompt.name, prompt.digest, prompt.version, prompt.route, prompt.decision) == (
        "greeting", digest(GREETING), "1.0.0", "greeting", None)  # fmt: skip
    assert client.prompt("text", ADA).text == "Hi Ada!"


def test_units_get_the_prompt_that_their_route_gives_and_each_is_recorded_once(client, server):
    given = {unit: client.prompt("greeting", ADA, unit=unit) for unit in [*"abcdefghijklmnop", *"abc"]}
    said = {prompt.messages[0]["content"] for prompt in given.values()}
    assert said == {"You greet Ada.", "You hug Ada."}
    for unit, prompt in given.items():
        assert prompt.decision == client.decide("greeting", unit=unit)
        assert prompt.digest == prompt.decision.value
    client.close()
    assert [row["kind"] for row in server.rows] == ["exposure"] * 16
    assert {row["variant"] for row in server.rows} == {"stable", "canary"}


def test_a_prompt_that_a_system_pins_is_found_under_both_names(server, settings):
    server.publish(model_document(prompt=digest(GREETING)), prompts=(GREETING,))
    with Client(settings) as client:
        assert client.wait()
        for name in ("assistant", "greeting"):
            prompt = client.prompt(name, ADA)
            assert (prompt.route, prompt.version) == ("assistant", digest(GREETING))


@pytest.mark.parametrize(
    ("given", "words"),
    [({}, "missing: customer"), ({"customer": 7}, "out of their schema: customer"),
     (ADA | {"other": 1}, "not declared by the prompt: other")],
)  # fmt: skip
def test_variables_that_do_not_fit_are_named(client, given, words):
    with pytest.raises(Invalid, match=words) as error:
        client.prompt("greeting", given)
    assert "extra_body" not in error.value.message


def test_a_template_that_fails_says_so(server, settings):
    failing = prompt_document("{{ 1 // customer }}", name="text", variables={"customer": {}})
    server.publish(failing, routes={"text": route(digest(failing), key="text", kind="prompt")})
    with Client(settings) as client:
        assert client.wait()
        with pytest.raises(Invalid, match="cannot be rendered"):
            client.prompt("text", {"customer": 0})


def test_several_messages_are_not_one_text(server, settings):
    two = prompt_document(
        name="text", messages=[{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    )
    server.publish(two, routes={"text": route(digest(two), key="text", kind="prompt")})
    with Client(settings) as client:
        assert client.wait()
        with pytest.raises(Invalid, match="not one text"):
            _ = client.prompt("text").text


def test_a_prompt_that_is_not_served_is_not_found(server, settings):
    gone = {"old": {"status": 410, "reason": "it ended", "successor": "greeting"}}
    with Client(settings) as client:
        with pytest.raises(Unavailable, match="no snapshot"):
            client.prompt("greeting")
        server.publish(gone=gone)
        assert client.wait()
        with pytest.raises(NotFound):
            client.prompt("greeting")
        with pytest.raises(Gone, match="it ended"):
            client.prompt("old")


def test_the_disk_renders_when_the_server_is_away(client, server, settings):
    client.close()
    server.envelope = b""
    with Client(settings) as offline:
        assert offline.prompt("greeting", ADA).messages[0]["content"] == "You greet Ada."


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_child_renders_and_records_by_itself(client, server):
    client.prompt("greeting", ADA, unit="a")
    child = os.fork()
    if child == 0:  # the child leaves by os._exit, whatever happens
        code = 1
        try:
            client.prompt("greeting", ADA, unit="a")
            client.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    client.close()
    assert len({(row["unit"], row["variant"]) for row in server.rows}) == 1
    assert len(server.rows) == 2


def test_feedback_finds_the_call_that_this_process_made(server, settings, upstream):
    server.publish(model_document(), providers={"main": {"base_url": upstream.url, "kind": "openai"}})
    with Client(settings) as client:
        assert client.wait()
        with openai.OpenAI(base_url=upstream.url, api_key="sk", http_client=client.http_client()) as llm:
            answer = llm.chat.completions.create(
                model="assistant", messages=[{"role": "user", "content": "Hi?"}], user="ada")  # fmt: skip
            assert client.feedback(answer.id, "up", "kind") is True
            body = {"completion_id": "chatcmpl-elsewhere", "value": 0.25}
            told = llm.post("/feedback", body=body, cast_to=object)
            assert told == {"accepted": True, "matched": False}
            with pytest.raises(openai.UnprocessableEntityError, match="Feedback is"):
                llm.post("/feedback", body={"value": 2}, cast_to=object)
    call = next(row for row in server.rows if row["kind"] == "call")
    known, unknown = (row for row in server.rows if row["kind"] == "feedback")
    assert (known["value"], known["comment"], known["matched"]) == (1.0, "kind", True)
    assert [known[key] for key in ("route", "variant", "version", "unit")] == [
        call[key] for key in ("route", "variant", "version", "unit")]  # fmt: skip
    assert (unknown["value"], unknown["matched"], unknown["completion_id"]) == (
        0.25,
        False,
        "chatcmpl-elsewhere",
    )


@pytest.mark.parametrize(
    ("completion_id", "value"), [("", "up"), ("c", 1.5), ("c", float("nan")), ("c", "good")]
)
def test_feedback_that_is_none_is_refused(client, completion_id, value):
    with pytest.raises(Invalid, match="no feedback"):
        client.feedback(completion_id, value)


def test_a_refresh_brings_what_is_new_at_once(server, settings):
    server.streaming = False
    publish_prompts(server)

    with Client(replace(settings, poll_s=600.0)) as client:
        assert client.wait()
        publish_prompts(server)
        client.refresh()
        assert client.snapshot.payload.serial == server.serial
        server.envelope = b""
        with pytest.raises(Unavailable, match="gave no snapshot"):
            client.refresh()
        assert client.prompt("greeting", ADA).version == "1.0.0"


def test_a_refresh_says_why_a_snapshot_is_refused(client, server):
    good = server.serial
    server.streaming = False
    forged = server.payload(GREETING)
    server.envelope = server.forge.sign(forged | {"project": "other"})
    with pytest.raises(Invalid, match="project"):
        client.refresh()
    assert client.snapshot.payload.serial == good


def test_the_asynchronous_client_waits_where_it_must_and_nowhere_else(server, settings):
    async def story():
        client = AsyncClient(settings)
        for early in (client.refresh(), client.http_client, lambda: client.feedback("c", "up")):
            with pytest.raises(Conflict, match="not open"):
                await early if asyncio.iscoroutine(early) else early()
        publish_prompts(server)
        async with client:
            assert await client.wait()
            assert client.prompt("greeting", ADA, unit="a").route == "greeting"
            assert client.feature_enabled("greeting", user="a") is False
            publish_prompts(server)
            await client.refresh()
            assert client.snapshot.payload.serial == server.serial
            assert client.feedback("chatcmpl-1", "down") is False

    asyncio.run(story())
    kinds = sorted(row["kind"] for row in server.rows)
    assert kinds == ["exposure", "feedback"], json.dumps(server.rows)
