"""Checks of chat completions with an unchanged openai client for Python."""

import asyncio
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import openai
from checks import GATEWAY, IN_PROCESS, KEY, check, equal, header, of_gateways, raises, run, seen, until, user
from reach import reach, reach_async

client = openai.OpenAI(**reach(), max_retries=0, timeout=15)
create = client.chat.completions.create
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}


def ask(text, **more):
    return create(model="assistant", messages=user(text), **more)


def variables(**given):
    return {"assent": {"variables": given}}


@check
def a_completion_arrives_whole():
    answer = ask("Hi")
    equal(answer.choices[0].message.content, "Hello.")
    equal((answer.id, answer.model, answer.usage.total_tokens), ("chatcmpl-1", "upstream-1", 10))


@check
def unknown_fields_of_an_answer_reach_the_client():
    answer = ask("[[unknown-fields]]")
    equal(answer.model_extra["citations"], [{"url": "u"}])
    equal(answer.system_fingerprint, "fp_1")


@check
def unknown_fields_of_a_request_reach_the_upstream():
    ask("Hi", extra_body={"new_field": {"a": [1, None]}}, metadata={"team": "x"}, store=False)
    body = seen()["body"]
    equal((body["new_field"], body["metadata"], body["store"]), ({"a": [1, None]}, {"team": "x"}, False))


@check
def text_of_every_script_passes_unchanged():
    text = '[[echo]] Zürich 東京 🎉 \u0000 \\ " \u2028 \ud7ff'
    equal(ask(text).choices[0].message.content, text)


@check
def parts_with_images_and_sound_pass_unchanged():
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    create(model="assistant", messages=[{"role": "user", "content": parts}])
    equal(seen()["body"]["messages"], [{"role": "user", "content": parts}])


@check
def request_id_and_rate_limits_of_the_upstream_are_kept_and_ours_stand_beside_them():
    raw = client.chat.completions.with_raw_response.create(model="assistant", messages=user("Hi"))
    names = (
        "x-request-id",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-assent-variant",
    )
    equal([raw.headers.get(name) for name in names], ["req-7", "60", "59", "stable"])
    equal(raw.parse()._request_id, "req-7")  # noqa: SLF001 -- the client's documented name


@check
def a_stream_arrives_piece_by_piece():
    pieces = [c.choices[0].delta.content for c in ask("Hi", stream=True) if c.choices[0].delta.content]
    equal(pieces, ["Hel", "lo."])


@check
def a_stream_holds_no_usage_that_nobody_asked_for():
    chunks = list(ask("Hi", stream=True))
    equal(([c.usage for c in chunks if c.usage], all(c.choices for c in chunks)), ([], True))
    equal(seen()["body"]["stream_options"], {"include_usage": True})


@check
def a_stream_holds_the_usage_that_was_asked_for():
    chunks = list(ask("Hi", stream=True, stream_options={"include_usage": True}))
    equal((chunks[-1].choices, chunks[-1].usage.total_tokens), ([], 7))


@check
def stream_bytes_comments_and_events_pass_verbatim():
    with client.chat.completions.with_streaming_response.create(
        model="assistant", messages=user("[[odd-stream]]"), stream=True
    ) as raw:
        received = b"".join(raw.iter_bytes())
        equal(raw.headers["content-type"], "text/event-stream")
    assert received.startswith(b": keep-alive\n\nevent: odd\ndata: {"), received
    assert b'"content":"\\u00e9 \xf0\x9f\x8e\x89"' in received, received
    assert received.endswith(b"data: [DONE]\n\n"), received


@check
def an_error_within_a_stream_reaches_the_client():
    error = raises(openai.APIError, lambda: list(ask("[[broken-stream]]", stream=True)))
    assert "overloaded" in str(error), error


@check
def a_stream_that_breaks_off_does_not_look_whole():
    raises(Exception, lambda: list(ask("[[cut]]", stream=True)))


@check
def the_upstream_is_let_go_when_the_client_leaves():
    stream = ask("[[endless]]", stream=True)
    next(iter(stream))
    before = seen()["n_lost"]
    stream.close()
    until(lambda: seen()["n_lost"] > before, "the end of the upstream's connection")


@check
def tools_and_their_calls_pass_unchanged():
    answer = ask("[[tools]]", tools=[TOOL], tool_choice="auto", parallel_tool_calls=False)
    call = answer.choices[0].message.tool_calls[0]
    equal((call.id, call.function.arguments), ("call_1", '{"city":"Zürich","n":1}'))
    equal(seen()["body"]["tools"], [TOOL])
    history = [*user("[[echo]]"), {"role": "assistant", "tool_calls": [call.model_dump()], "content": None},
               {"role": "tool", "tool_call_id": "call_1", "content": "rain"}]  # fmt: skip
    equal(create(model="assistant", messages=history, tools=[TOOL]).choices[0].message.content, "rain")
    equal([m["role"] for m in seen()["body"]["messages"]], ["user", "assistant", "tool"])


@check
def streamed_tool_calls_can_be_put_together():
    chunks = ask("[[tools]]", tools=[TOOL], stream=True)
    calls = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices[0].delta.tool_calls]
    equal("".join(call.function.arguments for call in calls), '{"city":"Zürich","n":1}')


@check
def structured_answers_are_parsed():
    import pydantic

    class Found(pydantic.BaseModel):
        city: str
        n: int

    answer = client.chat.completions.parse(
        model="assistant", messages=user("[[json]]"), response_format=Found
    )
    equal(answer.choices[0].message.parsed, Found(city="Zürich", n=1))
    equal(seen()["body"]["response_format"]["json_schema"]["name"], "Found")


@check
def several_choices_and_logprobs_arrive():
    answer = ask("[[choices]]", n=2, logprobs=True, top_logprobs=1)
    equal([c.message.content for c in answer.choices], ["0", "1"])
    equal(answer.choices[1].logprobs.content[0].logprob, -0.5)


@check
def a_rate_limit_keeps_code_type_and_the_time_to_come_back():
    error = raises(openai.RateLimitError, ask, "[[limited]]")
    equal((error.code, error.type), ("insufficient_quota", "insufficient_quota"))
    have = [
        error.response.headers[name]
        for name in ("retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens")
    ]
    equal(have, ["7", "6500", "0"])


@check
def the_clients_own_retries_work():
    before = seen()["n_asked"]
    patient = client.with_options(max_retries=2)
    answer = patient.chat.completions.create(model="assistant", messages=user("[[once-limited]]"))
    equal((answer.choices[0].message.content, seen()["n_asked"] - before), ("Hello.", 2))
    equal(header(seen(), "x-stainless-retry-count"), ["1"])


@check
def a_bad_request_keeps_its_code():
    error = raises(openai.BadRequestError, ask, "[[bad-request]]")
    equal((error.code, error.message.partition(" - ")[0]), ("context_length_exceeded", "Error code: 400"))


@check
def other_refusals_keep_their_status():
    for name, kind in (("denied", openai.PermissionDeniedError), ("failing", openai.InternalServerError)):
        raises(kind, ask, f"[[{name}]]")
    error = raises(openai.APIStatusError, ask, "[[overloaded]]")
    equal((error.status_code, error.response.headers["retry-after"]), (503, "3"))


@of_gateways
def a_wrong_key_is_an_authentication_error():
    wrong = openai.OpenAI(base_url=GATEWAY + "/v1", api_key="sk-wrong", max_retries=0)
    error = raises(
        openai.AuthenticationError, wrong.chat.completions.create, model="assistant", messages=user("Hi")
    )
    equal(error.code, "invalid_api_key")


@check
def an_unknown_name_is_not_found_and_says_where_to_ask():
    error = raises(openai.NotFoundError, create, model="gpt-nothing", messages=user("Hi"))
    equal(error.code, "model_not_found")
    assert "Ask at http" in error.message, error.message


@check
def a_retired_name_is_gone_and_names_its_successor():
    error = raises(openai.APIStatusError, create, model="retired", messages=user("Hi"))
    equal((error.status_code, error.code), (410, "model_retired"))
    assert "assistant" in error.message, error.message


@check
def the_versions_prompt_comes_first_with_the_callers_variables():
    create(model="strict", messages=user("Hi"), extra_body=variables(customer="Ada"))
    body = seen()["body"]
    equal(body["messages"], [{"role": "system", "content": "You help Ada."}, *user("Hi")])
    equal((body["temperature"], body["model"], "assent" in body), (0.25, "upstream-1", False))


@check
def missing_variables_are_named():
    error = raises(openai.UnprocessableEntityError, create, model="strict", messages=user("Hi"))
    assert "customer" in error.message, error.message


@check
def a_system_message_is_refused_where_the_version_brings_its_own():
    messages = [{"role": "system", "content": "Obey."}, *user("Hi")]
    error = raises(
        openai.UnprocessableEntityError,
        create,
        model="strict",
        messages=messages,
        extra_body=variables(customer="A"),
    )
    equal(error.code, "system_message_refused")


@check
def parameters_out_of_range_or_not_open_are_refused():
    equal(raises(openai.UnprocessableEntityError, ask, "Hi", temperature=1.5).code, "parameter_out_of_range")
    equal(raises(openai.UnprocessableEntityError, ask, "Hi", presence_penalty=1).code, "parameter_not_open")


@check
def a_user_keeps_the_variant_and_headers_pass():
    ask("Hi", user="u-1", extra_headers={"x-trace": "t-1"})
    found = seen()
    equal((found["body"]["user"], header(found, "x-trace")), ("u-1", ["t-1"]))
    equal(header(found, "authorization"), [f"Bearer {KEY}"] if IN_PROCESS else [])


@check
def models_are_listed_and_found():
    equal([m.id for m in client.models.list()], sorted(m.id for m in client.models.list()))
    equal(client.models.retrieve("assistant").owned_by, "assent")
    raises(openai.NotFoundError, client.models.retrieve, "gpt-nothing")


@check
def the_async_client_streams_too():
    async def go():
        async with openai.AsyncOpenAI(**reach_async(), max_retries=0) as here:
            stream = await here.chat.completions.create(model="assistant", messages=user("Hi"), stream=True)
            return [c.choices[0].delta.content async for c in stream if c.choices[0].delta.content]

    equal(asyncio.run(go()), ["Hel", "lo."])


@check
def forty_calls_at_once_get_their_own_answers():
    with ThreadPoolExecutor(40) as pool:
        texts = [f"[[echo]] {n} " + "x" * n for n in range(40)]
        equal([a.choices[0].message.content for a in pool.map(ask, texts)], texts)


@check
def a_compressed_answer_is_read():
    equal(ask("[[gzip]]").choices[0].message.content, "zipped")


@check
def rubbish_and_redirects_are_clear_errors():
    error = raises(openai.InternalServerError, ask, "[[rubbish]]")
    equal((error.status_code, error.code), (502, "upstream_rubbish"))
    error = raises(openai.InternalServerError, ask, "[[redirect]]")
    equal((error.status_code, error.code), (502, "upstream_redirect"))


@check
def an_upstream_that_hangs_is_a_timeout():
    if IN_PROCESS:  # the time limit is the library's own here, and so is the error
        raises(openai.APITimeoutError, client.with_options(timeout=0.3).chat.completions.create,
               model="assistant", messages=user("[[silent]]"))  # fmt: skip
        return
    error = raises(openai.InternalServerError, ask, "[[silent]]")
    equal((error.status_code, error.code), (504, "upstream_timeout"))


@check
def a_body_of_seven_megabytes_passes_and_one_over_the_limit_is_refused():
    text = "[[echo]]" + "x" * 7_000_000
    equal(len(ask(text).choices[0].message.content), len(text))
    if not IN_PROCESS:
        equal(raises(openai.APIStatusError, ask, "x" * 9_000_000).status_code, 413)


@of_gateways
def a_chunked_request_that_waits_for_100_continue_is_served():
    place = urlsplit(GATEWAY)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    body = json.dumps({"model": "assistant", "messages": user("[[echo]] in pieces")}).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "expect": "100-continue"}
    connection.request(
        "POST", "/v1/chat/completions", iter([body[:9], body[9:]]), headers, encode_chunked=True
    )
    answer = connection.getresponse()
    found = json.load(answer)
    equal((answer.status, found.get("error")), (200, None))
    equal(found["choices"][0]["message"]["content"], "[[echo]] in pieces")
    equal(header(seen(), "transfer-encoding"), [])


if __name__ == "__main__":
    run(f"openai-python {openai.__version__}")
