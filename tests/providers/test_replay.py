"""The replay server, as its clients see it: exact answers, streams, misses, waits, faults, and how it ends."""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.kernel.errors import Conflict, Invalid
from assent.providers.replay import Drill, Player, Recordings, read_recordings
from assent.providers.replay.player import n_tokens
from assent.providers.replay.recordings import Line
from assent_client.cli.main import main
from tests.providers.conftest import COMPLETIONS, until, write_lines

PARCEL = COMPLETIONS[0]


def client(replay, **options):
    return openai.OpenAI(base_url=replay.url, api_key="none", max_retries=0, **options)


def ask(opened, model, prompt, **options):
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": prompt}]
    return opened.chat.completions.create(model=model, messages=messages, **options)


# with OpenAI's client


def test_it_says_what_it_replays_and_where(replay):
    started = replay()
    assert started.line == f"replaying 3 completions of 2 models on http://127.0.0.1:{started.address[1]}/v1"


def test_a_completion_comes_back_exactly_with_usage_and_a_finish(quick):
    with client(quick) as opened:
        for model, prompt, completion in COMPLETIONS:
            answer = ask(opened, model, prompt, temperature=0.3)
            (choice,) = answer.choices
            assert (choice.message.content, choice.message.role) == (completion, "assistant")
            assert (choice.finish_reason, answer.model, answer.object) == ("stop", model, "chat.completion")
            n_prompt = n_tokens("Be kind.") + n_tokens(prompt)
            assert answer.usage.prompt_tokens == n_prompt
            assert answer.usage.completion_tokens == n_tokens(completion)
            assert answer.usage.total_tokens == n_prompt + n_tokens(completion)


def test_every_answer_has_an_id_of_its_own(quick):
    with client(quick) as opened:
        assert len({ask(opened, *PARCEL[:2]).id for _ in range(5)}) == 5


def test_a_stream_gives_the_same_text_in_words(quick):
    with client(quick) as opened:
        for model, prompt, completion in COMPLETIONS:
            chunks = list(ask(opened, model, prompt, stream=True))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == completion
            assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + [
                "stop"
            ]
            assert chunks[0].choices[0].delta.role == "assistant"
            assert len({chunk.id for chunk in chunks}) == 1
            assert all(chunk.usage is None for chunk in chunks)
        assert len(list(ask(opened, *PARCEL[:2], stream=True))) > 8


def test_a_stream_ends_with_the_usage_where_it_is_asked_for(quick):
    with client(quick) as opened:
        *_, last = ask(opened, *PARCEL[:2], stream=True, stream_options={"include_usage": True})
        assert last.choices == []
        assert last.usage == ask(opened, *PARCEL[:2]).usage


def test_the_key_is_the_last_user_message_also_in_parts(quick):
    messages = [
        {"role": "user", "content": "Empty?"},
        {"role": "assistant", "content": ""},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Where is "}, {"type": "text", "text": "my parcel?"}],
        },
        {"role": "assistant", "content": "Let me see."},
    ]
    with client(quick) as opened:
        answer = opened.chat.completions.create(model="m2", messages=messages)
    assert answer.choices[0].message.content == "A: 7"


@pytest.mark.parametrize(
    ("model", "prompt"),
    [
        ("m1", "where is my parcel?"),
        ("m1", "Where is my parcel? "),
        ("m1", "Where is my parcel"),
        ("m2", "Empty?"),
        ("m3", "Where is my parcel?"),
        ("m1", [{"type": "image_url", "image_url": {"url": "data:,"}}]),
    ],
)
def test_a_near_match_is_a_miss(quick, model, prompt):
    with client(quick) as opened, pytest.raises(openai.NotFoundError) as miss:
        ask(opened, model, prompt)
    assert miss.value.code == "recording_not_found"
    assert miss.value.param == ("model" if model == "m3" else "messages")


def test_a_miss_is_no_stream(quick):
    with client(quick) as opened, pytest.raises(openai.NotFoundError):
        ask(opened, "m1", "?", stream=True)


def test_the_models_are_those_that_are_recorded(quick):
    with client(quick) as opened:
        assert [model.id for model in opened.models.list()] == ["m1", "m2"]
        assert opened.models.retrieve("m2").id == "m2"
        with pytest.raises(openai.NotFoundError) as miss:
            opened.models.retrieve("m3")
    assert miss.value.code == "model_not_found"


def test_several_completions_for_one_prompt_are_not_made_up(quick):
    with client(quick) as opened, pytest.raises(openai.BadRequestError) as refusal:
        ask(opened, *PARCEL[:2], n=2)
    assert refusal.value.param == "n"


# waits and faults


def test_each_answer_waits_as_long_as_it_was_told(replay):
    with client(replay("--latency-ms", 120)) as opened:
        ask(opened, *PARCEL[:2])
        begun = time.perf_counter()
        ask(opened, *PARCEL[:2])
        assert time.perf_counter() - begun >= 0.12
        begun = time.perf_counter()
        next(iter(ask(opened, *PARCEL[:2], stream=True)))
        assert time.perf_counter() - begun >= 0.12


def test_clients_do_not_wait_for_each_other(replay):
    started = replay("--latency-ms", 200)
    connections = [socket.create_connection(started.address, timeout=10) for _ in range(20)]
    begun = time.perf_counter()
    for one in connections:
        one.sendall(raw_request())
    for one in connections:
        assert one.recv(65536).startswith(b"HTTP/1.1 200")
        one.close()
    assert time.perf_counter() - begun < 20 * 0.2 / 2


def drilled(**drill):
    recordings = Recordings()
    for place, completion in enumerate(COMPLETIONS):
        recordings.add(Line(*completion), (Path("x"), place))
    player = Player(recordings, Drill(**drill))
    body = json.dumps({"model": "m1", "messages": [{"role": "user", "content": PARCEL[1]}]}).encode()
    return [player.complete(body) for _ in range(400)]


def test_the_error_rate_is_that_share_of_the_calls_and_the_seed_repeats_it():
    first = [answer.status for answer in drilled(error_rate=0.25, seed=7)]
    assert set(first) == {200, 500}
    assert 70 <= first.count(500) <= 130
    assert first == [answer.status for answer in drilled(error_rate=0.25, seed=7)]
    assert first != [answer.status for answer in drilled(error_rate=0.25, seed=8)]
    assert {answer.status for answer in drilled(error_rate=1.0)} == {500}
    assert {answer.status for answer in drilled(error_rate=0.0)} == {200}


def test_waits_lie_evenly_about_the_latency_and_never_below_nothing():
    waits = [answer.wait_s for answer in drilled(latency_s=0.1, jitter_s=0.05, seed=1)]
    assert 0.05 <= min(waits) < 0.06
    assert 0.14 < max(waits) <= 0.15
    assert abs(statistics.mean(waits) - 0.1) < 0.01
    assert waits == [answer.wait_s for answer in drilled(latency_s=0.1, jitter_s=0.05, seed=1)]
    assert min(answer.wait_s for answer in drilled(latency_s=0.01, jitter_s=0.5, seed=1)) == 0


def test_a_drawn_fault_is_an_error_of_the_server(replay):
    with client(replay("--error-rate", 1, "--latency-ms", 0)) as opened:
        for options in ({}, {"stream": True}):
            with pytest.raises(openai.InternalServerError) as fault:
                ask(opened, *PARCEL[:2], **options)
            assert fault.value.code == "drill_error"


# bad input


def raw_request(body=None, extra=b"", version=b"1.1"):
    body = body or json.dumps({"model": "m1", "messages": [{"role": "user", "content": PARCEL[1]}]}).encode()
    head = b"POST /v1/chat/completions HTTP/%b\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n"
    return head % (version, extra, len(body)) + body


CLOSE = b"connection: close\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (raw_request(b"{", CLOSE), 400),
        (raw_request(b"[]", CLOSE), 400),
        (raw_request(b'{"model": "m1"}', CLOSE), 400),
        (raw_request(b'{"model": 1, "messages": []}', CLOSE), 400),
        (raw_request(b'{"model": "m1", "messages": []}', CLOSE), 404),
        (raw_request(b'{"model": "m1", "messages": [{"role": "user"}]}', CLOSE), 404),
        (raw_request(b'{"model": "m1", "messages": [{"role": "user", "content": "\\ud800"}]}', CLOSE), 400),
        (raw_request(b'{"model": "\xff", "messages": []}', CLOSE), 400),
        (b"GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + CLOSE + b"\r\n", 405),
        (b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n" + CLOSE + b"\r\n", 405),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\n" + CLOSE + b"\r\n", 404),
        (b"GET /v1/models/%ff HTTP/1.1\r\nhost: x\r\n" + CLOSE + b"\r\n", 404),
        (b"rubbish\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000, 431),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n" + b"a" * 9_000_000, 413),
    ],
)
def test_what_is_no_request_gets_a_clear_error_and_the_server_goes_on(quick, request_, status):
    started = quick
    answer = started.talk(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert error["code"]
    assert error["message"]
    assert b"200 OK" in started.talk(raw_request(extra=CLOSE))


def test_requests_sent_ahead_are_answered_in_their_order(replay):
    started = replay("--latency-ms", 5, "--latency-jitter-ms", 5)
    bodies = [
        json.dumps({"model": m, "messages": [{"role": "user", "content": p}]}).encode()
        for m, p, _ in COMPLETIONS
    ]
    answer = started.talk(b"".join(map(raw_request, bodies)) + raw_request(b"{}", CLOSE))
    places = [answer.find(json.dumps(c, ensure_ascii=False).encode()) for _, _, c in COMPLETIONS[::2]]
    assert 0 < places[0] < places[1] < answer.find(b"400 Bad Request")
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_too_many_requests_sent_ahead_are_refused_after_those_before(replay):
    answer = replay("--latency-ms", 1).talk(raw_request() * 40)
    assert answer.count(b"HTTP/1.1 200 OK") >= 30
    assert b"requests wait at once" in answer


def test_a_request_in_pieces_and_in_chunks_is_one_request(quick):
    started = quick
    body = json.dumps({"model": "m2", "messages": [{"role": "user", "content": PARCEL[1]}]}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    chunks = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with socket.create_connection(started.address, timeout=10) as raw:
        for byte in head + chunks:
            raw.sendall(bytes([byte]))
        assert b"A: 7" in raw.recv(65536)


def test_a_client_that_asks_first_is_told_to_go_on(quick):
    request = raw_request(extra=b"expect: 100-continue\r\n" + CLOSE)
    assert quick.talk(request).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_http_1_0_gets_whole_answers_and_streams_without_chunks(quick):
    started = quick
    assert b"A: 7" not in started.talk(raw_request(version=b"1.0"))
    body = {"model": "m2", "stream": True, "messages": [{"role": "user", "content": PARCEL[1]}]}
    answer = started.talk(raw_request(json.dumps(body).encode(), version=b"1.0"))
    assert b"transfer-encoding" not in answer
    assert answer.endswith(b"}\n\ndata: [DONE]\n\n")


def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind(replay):
    started = replay("--latency-ms", 100)
    for _ in range(20):
        with socket.create_connection(started.address, timeout=10) as raw:
            raw.sendall(raw_request())
    assert b"200 OK" in started.talk(raw_request(extra=CLOSE))
    code, errors = started.end()
    assert (code, errors) == (0, "")


# files


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "recordings.jsonl:2: .*truncated"),
        ("[]", "recordings.jsonl:2: Expected `object`"),
        ('{"model": "m", "prompt": "p"}', "recordings.jsonl:2: .*`completion`"),
        ('{"model": "m", "prompt": "p", "completion": 7}', "recordings.jsonl:2: .*completion"),
        ('{"model": "", "prompt": "p", "completion": "c"}', "recordings.jsonl:2: .*length"),
        (
            '{"model": "m", "prompt": "p", "completion": "c", "is_correct": true}',
            "2: .*unknown field `is_correct`",
        ),
        (
            '{"model": "m1", "prompt": "Empty?", "completion": "c"}',
            "recordings.jsonl:2 has another completion than .*:1",
        ),
    ],
)
def test_a_bad_line_is_told_with_file_and_line(tmp_path, line, said):
    path = write_lines(tmp_path / "recordings.jsonl", COMPLETIONS[1])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises((Invalid, Conflict), match=said) as refusal:
        read_recordings([path])
    assert refusal.value.remedy


def test_a_later_file_overrides_nothing_silently(tmp_path):
    first = write_lines(tmp_path / "a.jsonl", *COMPLETIONS)
    same = write_lines(tmp_path / "b.jsonl", *COMPLETIONS)
    assert read_recordings([first, same]).n_completions == 3
    other = write_lines(tmp_path / "c.jsonl", COMPLETIONS[1], (*PARCEL[:2], "Lost."))
    with pytest.raises(Conflict, match=r"c\.jsonl:2 has another completion than .*a\.jsonl:1"):
        read_recordings([first, same, other])


def test_files_may_have_a_mark_blank_lines_and_labels(tmp_path):
    path = tmp_path / "recordings.jsonl"
    rows = '{"model": "m", "prompt": "p", "completion": "c", "label": "refuse"}\n\n  \n'
    path.write_bytes(b"\xef\xbb\xbf" + rows.encode() + b'{"model": "m", "prompt": "q", "completion": "d"}')
    assert read_recordings([path]).by_model == {"m": {"p": "c", "q": "d"}}


def test_files_without_a_completion_are_refused(tmp_path):
    (tmp_path / "empty").touch()
    for paths, said in (
        ([tmp_path / "empty"], "no completion"),
        ([tmp_path / "none"], "cannot be read"),
        ([tmp_path], "cannot be read"),
    ):
        with pytest.raises(Invalid, match=said):
            read_recordings(paths)


def test_a_line_that_is_not_text_or_too_long_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "recordings.jsonl"
    path.write_bytes(b'{"model": "m", "prompt": "\xff", "completion": "c"}\n')
    with pytest.raises(Invalid, match=r"recordings\.jsonl:1"):
        read_recordings([path])
    monkeypatch.setattr("assent.providers.replay.recordings.MAX_LINE", 20)
    with pytest.raises(Invalid, match=r"recordings\.jsonl:1: the line is longer than 20"):
        read_recordings([path])


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_replayed_exactly_whole_and_streamed(prompt, completion):
    recordings = Recordings()
    recordings.add(Line("m", prompt, completion), (Path("x"), 1))
    player = Player(recordings)
    asked = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    whole = json.loads(player.complete(json.dumps(asked).encode()).body)
    assert whole["choices"][0]["message"]["content"] == completion
    *events, done = player.complete(json.dumps(asked | {"stream": True}).encode()).events
    assert done == b"data: [DONE]\n\n"
    deltas = [json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content", "") for delta in deltas) == completion


# beginning and end


def test_bad_files_and_taken_ports_end_it_with_the_error(tmp_path, recordings, capsys):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    assert main(["provider", "replay", str(bad)]) == 10
    said = capsys.readouterr()
    assert said.out == ""
    assert "bad.jsonl:1" in said.err
    assert "to do:" in said.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["provider", "replay", str(recordings), "--port", port]) == 15
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err
    assert main(["provider", "replay", str(recordings), "--error-rate", "2"]) == 2
    assert main(["provider", "replay"]) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_answers_under_way(replay, number):
    started = replay("--latency-ms", 300)
    with (
        socket.create_connection(started.address, timeout=10) as raw,
        socket.create_connection(started.address),
    ):
        raw.sendall(raw_request())
        time_to_read = time.monotonic() + 0.1
        until(lambda: time.monotonic() > time_to_read)
        started.process.send_signal(number)
        answer = raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer
        assert raw.recv(1) == b""
    assert started.process.wait(10) == 0
    assert started.end() == (0, "")


def test_an_answer_that_takes_too_long_is_cut_at_the_end(replay):
    started = replay("--latency-ms", 60_000)
    with socket.create_connection(started.address, timeout=10) as raw:
        raw.sendall(raw_request())
        assert started.end() == (0, "")


def test_json_and_the_log_say_what_happens(replay, tmp_path):
    started = replay("--latency-ms", 0, "--log", "--port", 0)
    started.talk(raw_request(extra=CLOSE))
    _, errors = started.end()
    assert errors.strip().endswith("POST /v1/chat/completions 200 m1")
    as_json = replay("--json")
    said = json.loads(as_json.line + _rest(as_json))
    assert (said["n_completions"], said["n_models"]) == (3, 2)
    assert said["base_url"].startswith("http://127.0.0.1:")


def _rest(started):
    lines = []
    while not lines or lines[-1].strip() != "}":
        lines.append(started.process.stdout.readline())
    return "".join(lines)


def test_ipv6_is_served_and_written_with_brackets(replay):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    started = replay("--host", "::1", "--latency-ms", 0)
    assert started.url.startswith("http://[::1]:")
    with client(started) as opened:
        assert ask(opened, *PARCEL[:2]).choices[0].message.content == PARCEL[2]


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline().strip(), flush=True)
sys.stdin.read()
"""


def test_it_ends_with_its_parent_where_it_was_told_so(recordings):
    command = [
        Path(sys.executable).with_name("assent"),
        "provider",
        "replay",
        recordings,
        "--exit-with-parent",
    ]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        pid, line = parent.stdout.readline().split(" ", 1)
        assert "replaying 3 completions" in line
        assert is_running(int(pid))
        parent.kill()
        until(lambda: not is_running(int(pid)), 5)
    finally:
        parent.kill()
        parent.communicate(timeout=5)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
