"""Governed calls by unchanged clients of model libraries, in the application's own process."""

import asyncio
import base64
import gzip
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import httpx2
import openai
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from forge import digest, model_document, prompt_document, route
from plane import STREAM_HEAD, USAGE, chunk, chunked, completion, events, http
from served import until

from assent_client.client import AsyncClient, Client, Upstream
from assent_client.errors import Conflict
from assent_client.sealed import open_sealed

VARIABLES = {"customer": {"required": True, "schema": {"type": "string"}}}
PROMPT = prompt_document("You help {{ customer }}.", variables=VARIABLES)
USER = [{"role": "user", "content": "Hi?"}]
BOX = X25519PrivateKey.generate()
HELLO = [chunk("Hel"), chunk("lo."), chunk(finish="stop"), chunk(usage=USAGE) | {"choices": []}, "[DONE]"]


class World:
    """A server, a provider, and what is published."""

    def __init__(self, server, upstream, settings):
        self.server, self.upstream, self.settings = server, upstream, settings
        self.opened = []

    def publish(self, *documents, **changes):
        provider = {"base_url": self.upstream.url, "kind": "openai"}
        found = {"providers": {"main": provider}} | changes
        self.server.publish(*(documents or (model_document(),)), **found)

    def llm(self, client, *transport, **more):
        upstreams = {"upstreams": more.pop("upstreams")} if "upstreams" in more else {}
        given = {"base_url": self.upstream.url, "api_key": "sk-mine", "max_retries": 0} | more
        llm = openai.OpenAI(http_client=client.http_client(*transport, **upstreams), **given)
        self.opened.append(llm)
        return llm

    def rows(self, n=1, kind="call"):
        def found():
            rows = [row for row in self.server.rows if row["kind"] == kind]
            return rows if len(rows) >= n else None

        return until(found)


@pytest.fixture
def world(server, upstream, settings):
    world = World(server, upstream, settings)
    yield world
    for llm in world.opened:
        llm.close()


@pytest.fixture
def client(world):
    world.publish()
    with Client(world.settings) as client:
        assert client.wait()
        yield client


def ask(llm, **more):
    return llm.chat.completions.create(**{"model": "assistant", "messages": USER} | more)


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_governed_name_becomes_the_approved_version(world, client, library):
    llm = world.llm(client, library.HTTPTransport)
    answer = ask(llm, user="user-ada")
    assert answer.choices[0].message.content == "Hello."
    (asked,) = world.upstream.asked
    assert (asked.path, asked.body) == (
        "/v1/chat/completions", {"model": "upstream-1", "messages": USER, "user": "user-ada"})  # fmt: skip
    assert asked.header("authorization") == "Bearer sk-mine"
    assert asked.header("accept-encoding") == "identity"
    (row,) = world.rows()
    assert (row["version"], row["status"], row["tokens_in"], row["tokens_out"], row["finish_reason"]) == (
        digest(model_document()), 200, 7, 3, "stop")  # fmt: skip
    assert (row["sticky"], row["as_approved"], row["application"], row["completion_id"]) == (
        True, True, "sdk", "chatcmpl-1")  # fmt: skip
    assert row.get("error_class") is None
    assert "user-ada" not in json.dumps(row)


def test_answers_carry_our_headers_beside_the_providers_own(world, client):
    world.upstream.answer = http(completion(), "200 OK", "x-request-id: r-9", "x-assent-version: forged@1")
    raw = world.llm(client).chat.completions.with_raw_response.create(model="assistant", messages=USER)
    names = ("x-request-id", "x-assent-version", "x-assent-variant", "x-assent-admission")
    assert [raw.headers.get(name) for name in names] == ["r-9", "assistant@1.0.0", "stable", "approved"]
    assert raw.headers["x-assent-serial"] == str(world.server.serial)


def test_the_versions_messages_come_first_with_the_requests_variables(world):
    document = model_document(prompt=digest(PROMPT), parameters={"temperature": 0.25})
    world.publish(document, prompts=(PROMPT,))
    with Client(world.settings) as client:
        assert client.wait()
        llm = world.llm(client)
        given = {"assent": {"variables": {"customer": "ACME"}}}
        ask(llm, extra_body=given)
        assert world.upstream.asked[0].body == {
            "model": "upstream-1",
            "temperature": 0.25,
            "messages": [{"role": "system", "content": "You help ACME."}, *USER],
        }
        with pytest.raises(openai.UnprocessableEntityError, match="missing: customer") as refused:
            ask(llm)
        assert refused.value.code == "missing_variables"
        with pytest.raises(openai.UnprocessableEntityError, match="its own system message"):
            ask(llm, messages=[{"role": "system", "content": "Obey"}, *USER], extra_body=given)
        with pytest.raises(openai.UnprocessableEntityError, match="top_p"):
            ask(llm, top_p=0.5, extra_body=given)
    assert len(world.upstream.asked) == 1
    assert [row["error_class"] for row in world.rows(4)[1:]] == [
        "missing_variables", "system_message_refused", "parameter_not_open"]  # fmt: skip


def test_refusals_arise_as_the_librarys_own_errors(world):
    gone = {
        "killed": {"status": 404, "reason": "it leaks", "successor": None},
        "retired": {"status": 410, "reason": "it ended", "successor": "assistant"},
    }
    world.publish(gone=gone)
    with Client(world.settings) as client:
        assert client.wait()
        llm = world.llm(client)
        for name, words in (("other", "No approved version"), ("killed", "it leaks")):
            with pytest.raises(openai.NotFoundError, match=words) as refused:
                ask(llm, model=name)
            assert refused.value.code == "model_not_found"
        with pytest.raises(openai.APIStatusError, match="Use assistant instead") as refused:
            ask(llm, model="retired")
        assert refused.value.status_code == 410
        with pytest.raises(openai.BadRequestError, match="cannot be read"):
            llm.post("/chat/completions", body={"model": 1}, cast_to=object)
        with pytest.raises(openai.NotFoundError, match="client of its own"):
            llm.files.list()
    assert world.upstream.asked == []


def test_a_deprecated_version_says_so_and_after_its_sunset_is_refused(world):
    document = model_document()
    end = {"at": "2026-01-01T00:00:00+00:00", "sunset_at": "2099-01-01T00:00:00+00:00", "successor": "new@2"}

    def publish(**changes):
        providers = {"main": {"base_url": world.upstream.url, "kind": "openai"}}
        payload = world.server.payload(document, providers=providers)
        payload["versions"][digest(document)]["deprecation"] = end | changes
        world.server.publish_payload(payload)

    publish()
    with Client(world.settings) as client:
        assert client.wait()
        llm = world.llm(client)
        raw = llm.chat.completions.with_raw_response.create(model="assistant", messages=USER)
        assert raw.headers["deprecation"] == "@1767225600"
        assert raw.headers["sunset"] == "Thu, 01 Jan 2099 00:00:00 GMT"
        assert raw.headers["link"] == '<urn:assent:new@2>; rel="successor-version"'
        publish(sunset_at="2026-02-01T00:00:00+00:00")
        until(lambda: client.snapshot.payload.serial == world.server.serial)
        with pytest.raises(openai.APIStatusError, match="is retired") as refused:
            ask(llm)
        assert (refused.value.status_code, refused.value.response.headers["x-assent-variant"]) == (
            410,
            "stable",
        )
    assert world.rows(2)[1]["error_class"] == "model_retired"


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_stream_passes_and_is_observed_at_its_end(world, client, library):
    world.upstream.answer = STREAM_HEAD + chunked(*events(*HELLO))
    pieces = list(ask(world.llm(client, library.HTTPTransport), stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "Hello."
    assert all(piece.choices for piece in pieces), "the usage chunk that nobody asked for"
    assert world.upstream.asked[0].body["stream_options"] == {"include_usage": True}
    (row,) = world.rows()
    assert (row["stream"], row["tokens_in"], row["tokens_out"], row["finish_reason"], row["status"]) == (
        True, 5, 2, "stop", 200)  # fmt: skip
    assert 0 <= row["ttft_s"] <= row["latency_s"]


def test_a_stream_that_the_application_leaves_is_observed_as_left(world, client):
    world.upstream.answer = STREAM_HEAD + chunked(*events(chunk("Hel")), end=False)
    stream = ask(world.llm(client), stream=True)
    assert next(iter(stream)).choices[0].delta.content == "Hel"
    stream.close()
    (row,) = world.rows()
    assert (row["status"], row["error_class"]) == (499, "client_gone")


def test_a_stream_that_breaks_off_reaches_the_application_and_is_observed(world, client):
    def cut(transport, _):
        transport.write(STREAM_HEAD + chunked(*events(chunk("Hel")), end=False))
        transport.close()

    world.upstream.answer = cut
    with pytest.raises(openai.APIConnectionError):
        list(ask(world.llm(client), stream=True))
    (row,) = world.rows()
    assert (row["status"], row["error_class"]) == (200, "upstream_cut")


def test_a_kill_cuts_a_stream_at_its_next_piece(world, client):
    transports = []

    def begin(transport, _):
        transports.append(transport)
        transport.write(STREAM_HEAD + chunked(*events(chunk("Hel")), end=False))

    world.upstream.answer = begin
    stream = ask(world.llm(client), stream=True)
    assert next(iter(stream)).choices[0].delta.content == "Hel"
    gone = {"assistant": {"status": 404, "reason": "it leaks", "successor": None, "cut": True}}
    world.publish(gone=gone)
    until(lambda: client.snapshot.payload.serial == world.server.serial)
    world.upstream.do(transports[0].write, chunked(*events(chunk("lo.")), end=False))
    with pytest.raises(openai.APIConnectionError) as cut:
        list(stream)
    assert "switched off" in str(cut.value.__cause__)
    assert world.rows()[0]["error_class"] == "killed"


@pytest.mark.parametrize(
    ("answer", "error", "row"),
    [
        (http({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "429 Too Many Requests",
              "retry-after: 7"), openai.RateLimitError, (429, "upstream_429")),
        (http(b"<html>"), openai.InternalServerError, (502, "upstream_rubbish")),
        (lambda transport, _: transport.close(), openai.APIConnectionError, (502, "upstream_cut")),
        (None, openai.APITimeoutError, (504, "upstream_timeout")),
    ],
    ids=["limited", "rubbish", "cut", "silent"],
)  # fmt: skip
def test_what_goes_wrong_at_the_provider_arises_as_ever_and_is_observed(world, client, answer, error, row):
    world.upstream.answer = answer
    with pytest.raises(error) as raised:
        ask(world.llm(client, timeout=0.3))
    if row[0] == 429:
        assert raised.value.response.headers["retry-after"] == "7"
    (seen,) = world.rows()
    assert (seen["status"], seen["error_class"]) == row


def test_a_key_goes_only_where_the_application_says(world, client):
    llm = world.llm(client, base_url="http://127.0.0.1:1/v1")
    with pytest.raises(openai.InternalServerError, match="this client is made for"):
        ask(llm)
    mine = {"main": Upstream(world.upstream.url, lambda: "sk-other")}
    llm = world.llm(client, base_url="http://127.0.0.1:1/v1", upstreams=mine)
    ask(llm)
    (asked,) = world.upstream.asked
    assert asked.header("authorization") == "Bearer sk-other"
    assert "sk-other" not in repr(mine)


def test_a_provider_that_the_snapshot_does_not_name_is_not_asked(world):
    world.publish(providers={})
    with Client(world.settings) as client:
        assert client.wait()
        with pytest.raises(openai.InternalServerError, match="does not say what that is"):
            ask(world.llm(client))
    assert world.upstream.asked == []
    (row,) = world.rows()  # or a canary that no application can call would look harmless
    assert (row["status"], row["error_class"]) == (503, "provider_unusable")


def test_an_azure_client_asks_the_deployment_of_the_version(world):
    base = world.upstream.url.removesuffix("/v1")
    provider = {"base_url": f"{base}/openai?api-version=2024-10-21", "kind": "azure"}
    world.publish(providers={"main": provider})
    with Client(world.settings) as client:
        assert client.wait()
        llm = openai.AzureOpenAI(
            azure_endpoint=base, api_key="az", api_version="2024-10-21", max_retries=0,
            http_client=client.http_client())  # fmt: skip
        world.opened.append(llm)
        ask(llm)
    (asked,) = world.upstream.asked
    assert asked.path == "/openai/deployments/upstream-1/chat/completions?api-version=2024-10-21"
    assert asked.header("api-key") == "az"


def test_responses_and_embeddings_are_governed_alike(world, client):
    llm = world.llm(client)
    body = {"id": "resp_1", "object": "response", "model": "upstream-1", "status": "completed", "output": [],
            "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}}  # fmt: skip
    world.upstream.answer = http(body)
    assert llm.responses.create(model="assistant", input="Hi?").id == "resp_1"
    listed = {
        "object": "list",
        "model": "upstream-1",
        "data": [],
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    }
    world.upstream.answer = http(listed)
    llm.embeddings.create(model="assistant", input="Hi?", encoding_format="float")
    assert [asked.path for asked in world.upstream.asked] == ["/v1/responses", "/v1/embeddings"]
    assert [row["tokens_in"] for row in world.rows(2)] == [3, 2]


def test_the_names_that_may_be_called_are_listed(world, client):
    llm = world.llm(client)
    assert [model.id for model in llm.models.list()] == ["assistant"]
    assert llm.models.retrieve("assistant").owned_by == "assent"
    with pytest.raises(openai.NotFoundError):
        llm.models.retrieve("other")


def test_the_next_approved_version_answers_when_a_provider_is_down(world):
    spare = model_document(
        name="spare", provider="spare", upstream_model="upstream-2", response_models=["upstream-1"]
    )
    first = model_document(fallback=[digest(spare)])
    providers = {
        "main": {"base_url": "http://127.0.0.1:1/v1", "kind": "openai"},
        "spare": {"base_url": world.upstream.url, "kind": "openai"},
    }
    world.publish(first, spare, providers=providers, routes={"assistant": route(digest(first))})
    upstreams = {"spare": Upstream(world.upstream.url, "sk-spare")}
    with Client(world.settings) as client:
        assert client.wait()
        llm = world.llm(client, base_url="http://127.0.0.1:1/v1", upstreams=upstreams)
        raw = llm.chat.completions.with_raw_response.create(model="assistant", messages=USER)
    assert (raw.headers["x-assent-fallback"], raw.headers["x-assent-version"]) == ("1", "spare@1.0.0")
    (asked,) = world.upstream.asked
    assert (asked.body["model"], asked.header("authorization")) == ("upstream-2", "Bearer sk-spare")
    rows = world.rows(2)
    assert [(row["reason"], row["error_class"], row["status"]) for row in rows] == [
        ("static", "upstream_down", 502), ("fallback", None, 200)]  # fmt: skip


def test_a_busy_provider_is_passed_over_in_a_chain(world):
    spare = model_document(name="spare", upstream_model="upstream-2")
    first = model_document(fallback=[digest(spare)])
    world.publish(first, spare, routes={"assistant": route(digest(first))})

    def busy_once(transport, asked):
        is_first = asked.body["model"] == "upstream-1"
        transport.write(http({"error": {"message": "busy"}}, "503 Busy") if is_first else http(completion()))

    world.upstream.answer = busy_once
    with Client(world.settings) as client:
        assert client.wait()
        assert ask(world.llm(client)).choices[0].message.content == "Hello."
    assert [row["status"] for row in world.rows(2)] == [503, 200]


GUARDS = [
    {"name": "no-addresses", "on": "request", "kind": "pii", "kinds": ["email"], "action": "block"},
    {"name": "no-promises", "on": "answer", "kind": "regex", "pattern": "we promise", "action": "block"},
]


@pytest.mark.parametrize("stream", [False, True])
def test_guardrails_stop_what_is_asked_and_what_is_answered(world, stream):
    world.publish(model_document(guardrails=GUARDS))
    answered = [chunk("we pro"), chunk("mise"), chunk(finish="stop"), "[DONE]"]
    world.upstream.answer = (
        STREAM_HEAD + chunked(*events(*answered)) if stream else http(completion("we promise"))
    )
    with Client(world.settings) as client:
        assert client.wait()
        llm = world.llm(client)
        with pytest.raises(openai.UnprocessableEntityError, match="no-addresses"):
            ask(llm, messages=[{"role": "user", "content": "I am ada@example.com"}], stream=stream)
        assert world.upstream.asked == []
        with pytest.raises(openai.UnprocessableEntityError, match="no-promises"):
            ask(llm, stream=stream)
    assert [(row["guardrails"], row["status"], row.get("error_class")) for row in world.rows(2)] == [
        (["no-addresses"], 422, None), (["no-promises"], 422, None)]  # fmt: skip


def test_a_compressed_answer_passes_unread(world, client):
    content = gzip.compress(json.dumps(completion()).encode())
    world.upstream.answer = http(
        content, "200 OK", "content-type: application/json", "content-encoding: gzip"
    )
    assert ask(world.llm(client)).choices[0].message.content == "Hello."
    (row,) = world.rows()
    assert (row["status"], row["tokens_in"]) == (200, None)


def test_without_a_snapshot_calls_are_refused_and_with_one_on_disk_served(world):
    with Client(world.settings) as client:
        with pytest.raises(openai.InternalServerError, match="no signed snapshot"):
            ask(world.llm(client))
        world.publish()
        assert client.wait()
    world.server.envelope = b""
    with Client(world.settings) as client:
        assert ask(world.llm(client)).choices[0].message.content == "Hello."


def test_a_snapshot_that_is_too_old_refuses_where_that_is_asked_for(world):
    world.publish()
    with Client(replace(world.settings, max_staleness_s=60.0)) as client:
        assert client.wait()
        with pytest.raises(openai.InternalServerError, match="expired"):
            ask(world.llm(client))


def test_no_call_fails_while_the_server_is_dead_and_none_is_lost(world, client):
    server, llm = world.server, world.llm(client)
    server.is_open = False
    server.shutdown()
    server.server_close()
    for n in range(200):
        assert ask(llm, user=f"u{n}").choices[0].message.content == "Hello."
    client.close()
    kept = [
        json.loads(path.read_bytes()) for path in (world.settings.data_dir / "observations").glob("*.json")
    ]
    rows = server.rows + [row for batch in kept for row in batch["observations"]]
    assert len([row for row in rows if row["kind"] == "call"]) == 200


def test_threads_share_one_client(world, client):
    llm = world.llm(client)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: ask(llm, user=f"u{n}").choices[0].message.content, range(64)))
    assert answers == ["Hello."] * 64
    assert len({row["unit"] for row in world.rows(64)}) == 64


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_forked_children_use_connections_of_their_own_and_observe_by_themselves(world, client):
    llm = world.llm(client)
    ask(llm, user="parent")
    before = world.upstream.n_connections
    children = []
    for n in range(2):
        child = os.fork()
        if child == 0:  # the child leaves by os._exit, whatever happens
            code = 1
            try:
                answer = ask(llm, user=f"child-{n}")
                client.close()
                code = 0 if answer.choices[0].message.content == "Hello." else 2
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    ask(llm, user="parent")
    rows = world.rows(4)
    assert len({row["unit"] for row in rows}) == 3
    assert world.upstream.n_connections == before + 2


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_the_asynchronous_client_does_all_of_it(world, library):
    async def story():
        world.publish()
        async with AsyncClient(world.settings) as client:
            assert await client.wait()
            own = client.async_http_client(library.AsyncHTTPTransport)
            async with openai.AsyncOpenAI(
                base_url=world.upstream.url, api_key="sk-mine", max_retries=0, http_client=own
            ) as llm:
                create = llm.chat.completions.create
                answers = await asyncio.gather(*(create(model="assistant", messages=USER) for _ in range(8)))
                assert {answer.choices[0].message.content for answer in answers} == {"Hello."}
                with pytest.raises(openai.NotFoundError):
                    await create(model="other", messages=USER)
                world.upstream.answer = STREAM_HEAD + chunked(*events(*HELLO))
                stream = await create(model="assistant", messages=USER, stream=True)
                assert "".join([piece.choices[0].delta.content or "" async for piece in stream]) == "Hello."
                asked = asyncio.Event()
                loop = asyncio.get_running_loop()
                world.upstream.answer = lambda *_: loop.call_soon_threadsafe(asked.set)
                waiting = asyncio.ensure_future(create(model="assistant", messages=USER))
                await asked.wait()
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting

    asyncio.run(story())
    rows = world.rows(10)
    assert [row["stream"] for row in rows].count(True) == 1
    assert (rows[-1]["status"], rows[-1]["error_class"]) == (499, "client_gone")


def test_an_asynchronous_client_that_was_not_started_says_so(settings):
    with pytest.raises(Conflict, match="not open"):
        AsyncClient(settings).async_http_client()


def test_what_is_no_transport_of_either_library_is_refused(client):
    with pytest.raises(TypeError, match="no transport of httpx"):
        client.http_client(threading.Event)


def test_a_version_with_a_webhook_for_guardrail_is_called_through_a_gateway_only(world):
    hook = {"name": "outside", "on": "request", "kind": "webhook", "url": "https://guard.example/", "fail": "open",
            "secret": "env:GUARD", "timeout_s": 1, "action": "block"}  # fmt: skip
    world.publish(model_document(guardrails=[hook]))
    with Client(world.settings) as client:
        assert client.wait()
        with pytest.raises(openai.InternalServerError, match="call the version through one"):
            ask(world.llm(client))
    assert world.rows()[0]["error_class"] == "version_unusable"


def sampled(world, document=None):
    document = document or model_document()
    key = base64.b64encode(BOX.public_key().public_bytes_raw()).decode()
    given = {"end": 1_000_000, "salt": "pepper", "key": key, "max_bytes": 1000}
    world.publish(document, sampling={"assistant": given})


def contents(row):
    return json.loads(open_sealed(BOX, row["id"], row["sealed"]))


def test_sampled_calls_leave_the_process_redacted_and_sealed(world):
    sampled(world)
    with Client(world.settings) as client:
        assert client.wait()
        llm = world.llm(client)
        said = [{"role": "user", "content": "I am ann@example.com"}]
        llm.chat.completions.create(model="assistant", messages=said)
        (row,) = world.rows(kind="sample")
        assert contents(row) == {"question": "I am [email]", "answer": "Hello."}
        (call,) = world.rows()
        assert (row["at"], row["unit"], row["version"]) == (call["at"], call["unit"], call["version"])
        world.upstream.answer = STREAM_HEAD + chunked(*events(*HELLO))
        list(ask(llm, stream=True))
        assert contents(world.rows(2, "sample")[1])["answer"] == "Hello."
        world.upstream.answer = http({"error": {}}, "500 No")
        with pytest.raises(openai.InternalServerError):
            ask(llm)
        world.rows(3)
    assert len(world.rows(2, "sample")) == 2
