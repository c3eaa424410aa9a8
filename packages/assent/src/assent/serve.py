"""Server, worker and gateway in one process, for a laptop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from assent import app, gateway
from assent.identity import service as identity
from assent.installation import configure_logging, opened, prepare
from assent.kernel import jobs
from assent.kernel.errors import Invalid
from assent.kernel.runtime import Runtime
from assent.kernel.settings import Settings
from assent.kernel.tx import SYSTEM
from assent.monitoring.service import exposition

log = logging.getLogger(__name__)

SERVICE = "gateway-local"


def run(settings: Settings, environment: str | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `environment` is PROJECT/ENVIRONMENT, by default the only protected one.

    Raises: Conflict, Frozen, Unavailable, Invalid, NotFound.
    """
    configure_logging(settings)
    prepare(settings)
    with app.bind(settings.host, settings.port) as bound, opened(settings) as runtime:
        app.bootstrap(runtime)
        url = f"http://{settings.host}:{bound.getsockname()[1]}"
        place = _place(runtime, environment)
        running = jobs.start(runtime)
        server = app.server_of(runtime)
        try:
            app.announce(f"server ready on {url}, worker ready")
            with exposition.listening(runtime, settings.metrics_port), _gateway(runtime, url, place):
                server.run(sockets=[bound])
        finally:
            running.stop()


def _place(runtime: Runtime, wanted: str | None) -> tuple[str, str] | None:
    """Find which environment the gateway serves. Raises: Invalid, NotFound."""
    with runtime.session.read() as reader:
        if wanted is not None:
            project, slash, name = wanted.partition("/")
            if not slash:
                raise Invalid(f"{wanted!r} names no environment.", remedy="Write PROJECT/ENVIRONMENT.")
            identity.get_environment(reader, project, name)
            return project, name
        known = [
            (e.project, e.name)
            for p in identity.list_projects(reader)
            for e in identity.list_environments(reader, p.name)
            if e.protected
        ]
    if len(known) == 1:
        return known[0]
    names = ", ".join("/".join(place) for place in known) or "none yet"
    app.announce(f"no gateway: say which environment it serves with --gateway PROJECT/ENVIRONMENT ({names})")
    return None


@contextmanager
def _gateway(runtime: Runtime, url: str, place: tuple[str, str] | None) -> Iterator[None]:
    """Run a gateway on a loop of its own while the block lasts."""
    if place is None:
        yield
        return
    settings = runtime.settings
    chosen = gateway.GatewaySettings(
        server_url=url,
        token=_token(runtime, place[0]),
        project=place[0],
        environment=place[1],
        data_dir=settings.data_dir / "gateway",
        host=settings.host,
        port=settings.gateway_port,
        hook_http=settings.hook_http,
        hook_allow=settings.hook_allow,
    )
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def ready(port: int) -> None:
        app.announce(f"gateway of {'/'.join(place)} ready on http://{settings.host}:{port}/v1")

    def serve() -> None:
        try:
            loop.run_until_complete(gateway.serve(chosen, ready, stop))
        except Exception:
            log.exception("the gateway ended; server and worker go on")

    thread = threading.Thread(target=serve, name="gateway")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def _token(runtime: Runtime, project: str) -> str:
    """Issue this process's gateway a token that ends in a month; the account is made at the first start."""
    with runtime.session.begin(SYSTEM) as tx:
        names = {account.name for account in identity.list_accounts(tx)}
        account = identity.get_account(tx, SERVICE) if SERVICE in names else identity.add_service(tx, SERVICE)
        identity.bind(tx, account.id, "gateway")
        return identity.issue_token(tx, account.id, f"gateway in one process, {project}", None)
