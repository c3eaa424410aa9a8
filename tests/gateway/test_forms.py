"""Responses, embeddings and Anthropic's messages: the same governed path in other words."""

import json

import pytest
from forge import digest, model_document, prompt_document
from plane import KEY, STREAM_HEAD, chunked, http

RESPONSE = {
    "id": "resp_1", "object": "response", "status": "completed", "model": "upstream-1",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}],
    "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
}  # fmt: skip
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-1", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "Hello."}],
    "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3},
}  # fmt: skip
EMBEDDINGS = {
    "object": "list", "model": "upstream-1", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}  # fmt: skip
PROMPT = prompt_document("You are kind to {{ who }}.", variables={"who": {"required": True}})
WHO = {"assent": {"variables": {"who": "Ada"}}}


def named(*parts):
    return b"".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n".encode() for part in parts)


def serve(world, answer, kind="openai", prompts=(), **document):
    """Publish one version of one provider's kind and start; the upstream answers so."""
    document = model_document(**({"prompt": digest(prompts[0])} if prompts else {}), **document)
    payload = world.payload(document, prompts=prompts)
    payload["providers"]["main"]["kind"] = kind
    world.upstream.answer = answer
    world.publish_payload(payload)
    if world.gateway is None:
        world.start()


def call(world, path, **body):
    return world.post({"model": "assistant"} | body, "/v1/" + path)


@pytest.fixture
def responses(world):
    serve(world, http(RESPONSE), prompts=(PROMPT,), client_system="append", parameters={"max_tokens": 50})
    return world


@pytest.fixture
def messages(world):
    serve(
        world, http(MESSAGE), "anthropic", (PROMPT,), client_system="append", parameters={"temperature": 0.5}
    )
    return world


# responses


def test_a_response_has_the_versions_prompt_first_and_is_observed(responses):
    answer = call(responses, "responses", input="Hi?", instructions="Be short.", **WHO)
    assert answer.json() == RESPONSE
    (asked,) = responses.upstream.asked
    assert asked.path == "/v1/responses"
    assert asked.body == {
        "model": "upstream-1",
        "max_output_tokens": 50,
        "input": [
            {"role": "system", "content": "You are kind to Ada."},
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": "Hi?"},
        ],
    }
    (row,) = responses.calls()
    assert (row["completion_id"], row["tokens_in"], row["tokens_out"]) == ("resp_1", 7, 3)
    assert (row["finish_reason"], row["response_model"], row["as_approved"]) == ("stop", "upstream-1", True)


def test_a_streamed_response_passes_verbatim_and_is_counted(responses):
    begun = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "usage": None}}
    delta = {"type": "response.output_text.delta", "delta": "Hel"}
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    ended = {"type": "response.incomplete", "response": {**RESPONSE, **cut}}
    responses.upstream.answer = STREAM_HEAD + chunked(named(begun, delta), named(ended))
    answer = call(responses, "responses", input=[{"role": "user", "content": "Hi?"}], stream=True, **WHO)
    assert answer.content == named(begun, delta, ended)
    assert "stream_options" not in responses.upstream.asked[0].body
    (row,) = responses.calls()
    assert (row["tokens_in"], row["tokens_out"], row["finish_reason"]) == (7, 3, "length")
    assert 0 < row["ttft_s"] <= row["latency_s"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"input": "Hi?", "temperature": 1}, "parameter_not_open"),
        ({"input": "Hi?", "previous_response_id": "resp_0"}, "parameter_not_open"),
        ({"input": "Hi?", "prompt": {"id": "pmpt_1"}}, "parameter_not_open"),
        ({"input": [{"type": "item_reference", "id": "msg_0"}]}, "parameter_not_open"),
        ({"input": "Hi?", "instructions": ["x"]}, "invalid_request"),
        ({"input": [{"role": "tool", "content": "x"}]}, "invalid_request"),
        ({"input": 7}, "invalid_request"),
        ({}, "invalid_request"),
    ],
)
def test_what_no_approval_has_seen_is_refused_in_a_response(responses, body, code):
    answer = call(responses, "responses", **body, **WHO)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422 if "par" in code else 400, code)
    assert responses.upstream.asked == []


def test_items_without_a_role_pass_and_stored_ones_where_the_version_opens_them(world):
    items = [
        {"type": "item_reference", "id": "i"},
        {"type": "function_call_output", "call_id": "c", "output": "o"},
    ]
    serve(world, http(RESPONSE), open_parameters={"previous_response_id": {}})
    assert call(world, "responses", input=items, previous_response_id="resp_0").status_code == 200
    assert world.upstream.asked[0].body["input"] == items


@pytest.mark.parametrize(
    ("rule", "status", "kept"), [("refuse", 422, None), ("ignore", 200, []), ("append", 200, ["x"])]
)
def test_instructions_follow_the_versions_rule(world, rule, status, kept):
    serve(world, http(RESPONSE), client_system=rule)
    assert call(world, "responses", input="Hi?", instructions="x").status_code == status
    sent = [asked.body.get("instructions") for asked in world.upstream.asked]
    assert sent == ([] if kept is None else kept or [None])


def test_what_a_version_fixes_is_written_in_the_words_of_responses(world):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
    serve(
        world,
        http(RESPONSE),
        parameters={
            "tools": [tool, {"type": "web_search"}], "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": form, "verbosity": "low", "reasoning_effort": "high", "top_p": 0.5,
        },
        open_parameters={"max_completion_tokens": {"max": 9}, "metadata": {}},
    )  # fmt: skip
    assert call(world, "responses", input="Hi?", max_output_tokens=9).status_code == 200
    body = world.upstream.asked[0].body
    assert body["tools"] == [{"type": "function", **tool["function"]}, {"type": "web_search"}]
    assert body["tool_choice"] == {"type": "function", "name": "f"}
    assert body["text"] == {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"}
    assert (body["reasoning"], body["top_p"], body["max_output_tokens"]) == ({"effort": "high"}, 0.5, 9)
    refused = call(world, "responses", input="Hi?", max_output_tokens=10)
    assert refused.json()["error"]["code"] == "parameter_out_of_range"


def test_an_opened_part_opens_its_whole_in_a_response(world):
    serve(
        world,
        http(RESPONSE),
        open_parameters={"response_format": {}, "reasoning_effort": {"values": ["low"]}},
    )
    assert call(world, "responses", input="Hi?", text={"format": {"type": "text"}}).status_code == 200
    assert call(world, "responses", input="Hi?", reasoning={"effort": "high"}).status_code == 422


@pytest.mark.parametrize(
    "document",
    [
        {"parameters": {"seed": 7}},
        {"prompts": (prompt_document(messages=[{"role": "tool", "content": "x"}]),)},
    ],
)
def test_a_version_that_a_form_cannot_carry_says_where_to_call_it(world, document):
    serve(world, http(RESPONSE), **document)
    answer = call(world, "responses", input="Hi?")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "endpoint_not_fitting")
    assert "POST /v1/chat/completions" in error["message"]
    assert world.calls()[0]["error_class"] == "endpoint_not_fitting"
    assert world.ask().status_code == 200


def test_a_prompt_of_parts_and_turns_is_written_as_items(world):
    parts = [
        {"type": "text", "text": "Look, {{ who }}:"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
    ]
    turns = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
    ]
    prompt = prompt_document(
        messages=[*turns, {"placeholder": "history"}],
        variables={
            "who": {"required": True},
            "history": {"default": [{"role": "user", "content": "Before"}]},
        },
    )
    serve(world, http(RESPONSE), prompts=(prompt,))
    assert call(world, "responses", input="Hi?", **WHO).status_code == 200
    assert world.upstream.asked[0].body["input"] == [
        {"role": "user", "content": [{"type": "input_text", "text": "Look, Ada:"},
                                     {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
        {"role": "user", "content": "Before"},
        {"role": "user", "content": "Hi?"},
    ]  # fmt: skip


# embeddings


def test_embeddings_pass_and_are_observed(world):
    serve(world, http(EMBEDDINGS), parameters={"dimensions": 256})
    answer = call(world, "embeddings", input=["a", "b"], encoding_format="base64", dimensions=3)
    assert answer.json() == EMBEDDINGS
    assert world.upstream.asked[0].path == "/v1/embeddings"
    expected = {"model": "upstream-1", "dimensions": 256, "input": ["a", "b"], "encoding_format": "base64"}
    assert world.upstream.asked[0].body == expected
    (row,) = world.calls()
    assert (row["tokens_in"], row["tokens_out"], row["completion_id"]) == (4, None, None)
    assert row["operation"] == "embeddings"
    assert call(world, "embeddings").status_code == 400


def test_embeddings_take_no_prompt(world):
    serve(world, http(EMBEDDINGS), prompts=(PROMPT,))
    assert call(world, "embeddings", input="a").json()["error"]["code"] == "endpoint_not_fitting"


# messages


def anthropic(world, headers=None, **body):
    body = {"model": "assistant", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi?"}]} | body
    sent = {"x-api-key": KEY} if headers is None else headers
    return world.http.post(world.gateway.url + "/v1/messages", json=body, headers=sent)


def test_a_message_has_the_versions_prompt_first_and_is_observed(messages):
    answer = anthropic(messages, system="Be short.", metadata={"user_id": "u-1"}, **WHO)
    assert answer.json() == MESSAGE
    (asked,) = messages.upstream.asked
    assert asked.path == "/v1/messages"
    assert asked.body == {
        "model": "upstream-1",
        "temperature": 0.5,
        "system": [{"type": "text", "text": "You are kind to Ada."}, {"type": "text", "text": "Be short."}],
        "messages": [{"role": "user", "content": "Hi?"}],
        "max_tokens": 9,
        "metadata": {"user_id": "u-1"},
    }
    assert asked.header("anthropic-version") == "2023-06-01"
    assert asked.header("x-api-key") is None
    (row,) = messages.calls()
    assert (row["tokens_in"], row["tokens_out"], row["finish_reason"], row["sticky"]) == (7, 3, "stop", True)
    assert (row["completion_id"], row["as_approved"]) == ("msg_1", True)


def test_a_streamed_message_passes_verbatim_and_is_counted(messages):
    begun = {"type": "message_start", "message": {**MESSAGE, "stop_reason": None, "content": []}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 8}}
    parts = named(begun, {"type": "ping"}, delta, ended, {"type": "message_stop"})
    messages.upstream.answer = STREAM_HEAD + chunked(parts[:100], parts[100:])
    assert anthropic(messages, stream=True, **WHO).content == parts
    (row,) = messages.calls()
    assert (row["tokens_in"], row["tokens_out"], row["finish_reason"]) == (7, 8, "tool_calls")


def test_a_client_names_its_own_version_of_the_form(messages):
    anthropic(messages, {"authorization": f"Bearer {KEY}", "Anthropic-Version": "2099-01-01"}, **WHO)
    assert messages.upstream.asked[0].header("anthropic-version") == "2099-01-01"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"model": "nothing"}, 404, "not_found_error"),
        ({"temperature": 1.0, "thinking": {"type": "enabled"}}, 422, "invalid_request_error"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_request_error"),
        ({"system": {"text": "x"}}, 400, "invalid_request_error"),
    ],
)
def test_refusals_have_anthropics_shape(messages, body, status, kind):
    answer = anthropic(messages, **{**WHO, **body})
    found = answer.json()
    assert (answer.status_code, found["type"], found["error"]["type"]) == (status, "error", kind)
    assert found["error"]["message"]


def test_a_wrong_key_and_a_large_body_are_refused_in_anthropics_shape(messages):
    for headers in ({"x-api-key": "wrong"}, {}):
        assert anthropic(messages, headers).json()["error"]["type"] == "authentication_error"
    answer = anthropic(messages, system="x" * 9_000_000)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


def test_a_large_body_is_refused_in_openais_shape_by_its_length_and_by_what_comes(live):
    whole = live.ask("x" * 9_000_000)
    address, sent = f"{live.gateway.url}/v1/chat/completions", {"authorization": f"Bearer {KEY}"}
    parts = live.http.post(address, headers=sent, content=iter([b"x" * 3_000_000] * 3))
    for answer in (whole, parts):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_upstream_failures_are_in_anthropics_shape(messages):
    messages.upstream.answer = http(b"<html>", "200 OK", "content-type: text/html")
    answer = anthropic(messages, **WHO)
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "api_error")


@pytest.mark.parametrize(
    ("rule", "system", "sent"),
    [
        ("append", [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}], "same"),
        ("append", "", None),
        ("ignore", "x", None),
        ("refuse", [], None),
    ],
)
def test_a_clients_system_follows_the_versions_rule(world, rule, system, sent):
    serve(world, http(MESSAGE), "anthropic", client_system=rule)
    assert anthropic(world, system=system).status_code == 200
    assert world.upstream.asked[0].body.get("system") == (system if sent else None)


def test_a_clients_system_is_refused_by_default(world):
    serve(world, http(MESSAGE), "anthropic")
    answer = anthropic(world, system="x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "system_message_refused")


def test_what_a_version_fixes_is_written_in_anthropics_words(world):
    tool = {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
    }
    own = {"name": "g", "input_schema": {"type": "object"}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    linked = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    prompt = prompt_document(
        messages=[
            {"role": "user", "content": [picture, linked, {"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": "A picture."},
            {"role": "system", "content": [{"type": "text", "text": "Be exact."}]},
            {"placeholder": "history"},
        ],
        variables={"history": {"default": []}},
    )
    for choice, written in (
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
    ):
        parameters = {"max_tokens": 5, "stop": "END", "tools": [tool, own], "tool_choice": choice}
        serve(world, http(MESSAGE), "anthropic", (prompt,), parameters=parameters)
        assert anthropic(world).status_code == 200
        body = world.upstream.asked[-1].body
        assert (body["max_tokens"], body["stop_sequences"], body["tool_choice"]) == (5, ["END"], written)
    given = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
    assert body["tools"] == [given, own]
    assert body["system"] == [{"type": "text", "text": "Be exact."}]
    assert body["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "text", "text": "What?"},
    ]
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]


def test_open_lengths_and_stops_keep_their_bounds_in_anthropics_words(world):
    opened = {"max_completion_tokens": {"max": 10}, "stop": {}}
    serve(world, http(MESSAGE), "anthropic", open_parameters=opened)
    assert anthropic(world, stop_sequences=["x"]).status_code == 200
    assert anthropic(world, max_tokens=11).json()["error"]["code"] == "parameter_out_of_range"


@pytest.mark.parametrize(
    "document",
    [
        {"parameters": {"seed": 7}},
        {"prompts": (prompt_document(messages=[{"role": "system", "content": [{"type": "image_url"}]}]),)},
        {"prompts": (prompt_document(messages=[{"role": "user", "content": [{"type": "input_audio"}]}]),)},
    ],
)
def test_a_version_that_anthropic_cannot_serve_is_refused_with_the_reason(world, document):
    serve(world, http(MESSAGE), "anthropic", **document)
    answer = anthropic(world)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "version_unusable")


def test_a_form_that_the_provider_does_not_speak_is_refused_with_the_one_it_does(messages):
    answer = messages.ask()
    assert answer.json()["error"]["code"] == "endpoint_not_fitting"
    assert "Call it at POST /v1/messages." in answer.json()["error"]["message"]
    serve(messages, http(MESSAGE))
    error = anthropic(messages).json()["error"]
    assert (error["code"], error["type"]) == ("endpoint_not_fitting", "invalid_request_error")
    assert "/v1/chat/completions" in error["message"]


# kinds of providers


@pytest.mark.parametrize(
    ("kind", "header"), [("openai", "authorization"), ("azure", "api-key"), ("anthropic", "x-api-key")]
)
def test_each_kind_gets_its_key_where_it_looks_for_it(world, monkeypatch, kind, header):
    monkeypatch.setenv("PROVIDER_KEY", "secret-1")
    payload = world.payload()
    payload["providers"]["main"] |= {"kind": kind, "api_key": "env:PROVIDER_KEY"}
    world.publish_payload(payload)
    world.start()
    world.upstream.answer = http(MESSAGE)
    headers = {"authorization": f"Bearer {KEY}", "api-key": "clients", "x-api-key": "clients"}
    path = "/v1/messages" if kind == "anthropic" else "/v1/chat/completions"
    body = {"model": "assistant", "messages": [{"role": "user", "content": "Hi?"}]}
    assert world.http.post(world.gateway.url + path, json=body, headers=headers).status_code == 200
    (asked,) = world.upstream.asked
    found = {name: asked.header(name) for name in ("authorization", "api-key", "x-api-key")}
    want = "Bearer secret-1" if kind == "openai" else "secret-1"
    assert found == dict.fromkeys(found) | {header: want}


@pytest.mark.parametrize(
    ("base", "form", "target"),
    [
        ("/openai/v1", "chat/completions", "/openai/v1/chat/completions"),
        (
            "/openai?api-version=2024-10-21", "chat/completions",
            "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
        ("/openai?api-version=2024-10-21", "responses", "/openai/responses?api-version=2024-10-21"),
        (
            "/openai?api-version=2024-10-21", "embeddings",
            "/openai/deployments/my%20gpt/embeddings?api-version=2024-10-21",
        ),
    ],
)  # fmt: skip
def test_azure_is_asked_at_both_of_its_forms_of_address(world, base, form, target):
    payload = world.payload(model_document(upstream_model="my gpt"))
    payload["providers"]["main"] |= {
        "kind": "azure",
        "base_url": world.upstream.url.removesuffix("/v1") + base,
    }
    world.publish_payload(payload)
    world.start()
    world.upstream.answer = http(RESPONSE)
    body = {"messages": [{"role": "user", "content": "Hi?"}]} if "chat" in form else {"input": "Hi?"}
    assert call(world, form, **body).status_code == 200
    assert world.upstream.asked[0].path == target


def test_a_kind_that_this_gateway_does_not_know_is_named(world):
    payload = world.payload()
    payload["providers"]["main"]["kind"] = "soap"
    world.publish_payload(payload)
    world.start()
    answer = world.ask()
    assert answer.status_code == 503
    assert "'soap'" in answer.json()["error"]["message"]
