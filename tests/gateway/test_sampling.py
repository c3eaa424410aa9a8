"""Sampled calls: who is sampled is the unit's lot, and nothing leaves the gateway in clear."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from forge import digest, model_document, route
from plane import QUICK, STREAM_HEAD, USAGE, chunk, chunked, completion, events, http, until

from assent_client.sampling import Sampling, is_sampled
from assent_client.sealed import open_sealed

SECRET = X25519PrivateKey.generate()
PUBLIC = base64.b64encode(SECRET.public_key().public_bytes_raw()).decode()


def sampling(share=1_000_000, **changes):
    return {"end": share, "salt": "pepper", "key": PUBLIC, "max_bytes": 300, **changes}


def serve(world, given=None, *, limits=QUICK, **changes):
    """Serve a stable version and a canary for half of the units, sampled."""
    old, new = model_document(upstream_model="old"), model_document(upstream_model="new", **changes)
    payload = world.payload(old, new)
    payload["routes"] = {"assistant": route(digest(old), digest(new), 500_000)}
    if given is not None:
        payload["sampling"] = {"assistant": given}
    world.publish_payload(payload)
    if world.gateway is None:
        world.start(limits=limits)


def sampled(world, n=1):
    """Wait for samples, and open them."""
    rows = until(lambda: found if len(found := world.server.rows("sample")) >= n else None, f"{n} samples")
    return [(row, json.loads(open_sealed(SECRET, row["id"], row["sealed"]))) for row in rows]


def stopped(world):
    world.gateway.stop()
    world.gateway = None
    return world.server.rows("sample")


def test_a_sampled_call_is_kept_redacted_and_sealed(world):
    serve(world, sampling())
    world.upstream.answer = http(completion("Write to bob@example.com, key AKIAABCDEFGHIJKLMNOP."))
    answer = world.ask("I am ann@example.com", user="ann")
    assert "bob@example.com" in answer.text, "the caller gets what the version said"
    ((row, read),) = sampled(world)
    assert read == {"question": "I am [email]", "answer": "Write to [email], key [secret]."}
    (call,) = world.calls()
    same = ("at", "version", "variant", "unit", "rollout", "reason", "rule", "route", "completion_id")
    assert {name: row[name] for name in same} == {name: call[name] for name in same}
    assert (row["n_redacted"], row["is_cut"]) == (3, False)
    assert "ann" not in json.dumps(world.server.batches)


def test_a_stream_is_sampled_as_the_text_that_it_comes_to(world):
    serve(world, sampling())
    parts = [chunk("Hel"), chunk("lo."), chunk(finish="stop"), chunk(choices=[], usage=USAGE), "[DONE]"]
    world.upstream.answer = STREAM_HEAD + chunked(*events(*parts))
    world.ask(stream=True)
    ((_, read),) = sampled(world)
    assert read["answer"] == "Hello."


def test_long_texts_are_cut_and_marked(world):
    serve(world, sampling())
    world.upstream.answer = http(completion("a" * 5000))
    turns = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "x" * 900}]
    world.post({"model": "assistant", "messages": [*turns, {"role": "user", "content": "the last"}]})
    ((row, read),) = sampled(world)
    assert read["answer"] == "a" * 300 + "[cut]"
    assert read["question"].startswith("[cut]xxx")
    assert read["question"].endswith("x\nuser: the last"), "of a conversation the newest turns are kept"
    assert row["is_cut"]


def test_a_unit_is_sampled_or_not_whatever_its_arm(world):
    given = sampling(300_000)
    serve(world, given)
    units = [f"user-{n}" for n in range(40)]
    for unit in units * 2:
        world.ask(user=unit)
    chosen = [unit for unit in units if is_sampled(Sampling(**given), unit)]
    assert 5 <= len(chosen) <= 20
    world.calls(80)
    rows = stopped(world)
    assert len(rows) == 2 * len(chosen)
    assert len({row["unit"] for row in rows}) == len(chosen)
    assert {row["variant"] for row in rows} == {"stable", "canary"}


@pytest.mark.parametrize(
    ("answer", "ask"),
    [
        (http({"error": {}}, "500 No"), {}),
        (http(b"rubbish"), {}),
        (http(completion("I promise.")), {}),
        (http(completion()), {"seed": 7}),
    ],
)
def test_what_reached_nobody_is_no_sample(world, answer, ask):
    words = {"name": "words", "on": "answer", "kind": "regex", "pattern": "promise"}
    serve(world, sampling(), guardrails=[words])
    world.upstream.answer = answer
    old = [unit for unit in map(str, range(20)) if world.ask(user=unit, **ask).is_success]
    world.calls(20)
    rows = stopped(world)
    assert len(rows) == len(old), "the stable version has no guardrail, so its answers are samples"
    assert {row["variant"] for row in rows} <= {"stable"}


def test_embeddings_and_names_that_are_not_sampled_cost_nothing(world):
    serve(world, sampling())
    world.upstream.answer = http({"object": "list", "data": [], "model": "old", "usage": {}})
    world.post({"model": "assistant", "input": "hello"}, "/v1/embeddings")
    serve(world)
    world.upstream.answer = http(completion())
    world.ask()
    world.calls(2)
    assert stopped(world) == []


def test_a_server_that_is_away_leaves_sealed_files_and_gets_them_later(world):
    serve(world, sampling())
    world.server.observing = 503
    world.ask("My secret plan")
    folder = world.folder / "samples"
    (file,) = until(lambda: list(folder.glob("*.json")), "the batch on disk")
    assert b"secret plan" not in file.read_bytes()
    world.server.observing = 202
    ((_, read),) = sampled(world)
    assert read["question"] == "My secret plan"
    assert until(lambda: not list(folder.glob("*.json")), "the empty folder")


def test_what_finds_no_room_or_cannot_be_read_is_counted(world, caplog):
    serve(world, sampling(), limits=replace(QUICK, sampled_bytes=3000))
    world.ask("x" * 4000)
    world.upstream.answer = STREAM_HEAD + chunked(b"data: {broken words\n\n")
    world.ask(stream=True)
    until(lambda: world.ready()["samples_dropped"] == 2, "the lost samples")
    assert stopped(world) == []
    assert "a sampled call of assistant cannot be read: DecodeError" in caplog.text
    assert "broken words" not in caplog.text
