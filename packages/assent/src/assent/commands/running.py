"""Run a gateway from the command line: announce its port, end it in order."""

from __future__ import annotations

from collections.abc import Callable

from assent.gateway import GatewaySettings, run
from assent.installation import configure_logging
from assent.kernel.settings import load


def run_gateway(settings: GatewaySettings, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; say where once it listens."""
    configure_logging(load())
    place = f"{settings.project}/{settings.environment}"
    run(settings, lambda port: say(f"gateway of {place} ready on http://{settings.host}:{port}/v1"))
