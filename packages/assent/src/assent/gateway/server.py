"""The gateway's process: socket, loop, signals, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from assent.gateway.book import Book
from assent.gateway.core import Core
from assent.gateway.feed import Feed
from assent.gateway.feedback import Completions
from assent.gateway.hooks import Hooks
from assent.gateway.inbound import ClientConnection
from assent.gateway.quotas import Quotas
from assent.gateway.recorder import Recorder
from assent.gateway.served import Served
from assent.gateway.settings import GatewaySettings
from assent.gateway.shared import Shared
from assent.gateway.targets import tls_context
from assent.gateway.workers import supervise
from assent.kernel.addresses import parse_allowed
from assent.kernel.errors import Conflict, Unavailable
from assent_client.calls.sampling import Samples
from assent_client.observe import HttpSink, Observations, Pace, load_unit_key
from assent_client.snapshot import Snapshot
from assent_client.spool import Spool

log = logging.getLogger(__name__)

Ready = Callable[[int], None]


def run(settings: GatewaySettings, ready: Ready | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the port.

    Raises: Conflict (port in use), Unavailable (folder not writable), Invalid (root document).
    """
    # What is here now stays: the collector need not look at it again, nor look so often at short lives.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    told = ready or _log_port(settings)
    if settings.n_workers == 1:
        _work(settings, None, None, told)
        return
    listener = _bind(settings)
    _share(settings)
    told(listener.getsockname()[1])
    supervise(settings, listener, lambda own, inherited, end: _work(own, inherited, end, _told_already))


def _work(settings: GatewaySettings, listener: socket.socket | None, end: int | None, ready: Ready) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signalled(settings, listener, end, ready))


def _told_already(_port: int) -> None:
    """Say nothing: the parent has told the port."""


def _share(settings: GatewaySettings) -> None:
    """Make what all workers use before the first of them starts, so that they do not race for it."""
    try:
        settings.common_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        load_unit_key(settings.common_dir / "unit.key", settings.unit_key)
    except OSError as error:
        raise _unusable(error, settings.common_dir) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop's loop, which takes half the CPU of the standard one, where the platform has it."""
    return importlib.import_module("uvloop").new_event_loop if importlib.util.find_spec("uvloop") else None


def _log_port(settings: GatewaySettings) -> Ready:
    return lambda port: log.info("gateway: listening on %s:%d", settings.host, port)


async def _until_signalled(
    settings: GatewaySettings, listener: socket.socket | None, end: int | None, ready: Ready
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if end is not None:
        loop.add_reader(end, stop.set)  # it becomes readable when the parent is gone
    await serve(settings, ready, stop, listener)


async def serve(
    settings: GatewaySettings,
    ready: Ready,
    stop: asyncio.Event | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Serve until `stop` is set or the task is cancelled; `ready` is told the port.

    Raises: Conflict (port in use), Unavailable (folder not writable), Invalid (root document).
    """
    shared, core, outboxes, sink = _prepare(settings)
    feed = Feed(settings, shared.tls, lambda snapshot: _swap(core, settings, snapshot))
    feed.open()
    listener = listener or _bind(settings)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ClientConnection(shared, core), sock=listener)
    for outbox in outboxes:
        outbox.start()
    tasks = [loop.create_task(feed.run()), loop.create_task(_sweep(shared))]
    ready(listener.getsockname()[1])
    try:
        await _first_end(tasks, stop or asyncio.Event())
    finally:
        server.close()
        await _drain(shared)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        shared.close_pools()
        core.close()
        for outbox in outboxes:
            await asyncio.to_thread(outbox.close)
        sink.close()


async def _first_end(tasks: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Wait for the order to stop; a part that dies is a defect and ends the process, never silently."""
    waiting = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done - {waiting}:
        task.result()


def _prepare(
    settings: GatewaySettings,
) -> tuple[Shared, Core, tuple[Observations, Samples], HttpSink]:
    folder = settings.data_dir
    try:
        completions = Completions(folder)
        book = Book(settings.common_dir / "quotas.json")
        spool = Spool(folder / "observations")
        samples_folder = folder / "samples"
        samples_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unit_key = load_unit_key(settings.common_dir / "unit.key", settings.unit_key)
        tls = tls_context(settings.upstream_ca)
    except OSError as error:
        raise _unusable(error, folder) from None
    labels = {"project": settings.project, "environment": settings.environment, "gateway": settings.name}
    pace = Pace(interval_s=settings.observation_interval_s)
    sink = HttpSink(settings.server_url, settings.token, tls=tls)
    observations = Observations(sink, spool, labels, pace, completions.write)
    most = settings.limits.sampled_bytes
    samples = Samples(sink, samples_folder, labels, settings.observation_interval_s, most)
    quotas = Quotas(book, settings.n_workers, settings.quota_share, settings.now)
    recorder = Recorder(observations, completions, unit_key, quotas, samples)
    hooks = Hooks(parse_allowed(settings.hook_allow), settings.hook_http, settings.limits, tls)
    shared = Shared(settings.limits, tls, hooks)
    return shared, Core(shared, recorder, settings), (observations, samples), sink


def _unusable(error: OSError, folder: Path) -> Unavailable:
    return Unavailable(
        f"The gateway cannot use {error.filename or folder}: {error.strerror}.",
        remedy="Make it readable and writable for this process, or name another one.",
    )


def _swap(core: Core, settings: GatewaySettings, snapshot: Snapshot) -> None:
    """Make a snapshot the one for all requests that start from now on."""
    core.swap(Served(snapshot, settings.server_url, core.served))
    log.info("gateway: serving serial %d", snapshot.payload.serial)


def _bind(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what it accepts
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
        listener.setblocking(False)  # noqa: FBT003 -- the socket's own signature
    except (OSError, OverflowError) as error:
        listener.close()
        message = f"The gateway cannot listen on {settings.host}:{settings.port}: {error}."
        raise Conflict(
            message, remedy="Stop what uses the port, or choose another one with --port."
        ) from None
    return listener


async def _sweep(shared: Shared) -> None:
    while True:
        await asyncio.sleep(shared.limits.sweep_s)
        shared.sweep()


async def _drain(shared: Shared) -> None:
    """Let calls under way finish, then close every connection."""
    shared.is_draining = True
    for client in list(shared.clients):
        client.close_idle()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(shared.limits.drain_s):
            await shared.settle()
    for client in list(shared.clients):
        client.end()
