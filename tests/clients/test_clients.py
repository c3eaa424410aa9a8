"""The fast form of `make test-clients`: the openai client that is installed here, and the table's own arithmetic."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from flags_place import flags_standing  # noqa: E402 -- found on the path set above
from place import standing  # noqa: E402 -- found on the path set above


@pytest.mark.parametrize(("in_process", "n"), [("", 42), ("httpx", 40), ("httpx2", 40)])
def test_the_openai_client_passes_every_check_of_exactness(tmp_path, in_process, n):
    with standing(tmp_path) as places:
        done = subprocess.run(
            [sys.executable, str(HERE / "openai_more.py")],
            env=os.environ | places | {"IN_PROCESS": in_process},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["check"] for one in outcomes if not one["ok"]] == [], done.stderr
    assert len(outcomes) >= n


def test_the_provider_of_openfeature_passes_every_check_of_flags(tmp_path):
    with flags_standing(tmp_path) as places:
        done = subprocess.run(
            [sys.executable, str(HERE / "ofrep_flags.py")],
            env=os.environ | places,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["check"] for one in outcomes if not one["ok"]] == [], done.stderr
    assert len(outcomes) >= 11


def load_main():
    spec = importlib.util.spec_from_file_location("clients_main", HERE / "__main__.py")
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    return main


def test_a_check_that_fails_is_shown_in_the_table():
    main = load_main()
    outcomes = [
        {"client": "a 1", "check": "one", "ok": True},
        {"client": "a 1", "check": "two", "ok": False, "why": "x"},
        {"client": "b 2", "check": "one", "ok": True},
    ]
    assert main.table(outcomes).splitlines()[2:] == [
        "| one | pass | pass |",
        "| two | FAIL |  |",
        "| **together** | 1 of 2 | 1 of 1 |",
    ]


def test_a_client_that_cannot_be_installed_counts_as_failed(tmp_path):
    main = load_main()
    main.BUILT = tmp_path / "a file"
    main.BUILT.write_text("no folder")
    (outcome,) = main.outcomes("gone", main.Client(("x",), "openai_chat.py"), {})
    assert (outcome["ok"], "Not a directory" in outcome["why"]) == (False, True)
