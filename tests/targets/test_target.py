"""What an engine is to do, the documents it gets, receipts, and the command line."""

import json
import signal
import subprocess
import sys
import threading

import pytest
import yaml
from forge import digest, model_document, route
from served import until

from assent_client.cli.main import main
from assent_client.decide import BUCKETS
from assent_client.errors import Conflict, Invalid, NotFound, Stale, Unavailable
from assent_client.snapshot import Scope, verify
from assent_client.targets import Desired, Slice, Target, desired_of, httproute, read_settings

OLD, NEW = model_document(upstream_model="old"), model_document(upstream_model="new")
# What is started in the background of a shell script has SIGINT ignored, and its children too.
LISTENING = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
ASSENT = [sys.executable, "-c", LISTENING + "from assent_client.cli.main import main; sys.exit(main())"]
REFS = {digest(OLD): "assistant@2.0.0", digest(NEW): "assistant@2.1.0"}
BACKENDS = {
    ref: {"host": host, "port": 8000} for ref, host in zip(REFS.values(), ("old", "new"), strict=True)
}


def settings(folder, kind="envoy", **changes):
    more = {"parent": "public"} if kind == "httproute" else {}
    return read_settings(
        {"kind": kind, "route": "assistant", "folder": str(folder), "backends": BACKENDS, **more, **changes}
    )


def payload(server, share=50_000, **changes):
    one = route(digest(OLD), digest(NEW), share, **changes)
    found = server.payload(OLD, NEW, routes={"assistant": one})
    for of, version in found["versions"].items():
        version["ref"] = REFS[of]
    return found


def snapshot(server, share=50_000, payload_changes=None, **changes):
    found = payload(server, share, **changes) | (payload_changes or {})
    return verify(server.forge.sign(found), server.forge.root, Scope("acme", "production", "sdk"))


def desired(share, generation=1, **changes):
    slices = [Slice(REFS[digest(NEW)], 0, share), Slice(REFS[digest(OLD)], share, BUCKETS)]
    return Desired(route="assistant", generation=(1, generation), slices=slices, **changes)


def test_a_snapshot_says_what_an_engine_is_to_do(server, tmp_path):
    found = desired_of(snapshot(server), settings(tmp_path))
    assert found.slices == desired(50_000).slices
    assert found.generation == (1, server.serial)
    assert found.left_out == []
    rules = [
        {"id": "staff", "when": [{"attribute": "user", "op": "in", "value": ["ada"]}], "variant": "canary"}
    ]
    ruled = desired_of(snapshot(server, rules=rules), settings(tmp_path))
    assert ruled.left_out == ["rule staff"]
    assert ruled.slices == found.slices
    off = desired_of(snapshot(server, enabled=False), settings(tmp_path))
    assert off.slices == [Slice("assistant@2.0.0", 0, BUCKETS)]
    whole = desired_of(snapshot(server, share=0), settings(tmp_path))
    assert whole.slices == off.slices
    assert whole.digest == off.digest != found.digest


def test_a_name_that_was_killed_answers_nobody(server, tmp_path):
    gone = {"gone": {"assistant": {"status": 410, "reason": "it failed"}}, "routes": {}}
    found = desired_of(snapshot(server, payload_changes=gone), settings(tmp_path))
    assert found.slices == []
    Target(settings(tmp_path)).apply(found)
    written = json.loads((tmp_path / "routes.json").read_text())
    (only,) = written["resources"][0]["virtual_hosts"][0]["routes"]
    assert only["direct_response"]["status"] == 503


def test_what_cannot_be_followed_is_refused_in_words(server, tmp_path):
    found = snapshot(server)
    with pytest.raises(Conflict, match="no backend for assistant@2") as raised:
        desired_of(found, settings(tmp_path, backends={"assistant@2.0.0": {"host": "a", "port": 1}}))
    assert [one.id for one in raised.value.reasons] == ["backend"]
    with pytest.raises(NotFound, match="no route other"):
        desired_of(found, settings(tmp_path, route="other"))
    flag = {"kind": "flag", "variants": {"stable": True, "canary": False}}
    with pytest.raises(Invalid, match="is a flag"):
        desired_of(snapshot(server, **flag), settings(tmp_path))


@pytest.mark.parametrize(
    "document",
    [{}, {"kind": "nginx"}, {"kind": "httproute", "parent": None}, {"extra": 1}, {"bucket_header": "a b"}, {"backends": {"x": {"host": "h", "port": 0}}}],
)  # fmt: skip
def test_settings_are_read_strictly(tmp_path, document):
    whole = {"kind": "envoy", "route": "assistant", "folder": str(tmp_path), "backends": BACKENDS}
    with pytest.raises(Invalid):
        read_settings({**whole, **document} if document else {})


def test_apply_is_idempotent_and_never_goes_backwards(tmp_path):
    target = Target(settings(tmp_path))
    first = target.apply(desired(50_000, 5))
    changed_at = (tmp_path / "routes.json").stat().st_mtime_ns
    assert target.apply(desired(50_000, 5)) == first
    assert target.apply(desired(50_000, 6)) == first  # a new snapshot that says the same
    assert (tmp_path / "routes.json").stat().st_mtime_ns == changed_at
    assert target.apply(desired(60_000, 7)).number == 2
    with pytest.raises(Stale, match="lies behind"):
        target.apply(desired(50_000, 6))
    assert Target(settings(tmp_path)).receipts == target.receipts  # they survive the process
    assert (tmp_path / "routes.json").stat().st_mode & 0o777 == 0o644
    for n in range(30):
        target.apply(desired(1000 * n, 8 + n))
    assert len(target.receipts) == 20


def test_a_backend_that_moves_is_written_though_the_shares_stay(tmp_path):
    Target(settings(tmp_path)).apply(desired(50_000))
    moved = {**BACKENDS, "assistant@2.0.0": {"host": "elsewhere", "port": 8000}}
    assert Target(settings(tmp_path, backends=moved)).apply(desired(50_000)).number == 2
    assert "elsewhere" in (tmp_path / "clusters.json").read_text()


def test_a_rollback_puts_the_receipt_before_there_again_and_holds(tmp_path):
    target = Target(settings(tmp_path))
    for share, generation in ((50_000, 1), (200_000, 2), (500_000, 3)):
        target.apply(desired(share, generation))
    assert target.roll_back().restores == 2
    back = target.roll_back()
    assert (back.restores, back.documents) == (1, target.receipts[0].documents)
    assert target.observe().weights["assistant@2.1.0"] == 50_000
    assert target.apply(desired(500_000, 3)) == back
    assert target.apply(desired(500_000, 4)) == back
    with pytest.raises(Conflict, match="no receipt before"):
        target.roll_back()
    assert target.apply(desired(600_000, 5)).restores is None
    assert target.roll_back().restores == 3
    with pytest.raises(Conflict, match="Nothing was applied"):
        Target(settings(tmp_path / "new")).roll_back()


def test_what_is_broken_on_disk_is_told(tmp_path):
    (tmp_path / "receipts.json").write_text("{")
    with pytest.raises(Invalid, match="cannot be read"):
        Target(settings(tmp_path))
    with pytest.raises(Unavailable):
        Target(settings(tmp_path / "receipts.json" / "below"))
    fresh = Target(settings(tmp_path / "fresh"))
    with pytest.raises(NotFound):
        fresh.observe()
    with pytest.raises(Unavailable, match="does not say"):
        Target(settings(tmp_path / "fresh", admin="http://127.0.0.1:1")).observe()


def test_a_folder_that_takes_no_files_keeps_the_receipts_as_they_were(tmp_path):
    target = Target(settings(tmp_path))
    (tmp_path / "routes.json").mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        target.apply(desired(1))
    assert target.receipts == []


def test_a_gateway_api_route_carries_the_millionths(tmp_path):
    written = settings(tmp_path, "httproute", hostnames=["llm.example"], namespace="ai")
    found = httproute(desired(50_000, 7), written)
    assert found["metadata"]["annotations"] == {"assent/generation": "1.7"}
    assert (found["metadata"]["name"], found["metadata"]["namespace"]) == ("assistant", "ai")
    assert found["spec"] == {
        "parentRefs": [{"name": "public"}],
        "hostnames": ["llm.example"],
        "rules": [
            {
                "backendRefs": [
                    {"name": "new", "port": 8000, "weight": 50_000},
                    {"name": "old", "port": 8000, "weight": 950_000},
                ]
            }
        ],
    }
    target = Target(written)
    target.apply(desired(50_000, 7))
    actual = target.observe()
    assert (actual.source, actual.generation, actual.weights) == (
        "file",
        "1.7",
        {"new": 50_000, "old": 950_000},
    )


@pytest.fixture
def options(server, tmp_path, monkeypatch):
    """What commands read: where the server is, and the target's settings."""
    for name, value in (
        ("URL", f"http://127.0.0.1:{server.server_port}"),
        ("TOKEN", "t"),
        ("PROJECT", "acme"),
    ):
        monkeypatch.setenv(f"ASSENT_{name}", value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    file = tmp_path / "target.yaml"
    document = {"kind": "envoy", "route": "assistant", "folder": str(tmp_path / "out"), "backends": BACKENDS}
    file.write_text(yaml.safe_dump(document))
    return file


def test_the_commands_from_rendering_to_rollback(server, options, capsys):
    def run(*words, code=0):
        assert main(["target", *words, "-f", str(options), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    server.publish_payload(payload(server))
    rendered = run("render", "--env", "production")
    assert set(rendered) == {"clusters.json", "routes.json"}
    assert run("apply", "--env", "production")["number"] == 1
    server.publish_payload(payload(server, 200_000))
    until(lambda: run("apply", "--env", "production")["number"] == 2)
    assert run("show")["actual"]["weights"] == {"assistant@2.0.0": 800_000, "assistant@2.1.0": 200_000}
    assert run("rollback", "--yes")["restores"] == 1
    assert main(["target", "show", "-f", str(options)]) == 0
    assert "0.95" in capsys.readouterr().err
    server.envelope = b""
    assert [one["number"] for one in run("show")["receipts"]] == [3, 2, 1]


def test_follow_applies_each_change_and_tells_what_it_cannot(server, options, tmp_path):
    server.publish_payload(
        payload(
            server,
            rules=[
                {
                    "id": "staff",
                    "when": [{"attribute": "user", "op": "in", "value": ["ada"]}],
                    "variant": "canary",
                }
            ],
        )
    )
    command = [*ASSENT, "target", "follow", "--env", "production", "-f", str(options)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        late = threading.Timer(15, process.kill)
        late.start()
        try:
            routes = tmp_path / "out" / "routes.json"
            until(routes.exists)
            server.publish_payload(payload(server, 200_000))
            until(lambda: '"weight": 200000' in routes.read_text())
            odd = payload(server)
            odd["routes"] = {}
            server.publish_payload(odd)
            lines = []
            while not lines or (lines[-1] and "keeps" not in lines[-1]):
                lines.append(process.stderr.readline())
        finally:
            late.cancel()
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
    told = "".join(lines) + said
    assert "cannot follow the rule staff" in told
    assert "Receipt 2" in told
    assert "The engine keeps what it has: production has no route assistant." in told


def test_follow_ends_on_a_signal_that_did_not_reach_its_main_thread(server, options):
    server.publish_payload(payload(server))
    script = (
        LISTENING + "import threading\n"
        "from assent_client.cli.main import main\n"
        "def interrupt():\n"
        "    sys.stdin.readline()\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "sys.exit(main(['target', 'follow', '--env', 'production', '-f', sys.argv[1]]))\n"
    )
    command = [sys.executable, "-c", script, str(options)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            while "Receipt 1" not in (line := process.stderr.readline()):
                assert line, "it ended before it applied anything"
            process.communicate("now\n", timeout=30)
        finally:
            process.kill()
