"""Checks of messages with an unchanged anthropic client for Python."""

import asyncio

import anthropic
from checks import GATEWAY, KEY, check, equal, header, of_gateways, raises, run, seen, until, user
from reach import reach, reach_async

client = anthropic.Anthropic(**reach(""), max_retries=0, timeout=15)
TOOL = {"name": "look_up", "description": "d", "input_schema": {"type": "object", "properties": {}}}


def ask(text, **more):
    return client.messages.create(
        **{"model": "claude-support", "max_tokens": 50, "messages": user(text)} | more
    )


@check
def a_message_arrives_whole():
    answer = ask("Hi")
    equal((answer.content[0].text, answer.id, answer.stop_reason), ("Hello.", "msg_1", "end_turn"))
    equal((answer.usage.input_tokens, answer.usage.output_tokens), (7, 3))


@check
def unknown_fields_pass_both_ways():
    answer = ask("[[unknown-fields]]", extra_body={"new_field": [1]})
    equal((answer.model_extra["citations"], seen()["body"]["new_field"]), ([{"url": "u"}], [1]))


@check
def text_of_every_script_passes_unchanged():
    text = '[[echo]] Zürich 東京 🎉 \\ " \u2028'
    equal(ask(text).content[0].text, text)


@check
def request_id_and_rate_limits_of_the_upstream_are_kept_and_ours_stand_beside_them():
    raw = client.messages.with_raw_response.create(model="claude-support", max_tokens=5, messages=user("Hi"))
    equal(raw.headers["anthropic-ratelimit-requests-remaining"], "59")
    equal((raw.headers["request-id"], raw.headers["x-assent-variant"]), ("req-7", "stable"))


@check
def a_stream_arrives_piece_by_piece():
    with client.messages.stream(model="claude-support", max_tokens=50, messages=user("Hi")) as stream:
        equal(list(stream.text_stream), ["Hel", "lo."])
        final = stream.get_final_message()
    equal((final.stop_reason, final.usage.output_tokens), ("end_turn", 3))


@check
def raw_events_of_a_stream_arrive():
    kinds = [event.type for event in ask("Hi", stream=True)]
    equal(kinds[0], "message_start")
    equal(kinds[-1], "message_stop")


@check
def an_error_within_a_stream_reaches_the_client():
    error = raises(anthropic.APIStatusError, lambda: list(ask("[[broken-stream]]", stream=True)))
    assert "overloaded" in str(error), error


@check
def the_upstream_is_let_go_when_the_client_leaves():
    stream = ask("[[endless]]", stream=True)
    next(iter(stream))
    before = seen()["n_lost"]
    stream.close()
    until(lambda: seen()["n_lost"] > before, "the end of the upstream's connection")


@check
def tools_and_their_calls_pass_unchanged():
    answer = ask("[[tools]]", tools=[TOOL], tool_choice={"type": "auto"})
    equal((answer.stop_reason, answer.content[0].input), ("tool_use", {"city": "Zürich", "n": 1}))
    result = {"type": "tool_result", "tool_use_id": answer.content[0].id, "content": "rain"}
    history = [
        *user("Hi"),
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result]},
    ]
    ask("", messages=history, tools=[TOOL])
    equal(seen()["body"]["messages"][2]["content"], [result])


@check
def a_rate_limit_keeps_its_shape_and_the_time_to_come_back():
    error = raises(anthropic.RateLimitError, ask, "[[limited]]")
    equal((error.response.headers["retry-after"], error.body["error"]["type"]), ("7", "rate_limit_error"))


@of_gateways
def a_wrong_key_is_an_authentication_error():
    wrong = anthropic.Anthropic(base_url=GATEWAY, api_key="sk-wrong", max_retries=0)
    error = raises(
        anthropic.AuthenticationError,
        wrong.messages.create,
        model="claude-support",
        max_tokens=5,
        messages=user("Hi"),
    )
    equal(error.body["error"]["type"], "authentication_error")


@of_gateways
def a_token_in_the_place_of_a_key_is_taken():
    other = anthropic.Anthropic(base_url=GATEWAY, auth_token=KEY, api_key=None, max_retries=0)
    answer = other.messages.create(model="claude-support", max_tokens=5, messages=user("Hi"))
    equal(answer.content[0].text, "Hello.")
    equal((header(seen(), "x-api-key"), header(seen(), "authorization")), ([], []))


@check
def an_unknown_name_is_not_found_and_says_where_to_ask():
    error = raises(anthropic.NotFoundError, ask, "Hi", model="nothing")
    equal(error.body["error"]["type"], "not_found_error")
    assert "Ask at http" in error.body["error"]["message"], error


@check
def the_versions_prompt_comes_first_with_the_callers_variables():
    ask("Hi", model="claude-strict", extra_body={"assent": {"variables": {"customer": "Ada"}}})
    body = seen()["body"]
    equal((body["system"], body["temperature"]), ([{"type": "text", "text": "You help Ada."}], 0.25))
    equal(body["messages"], user("Hi"))


@check
def a_system_text_is_refused_where_the_version_brings_its_own():
    extra = {"assent": {"variables": {"customer": "Ada"}}}
    raises(
        anthropic.UnprocessableEntityError, ask, "Hi", model="claude-strict", system="Obey.", extra_body=extra
    )


@check
def parameters_that_are_not_open_are_refused():
    raises(anthropic.UnprocessableEntityError, ask, "Hi", extra_body={"top_k": 3})


@check
def models_are_listed_and_found():
    names = [m.id for m in client.models.list()]
    assert "claude-support" in names, names
    equal(client.models.retrieve("claude-support").id, "claude-support")


@check
def the_async_client_streams_too():
    async def go():
        here = anthropic.AsyncAnthropic(**reach_async(""), max_retries=0)
        asked = {"model": "claude-support", "max_tokens": 5, "messages": user("Hi")}
        async with here, here.messages.stream(**asked) as stream:
            return [text async for text in stream.text_stream]

    equal(asyncio.run(go()), ["Hel", "lo."])


if __name__ == "__main__":
    run(f"anthropic-python {anthropic.__version__}")
