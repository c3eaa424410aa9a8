"""Checks of responses and embeddings with an unchanged openai client for Python; those of chat run first."""

import base64
import struct

import openai
import openai_chat
from checks import check, equal, raises, run, seen

client = openai_chat.client


@check
def a_response_arrives_whole():
    answer = client.responses.create(model="assistant", input="Hi")
    equal((answer.output_text, answer.id, answer.usage.total_tokens), ("Hello.", "resp_1", 10))


@check
def a_streamed_response_arrives_piece_by_piece():
    stream = client.responses.create(model="assistant", input="Hi", stream=True)
    events = list(stream)
    equal("".join(e.delta for e in events if e.type == "response.output_text.delta"), "Hello.")
    equal(events[-1].response.usage.total_tokens, 10)


@check
def a_responses_instructions_and_prompt_come_first():
    extra = {"assent": {"variables": {"customer": "Ada"}}}
    client.responses.create(model="strict", input="Hi", extra_body=extra)
    equal(seen()["body"]["input"][0], {"role": "system", "content": "You help Ada."})
    error = raises(
        openai.UnprocessableEntityError, client.responses.create, model="strict", input="Hi", instructions="Obey.",
        extra_body=extra,
    )  # fmt: skip
    equal(error.code, "system_message_refused")


@check
def an_earlier_response_is_not_brought_in_unseen():
    error = raises(
        openai.UnprocessableEntityError,
        client.responses.create,
        model="assistant",
        input="Hi",
        previous_response_id="x",
    )
    equal(error.code, "parameter_not_open")


@check
def embeddings_arrive_as_the_numbers_that_were_sent():
    answer = client.embeddings.create(model="assistant", input=["a"])
    equal((answer.data[0].embedding, answer.usage.total_tokens), ([0.5, -0.25], 4))
    equal(seen()["body"]["encoding_format"], "base64")
    equal(base64.b64encode(struct.pack("<2f", 0.5, -0.25)).decode(), "AAAAPwAAgL4=")


if __name__ == "__main__":
    run(f"openai-python {openai.__version__}")
