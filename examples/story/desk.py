"""Bring up an installation on free ports, with people in it, for a story."""

from __future__ import annotations

import secrets
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assent_client.api import Api
from examples.story.cli import Cli, Narrator
from examples.story.processes import Children, Start

URL = r"http://127\.0\.0\.1:(\d+)"


@dataclass(frozen=True, slots=True)
class Desk:
    """A running installation."""

    narrator: Narrator
    children: Children
    folder: Path
    url: str
    admin: Cli
    project: str

    @property
    def data_dir(self) -> Path:
        """The server's data directory."""
        return self.folder / "data"

    def sign_in(self, name: str) -> Cli:
        """Sign a person in by a one-time link, as the command line does."""
        code = self.admin("user", "link", name).value["code"]
        with Api(self.url) as api:
            token = api.post("/v1/sign-ins", {"code": code})["token"]
        return Cli(self.narrator, self.url, token, self.project, name)


def fresh(folder: Path) -> None:
    """Begin with nothing."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def free_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, port: int) -> dict[str, str]:
    """Give the settings of the story's processes."""
    return {
        "ASSENT_DATA_DIR": str(folder / "data"),
        "ASSENT_DATABASE_URL": "",
        "ASSENT_HOST": "127.0.0.1",
        "ASSENT_PORT": str(port),
        "ASSENT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ASSENT_BOOTSTRAP_TOKEN": "assent_pat_" + secrets.token_urlsafe(32),
        "ASSENT_LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }


def provider_of(recordings: Sequence[Path], latency_ms: int = 5) -> Start:
    """Give how to start the upstream that answers from recordings; its match holds the port."""
    files = [str(one) for one in recordings]
    return Start(
        "provider",
        ["provider", "replay", *files, "--port", "0", "--latency-ms", str(latency_ms)],
        rf"replaying .* on {URL}",
    )


def open_desk(
    narrator: Narrator, children: Children, folder: Path, project: str, provider: Start
) -> tuple[Desk, int]:
    """Start upstream, server and worker; gives the desk and the port of the upstream.

    The administrator's token is the bootstrap token.
    """
    upstream, *_ = children.start_all(
        provider,
        Start("server", ["server"], rf"server ready on {URL}"),
        Start("worker", ["worker"], r"worker ready"),
    )
    url = f"http://127.0.0.1:{children.env['ASSENT_PORT']}"
    admin = Cli(narrator, url, children.env["ASSENT_BOOTSTRAP_TOKEN"], project, "admin")
    return Desk(narrator, children, folder, url, admin, project), int(upstream.ready[1])


def start_gateway(desk: Desk, environment_name: str = "production", *, workers: int = 1) -> str:
    """Start a gateway in a process of its own; gives the address that clients use."""
    desk.admin("user", "add", "gateway-1", "--service", "--role", "gateway")
    token = desk.admin("token", "issue", "gateway", "--for", "gateway-1").value["token"]
    place = f"{desk.project}/{environment_name}"
    found = desk.children.start(
        "gateway",
        [
            *("gateway", place, "--port", "0", "--data-dir", str(desk.folder / "gateway")),
            *("--observe-s", "0.25", "--workers", str(workers)),
        ],
        rf"gateway of {place} ready on ({URL}/v1)",
        {"ASSENT_URL": desk.url, "ASSENT_TOKEN": token},
    )
    return found.ready[1]
