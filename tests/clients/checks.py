"""Run named checks one after another and print each outcome as a line of JSON; needs only the standard library."""

import json
import os
import sys
import time
import traceback
import urllib.request

GATEWAY, SEEN, KEY = (os.environ[name] for name in ("GATEWAY", "SEEN", "KEY"))
IN_PROCESS = os.environ.get("IN_PROCESS", "")
"""The library (httpx or httpx2) that sends where the SDK's transport is checked in place of the gateway."""
CHECKS = []


def check(function):
    """Add a check; its name is what it holds."""
    CHECKS.append(function)
    return function


def of_gateways(function):
    """Add a check of what only a gateway has: applications' keys, HTTP of its own."""
    return function if IN_PROCESS else check(function)


def seen():
    """Tell what the upstream saw last."""
    with urllib.request.urlopen(SEEN, timeout=5) as answer:
        found = json.load(answer)
    found["body"] = json.loads(found["raw"]) if found["raw"] else None
    return found


def user(text):
    return [{"role": "user", "content": text}]


def equal(have, want):
    if have != want:
        raise AssertionError(f"{have!r} is not {want!r}")


def header(found, name):
    return [value for key, value in found["headers"] if key == name]


def until(observe, what):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if observe():
            return
        time.sleep(0.01)
    raise AssertionError(what + " did not come")


def raises(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def run(client):
    """Run all checks; the exit code tells whether all hold."""
    n_failed = 0
    client += f", in process on {IN_PROCESS}" if IN_PROCESS else ""
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function()
        except Exception as error:
            n_failed += 1
            traceback.print_exc()
            print(json.dumps({"client": client, "check": name, "ok": False, "why": repr(error)[:300]}))
        else:
            print(json.dumps({"client": client, "check": name, "ok": True}))
    sys.exit(1 if n_failed else 0)
