"""Several workers behind one socket: the parent binds once, starts them, and starts dead ones again.

A worker is a fork: it inherits the socket, and the pages of what is loaded already. It has a folder, a name
and acknowledgements of its own. The parent serves nothing; when it is killed, a pipe closes and they drain.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from assent.gateway.settings import GatewaySettings
from assent.kernel.errors import AssentError, Unavailable

log = logging.getLogger(__name__)

Work = Callable[[GatewaySettings, socket.socket, int], None]
"""Serve on the socket until told to stop, or until the pipe (a descriptor) ends; raises AssentError."""

_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_REFUSED: Final = 78
"""The exit code of a worker that says why it cannot start. Source: EX_CONFIG of sysexits.h."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _SOUND_AFTER_S = 0.1, 10.0, 5.0


@dataclass(slots=True)
class _Worker:
    number: int
    started_at: float = 0.0
    pause_s: float = 0.0
    starts_at: float = 0.0


def settings_of(settings: GatewaySettings, number: int) -> GatewaySettings:
    """Give a worker's own settings: its folder and name, and what all of them share."""
    return replace(
        settings,
        name=f"{settings.name}-{number}",
        data_dir=settings.data_dir / f"worker-{number}",
        shared_dir=settings.data_dir,
    )


def supervise(settings: GatewaySettings, listener: socket.socket, work: Work) -> None:
    """Run the workers until SIGTERM or SIGINT, then let them drain.

    Raises: Unavailable where a worker cannot start; its own message is in the log.
    """
    gc.collect()
    gc.freeze()  # what is loaded by now is shared by all workers: a collector that touched it would copy it
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    parent = _Parent(settings, listener, work)
    try:
        parent.run()
    finally:
        parent.stop()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


class _Parent:
    def __init__(self, settings: GatewaySettings, listener: socket.socket, work: Work) -> None:
        self._settings, self._listener, self._work = settings, listener, work
        self._alive: dict[int, _Worker] = {}
        self._waiting = [_Worker(number) for number in range(1, settings.n_workers + 1)]
        self._end, self._held = os.pipe()

    def run(self) -> None:
        while True:
            self._start_due()
            signalled = signal.sigtimedwait(_SIGNALS, self._patience_s())
            if signalled is not None and signalled.si_signo != signal.SIGCHLD:
                return
            self._bury()

    def _patience_s(self) -> float:
        due = [worker.starts_at for worker in self._waiting]
        return max(0.01, min(due) - monotonic()) if due else 60.0

    def _start_due(self) -> None:
        for worker in [worker for worker in self._waiting if worker.starts_at <= monotonic()]:
            self._waiting.remove(worker)
            worker.started_at = monotonic()
            pid = os.fork()
            if pid == 0:
                os._exit(self._be(worker.number))
            self._alive[pid] = worker

    def _be(self, number: int) -> int:
        """Be a worker; gives the exit code."""
        os.close(self._held)
        for number_of_signal in _SIGNALS:
            signal.signal(number_of_signal, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        try:
            self._work(settings_of(self._settings, number), self._listener, self._end)
        except AssentError as error:
            log.error("gateway: worker %d cannot start: %s", number, error)  # noqa: TRY400 -- the cause is in the text
            return _REFUSED
        except BaseException:
            log.exception("gateway: worker %d failed", number)
            return 1
        finally:
            logging.shutdown()
        return 0

    def _bury(self) -> None:
        """Take notice of workers that ended; each is started again, after a pause that grows."""
        for pid in list(self._alive):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            worker = self._alive.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if code == _REFUSED:
                raise Unavailable(
                    f"Worker {worker.number} of the gateway cannot start.", remedy="Its log says why."
                )
            lived_s = monotonic() - worker.started_at
            grown_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, worker.pause_s * 2))
            worker.pause_s = _FIRST_PAUSE_S if lived_s > _SOUND_AFTER_S else grown_s
            worker.starts_at = monotonic() + worker.pause_s
            self._waiting.append(worker)
            log.error(
                "gateway: worker %d ended with %d after %.1f s; it is started again",
                worker.number,
                code,
                lived_s,
            )

    def stop(self) -> None:
        """Let all workers drain, and cut those that take longer than draining may."""
        os.close(self._held)
        os.close(self._end)
        self._listener.close()
        self._tell(signal.SIGTERM)
        until = monotonic() + self._settings.limits.drain_s + 20.0
        while self._alive and monotonic() < until:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            for pid in [pid for pid in self._alive if os.waitpid(pid, os.WNOHANG)[0]]:
                del self._alive[pid]
        self._tell(signal.SIGKILL)
        for pid in self._alive:
            os.waitpid(pid, 0)

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
