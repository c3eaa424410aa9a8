"""`python tests/clients [NAME…]`: build an environment per client, run its checks, print a table.

Environments live under build/clients and are built once; the outcome is also build/bench/clients.json.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from flags_place import flags_standing
from place import HERE, standing

ROOT = HERE.parents[1]
BUILT = ROOT / "build" / "clients"
OUTCOME = ROOT / "build" / "bench" / "clients.json"


class Client(NamedTuple):
    """A foreign client: what to install, the script that checks it, and what it calls."""

    packages: tuple[str, ...]
    script: str
    in_process: str = ""
    """The library that sends, where the SDK's transport is checked in place of the gateway."""
    standing: Callable[[Path], AbstractContextManager[dict[str, str]]] = standing


SDK = ("-e", str(ROOT / "packages" / "assent-client"))
CLIENTS = {
    "openai-2": Client(("openai>=2,<3",), "openai_more.py"),
    "openai-3": Client(("openai>=3,<4",), "openai_more.py"),
    "openai-2-in-process": Client(("openai>=2,<3", *SDK), "openai_more.py", "httpx"),
    "openai-3-in-process": Client(("openai>=3,<4", *SDK), "openai_more.py", "httpx2"),
    "openai-3-in-process-httpx": Client(("openai>=3,<4", *SDK), "openai_more.py", "httpx"),
    "anthropic-in-process": Client(("anthropic>=2,<3", *SDK), "anthropic_messages.py", "httpx2"),
    "anthropic": Client(("anthropic>=2,<3",), "anthropic_messages.py"),
    "openai-node": Client(("openai@7",), "openai_chat.mjs"),
    "langchain": Client(("langchain-openai>=1.7,<2",), "langchain_chat.py"),
    "ofrep-python": Client(
        ("openfeature-sdk>=0.10,<0.11", "openfeature-provider-ofrep>=0.3,<0.4"),
        "ofrep_flags.py",
        standing=flags_standing,
    ),
    "ofrep-js": Client(
        (
            "@openfeature/server-sdk@1",
            "@openfeature/ofrep-provider@0.1",
            "@openfeature/web-sdk@1",
            "@openfeature/ofrep-web-provider@0.4",
        ),
        "ofrep_flags.mjs",
        standing=flags_standing,
    ),
    "llamaindex": Client(("llama-index-llms-openai-like>=0.8,<0.9",), "llamaindex_chat.py"),
}


def build(name: str, client: Client) -> list[str]:
    """Give the command that runs scripts where the client is installed; install it where it is not."""
    folder = BUILT / name
    stamp = folder / ".built"
    wanted = "\n".join(client.packages)
    is_node = client.script.endswith(".mjs")
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        steps = _node(folder, client) if is_node else _python(folder, client)
        for step in steps:
            subprocess.run(step, check=True, timeout=600, cwd=folder, stdout=subprocess.DEVNULL)
        stamp.write_text(wanted)
    if is_node:
        shutil.copy(HERE / client.script, folder)
        return ["node", str(folder / client.script)]
    return [str(folder / "bin" / "python"), str(HERE / client.script)]


def _python(folder: Path, client: Client) -> list[list[str]]:
    uv = shutil.which("uv", path=f"{ROOT / '.venv' / 'bin'}:{os.environ.get('PATH', '')}") or "uv"
    python = str(folder / "bin" / "python")
    return [
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", python, *client.packages],
    ]


def _node(folder: Path, client: Client) -> list[list[str]]:
    (folder / "package.json").write_text('{"private":true,"type":"module"}')
    return [["npm", "install", "--silent", "--no-fund", "--no-audit", *client.packages]]


def outcomes(name: str, client: Client, places: dict[str, str]) -> list[dict[str, object]]:
    """Run a client's checks; one that cannot be installed or started counts as failed."""
    try:
        command = build(name, client)
        done = subprocess.run(
            command,
            env=os.environ | places | {"IN_PROCESS": client.in_process},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return [{"client": name, "check": "it can be installed and started", "ok": False, "why": str(error)}]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode and all(one["ok"] for one in found):
        found.append({"client": name, "check": "it ends well", "ok": False, "why": done.stderr[-2000:]})
    return found


def table(found: Sequence[dict[str, object]]) -> str:
    """Write one line per check, one column per client."""
    clients = sorted({str(one["client"]) for one in found})
    by_check: dict[str, dict[str, bool]] = {}
    for one in found:
        by_check.setdefault(str(one["check"]), {})[str(one["client"])] = bool(one["ok"])
    marks = {True: "pass", False: "FAIL", None: ""}
    lines = [f"| check | {' | '.join(clients)} |", "|---" * (len(clients) + 1) + "|"]
    for name, by_client in by_check.items():
        lines.append(f"| {name} | {' | '.join(marks[by_client.get(client)] for client in clients)} |")
    sums = [
        f"{sum(v.get(c) is True for v in by_check.values())} of {sum(c in v for v in by_check.values())}"
        for c in clients
    ]
    return "\n".join([*lines, f"| **together** | {' | '.join(sums)} |"])


def main(wanted: Sequence[str]) -> int:
    found: list[dict[str, object]] = []
    chosen = {name: client for name, client in CLIENTS.items() if not wanted or name in wanted}
    for place in dict.fromkeys(client.standing for client in chosen.values()):
        with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as places:
            for name, client in chosen.items():
                if client.standing is place:
                    found += outcomes(name, client, places)
    print(table(found))
    bad = [one for one in found if not one["ok"]]
    for one in bad:
        print(f"FAIL {one['client']}: {one['check']}: {one.get('why')}")
    OUTCOME.parent.mkdir(parents=True, exist_ok=True)
    OUTCOME.write_text(json.dumps({"clients": found}, indent=1) + "\n")
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
