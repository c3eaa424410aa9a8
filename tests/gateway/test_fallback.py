"""The fallback chain of an approved version: approved hops only, each observed for itself, none after the first byte."""

import json

import pytest
from forge import digest, model_document, prompt_document, route
from plane import STREAM_HEAD, chunk, chunked, completion, events, http, until

SECOND = model_document(name="second", upstream_model="second")
THIRD = model_document(name="third", upstream_model="third", provider="other")


def first(*hops, **changes):
    return model_document(upstream_model="first", fallback=[digest(hop) for hop in hops], **changes)


def serve(world, *documents, admitted=None, **changes):
    """Publish a canary split of the first version, so that what comparisons read can be seen."""
    shown = documents if admitted is None else admitted
    payload = world.payload(*shown, **changes)
    top = digest(documents[0])
    payload["routes"] = {"assistant": route(top, top, 500_000)}
    payload["providers"]["other"] = payload["providers"]["main"]
    world.publish_payload(payload)
    world.start()


def by_model(**answers):
    def answer(transport, asked):
        given = answers[asked.body["model"]]
        transport.write(given) if isinstance(given, bytes) else given(transport)

    return answer


BUSY = http({"error": {"code": "busy"}}, "503 Service Unavailable")
FINE = http(completion(model="second"))


@pytest.mark.parametrize(
    ("answer", "status", "error_class"),
    [
        (BUSY, 503, "upstream_503"),
        (http(b"{}", "429 Too Many Requests"), 429, "upstream_429"),
        (lambda transport: transport.abort(), 502, "upstream_cut"),
        (lambda transport: None, 504, "upstream_timeout"),
        (b"rubbish\r\n\r\n", 502, "upstream_rubbish"),
    ],
)
def test_the_next_approved_version_answers_and_both_attempts_are_observed(world, answer, status, error_class):
    serve(world, first(SECOND), SECOND)
    world.upstream.answer = by_model(first=answer, second=FINE)
    got = world.ask()
    assert (got.status_code, got.json()["model"]) == (200, "second")
    assert (got.headers["x-assent-version"], got.headers["x-assent-fallback"]) == ("second@1.0.0", "1")
    one, two = world.calls(2)
    assert (one["status"], one["error_class"], one["version"]) == (status, error_class, digest(first(SECOND)))
    assert (two["status"], two["error_class"], two["version"]) == (200, None, digest(SECOND))
    assert (one["rollout"], two["rollout"], two["reason"]) == ("ro_1", None, "fallback")
    assert two["as_approved"] is True


def test_a_stream_falls_back_before_its_first_byte(world):
    serve(world, first(SECOND), SECOND)
    parts = events(chunk("Hi"), "[DONE]")
    world.upstream.answer = by_model(first=BUSY, second=STREAM_HEAD + chunked(*parts))
    assert world.ask(stream=True).content == b"".join(parts)


def test_nothing_is_tried_again_after_the_first_byte_or_for_the_callers_own_mistake(world):
    serve(world, first(SECOND), SECOND)
    broken = STREAM_HEAD + chunked(*events(chunk("Hi")), end=False)
    world.upstream.answer = by_model(first=http({"error": {}}, "400 Bad Request"), second=FINE)
    assert world.ask().status_code == 400
    world.upstream.answer = by_model(first=lambda t: (t.write(broken), t.close()), second=FINE)
    with pytest.raises(Exception, match="peer closed"):
        world.ask(stream=True)
    assert [asked.body["model"] for asked in world.upstream.asked] == ["first", "first"]


def test_a_chain_is_followed_to_its_end_and_the_last_answer_is_given(world):
    serve(world, first(SECOND, THIRD), SECOND, THIRD)
    world.upstream.answer = by_model(
        first=BUSY, second=BUSY, third=http({"error": {"code": "last"}}, "503 No")
    )
    got = world.ask()
    assert (got.status_code, got.json()["error"]["code"]) == (503, "last")
    assert got.headers["x-assent-fallback"] == "2"
    assert len(world.calls(3)) == 3


def test_a_hop_that_is_not_admitted_here_is_left_out(world):
    serve(world, first(SECOND), admitted=[first(SECOND)])
    world.upstream.answer = by_model(first=BUSY)
    assert world.ask().status_code == 503
    assert len(world.calls()) == 1


def test_a_hop_obeys_its_own_policy(world):
    """A hop that takes no such parameter, or whose guardrail stops the call, is passed over."""
    closed = model_document(name="closed", upstream_model="closed")
    pii = {"name": "pii", "on": "request", "kind": "pii", "kinds": ["email"]}
    guarded = model_document(
        name="guarded", upstream_model="guarded", open_parameters={"seed": {}}, guardrails=[pii]
    )
    prompt = prompt_document("Be brief.")
    last = model_document(
        name="last", upstream_model="last", open_parameters={"seed": {}}, prompt=digest(prompt)
    )
    top = first(closed, guarded, last, open_parameters={"seed": {}})
    serve(world, top, closed, guarded, last, prompts=(prompt,))
    world.upstream.answer = by_model(first=BUSY, last=FINE, guarded=FINE)
    assert world.ask("I am a@example.com", seed=7).status_code == 200
    assert [asked.body["model"] for asked in world.upstream.asked] == ["first", "last"]
    assert world.upstream.asked[1].body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert world.ask("I am Ada", seed=7).headers["x-assent-version"] == "guarded@1.0.0"
    rows = world.calls(4)
    assert rows[-1]["guardrails"] == []


def test_an_upstream_that_is_down_falls_back_too(world):
    serve(world, first(THIRD), THIRD)
    payload = json.loads(json.dumps(world.payload(first(THIRD), THIRD)))
    good = payload["providers"]["main"]
    payload["providers"] = {"main": good | {"base_url": "http://127.0.0.1:1/v1"}, "other": good}
    world.publish_payload(payload)
    assert world.ask().headers["x-assent-fallback"] == "1"
    assert world.calls(2)[0]["error_class"] == "upstream_down"
    until(lambda: world.ready()["calls"] == 0)
