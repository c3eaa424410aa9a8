"""Guardrails: what is asked and answered is looked at, a hit is observed, and what blocks is refused."""

import gzip
import json

import pytest
from forge import model_document
from plane import STREAM_HEAD, USAGE, chunk, chunked, completion, events, http, until

from assent_client.calls.guarding import Guards

PII = {"name": "no-addresses", "on": "request", "kind": "pii", "kinds": ["email"], "action": "block"}
WORDS = {
    "name": "no-promises",
    "on": "answer",
    "kind": "regex",
    "pattern": "we (guarantee|promise)",
    "action": "block",
}
SHAPE = {"name": "shape", "on": "answer", "kind": "json_schema", "action": "block",
         "schema": {"type": "object", "required": ["city"]}}  # fmt: skip


def serve(world, *guardrails, **document):
    world.publish(model_document(guardrails=list(guardrails), **document))
    world.start()


def test_a_request_that_hits_is_refused_and_observed_as_a_guardrail_and_no_error(world):
    serve(world, PII)
    assert world.ask("Where is my parcel?").status_code == 200
    answer = world.ask("Write to ada@example.com!")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "guardrail_blocked")
    assert "no-addresses" in error["message"]
    assert "ada" not in answer.text
    assert answer.headers["x-assent-version"] == "assistant@1.0.0"
    assert len(world.upstream.asked) == 1
    rows = world.calls(2)
    assert [(row["status"], row["error_class"], row.get("guardrails")) for row in rows] == [
        (200, None, []), (422, None, ["no-addresses"]),
    ]  # fmt: skip


def test_a_flag_is_observed_and_lets_the_call_pass(world):
    serve(world, PII | {"action": "flag"}, WORDS | {"action": "flag"})
    world.upstream.answer = http(completion("We think we promise."))
    assert world.ask("I am ada@example.com").status_code == 200
    (row,) = world.calls()
    assert (row["status"], row["guardrails"]) == (200, ["no-addresses", "no-promises"])


def test_an_answer_that_hits_never_reaches_the_client(world):
    serve(world, WORDS)
    world.upstream.answer = http(completion("Of course we promise it."))
    answer = world.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "guardrail_blocked")
    assert "promise" not in answer.text.replace("no-promises", "")
    (row,) = world.calls()
    assert (row["status"], row["error_class"], row["guardrails"]) == (422, None, ["no-promises"])
    assert (row["tokens_in"], row["tokens_out"]) == (7, 3)
    world.upstream.answer = http(completion("Perhaps."))
    assert world.ask().json() == completion("Perhaps.")


def test_a_stream_is_held_back_until_its_whole_was_looked_at(world):
    serve(world, WORDS)
    pieces = [chunk("we pro"), chunk("mise"), chunk(finish="stop"), chunk(choices=[], usage=USAGE)]
    world.upstream.answer = STREAM_HEAD + chunked(*events(*pieces, "[DONE]"))
    answer = world.ask(stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "guardrail_blocked")
    fine = events(chunk("we hope"), chunk(finish="stop"), "[DONE]")
    world.upstream.answer = STREAM_HEAD + chunked(*fine)
    assert world.ask(stream=True).content == b"".join(fine)
    assert [row["guardrails"] for row in world.calls(2)] == [["no-promises"], []]


def test_an_answer_out_of_its_schema_is_stopped(world):
    serve(world, SHAPE)
    for content, status in (('{"city":"Ulm"}', 200), ('{"town":1}', 422), ("no JSON", 422)):
        world.upstream.answer = http(completion(content))
        assert world.ask().status_code == status


def test_what_cannot_be_looked_at_is_stopped(world):
    serve(world, WORDS)
    packed = gzip.compress(json.dumps(completion()).encode())
    world.upstream.answer = http(packed, "200 OK", "content-encoding: gzip")
    assert world.ask().status_code == 422
    world.upstream.answer = http(completion("x" * 200_001))
    assert world.ask().status_code == 422
    world.upstream.answer = STREAM_HEAD + chunked(b"data: {broken\n\n")
    assert world.ask(stream=True).status_code == 422


def test_an_answer_too_large_to_be_held_is_given_up(world):
    serve(world, WORDS)
    world.upstream.answer = http(completion("x" * 9_000_000))
    answer = world.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_too_large")
    until(lambda: not world.upstream.open, "the upstream let go")


def test_errors_of_the_upstream_pass_unseen(world):
    serve(world, SHAPE)
    world.upstream.answer = http({"error": {"code": "x"}}, "429 Too Many Requests")
    assert world.ask().status_code == 429


def test_a_guardrail_that_cannot_be_followed_makes_the_version_unusable(world):
    serve(world, WORDS | {"pattern": "(a"})
    answer = world.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "version_unusable")


@pytest.mark.parametrize("place", [0, 250, 255, 256, 257, 500, 511, 512, 700, 1023])
def test_a_pattern_is_found_wherever_it_stands(place):
    guards = Guards({"guardrails": [WORDS]})
    text = "x" * place + "we guarantee" + "x" * 300
    body = json.dumps(completion(text)).encode()
    assert [guard.name for guard in guards.answered(body, is_stream=False)] == ["no-promises"]
    assert guards.answered(json.dumps(completion("we\nhope")).encode(), is_stream=False) == []


def test_texts_are_found_in_every_form_of_answer():
    guards = Guards({"guardrails": [PII | {"on": "answer"}]})
    forms = [
        {"output": [{"content": [{"type": "output_text", "text": "a@example.com"}]}]},
        {"content": [{"type": "tool_use", "input": {"to": ["a@example.com"], "n": 1}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"arguments": '{"to":"a@example.com"}'}}]}}]},
    ]
    for form in forms:
        assert guards.answered(json.dumps(form).encode(), is_stream=False)
    streams = [
        [
            {"type": "response.output_text.delta", "output_index": 0, "delta": part}
            for part in ("a@exam", "ple.com")
        ],
        [
            {"type": "x", "index": 1, "delta": {"type": "text_delta", "text": part}}
            for part in ("a@exam", "ple.com")
        ],
        [
            {"choices": [{"index": n, "delta": {"content": part}} for n in (0, 1)]}
            for part in ("a@exam", "ple.com")
        ],
        ["a@example.com"],
    ]
    for stream in streams:
        body = (
            b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in stream)
            + b"data: [DONE]\n\n"
        )
        assert guards.answered(body, is_stream=True)
    assert not guards.answered(b'{"id": "a@example.com", "content": "no"}', is_stream=False)
