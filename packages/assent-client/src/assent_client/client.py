"""Decide in the application's own process, on the same signed snapshots as the gateways.

client = Client(ClientSettings(url=…, token=…, project="support", environment="production", data_dir=…))
chosen = client.decide("assistant", unit="user-17", context={"organisation": "acme"})
document = client.version("assistant", chosen).document
client.expose("assistant", chosen, unit="user-17")        # when the application acts on it

if client.feature_enabled("gpt4", user="user-17"):         # a flag: exposes by itself, never raises
    use_gpt4()

client.prompt("greeting", {"name": "Ada"}, unit="user-17").messages
client.feedback(answer.id, "up")                           # of a call that went through Assent
OpenAI(http_client=client.http_client())                   # `model` is a governed name; keys stay yours
"""

from __future__ import annotations

import asyncio
from typing import Self

from assent_client.calls.places import Upstream
from assent_client.local import Local
from assent_client.rendering import Prompt
from assent_client.settings import ClientSettings, Notice

__all__ = ["AsyncClient", "Client", "ClientSettings", "Notice", "Prompt", "Upstream"]


class Client(Local):
    """Decisions, prompts and governed calls from the current snapshot; safe in threads and after forks."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._open()

    def __enter__(self) -> Self:
        """Keep the client for the length of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Stop following, and send what was observed."""
        self._close()

    def wait(self, timeout_s: float = 10.0) -> bool:
        """Wait for a first snapshot, and tell whether there is one."""
        return self._wait(timeout_s)

    def refresh(self) -> None:
        """Ask for the snapshot now. Raises: Conflict (closed), Unavailable, Invalid (it is refused)."""
        self._refresh()


class AsyncClient(Local):
    """The client for asyncio: what may wait is awaited, what is memory only is called."""

    async def __aenter__(self) -> Self:
        """Start the client for the length of the block."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def start(self) -> None:
        """Take up what is on disk, and start following."""
        await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Stop following, and send what was observed."""
        await asyncio.to_thread(self._close)

    async def wait(self, timeout_s: float = 10.0) -> bool:
        """Wait for a first snapshot, and tell whether there is one."""
        return await asyncio.to_thread(self._wait, timeout_s)

    async def refresh(self) -> None:
        """Ask for the snapshot now. Raises: Conflict (closed), Unavailable, Invalid (it is refused)."""
        await asyncio.to_thread(self._refresh)
