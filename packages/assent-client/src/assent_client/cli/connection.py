"""Where the command line connects: options, then environment, then the saved login."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assent_client.errors import Invalid

if TYPE_CHECKING:
    from assent_client.api import Api

__all__ = ["OPTIONS", "Options", "connect", "load_login", "login_path", "project", "save_login", "server"]

DEFAULT_URL = "http://127.0.0.1:8400"
DEFAULT_PROJECT = "default"


@dataclass(slots=True)
class Options:
    """What the options common to all commands said; one instance, set while arguments are read."""

    url: str | None = None
    token: str | None = None
    project: str | None = None
    json: bool = False

    def reset(self) -> None:
        """Forget what an earlier command line said."""
        self.url = self.token = self.project = None
        self.json = False


OPTIONS = Options()


def connect(timeout_s: float | None = None) -> Api:
    """Open the connection that options, environment or saved login describe."""
    from assent_client.api import READ_TIMEOUT_S, Api  # noqa: PLC0415 -- httpx takes longer to load than --help to print

    url, token = server()
    return Api(url, token, project(), timeout_s=timeout_s or READ_TIMEOUT_S)


def server() -> tuple[str, str | None]:
    """Give the address of the server, and the token for it."""
    saved = load_login()
    url = OPTIONS.url or os.environ.get("ASSENT_URL") or saved.get("url") or DEFAULT_URL
    token = OPTIONS.token or os.environ.get("ASSENT_TOKEN")
    if not token and url.rstrip("/") == saved.get("url", DEFAULT_URL).rstrip("/"):
        token = saved.get("token")  # a saved token goes to the server it was saved for and to no other
    return url, token


def project() -> str:
    """Give the project that commands speak of."""
    chosen = OPTIONS.project or os.environ.get("ASSENT_PROJECT") or load_login().get("project")
    return chosen or DEFAULT_PROJECT


def login_path() -> Path:
    """Give the file that keeps the login of this user."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "assent" / "login.json"


def load_login() -> Mapping[str, str]:
    """Read the saved login; an empty mapping where there is none.

    Raises:
        Invalid: The file is unreadable, malformed or open to other users.

    """
    path = login_path()
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Invalid(f"{path} can be read by others.", remedy=f"chmod 600 {path}")
            saved = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {error}.", remedy="Run `assent login` again.") from error
    if not isinstance(saved, dict):
        raise Invalid(f"{path} holds no login.", remedy="Run `assent login` again.")
    return {key: value for key, value in saved.items() if isinstance(value, str)}


def save_login(url: str, token: str, project: str | None = None) -> Path:
    """Keep the login for later commands, readable by this user only."""
    path = login_path()
    saved = {"url": url.rstrip("/"), "token": token} | ({"project": project} if project else {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            json.dump(saved, file)  # a temporary file is 0600 from its first byte
        Path(file.name).replace(path)
    except OSError as error:
        raise Invalid(
            f"{path} cannot be written: {error.strerror}.", remedy="Set XDG_CONFIG_HOME to a folder of yours."
        ) from error
    return path
