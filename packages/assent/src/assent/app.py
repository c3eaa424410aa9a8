"""The server: API and console, without a worker and without a gateway."""

import logging
import socket
import sys
from collections.abc import Callable
from typing import Annotated, Any

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from assent.approvals import http as approvals
from assent.cards import http as cards
from assent.compliance import http as compliance
from assent.console.routes import install_console
from assent.delivery import http as delivery
from assent.evaluation import http as evaluation
from assent.flags import http as flags
from assent.identity import http as identity
from assent.identity import service as identity_service
from assent.identity.domain import Permission
from assent.installation import configure_logging, opened, prepare
from assent.kernel.errors import Conflict
from assent.kernel.pauses import shorten_pauses
from assent.kernel.runtime import Runtime
from assent.kernel.settings import Settings
from assent.kernel.tx import SYSTEM
from assent.ledger import http as ledger
from assent.monitoring import http as monitoring
from assent.notifications import http as notifications
from assent.prompts import http as prompts
from assent.providers import http as providers
from assent.registry import http as registry
from assent.retirement import http as retirement
from assent.web.api import BodyLimit, Call, install_errors, requires
from assent.web.openapi import describe
from assent.web.routing import routes_of

log = logging.getLogger(__name__)

ROUTERS = (
    registry.often,  # routes are tried in this order, and each costs time
    identity.router,
    ledger.public,
    ledger.router,
    notifications.router,
    providers.router,
    registry.router,  # before prompts: their labels are here
    prompts.router,
    evaluation.router,
    approvals.router,
    flags.router,
    delivery.router,
    monitoring.router,
    retirement.router,
    cards.public,
    cards.router,
    compliance.router,
)

_ROUTES = routes_of(ROUTERS)

PUBLIC_PATHS = (
    "/healthz",
    "/readyz",
    "/v1/sign-ins",
    "/v1/sign-ins/password",
    "/ledger/",
    "/cards/",
    "/sign-in",
    "/sign-out",
    "/static/",
)
"""The whole list of what answers without a permission; a test compares it with the routes."""


def create_app(runtime: Runtime) -> FastAPI:
    """Compose the application of an opened installation."""
    app = FastAPI(
        title="Assent",
        version="1",
        summary="Release governance for LLMs in production.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    app.state.runtime = runtime
    app.state.oidc = identity_service.Providers(runtime.settings.oidc_providers, runtime.clock)
    app.state.authenticate = identity.authenticator(runtime)
    app.router.routes.extend(_ROUTES)
    _add_health(app, runtime)
    _add_description(app)
    install_console(app)
    install_errors(app)
    app.add_middleware(BodyLimit, limit=runtime.settings.max_body_bytes)
    return app


def _add_health(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/healthz", tags=["health"])
    def healthz() -> dict[str, str]:
        """Say that the process runs."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    def readyz() -> dict[str, str]:
        """Say whether the database answers."""
        with runtime.session.read() as reader:
            reader.conn.execute(sa.select(1))
        return {"status": "ok"}


def _add_description(app: FastAPI) -> None:
    @app.get("/v1/openapi.json", include_in_schema=False)
    def describe(_call: Annotated[Call, requires(Permission.SELF_READ)]) -> dict[str, Any]:
        """Give the OpenAPI description of every JSON route."""
        return app.openapi()


def bootstrap(runtime: Runtime) -> None:
    """Add the first administrator from ASSENT_BOOTSTRAP_TOKEN, where nobody exists yet. Raises: Invalid."""
    token = runtime.settings.bootstrap_token
    if token is None:
        return
    with runtime.session.begin(SYSTEM) as tx:
        if identity_service.bootstrap(tx, "admin", token.get_secret_value()):
            log.info("added the first administrator, admin, with ASSENT_BOOTSTRAP_TOKEN")


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening socket, with TCP_NODELAY for what it accepts. Raises: Conflict."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((host, port))
        bound.listen(1024)
    except (OSError, OverflowError) as error:
        bound.close()
        raise Conflict(
            f"The server cannot listen on {host}:{port}: {error}.",
            remedy="Stop what uses the port, or set ASSENT_PORT to another one.",
        ) from error
    return bound


def server_of(runtime: Runtime) -> uvicorn.Server:
    """Make the HTTP server of an opened installation."""
    config = uvicorn.Config(
        create_app(runtime), log_config=None, access_log=False, timeout_graceful_shutdown=2, lifespan="off"
    )
    shorten_pauses()
    return uvicorn.Server(config)


def announce(line: str) -> None:
    """Tell, on standard output, that something is ready."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(settings: Settings, say: Callable[[str], None] = announce) -> None:
    """Serve until SIGTERM or SIGINT. Raises: Conflict, Frozen, Unavailable, Invalid."""
    configure_logging(settings)
    prepare(settings)
    with bind(settings.host, settings.port) as bound, opened(settings) as runtime:
        bootstrap(runtime)
        say(f"server ready on http://{settings.host}:{bound.getsockname()[1]}")
        server_of(runtime).run(sockets=[bound])
