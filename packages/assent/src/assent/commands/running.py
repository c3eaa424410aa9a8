"""Run a gateway from the command line: announce its port, end it in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from assent.gateway import GatewaySettings, run
from assent.installation import configure_logging
from assent.kernel.settings import load


def run_gateway(settings: GatewaySettings, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; say where once it listens."""
    known = load()
    configure_logging(known)
    settings = replace(settings, hook_http=known.hook_http, hook_allow=known.hook_allow)
    place = f"{settings.project}/{settings.environment}"
    run(settings, lambda port: say(f"gateway of {place} ready on http://{settings.host}:{port}/v1"))
