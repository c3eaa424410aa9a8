"""Guardrails that are asked outside, as a version names them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from assent_client.verify.webhook import PREFIX, WebhookError, secret_bytes


class Hook(NamedTuple):
    """One guardrail that is asked outside; where it fails, `is_open` lets the call pass."""

    name: str
    on: str
    blocks: bool
    is_open: bool
    url: str
    secret: str
    timeout_s: float

    @classmethod
    def of(cls, one: Mapping[str, Any]) -> Hook:
        """Read a guardrail of a document. Raises: ValueError, KeyError."""
        try:
            secret = _secret(one["secret"])
        except WebhookError as error:
            raise ValueError(f"the guardrail {one['name']}: {error}") from None
        blocks = one.get("action", "block") == "block"
        return cls(
            one["name"], one["on"], blocks, one["fail"] == "open", one["url"], secret, float(one["timeout_s"])
        )


def _secret(reference: str) -> str:
    """Read `env:NAME`; it must be a secret of webhooks, so that no other is used. Raises: WebhookError."""
    name = reference.removeprefix("env:")
    secret = os.environ.get(name, "").strip()
    if not secret.startswith(PREFIX):
        raise WebhookError(f"the variable {name} of the gateway's environment holds no {PREFIX}…")
    secret_bytes(secret)
    return secret
