"""Calls through the gateway, as applications make them."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import openai
import pytest
from forge import digest, model_document, prompt_document, route
from plane import KEY, STREAM_HEAD, USAGE, chunk, chunked, completion, events, http, until

from assent_client.calls.choosing import language_of
from assent_client.calls.edit import Ask


@pytest.fixture
def client(live):
    with openai.OpenAI(base_url=live.gateway.url + "/v1", api_key=KEY, max_retries=0, timeout=8) as client:
        yield client


HI = [{"role": "user", "content": "Hi?"}]


def test_the_openai_client_gets_a_completion(live, client):
    answer = client.chat.completions.create(model="assistant", messages=HI)
    assert answer.choices[0].message.content == "Hello."
    assert live.upstream.asked[0].body == {"model": "upstream-1", "messages": HI}
    assert live.upstream.asked[0].path == "/v1/chat/completions"


def test_the_openai_client_streams_without_the_usage_it_did_not_ask_for(live, client):
    parts = events(chunk("He"), chunk("llo"), chunk(finish="stop"), chunk(choices=[], usage=USAGE), "[DONE]")
    live.upstream.answer = STREAM_HEAD + chunked(*parts)
    chunks = list(client.chat.completions.create(model="assistant", messages=HI, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello"
    assert all(c.choices for c in chunks)
    assert live.upstream.asked[0].body["stream_options"] == {"include_usage": True}
    (call,) = live.calls()
    assert (call["tokens_in"], call["tokens_out"], call["finish_reason"]) == (5, 2, "stop")
    assert call["completion_id"] == "chatcmpl-s"
    assert 0 < call["ttft_s"] <= call["latency_s"]
    assert call["stream"] is True


def test_the_openai_client_streams_with_the_usage_it_asked_for(live, client):
    live.upstream.answer = STREAM_HEAD + chunked(
        *events(chunk("Hi"), chunk(choices=[], usage=USAGE), "[DONE]")
    )
    options = {"include_usage": True, "extra": 1}
    chunks = list(
        client.chat.completions.create(model="assistant", messages=HI, stream=True, stream_options=options)  # type: ignore[call-overload]
    )
    assert chunks[-1].usage.total_tokens == 7
    assert live.upstream.asked[0].body["stream_options"] == options


def test_the_openai_client_lists_models(live, client):
    assert [model.id for model in client.models.list()] == ["assistant"]
    assert client.models.retrieve("assistant").id == "assistant"


def test_an_unknown_name_is_not_found_and_says_where_to_ask(live, client):
    with pytest.raises(openai.NotFoundError) as refusal:
        client.chat.completions.create(model="gpt-4o", messages=HI)
    assert refusal.value.code == "model_not_found"
    assert live.server.url in refusal.value.message
    assert live.upstream.asked == []
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_a_retired_name_is_gone_and_names_its_successor(live, client):
    live.publish(gone={"assistant": {"status": 410, "reason": "retired on 1 March", "successor": "helper"}})
    with pytest.raises(openai.APIStatusError) as refusal:
        client.chat.completions.create(model="assistant", messages=HI)
    assert refusal.value.status_code == 410
    assert "helper" in refusal.value.message
    assert [model.id for model in client.models.list()] == []


def test_a_killed_name_is_not_served_from_the_next_snapshot_on(live, client):
    client.chat.completions.create(model="assistant", messages=HI)
    live.publish(gone={"assistant": {"status": 404, "reason": "killed", "successor": None}})
    with pytest.raises(openai.NotFoundError, match="killed"):
        client.chat.completions.create(model="assistant", messages=HI)


def test_a_disabled_route_serves_its_off_variant(live):
    old, new = model_document(upstream_model="old"), model_document(upstream_model="new")
    routes = {"assistant": route(digest(old), digest(new), 1_000_000 - 1, enabled=False)}
    live.publish(old, new, routes=routes)
    assert live.ask().headers["x-assent-variant"] == "stable"
    assert live.upstream.asked[0].body["model"] == "old"
    assert live.calls()[0]["reason"] == "disabled"


def test_a_route_that_is_switched_off_without_a_fallback_is_not_found(live):
    routes = {"assistant": route(digest(model_document()), enabled=False, off=None)}
    live.publish(routes=routes)
    assert live.ask().json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic " + KEY, KEY])
def test_a_wrong_key_is_refused(live, header):
    headers = {} if header is None else {"authorization": header}
    answer = httpx.post(
        live.gateway.url + "/v1/chat/completions", json={"model": "assistant"}, headers=headers
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert live.upstream.asked == []


def test_a_key_calls_only_the_names_it_is_scoped_to(live):
    keys = json.loads(json.dumps(live.payload()["keys"]))
    keys[0]["names"] = ["other"]
    live.publish(keys=keys)
    assert live.ask().status_code == 403
    headers = {"authorization": f"Bearer {KEY}"}
    assert live.http.get(live.gateway.url + "/v1/models", headers=headers).json()["data"] == []


def test_answers_say_which_version_gave_them(live):
    headers = live.ask().headers
    assert headers["x-assent-version"] == "assistant@1.0.0"
    assert headers["x-assent-digest"] == digest(model_document())
    assert headers["x-assent-variant"] == "stable"
    assert headers["x-assent-admission"] == "approved"
    assert headers["x-assent-serial"] == str(live.serial)


def test_a_deprecated_version_says_so(live):
    payload = live.payload()
    version = next(iter(payload["versions"].values()))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    sunset = at + timedelta(days=30)
    version["deprecation"] = {
        "at": at.isoformat(),
        "sunset_at": sunset.isoformat(),
        "successor": "assistant@2.0.0",
    }
    live.publish_payload(payload)
    headers = live.ask().headers
    assert headers["deprecation"] == "@1772323200"
    assert headers["sunset"] == "Tue, 31 Mar 2026 00:00:00 GMT"
    assert 'rel="successor-version"' in headers["link"]


def test_a_unit_keeps_its_variant_and_is_hashed_before_it_leaves(live):
    old, new = model_document(upstream_model="old"), model_document(upstream_model="new")
    live.publish(old, new, routes={"assistant": route(digest(old), digest(new), 500_000)})
    variants = {
        user: {live.ask(user=user).headers["x-assent-variant"] for _ in range(3)} for user in "abcdefgh"
    }
    assert all(len(seen) == 1 for seen in variants.values())
    assert {v for seen in variants.values() for v in seen} == {"stable", "canary"}
    calls = live.calls(24)
    assert all(call["sticky"] for call in calls)
    assert len({call["unit"] for call in calls}) == 8
    assert not {call["unit"] for call in calls} & set("abcdefgh")
    assert {call["rollout"] for call in calls} == {"ro_1"}


def test_the_unit_is_looked_for_in_order(live):
    def unit(headers=None, **changes):
        n = len(live.server.rows())
        body = {"model": "assistant", "messages": HI} | changes
        assert live.post(body, **(headers or {})).status_code == 200
        return live.calls(n + 1)[-1]["unit"]

    named = {key: unit(**{key: key}) for key in ("user", "safety_identifier")}
    assert unit(user="user", safety_identifier="safety_identifier") == named["safety_identifier"]
    assert unit(user="x", safety_identifier="y", assent={"unit": "user"}) == named["user"]
    assert unit({"x-assent-conversation": "user"}) == named["user"]
    assert unit({"x-assent-conversation": "z"}, user="user") == named["user"]
    assert unit() != unit()
    assert live.server.rows()[-1]["sticky"] is False


def test_rules_see_the_context(live):
    old, new = model_document(upstream_model="old"), model_document(upstream_model="new")
    when = [{"attribute": "organisation", "op": "in", "value": ["acme"]}]
    rules = [{"id": "staff", "when": when, "variant": "canary"}]
    live.publish(old, new, routes={"assistant": route(digest(old), digest(new), 0, rules=rules)})
    inside = live.ask(assent={"context": {"organisation": "acme", "language": "pt-BR"}})
    assert inside.headers["x-assent-variant"] == "canary"
    assert live.ask(assent={"context": {"organisation": "zeta"}}).headers["x-assent-variant"] == "stable"
    first, second = live.calls(2)
    assert (first["rule"], first["language"], second.get("language")) == ("staff", "pt", None)


@pytest.mark.parametrize(
    ("said", "kept"), [("de", "de"), ("EN_us", "en"), ("x", None), ("élu", None), (7, None), ("german", None)]
)
def test_the_language_is_the_caller_s_word(said, kept):
    body = {"model": "assistant", "assent": {"context": {"language": said}}}
    assert language_of(Ask(msgspec.json.encode(body))) == kept


def test_who_bears_the_header_of_a_preview_sees_the_version_before_the_switch(live):
    old, new = model_document(upstream_model="old"), model_document(upstream_model="new")
    rules = [{"id": "audience-1", "when": [{"attribute": "preview", "op": "equals", "value": "green"}]}]
    rules[0]["variant"] = "canary"
    live.publish(old, new, routes={"assistant": route(digest(old), digest(new), 0, rules=rules)})
    body = {"model": "assistant", "messages": HI}
    for header, variant in (("green", "canary"), ("blue", "stable")):
        answer = live.post(body, **{"X-Assent-Preview": header})
        assert answer.headers["x-assent-variant"] == variant
    assert live.ask().headers["x-assent-variant"] == "stable"


def with_prompt(live, prompt, **changes):
    live.publish(model_document(prompt=digest(prompt), **changes), prompts=(prompt,))


def test_the_versions_messages_come_first_with_its_variables(live):
    prompt = prompt_document(
        "You help {{ who }}, {{ tone }}.",
        variables={"who": {"required": True}, "tone": {"default": "kindly"}},
    )
    with_prompt(live, prompt)
    answer = live.ask(assent={"variables": {"who": 'Bob "B" ☃'}})
    assert answer.status_code == 200
    system = {"role": "system", "content": 'You help Bob "B" ☃, kindly.'}
    assert live.upstream.asked[0].body == {"model": "upstream-1", "messages": [system, *HI]}


def test_missing_unknown_and_wrong_variables_are_named_together(live):
    declared = {
        "who": {"required": True},
        "n": {"schema": {"type": "integer"}},
        "k": {"schema": {"type": "string", "maxLength": 1}, "required": False},
    }
    with_prompt(live, prompt_document("{{ who }} {{ n }} {{ k }}", variables=declared))
    answer = live.ask(assent={"variables": {"n": True, "k": "xx", "extra": 1}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "missing_variables")
    assert all(word in error["message"] for word in ("missing: who", "extra", "schema: n, k"))
    assert live.upstream.asked == []
    assert live.calls()[0]["error_class"] == "missing_variables"


def test_simple_templates_know_names_only(live):
    with_prompt(
        live,
        prompt_document("{{a}} {{ b }} {% x %}", syntax="simple", variables={"a": {}, "b": {"default": 3}}),
    )
    live.ask(assent={"variables": {"a": "{{b}}"}})
    assert live.upstream.asked[0].body["messages"][0]["content"] == "{{b}} 3 {% x %}"


def test_contents_in_parts_are_rendered_part_by_part(live):
    image = {"type": "image_url", "image_url": {"url": "https://x/{{ who }}"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "For {{ who }}."}, image]},
        {"role": "assistant", "content": None, "name": "kept"},
    ]
    declared = {
        "who": {"required": True, "schema": {"type": "string"}},
        "loud": {"schema": {"type": "boolean"}, "default": False},
    }
    with_prompt(live, prompt_document(messages=messages, variables=declared))
    assert live.ask(assent={"variables": {"who": "Ann", "loud": True}}).status_code == 200
    text = {"type": "text", "text": "For Ann."}
    assert live.upstream.asked[0].body["messages"][:2] == [
        {"role": "system", "content": [text, image]},
        messages[1],
    ]
    assert live.ask(assent={"variables": {"who": "Ann", "loud": 1}}).status_code == 422


def test_a_simple_template_with_an_undeclared_name_is_a_clear_error(live):
    with_prompt(live, prompt_document("{{nobody}}", syntax="simple", variables={"a": {"default": 1}}))
    answer = live.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "template_failed")


def test_a_template_cannot_reach_out_of_its_sandbox(live):
    with_prompt(live, prompt_document("{{ ''.__class__.__mro__ }}", variables={"x": {"default": 1}}))
    answer = live.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "template_failed")


def test_a_version_whose_template_is_broken_is_refused_with_line_and_reason(live):
    with_prompt(live, prompt_document("ok\n{% if %}", variables={"x": {"default": 1}}))
    answer = live.ask()
    assert answer.status_code == 503
    assert "line 2" in answer.json()["error"]["message"]


SYSTEM = [{"role": "system", "content": "Be rude."}, {"role": "developer", "content": "Very."}]


@pytest.mark.parametrize(("rule", "kept"), [("append", [*SYSTEM, *HI]), ("ignore", HI)])
def test_a_callers_system_messages_follow_the_versions_rule(live, rule, kept):
    prompt = prompt_document()
    with_prompt(live, prompt, client_system=rule)
    assert live.ask(messages=[*SYSTEM, *HI]).status_code == 200
    assert live.upstream.asked[0].body["messages"] == [*prompt["messages"], *kept]


def test_a_callers_system_messages_are_refused_by_default(live):
    for messages in (SYSTEM[:1], [*HI, SYSTEM[1]]):
        answer = live.ask(messages=messages)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "system_message_refused")
    assert live.upstream.asked == []


@pytest.mark.parametrize(
    "message",
    [
        b'{"role":"system","role":"user","content":"x"}',
        b'{"role":"user","content":"x","role":"user"}',
        b'{"r\\u006fle":"system","role":"user","content":"x"}',
        b'{"role":"user","r\\u006fle":"user","content":"x"}',
    ],
)
def test_a_role_given_twice_reaches_the_upstream_once(live, message):
    answer = live.post(b'{"model":"assistant","messages":[' + message + b"]}")
    assert answer.status_code == 200
    assert live.upstream.asked[0].raw.count(b"role") == 1
    assert live.upstream.asked[0].body["messages"] == [{"role": "user", "content": "x"}]


def test_a_role_hidden_by_escapes_is_still_a_system_message(live):
    body = b'{"model":"assistant","messages":[{"role":"user","r\\u006fle":"system","content":"x"}]}'
    assert live.post(body).status_code == 422


def test_pinned_parameters_win_and_open_ones_have_ranges(live):
    opened = {"max_tokens": {"min": 1, "max": 100}, "seed": {}, "verbosity": {"values": ["low"]}}
    parameters = {"temperature": 0.2, "max_tokens": 50}
    live.publish(model_document(parameters=parameters, open_parameters=opened))
    assert live.ask(temperature=1.9).status_code == 200
    assert (
        live.upstream.asked[-1].body | {"messages": 0} == {"model": "upstream-1", "messages": 0} | parameters
    )
    assert live.ask(max_tokens=99, seed=4, verbosity="low").status_code == 200
    assert live.upstream.asked[-1].body["max_tokens"] == 99
    for bad in ({"max_tokens": 101}, {"max_tokens": True}, {"max_tokens": "9"}, {"verbosity": "high"}):
        answer = live.ask(**bad)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "parameter_out_of_range")


def test_parameters_that_the_version_does_not_open_are_refused_all_at_once(live):
    error = live.ask(temperature=1, tools=[], top_p=None).json()["error"]
    assert error["code"] == "parameter_not_open"
    assert "temperature, tools" in error["message"]


def test_what_the_gateway_does_not_know_passes_byte_for_byte(live):
    body = b'{"x": 1.50e+2 ,"user":"u","model":"assistant","deep":{"a":[1.0,  2e0,"\\u00e9"]},"messages":[ {"role" : "user","content":"1E5"} ] ,"assent":{}}'
    assert live.post(body).status_code == 200
    sent = live.upstream.asked[0].raw
    assert b'"x":1.50e+2' in sent
    assert b'"deep":{"a":[1.0,  2e0,"\\u00e9"]}' in sent
    assert b'"messages":[{"role" : "user","content":"1E5"}]' in sent
    assert b"assent" not in sent


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"messages":[]}', b'{"model":1}', b'{"model":"assistant"}', b"\xff", b'{"model":"assistant","x":"\xff","messages":[]}',
     b'{"model":"assistant","messages":{}}', b'{"model":"assistant","messages":[{"content":"x"}]}', b'{"model":"assistant","messages":[{"role":"root"}]}',
     b'{"model":"assistant","messages":[],"assent":{"other":1}}', b'{"model":"assistant","messages":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
     b'{"model":"assistant","messages":[],"stream":true,"stream_options":7}', b'{"model":"assistant","messages":[],"assent":{"unit":"' + b"u" * 600 + b'"}}'],
)  # fmt: skip
def test_a_request_out_of_form_is_a_clear_400(live, body):
    answer = live.post(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert live.upstream.asked == []


def test_headers_pass_but_those_of_the_hop_the_key_and_ours(live):
    live.upstream.answer = http(
        completion(),
        "200 OK",
        "x-ratelimit-remaining-tokens: 7",
        "x-assent-version: forged",
        "keep-alive: 5",
        "connection: x-hop",
        "x-hop: 1",
        "content-type: application/json; charset=utf-8",
    )
    sent = {
        "x-trace": "t-1",
        "cookie": "secret",
        "connection": "x-mine",
        "x-mine": "1",
        "x-assent-conversation": "c",
    }
    answer = live.post({"model": "assistant", "messages": HI}, **sent)
    asked = live.upstream.asked[0]
    assert asked.header("x-trace") == "t-1"
    assert [
        asked.header(name) for name in ("authorization", "cookie", "x-mine", "x-assent-conversation")
    ] == [None] * 4
    assert answer.headers["x-ratelimit-remaining-tokens"] == "7"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-assent-version"] == "assistant@1.0.0"
    assert "x-hop" not in answer.headers
    assert "keep-alive" not in answer.headers


def test_the_providers_key_comes_from_where_the_reference_points(live, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_PROVIDER_KEY", "sk-env")
    (tmp_path / "key").write_text("sk-file\n")
    provider = live.payload()["providers"]["main"]
    for reference, expected in (("env:TEST_PROVIDER_KEY", "sk-env"), (f"file:{tmp_path}/key", "sk-file")):
        live.publish(providers={"main": provider | {"api_key": reference}})
        assert live.ask().status_code == 200
        assert live.upstream.asked[-1].header("authorization") == f"Bearer {expected}"


@pytest.mark.parametrize(
    "change",
    [
        {"api_key": "env:NOT_SET_ANYWHERE"},
        {"api_key": "vault:x"},
        {"base_url": "ftp://x"},
        {"base_url": "http://h:99999"},
    ],
)
def test_a_provider_that_cannot_be_used_is_a_clear_503_and_others_serve_on(live, change):
    provider = live.payload()["providers"]["main"]
    live.publish(providers={"main": provider | change})
    answer = live.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_unusable")
    (row,) = live.calls()
    assert (row["status"], row["error_class"], row["variant"]) == (503, "provider_unusable", "stable")


def test_a_provider_that_is_not_in_the_snapshot_is_named(live):
    live.publish(providers={})
    assert "main is not configured" in live.ask().json()["error"]["message"]


def test_an_upstreams_refusal_reaches_the_client_unchanged(live, client):
    error = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
    live.upstream.answer = http(error, "429 Too Many Requests", "retry-after: 7", "x-request-id: r-9")
    with pytest.raises(openai.RateLimitError) as refusal:
        client.chat.completions.create(model="assistant", messages=HI)
    assert refusal.value.code == "rate_limit_exceeded"
    assert refusal.value.response.headers["retry-after"] == "7"
    assert refusal.value.request_id == "r-9"
    assert live.calls()[0]["error_class"] == "upstream_429"


def test_another_model_than_approved_is_flagged(live):
    live.upstream.answer = http(completion(model="cheaper-1"))
    live.ask()
    live.publish(model_document(response_models=["cheaper-1"]))
    live.ask()
    first, second = live.calls(2)
    assert (first["response_model"], first["as_approved"]) == ("cheaper-1", False)
    assert second["as_approved"] is True


def test_feedback_finds_the_version_it_judges(live):
    live.ask(user="u")
    answer = live.post({"completion_id": "chatcmpl-1", "value": "down", "comment": "meh"}, "/v1/feedback")
    assert (answer.status_code, answer.json()) == (202, {"accepted": True, "matched": True})
    live.post({"completion_id": "chatcmpl-1", "value": 0.25}, "/v1/feedback")
    rows = until(lambda: rows if len(rows := live.server.rows("feedback")) == 2 else None)
    (call,) = live.calls()
    assert [row["value"] for row in rows] == [0, 0.25]
    assert rows[0]["comment"] == "meh"
    assert all(rows[0][key] == call[key] for key in ("route", "variant", "version", "unit", "environment"))
    assert rows[0]["called_at"] == call["at"]


def test_feedback_on_a_stranger_is_taken_for_the_server_to_match(live):
    answer = live.post({"completion_id": "chatcmpl-other", "value": "up"}, "/v1/feedback")
    assert answer.json() == {"accepted": True, "matched": False}
    (row,) = until(lambda: live.server.rows("feedback"))
    assert (row["route"], row["value"]) == (None, 1)


def test_feedback_from_another_application_is_refused(live):
    live.ask()
    payload = live.payload()
    payload["keys"][0]["id"] = "app-2"
    live.publish_payload(payload)
    assert live.post({"completion_id": "chatcmpl-1", "value": "down"}, "/v1/feedback").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"completion_id": "x", "value": 2},
        {"completion_id": "x", "value": "meh"},
        {"completion_id": "", "value": 1},
        {"completion_id": "x", "value": 1, "y": 1},
    ],
)
def test_feedback_out_of_form_is_refused(live, body):
    answer = live.post(body, "/v1/feedback")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_feedback")


def test_feedback_finds_its_call_after_a_restart(live):
    live.ask(user="u")
    live.calls()
    live.gateway.stop()
    journal = live.folder / "completions.jsonl"
    journal.write_bytes(journal.read_bytes() + b'["cut short')
    live.start()
    answer = live.post({"completion_id": "chatcmpl-1", "value": "down"}, "/v1/feedback")
    assert answer.json()["matched"] is True
    (row,) = until(lambda: live.server.rows("feedback"))
    assert row["unit"] == live.calls()[0]["unit"]
    live.upstream.answer = http(completion(id="chatcmpl-2"))
    live.ask()
    live.calls(2)
    live.gateway.stop()
    live.start()
    assert live.post({"completion_id": "chatcmpl-2", "value": "up"}, "/v1/feedback").json()["matched"] is True


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("DELETE", "/healthz", 405),
    ],
)
def test_paths_and_methods_outside_the_table_are_refused(live, method, path, status):
    assert live.http.request(method, live.gateway.url + path).status_code == status


def test_health_and_readiness_need_no_key(live):
    assert live.http.get(live.gateway.url + "/healthz").json() == {"status": "ok"}
    state = live.http.get(live.gateway.url + "/readyz?x=1").json()
    assert state["ready"] is True
    assert state["stale_s"] > 0  # the snapshots of these tests were issued long ago
