"""Guardrails outside: signed questions, answers that count, and what happens when none comes."""

import json
import socket

import httpx
import pytest
from forge import digest, model_document, route
from hypothesis import given
from hypothesis import strategies as st
from plane import (
    KEY,
    STREAM_HEAD,
    Upstream,
    chunk,
    chunked,
    completion,
    events,
    http,
    until,
)

from assent.gateway import hooks
from assent_client.calls.guarding import Guards
from assent_client.calls.texts import texts_of, with_texts
from assent_client.verify.webhook import verify_webhook

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
ALLOW, BLOCK = http({"action": "allow"}), http({"action": "block"})


def replace(*texts):
    return http({"action": "replace", "texts": list(texts)})


@pytest.fixture
def guard(monkeypatch):
    """A hook on loopback; it allows what it is asked."""
    monkeypatch.setenv("GUARD_SECRET", SECRET)
    outside = Upstream()
    outside.answer = ALLOW
    outside.start()
    yield outside
    outside.stop()


def hook(guard, on="request", **changes):
    return {
        "name": "words", "on": on, "kind": "webhook", "action": "block", "fail": "closed", "timeout_s": 0.3,
        "url": f"http://127.0.0.1:{guard.port}/check?strict=1", "secret": "env:GUARD_SECRET",
    } | changes  # fmt: skip


def serve(world, *guardrails, **settings):
    world.publish(model_document(guardrails=list(guardrails)))
    world.start(**{"hook_http": True, "hook_allow": ("127.0.0.1/32",)} | settings)


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_question_is_signed_and_holds_the_callers_texts_and_no_secret(world, guard):
    serve(world, hook(guard))
    assert world.ask("Where is my parcel?").status_code == 200
    (asked,) = guard.asked
    heard = verify_webhook(asked.raw, dict(asked.headers), SECRET)
    assert heard.type == "guardrail.request"
    assert heard.data == {
        "guardrail": "words", "project": "acme", "environment": "production", "version": "assistant@1.0.0",
        "digest": digest(model_document(guardrails=[hook(guard)])), "texts": ["Where is my parcel?"],
    }  # fmt: skip
    assert asked.path == "/check?strict=1"
    assert KEY not in str(asked.headers)
    assert SECRET not in str(asked.headers)
    (row,) = world.calls()
    assert (row["status"], row["error_class"], row["guardrails"]) == (200, None, [])


def test_a_blocked_request_never_reaches_the_upstream_and_is_no_error(world, guard):
    serve(world, hook(guard))
    guard.answer = BLOCK
    assert code(world.ask()) == (422, "guardrail_blocked")
    assert world.upstream.asked == []
    (row,) = world.calls()
    assert (row["status"], row["error_class"], row["guardrails"]) == (422, None, ["words"])


def test_replaced_texts_go_upstream_and_guardrails_see_what_the_one_before_left(world, guard):
    serve(world, hook(guard), hook(guard, name="second"))
    answers = [replace("Who is", "<name>?"), ALLOW]
    guard.answer = lambda transport, asked: transport.write(answers[len(guard.asked) - 1])
    parts = [{"type": "text", "text": "Who is"}, {"type": "text", "text": "Ada?"}]
    assert world.ask(messages=[{"role": "user", "content": parts}], metadata={"n": 1.0}).status_code == 200
    sent = world.upstream.asked[0]
    assert [part["text"] for part in sent.body["messages"][0]["content"]] == ["Who is", "<name>?"]
    assert b'"metadata":{"n": 1.0}' in sent.raw or b'"metadata":{"n":1.0}' in sent.raw
    assert guard.asked[1].body["data"]["texts"] == ["Who is", "<name>?"]
    assert world.calls()[0]["guardrails"] == ["words"]


def test_an_answer_is_stopped_or_replaced_before_it_reaches_the_client(world, guard):
    serve(world, hook(guard, "answer"))
    world.upstream.answer = http(completion("Ada lives in Ulm."), "200 OK", "x-request-id: r-9")
    guard.answer = BLOCK
    assert code(world.ask()) == (422, "guardrail_blocked")
    assert guard.asked[0].body["type"] == "guardrail.answer"
    assert guard.asked[0].body["data"]["texts"] == ["Ada lives in Ulm."]
    guard.answer = replace("Somebody lives somewhere: ä.")
    answer = world.ask()
    assert answer.json() == completion("Somebody lives somewhere: ä.")
    assert answer.headers["x-request-id"] == "r-9"
    guard.answer = ALLOW
    assert world.ask().json() == completion("Ada lives in Ulm.")
    rows = world.calls(3)
    assert [(row["status"], row["guardrails"]) for row in rows] == [
        (422, ["words"]), (200, ["words"]), (200, []),
    ]  # fmt: skip


def test_a_stream_is_held_until_its_whole_was_judged_and_is_never_written_anew(world, guard):
    serve(world, hook(guard, "answer"))
    parts = events(chunk("we pro"), chunk("mise"), chunk(finish="stop"), "[DONE]")
    world.upstream.answer = STREAM_HEAD + chunked(*parts)
    assert world.ask(stream=True).content == b"".join(parts)
    assert guard.asked[0].body["data"]["texts"] == ["we promise"]
    for verdict in (BLOCK, replace("we hope")):
        guard.answer = verdict
        assert code(world.ask(stream=True)) == (422, "guardrail_blocked")
    world.upstream.answer = STREAM_HEAD + chunked(b"data: {broken\n\n")
    guard.answer = ALLOW
    assert code(world.ask(stream=True)) == (422, "guardrail_blocked")


def hang(_transport, _asked):
    """Never answer."""


FAILURES = {
    "hangs": hang,
    "breaks": http(b"", "500 No"),
    "redirects": http(b"", "302 Found", "location: http://127.0.0.1/"),
    "says nothing": http({}),
    "says what is unknown": http({"action": "perhaps"}),
    "is no JSON": http(b"allow"),
    "gives other texts": replace("one", "two"),
    "says too much": http(b'{"action":"allow"}' + b" " * 1_100_000),
    "is no HTTP": b"allow\r\n\r\n",
    "hangs up": lambda transport, _: transport.abort(),
}


@pytest.mark.parametrize("how", FAILURES)
def test_without_an_answer_that_counts_a_closed_hook_lets_nothing_pass_and_an_open_one_all(world, guard, how):
    serve(world, hook(guard, name="open", fail="open", timeout_s=0.2))
    guard.answer = FAILURES[how]
    assert world.ask().status_code == 200
    world.publish(model_document(guardrails=[hook(guard, timeout_s=0.2)]))
    refused = world.ask()
    assert code(refused) == (503, "guardrail_unavailable")
    assert refused.headers["retry-after"] == "1"
    rows = world.calls(2)
    assert [(row["status"], row["error_class"], row["guardrails"]) for row in rows] == [
        (200, None, []), (503, "guardrail_unavailable", []),
    ]  # fmt: skip
    assert [row.get("unguarded", False) for row in rows] == [True, False]
    assert world.ready()["guardrails_passed_by"] == 1


def test_an_answer_that_no_closed_hook_could_judge_is_kept_back(world, guard):
    serve(world, hook(guard, "answer"))
    guard.answer = http(b"", "503 Busy")
    assert code(world.ask()) == (503, "guardrail_unavailable")
    assert len(world.upstream.asked) == 1


def test_more_text_than_a_hook_is_sent_counts_as_no_answer(world, guard):
    serve(world, hook(guard))
    assert code(world.ask("x" * 200_001)) == (503, "guardrail_unavailable")
    assert guard.asked == []


def test_a_hook_that_is_down_is_left_alone_and_tried_again_later(world, guard, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(hooks, "monotonic", lambda: clock[0])
    serve(world, hook(guard, fail="open"))
    guard.answer = http(b"", "500 No")
    for _ in range(8):
        assert world.ask().status_code == 200
    assert len(guard.asked) == 5
    assert world.ready()["guardrails_down"] == 1
    clock[0] += 11
    assert [world.ask().status_code for _ in range(2)] == [200, 200]
    assert len(guard.asked) == 6
    guard.answer = ALLOW
    clock[0] += 11
    for _ in range(3):
        world.ask()
    assert len(guard.asked) == 9
    assert world.ready()["guardrails_down"] == 0


@pytest.mark.parametrize("settings", [{"hook_allow": ()}, {"hook_http": False}])
def test_a_hook_that_may_not_be_reached_is_never_connected_to(world, guard, settings):
    serve(world, hook(guard), **settings)
    assert code(world.ask()) == (503, "guardrail_unavailable")
    assert guard.n_connections == 0


def test_a_name_that_leads_inside_is_judged_by_the_address_it_resolves_to(world, guard, caplog):
    url = f"http://localhost:{guard.port}/"
    serve(world, hook(guard, url=url), hook_allow=("10.0.0.0/8",))
    refused = world.ask()
    assert code(refused) == (503, "guardrail_unavailable")
    assert "loopback" in caplog.text
    assert "loopback" not in refused.text  # callers learn nothing of where gateways may go
    assert guard.n_connections == 0


def test_connections_are_kept_and_one_that_was_closed_meanwhile_has_a_successor(world, guard):
    serve(world, hook(guard))
    assert [world.ask().status_code for _ in range(3)] == [200, 200, 200]
    assert guard.n_connections == 1
    guard.close_connections()
    assert world.ask().status_code == 200
    assert len(guard.asked) == 4


def test_a_guardrail_that_flags_delays_nobody_and_is_observed_when_it_has_answered(world, guard):
    serve(world, hook(guard, action="flag", timeout_s=8), hook(guard, "answer", name="b", action="flag"))
    held = []
    guard.answer = lambda transport, _: held.append(transport)
    parts = events(chunk("we promise"), "[DONE]")
    world.upstream.answer = STREAM_HEAD + chunked(*parts)
    assert world.ask(stream=True).content == b"".join(parts)
    until(lambda: held, "the question")
    assert world.server.rows() == []
    guard.answer = BLOCK
    guard.do(held[0].write, BLOCK)
    (row,) = world.calls()
    assert (row["status"], row["guardrails"]) == (200, ["words", "b"])
    assert [one.body["data"]["texts"] for one in guard.asked] == [["Hi?"], ["we promise"]]


def test_a_flag_without_an_answer_is_a_hit_only_where_it_fails_closed(world, guard):
    serve(world, hook(guard, "answer", action="flag"), hook(guard, name="b", action="flag", fail="open"))
    guard.answer = http(b"", "500 No")
    assert world.ask().status_code == 200
    assert (world.calls()[0]["guardrails"], world.calls()[0]["unguarded"]) == (["words"], True)
    world.upstream.answer = http({"error": {}}, "400 No")
    assert world.ask().status_code == 400
    assert world.calls(2)[1]["guardrails"] == []


def test_an_answer_too_long_to_be_kept_passes_and_counts_as_not_looked_at(world, guard):
    serve(world, hook(guard, "answer", action="flag"))
    world.upstream.answer = http(completion("x" * 9_000_000))
    assert world.ask().status_code == 200
    assert world.calls()[0]["guardrails"] == ["words"]
    assert guard.asked == []


def test_who_leaves_while_a_guardrail_is_asked_takes_the_question_along(world, guard):
    serve(world, hook(guard, timeout_s=8))
    guard.answer = hang
    with world.gateway.socket() as connection:
        body = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        until(lambda: guard.asked, "the question")
        connection.shutdown(socket.SHUT_RDWR)
    until(lambda: guard.n_lost == 1, "the end of the question")
    (row,) = world.calls()
    assert (row["status"], row["error_class"]) == (499, "client_gone")
    assert world.upstream.asked == []


def test_a_kill_cuts_a_call_that_waits_for_a_guardrail(world, guard):
    serve(world, hook(guard, "answer", timeout_s=8))
    cut = {"assistant": {"status": 404, "reason": "switched off", "successor": None, "cut": True}}
    guard.answer = lambda *_: world.server.publish(world.forge.sign(world.payload(routes={}, gone=cut)))
    answer = world.ask()
    assert code(answer) == (404, "model_not_found")
    assert world.calls()[0]["error_class"] == "killed"


def test_the_next_version_of_a_chain_asks_its_own_guardrails(world, guard):
    second = model_document(name="second", upstream_model="second", guardrails=[hook(guard)])
    first = model_document(fallback=[digest(second)])
    payload = world.payload(first, second)
    payload["routes"] = {"assistant": route(digest(first))}
    world.publish_payload(payload)
    world.start(hook_http=True, hook_allow=("127.0.0.1",))
    busy, fine = http({}, "503 Busy"), http(completion())
    world.upstream.answer = lambda transport, asked: transport.write(
        fine if asked.body["model"] == "second" else busy
    )
    assert world.ask().headers["x-assent-version"] == "second@1.0.0"
    guard.answer = BLOCK
    assert code(world.ask()) == (422, "guardrail_blocked")


def test_a_secret_that_is_missing_or_of_another_kind_makes_the_version_unusable(world, guard, monkeypatch):
    for secret in ("", "sk-provider", "whsec_short"):
        monkeypatch.setenv("GUARD_SECRET", secret)
        serve(world, hook(guard))
        answer = world.ask()
        assert code(answer) == (503, "version_unusable")
        assert "sk-provider" not in answer.text
        world.gateway.stop()
        world.gateway = None
    assert guard.n_connections == 0


def test_calls_of_other_versions_are_not_held_up_by_a_hook_that_hangs(world, guard):
    free = model_document(name="free")
    payload = world.payload(model_document(guardrails=[hook(guard, timeout_s=8)]), free)
    payload["routes"]["free"] = route(digest(free), key="free")
    world.publish_payload(payload)
    world.start(hook_http=True, hook_allow=("127.0.0.1",))
    guard.answer = hang
    with httpx.Client(verify=False, timeout=0.5) as other, pytest.raises(httpx.ReadTimeout):
        other.post(
            world.gateway.url + "/v1/chat/completions",
            headers={"authorization": f"Bearer {KEY}"},
            json={"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]},
        )
    assert world.ask(model="free").status_code == 200


def test_who_cannot_ask_a_webhook_does_not_serve_its_version(guard):
    with pytest.raises(ValueError, match="asked by gateways only"):
        Guards({"guardrails": [hook(guard)]})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "text", "role", "arguments", "input", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_texts_stand_where_they_were_found_whatever_the_form(value):
    found = texts_of(value)
    assert with_texts(value, found) == value
    numbered = [str(n) for n in range(len(found))]
    assert texts_of(with_texts(value, numbered)) == numbered
