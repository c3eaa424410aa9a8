"""Checks with an unchanged LlamaIndex: a governed name that it knows, and OpenAILike for any other."""

import importlib.metadata

import openai
from checks import GATEWAY, KEY, check, equal, raises, run, seen
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike

PLACE = {"api_base": GATEWAY + "/v1", "api_key": KEY, "max_retries": 0}


def known(**changes):
    return OpenAI(model="gpt-4o", temperature=0.5, **PLACE, **changes)


def like(**changes):
    given = {"model": "assistant", "is_chat_model": True, "temperature": 0.5, **PLACE} | changes
    return OpenAILike(**given)


@check
def a_governed_name_that_llamaindex_knows_is_called():
    answer = known().chat([ChatMessage(role="user", content="Hi")])
    equal((answer.message.content, answer.raw.usage.total_tokens), ("Hello.", 10))


@check
def a_stream_of_a_known_name_arrives_piece_by_piece():
    pieces = known().stream_chat([ChatMessage(role="user", content="Hi")])
    equal([piece.delta for piece in pieces if piece.delta], ["Hel", "lo."])


@check
def tools_are_called():
    def look_up(city: str, n: int) -> str:
        """Look a city up."""
        return f"{city} {n}"

    answer = known().chat_with_tools([FunctionTool.from_defaults(look_up)], user_msg="[[tools]]")
    (call,) = known().get_tool_calls_from_response(answer)
    equal(call.tool_kwargs, {"city": "Zürich", "n": 1})


@check
def any_name_is_called_through_openai_like():
    equal(like().complete("Hi").text, "Hello.")


@check
def openai_like_streams():
    equal("".join(piece.delta or "" for piece in like().stream_complete("Hi")), "Hello.")


@check
def the_versions_prompt_comes_first_with_the_callers_variables():
    extra = {"extra_body": {"assent": {"variables": {"customer": "Ada"}}}}
    like(model="strict", additional_kwargs=extra).complete("Hi")
    equal(seen()["body"]["messages"][0], {"role": "system", "content": "You help Ada."})


@check
def refusals_are_the_errors_of_the_openai_client():
    equal(raises(openai.NotFoundError, like(model="nothing").complete, "Hi").code, "model_not_found")


if __name__ == "__main__":
    run(f"llama-index-llms-openai {importlib.metadata.version('llama-index-llms-openai')}")
