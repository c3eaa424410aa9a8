"""A shadow: calls are mirrored to a version that answers nobody, and nobody is slower or worse off for it."""

import threading
from dataclasses import replace

import httpx
import pytest
from forge import digest, model_document, prompt_document, route
from plane import KEY, QUICK, STREAM_HEAD, USAGE, chunk, chunked, completion, events, http, until

from assent_client.decide import RouteError, compile_route, is_mirrored

PROMPT = prompt_document("Be brief.")
NEW = {"name": "new", "upstream_model": "new", "prompt": digest(PROMPT)}


def serve(world, share=1_000_000, *, limits=QUICK, stable=None, **changes):
    """Serve a stable version with a shadow; gives the shadow's digest."""
    old, new = stable or model_document(upstream_model="old"), model_document(**{**NEW, **changes})
    payload = world.payload(old, new, prompts=(PROMPT,))
    shadow = {"variant": "canary", "end": share}
    payload["routes"] = {"assistant": route(digest(old), digest(new), shadow=shadow)}
    world.publish_payload(payload)
    world.start(limits=limits)
    return digest(new)


def by_model(world, old, new):
    answers = {"old": old, "new": new}

    def answer(transport, asked):
        given = answers[asked.body["model"]]
        given(transport, asked) if callable(given) else transport.write(given)

    world.upstream.answer = answer


FINE = http(completion(model="old"))


def shadow_of(rows):
    (row,) = [row for row in rows if row["variant"] == "shadow"]
    return row


def test_the_new_version_is_asked_too_and_only_observed(world):
    subject = serve(world)
    by_model(world, FINE, http(completion("Other.", model="new")))
    sent = {"idempotency-key": "k-1", "x-client": "c"}
    answer = world.post(
        {"model": "assistant", "user": "ada", "messages": [{"role": "user", "content": "Hi?"}]}, **sent
    )
    assert answer.json() == completion(model="old")
    rows = world.calls(2)
    row = shadow_of(rows)
    assert (row["version"], row["reason"], row["rollout"]) == (subject, "shadow", None)
    assert (row["status"], row["tokens_in"], row["tokens_out"], row["as_approved"]) == (200, 7, 3, True)
    live = next(one for one in rows if one is not row)
    assert (live["variant"], live["rollout"], live["unit"]) == ("stable", "ro_1", row["unit"])
    mirrored = next(one for one in world.upstream.asked if one.body["model"] == "new")
    assert mirrored.header("idempotency-key") is None
    assert mirrored.header("x-client") == "c"
    said = mirrored.body["messages"]
    assert said == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]


def test_the_users_answer_is_there_before_the_new_version_is_asked(world):
    serve(world)
    order = []
    by_model(world, FINE, lambda transport, _: (order.append("mirrored"), transport.write(FINE)))
    world.ask()
    order.append("answered")
    world.calls(2)
    assert sorted(order) == ["answered", "mirrored"]
    assert [one.body["model"] for one in world.upstream.asked] == ["old", "new"]


def test_a_shadow_that_hangs_holds_nobody_and_beyond_its_bound_calls_are_left_out(world):
    serve(world, limits=replace(QUICK, n_mirrored=2, mirrored_s=1.0))
    by_model(world, FINE, lambda *_: None)
    assert [world.ask().status_code for _ in range(8)] == [200] * 8
    until(lambda: world.ready()["mirrored_left_out"] == 6, "the calls that were left out")
    rows = world.calls(10)
    hung = [row for row in rows if row["variant"] == "shadow"]
    assert [(row["status"], row["error_class"]) for row in hung] == [(504, "upstream_timeout")] * 2
    assert max(row["latency_s"] for row in rows if row["variant"] == "stable") < 1.0
    by_model(world, FINE, FINE)
    world.ask()
    world.calls(12)


@pytest.mark.parametrize(
    ("answer", "status", "error_class"),
    [
        (http({"error": {}}, "500 No"), 500, "upstream_500"),
        (http(b"rubbish"), 200, "upstream_rubbish"),
        (lambda transport, _: transport.abort(), 502, "upstream_cut"),
        (http(completion("x" * 9_000_000)), 502, "upstream_too_large"),
    ],
)
def test_a_shadow_that_fails_fails_nobody(world, answer, status, error_class):
    serve(world)
    by_model(world, FINE, answer)
    assert world.ask().status_code == 200
    row = shadow_of(world.calls(2))
    assert row["error_class"] == error_class
    assert row["status"] in {status, 502}


def test_a_stream_is_mirrored_as_one_and_drained(world):
    serve(world)
    parts = events(chunk("Hi", model="old"), "[DONE]")
    other = [chunk("Ho", model="new"), chunk(finish="stop"), chunk(choices=[], usage=USAGE)]
    by_model(world, STREAM_HEAD + chunked(*parts), STREAM_HEAD + chunked(*events(*other, "[DONE]")))
    assert world.ask(stream=True).content == b"".join(parts)
    row = shadow_of(world.calls(2))
    assert (row["stream"], row["tokens_out"], row["finish_reason"]) == (True, 2, "stop")
    assert 0 < row["ttft_s"] <= row["latency_s"]


def test_a_share_of_the_units_is_mirrored_and_always_the_same(world):
    subject = serve(world, 300_000)
    by_model(world, FINE, FINE)
    units = [f"user-{n}" for n in range(40)]
    for unit in units:
        world.ask(user=unit)
    told = route("a", "b", shadow={"variant": "canary", "end": 300_000})
    expected = sum(is_mirrored(told, unit) for unit in units)
    assert 4 <= expected <= 20
    world.calls(40 + expected)
    world.gateway.stop()
    rows = world.server.rows()
    assert sum(row["version"] == subject for row in rows) == expected
    world.gateway = None


def test_a_request_that_the_new_version_would_refuse_is_observed_so(world):
    serve(world, stable=model_document(upstream_model="old", open_parameters={"seed": {}}))
    by_model(world, FINE, FINE)
    assert world.ask(seed=7).status_code == 200
    row = shadow_of(world.calls(2))
    assert (row["status"], row["error_class"]) == (422, "parameter_not_open")


def test_guardrails_of_the_new_version_look_at_what_is_mirrored(world):
    pii = {"name": "pii", "on": "request", "kind": "pii", "kinds": ["email"]}
    words = {"name": "words", "on": "answer", "kind": "regex", "pattern": "promise"}
    serve(world, guardrails=[pii, words])
    by_model(world, FINE, http(completion("I promise.", model="new")))
    assert world.ask("I am a@example.com").status_code == 200
    stopped = shadow_of(world.calls(2))
    assert (stopped["status"], stopped["error_class"], stopped["guardrails"]) == (422, None, ["pii"])
    assert [one.body["model"] for one in world.upstream.asked] == ["old"]
    assert world.ask().status_code == 200
    rows = [row for row in world.calls(4) if row["variant"] == "shadow"]
    assert [row["guardrails"] for row in rows] == [["pii"], ["words"]]


def test_calls_that_nobody_waited_for_are_not_mirrored(world):
    serve(world)
    by_model(world, lambda *_: None, FINE)
    with httpx.Client(verify=False, timeout=0.3) as client, pytest.raises(httpx.ReadTimeout):
        client.post(
            world.gateway.url + "/v1/chat/completions",
            headers={"authorization": f"Bearer {KEY}"},
            json={"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]},
        )
    assert world.calls()[0]["status"] == 499
    cut = {"assistant": {"status": 404, "reason": "off", "successor": None, "cut": True}}
    by_model(
        world,
        lambda *_: world.server.publish(world.forge.sign(world.payload(routes={}, gone=cut))),
        FINE,
    )
    assert world.ask().status_code == 404
    world.calls(2)
    world.gateway.stop()
    world.gateway = None
    assert [one.body["model"] for one in world.upstream.asked] == ["old", "old"]
    assert len(world.server.rows()) == 2


def test_an_end_in_order_waits_for_what_is_mirrored(world):
    serve(world)
    held = []
    by_model(world, FINE, lambda transport, _: held.append(transport))
    world.ask()
    until(lambda: held, "the mirrored call")
    stopping = threading.Thread(target=world.gateway.stop)
    stopping.start()
    world.upstream.do(held[0].write, http(completion(model="new")))
    stopping.join(10)
    world.gateway = None
    assert shadow_of(world.server.rows())["status"] == 200


@pytest.mark.parametrize(
    "shadow",
    [
        {"variant": "none", "end": 5},
        {"variant": "canary", "end": 0},
        {"variant": "canary", "end": 1_000_001},
        {"variant": "canary"},
        [],
        {"variant": "canary", "end": 0.5},
    ],
)
def test_a_shadow_out_of_form_is_refused(shadow):
    with pytest.raises(RouteError, match="the shadow is an object"):
        compile_route(route("a", "b", shadow=shadow))
