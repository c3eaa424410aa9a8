"""Checks with an unchanged LangChain."""

import langchain_openai
import openai
from checks import GATEWAY, KEY, check, equal, header, raises, run, seen
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel


def model(**changes):
    given = {"model": "assistant", "base_url": GATEWAY + "/v1", "api_key": KEY, "max_retries": 0} | changes
    return langchain_openai.ChatOpenAI(**given)


@tool
def look_up(city: str, n: int) -> str:
    """Look a city up."""
    return f"{city} {n}"


class Found(BaseModel):
    """What was found."""

    city: str
    n: int


@check
def a_completion_arrives_with_its_usage():
    answer = model().invoke("Hi")
    equal((answer.content, answer.usage_metadata["total_tokens"]), ("Hello.", 10))
    equal(answer.response_metadata["model_name"], "upstream-1")


@check
def a_stream_arrives_piece_by_piece():
    equal([piece.content for piece in model().stream("Hi") if piece.content], ["Hel", "lo."])


@check
def a_stream_holds_the_usage_that_was_asked_for():
    pieces = list(model(stream_usage=True).stream("Hi"))
    equal([p.usage_metadata["total_tokens"] for p in pieces if p.usage_metadata], [7])


@check
def tools_are_called_and_their_results_sent_back():
    bound = model().bind_tools([look_up])
    asked = HumanMessage("[[tools]]")
    answer = bound.invoke([asked])
    equal(answer.tool_calls[0]["args"], {"city": "Zürich", "n": 1})
    result = ToolMessage(
        look_up.invoke(answer.tool_calls[0]["args"]), tool_call_id=answer.tool_calls[0]["id"]
    )
    bound.invoke([HumanMessage("[[echo]]"), answer, result])
    equal([m["role"] for m in seen()["body"]["messages"]], ["user", "assistant", "tool"])


@check
def structured_answers_are_parsed():
    equal(model().with_structured_output(Found).invoke("[[json]]"), Found(city="Zürich", n=1))


@check
def a_batch_gets_its_own_answers():
    texts = [f"[[echo]] {n}" for n in range(10)]
    equal([answer.content for answer in model().batch(texts)], texts)


@check
def the_versions_prompt_comes_first_with_the_callers_variables():
    extra = {"assent": {"variables": {"customer": "Ada"}}}
    model(model="strict", extra_body=extra).invoke("Hi")
    equal(seen()["body"]["messages"][0], {"role": "system", "content": "You help Ada."})


@check
def refusals_are_the_errors_of_the_openai_client():
    equal(raises(openai.NotFoundError, model(model="nothing").invoke, "Hi").code, "model_not_found")
    error = raises(openai.RateLimitError, model().invoke, "[[limited]]")
    equal(error.response.headers["retry-after"], "7")


@check
def the_key_of_the_application_goes_no_further():
    model().invoke("Hi")
    equal(header(seen(), "authorization"), [])


if __name__ == "__main__":
    run(f"langchain-openai {__import__('importlib.metadata').metadata.version('langchain-openai')}")
