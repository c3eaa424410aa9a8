"""What a client is told when it is made, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Which environment to decide for, and where to keep what is needed without a server.

    `unit_key` must be the same in all processes that observe one environment; `application` names this one
    in observations. After `max_staleness_s` past a snapshot's expiry calls are refused; None serves for ever.
    """

    url: str
    token: str
    project: str
    environment: str
    data_dir: Path
    root_path: Path | None = None
    unit_key: str | None = None
    poll_s: float = 30.0
    observe: bool = True
    application: str = "sdk"
    max_staleness_s: float | None = None


class Notice(NamedTuple):
    """What happened to the snapshot in use.

    `kind` is changed (`names`: the routes that changed) | stale (no server answers; what was known serves on)
    | reached (one answers again) | refused (a snapshot failed a check and is kept out).
    """

    kind: str
    message: str = ""
    names: tuple[str, ...] = ()


Listen = Callable[[Notice], None]
