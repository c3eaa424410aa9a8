"""Conversations through the gateway: new ones get an id, and end on the version on which they began."""

from datetime import UTC, datetime, timedelta

import pytest
from forge import digest, model_document, route
from plane import completion, http

from assent_client.conversations import begun_ms

OLD, NEW = model_document(upstream_model="old"), model_document(name="new", upstream_model="new")


def publish(world, *pins, **changes):
    payload = world.payload(OLD, NEW)
    variants = {"stable": digest(NEW), "ending": digest(OLD)}
    told = {"variants": variants, "unit": "conversation"} | changes
    payload["routes"] = {"assistant": route(digest(NEW), **told, **({"pins": list(pins)} if pins else {}))}
    world.publish_payload(payload)


def before_now():
    at = round((datetime.now(UTC) + timedelta(seconds=1)).timestamp() * 1000)
    return {"variant": "ending", "start": 0, "end": 1_000_000, "salt": "s", "before": at, "until": at}


def asked(world, conversation, **body):
    sent = {"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]} | body
    return world.post(sent, **{"x-assent-conversation": conversation})


@pytest.fixture
def talking(world):
    publish(world, variants={"stable": digest(OLD)})
    world.upstream.answer = lambda transport, one: transport.write(http(completion(model=one.body["model"])))
    world.start()
    return world


def test_a_conversation_that_began_before_the_promotion_ends_on_its_version(talking):
    world = talking
    publish(world, before_now())
    first = asked(world, "new")
    conversation = first.headers["x-assent-conversation"]
    assert first.headers["x-assent-version"] == "assistant@1.0.0"
    assert begun_ms(conversation) is not None
    again = asked(world, conversation)
    assert again.headers["x-assent-version"] == "assistant@1.0.0"
    assert "x-assent-conversation" not in again.headers
    assert asked(world, "chat-17").headers["x-assent-version"] == "new@1.0.0"
    one, two, other = world.calls(3)
    assert (one["reason"], one["variant"], one["sticky"]) == ("pinned", "ending", True)
    assert one["unit"] == two["unit"] != other["unit"]
    publish(world)  # its time is over, or the version was rolled back: it moves at its next request
    assert asked(world, conversation).headers["x-assent-version"] == "new@1.0.0"


def test_where_conversations_stick_their_id_goes_before_the_users(talking):
    world = talking
    asked(world, "chat-1", user="ada")
    asked(world, "chat-2", user="ada")
    asked(world, "chat-1", user="ada", assent={"unit": "mine"})
    publish(world, unit="user")
    asked(world, "chat-1", user="ada")
    asked(world, "chat-2", user="ada")
    units = [row["unit"] for row in world.calls(5)]
    assert len(set(units[:3])) == 3
    assert units[3] == units[4]
