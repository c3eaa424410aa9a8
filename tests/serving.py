"""Parts that every installation of these tests has: HTTP on a free port of the loopback, and no jobs."""

import socket
import threading
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from assent.identity import http as identity
from assent.web.api import install_errors


def api_of(runtime, routes):
    """Make an application of the routes of some slices (`routes_of`)."""
    app = FastAPI()
    app.state.runtime, app.state.authenticate = runtime, identity.authenticator(runtime)
    app.router.routes.extend(routes)
    install_errors(app)
    return app


@contextmanager
def listening(app):
    """Serve an application; give its port."""
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


class NoJobs:
    """Where jobs would go; these tests enqueue none."""

    def enqueue(self, conn, job, arguments):
        raise AssertionError(job)
