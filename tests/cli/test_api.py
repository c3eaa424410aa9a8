import socket
import threading

import pytest

from assent_client.api import Api
from assent_client.errors import (
    ERRORS,
    AssentError,
    Conflict,
    Internal,
    Invalid,
    Reason,
    Refused,
    Unavailable,
)


def test_a_request_carries_the_token_and_gives_parsed_json(server, api):
    server.on("GET", "/v1/projects/support/models/assistant", server.Answer({"name": "assistant"}))
    assert api.get(api.path("models", "assistant")) == {"name": "assistant"}
    assert server.asked[0].headers["authorization"] == "Bearer assent_pat_secret"


def test_query_values_are_written_as_the_server_reads_them(server, api):
    server.on("GET", "/v1/models", server.Answer([]))
    api.get("/v1/models", live=True, tier=["low", "high"], limit=3, cursor=None)
    assert server.asked[0].query == {"live": ["true"], "tier": ["low", "high"], "limit": ["3"]}


def test_names_in_a_path_cannot_leave_their_place(api):
    assert api.path("models", "../../x?y#z") == "/v1/projects/support/models/..%2F..%2Fx%3Fy%23z"
    assert api.path("versions", "assistant@2.1.0") == "/v1/projects/support/versions/assistant@2.1.0"


def test_a_path_in_a_project_needs_one():
    with Api("http://127.0.0.1:1") as without, pytest.raises(Invalid, match="No project") as caught:
        without.path("models")
    assert "ASSENT_PROJECT" in caught.value.remedy


@pytest.mark.parametrize("cls", ERRORS.values(), ids=list(ERRORS))
def test_every_problem_is_raised_as_its_class(server, api, cls):
    reason = Reason("approvals", "one vote is missing", "ask a reviewer", have=0, need=1)
    sent = cls("no", remedy="do this", reasons=[reason])
    server.on("POST", "/v1/x", server.Answer(sent.to_wire("req_1"), cls.status, "application/problem+json"))
    with pytest.raises(AssentError) as caught:
        api.post("/v1/x", {})
    assert type(caught.value) is cls
    assert caught.value.reasons == (reason,)
    assert (caught.value.message, caught.value.remedy, caught.value.request_id) == ("no", "do this", "req_1")


def test_a_defect_of_the_server_is_internal_with_its_id(server, api):
    server.on(
        "GET", "/v1/x", server.Answer({"code": "internal", "detail": "it broke", "request_id": "req_9"}, 500)
    )
    with pytest.raises(Internal) as caught:
        api.get("/v1/x")
    assert caught.value.request_id == "req_9"


def test_an_answer_that_is_not_ours_says_so(server, api):
    server.on("GET", "/v1/x", server.Answer(b"<h1>Bad gateway</h1>", 502, "text/html"))
    with pytest.raises(Unavailable, match="502") as caught:
        api.get("/v1/x")
    assert "ASSENT_URL" in caught.value.remedy


def test_a_success_that_is_not_json_is_internal(server, api):
    server.on("GET", "/v1/x", server.Answer(b"<h1>Welcome</h1>", 200, "text/html"))
    with pytest.raises(Internal, match="text/html"):
        api.get("/v1/x")


def test_a_server_that_is_not_there_is_named_with_what_to_do():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with Api(url) as api, pytest.raises(Unavailable, match=url) as caught:
            api.get("/v1/x")
    assert "assent serve" in caught.value.remedy


def test_a_server_that_does_not_answer_in_time_is_given_up(server):
    release = threading.Event()
    server.on("GET", "/v1/x", server.Answer({}, wait=release))
    with Api(server.url, timeout_s=0.05) as api, pytest.raises(Unavailable, match="in time") as caught:
        api.get("/v1/x")
    release.set()
    assert "may have been carried out" in caught.value.remedy


def test_a_connection_that_breaks_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with (
            Api(f"http://127.0.0.1:{listener.getsockname()[1]}") as api,
            pytest.raises(Unavailable, match="broke"),
        ):
            api.post("/v1/x", {})
        thread.join(5)


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://x", "http://", "http://x/?q=1", "http://x/#f"])
def test_a_bad_address_is_refused_before_anything_is_sent(url):
    with pytest.raises(Invalid, match="address"):
        Api(url)


@pytest.mark.parametrize("token", ["a b", "a\r\nx-admin: 1", "tökén"])
def test_a_token_that_could_not_be_one_is_refused_without_repeating_it(token):
    with pytest.raises(Invalid) as caught:
        Api("http://127.0.0.1:1", token)
    assert token not in str(caught.value)


def test_blanks_around_a_token_are_not_part_of_it(server):
    server.on("GET", "/v1/x", server.Answer({}))
    with Api(server.url, " tok\n") as api:
        api.get("/v1/x")
    assert server.asked[0].headers["authorization"] == "Bearer tok"


def test_bytes_travel_as_they_are_and_values_as_json(server, api):
    server.on("PUT", "/v1/x", server.Answer(b"", 204))
    assert api.put("/v1/x", b"\x00raw") is None
    api.put("/v1/x", {"ü": 1})
    assert server.asked[0].content == b"\x00raw"
    assert server.asked[0].headers["content-type"] == "application/octet-stream"
    assert server.asked[1].json == {"ü": 1}


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}], ids=["nan", "object"])
def test_what_is_not_json_is_refused_before_it_is_sent(server, api, body):
    with pytest.raises(Invalid, match="JSON"):
        api.post("/v1/x", body)
    assert server.asked == []


def test_a_tag_that_was_read_makes_a_change_conditional(server, api):
    server.on("GET", "/v1/x", server.Answer({"n": 1}, headers={"etag": '"3"'}))
    server.on("POST", "/v1/x", server.Answer(Conflict("changed").to_wire(), 409))
    value, tag = api.get_with_etag("/v1/x")
    assert (value, tag) == ({"n": 1}, '"3"')
    with pytest.raises(Conflict):
        api.post("/v1/x", {}, if_match=tag)
    with pytest.raises(Conflict):
        api.post("/v1/x", {}, if_match="4")
    assert [asked.headers.get("if-match") for asked in server.asked] == [None, '"3"', '"4"']


def test_delete_and_read_speak_their_methods(server, api):
    server.on("DELETE", "/v1/x", server.Answer(b"", 204))
    server.on("GET", "/card", server.Answer(b"# Card", kind="text/markdown"))
    assert api.delete("/v1/x", if_match="2") is None
    assert api.read("/card", accept="text/markdown") == b"# Card"
    assert server.asked[1].headers["accept"] == "text/markdown"


def test_pages_are_fetched_until_there_is_no_next(server, api):
    server.on(
        "GET",
        "/v1/x",
        server.Answer({"items": [1, 2], "next": "c1"}),
        server.Answer({"items": [3], "next": None}),
    )
    assert list(api.pages("/v1/x", tier="low")) == [1, 2, 3]
    assert [asked.query for asked in server.asked] == [{"tier": ["low"]}, {"tier": ["low"], "cursor": ["c1"]}]


def test_pages_end_when_the_cursor_does_not_move(server, api):
    server.on("GET", "/v1/x", server.Answer({"items": [1], "next": "same"}))
    assert list(api.pages("/v1/x")) == [1, 1]


def test_a_list_that_is_no_page_is_internal(server, api):
    server.on("GET", "/v1/x", server.Answer([1, 2]))
    with pytest.raises(Internal, match="page"):
        list(api.pages("/v1/x"))


def test_a_stream_gives_its_events_in_order(server, api):
    text = b': hi\nid: 7\nevent: step\ndata: {"share":\ndata: 0.05}\n\ndata: plain\nretry: 10\n\nevent: empty\n\n'
    server.on("GET", "/v1/s", server.Answer(text, kind="text/event-stream"))
    events = list(api.stream("/v1/s", last_event_id="6"))
    assert [(one.event, one.data, one.id) for one in events] == [
        ("step", {"share": 0.05}, "7"),
        ("message", "plain", "7"),
    ]
    assert server.asked[0].headers["last-event-id"] == "6"


def test_a_refused_stream_raises_its_class(server, api):
    server.on("GET", "/v1/s", server.Answer(Refused("no", reasons=[Reason("a", "b")]).to_wire(), 409))
    with pytest.raises(Refused) as caught:
        list(api.stream("/v1/s"))
    assert caught.value.reasons[0].id == "a"


def test_a_stream_from_nowhere_is_unavailable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with Api(f"http://127.0.0.1:{free.getsockname()[1]}") as api, pytest.raises(Unavailable):
            list(api.stream("/v1/s"))
