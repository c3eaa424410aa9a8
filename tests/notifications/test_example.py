"""The example receiver verifies, and handles each webhook once."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from assent_client.verify.webhook import sign
from tests.architecture.house_rules import ROOT

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "a.b.c", "timestamp": "2026-01-01T00:00:00Z", "data": {"about": {}, "link": "https://x"}}'


def send(port, id_, body, signed=BODY):
    at = int(time.time())
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(at),
        "webhook-signature": sign([SECRET], id_, at, signed),
    }
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_the_example_receiver_refuses_what_is_forged_and_handles_a_copy_once():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, ROOT / "examples/webhooks/receiver.py", str(port)]
    env = {**os.environ, "WEBHOOK_SECRET": f"whsec_{'A' * 40} {SECRET}"}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            until = time.monotonic() + 20
            while not is_listening(port):
                assert time.monotonic() < until
                time.sleep(0.05)
            found = [send(port, "msg_1", BODY), send(port, "msg_1", BODY), send(port, "msg_2", b"{}")]
        finally:
            process.terminate()
        printed = process.stdout.read()
    assert found == [204, 204, 400]
    assert printed.splitlines() == ["a.b.c {} https://x"]
