"""A snapshot made ready for a gateway's requests: who may call which name, and where it is asked."""

from __future__ import annotations

import hashlib
import hmac

from assent.gateway.money import Budget, Tariff
from assent.gateway.targets import upstream
from assent_client.calls import served
from assent_client.calls.refusals import Refusal
from assent_client.calls.served import ServedRoute
from assent_client.snapshot import ApplicationKey, Snapshot


class Served(served.Served):
    """Everything that a request needs, from one snapshot; replaced as a whole, never changed."""

    asks_hooks = True

    def __init__(self, snapshot: Snapshot, server_url: str, before: Served | None = None) -> None:
        super().__init__(snapshot, server_url, before)
        self.upstreams = {name: upstream(name, p) for name, p in self.payload.providers.items()}
        self.budgets = {key: budget for key, one in self.payload.limits.items() if (budget := Budget.of(one))}
        self.tariffs = {digest: Tariff.of(price) for digest, price in self.payload.prices.items()}
        self._keys = {key.hash: key for key in self.payload.keys}

    def authenticate(self, authorization: bytes | None) -> ApplicationKey:
        """Find the application whose key this is.

        Raises: Refusal (401).
        """
        scheme, _, token = (authorization or b"").partition(b" ")
        presented = hashlib.sha256(token.strip()).hexdigest()
        key = self._keys.get(presented)
        if scheme.lower() != b"bearer" or key is None or not hmac.compare_digest(key.hash, presented):
            raise Refusal(
                401,
                "invalid_api_key",
                f"The API key is missing or unknown in {self.environment}. "
                "Send an application's key as 'Authorization: Bearer …' (`assent key issue` makes one).",
            )
        return key

    def allowed(self, name: str, key: ApplicationKey) -> ServedRoute:
        """Find what serves a name that this key may call.

        Raises: Refusal (403, 404, 410).
        """
        if name not in key.names and not may_call(key, name):
            raise Refusal(403, "name_not_allowed", f"The key {key.id} is not scoped to {name!r}.", "model")
        return self.route(name)

    def names(self, key: ApplicationKey) -> list[str]:
        """List the names that an application may call."""
        return sorted(name for name in self.routes if may_call(key, name))


def may_call(key: ApplicationKey, name: str) -> bool:
    """Tell whether an application's key is scoped to a name."""
    return "*" in key.names or name in key.names
