"""What a gateway is told when it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what clients and upstreams may do; bytes and seconds."""

    line_bytes: int = 8_192
    header_bytes: int = 32_768
    n_headers: int = 100
    body_bytes: int = 8_388_608
    response_header_bytes: int = 65_536
    held_response_bytes: int = 8_388_608
    """A whole (not streamed) answer is held back up to this size, so that rubbish becomes a clear 502."""
    n_pipelined: int = 32
    n_connections: int = 10_000
    n_idle_upstream: int = 256
    header_s: float = 10.0
    body_s: float = 30.0
    """Longest silence within a request's body."""
    idle_s: float = 75.0
    stalled_s: float = 60.0
    """Longest time that a client may refuse to read its answer."""
    upstream_age_s: float = 300.0
    """A pooled connection is not used longer, so that changed DNS answers take effect."""
    n_mirrored: int = 16
    """Mirrored calls of one worker at once."""
    mirrored_s: float = 120.0
    """Longest time that a mirrored call may take."""
    sampled_bytes: int = 33_554_432
    """Texts of sampled calls in memory, before they are redacted; what finds no room is counted as lost."""
    drain_s: float = 30.0
    sweep_s: float = 0.1


def utc_now() -> datetime:
    """Give the time; a function with a name, so that settings can be handed to another process."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """One gateway of one environment.

    `root_path` names the root document to trust; without it the server's is fetched at the first start
    and pinned in `data_dir`. `unit_key` must be the same for all gateways of an environment. After
    `max_staleness_s` past a snapshot's expiry calls are refused; None serves on the last one for ever.
    """

    server_url: str
    token: str
    project: str
    environment: str
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8401
    name: str = "gateway"
    root_path: Path | None = None
    n_workers: int = 1
    shared_dir: Path | None = None
    """Where workers of one gateway share the pinned root and the key of units; by default `data_dir`."""
    unit_key: str | None = None
    max_staleness_s: float | None = None
    upstream_ca: Path | None = None
    quota_share: float = 1.0
    """This gateway's part of every key's limits, where several gateways serve one environment."""
    hook_http: bool = False
    """Whether guardrails may be asked over plain http; else https only."""
    hook_allow: tuple[str, ...] = ()
    """Hosts and networks, not public ones, that guardrails may be asked at."""
    poll_s: float = 10.0
    observation_interval_s: float = 1.0
    now: Callable[[], datetime] = utc_now
    limits: Limits = field(default_factory=Limits)

    @property
    def common_dir(self) -> Path:
        """Give the folder of what all workers share."""
        return self.shared_dir or self.data_dir
