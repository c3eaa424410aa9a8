"""Webhooks as the specification Standard Webhooks signs them: sign, and verify what arrived.

webhook-id: msg_…            the same at each attempt: a receiver keeps those it has handled
webhook-timestamp: 1764115200   seconds since 1970, of this attempt
webhook-signature: v1,<base64 of HMAC-SHA256(secret, "id.timestamp.body")> v1,<of the secret before>

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["TOLERANCE_S", "Webhook", "WebhookError", "secret_bytes", "sign", "verify_webhook"]

TOLERANCE_S = 300
PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
_MAX_DIGITS = 12
_MAX_SIGNATURES = 16
_MAX_ID = 200


class WebhookError(Exception):
    """What arrived is not a webhook that the holder of the secret has just sent."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that verified; `at` is when it was sent, in seconds since 1970."""

    id: str
    at: int
    type: str
    timestamp: str
    data: Mapping[str, Any]


def secret_bytes(secret: str) -> bytes:
    """Read a secret, `whsec_` and base64 of 24 to 64 bytes. Raises: WebhookError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookError("the secret is not whsec_ and base64") from error
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise WebhookError(f"the secret holds {len(key)} bytes, not {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES}")
    return key


def sign(secrets: Sequence[str], id_: str, at: int, body: bytes) -> str:
    """Give the header `webhook-signature`, one signature by each secret. Raises: WebhookError."""
    return " ".join(f"v1,{_signature(secret_bytes(secret), id_, at, body)}" for secret in secrets)


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now: float | None = None,
) -> Webhook:
    """Verify the exact bytes that arrived, against one secret or several; header names in any case.

    A copy that is sent again within the tolerance verifies too: keep each `id` that you handled for twice
    the tolerance or longer, and answer 200 to one you know without doing anything. Raises: WebhookError.
    """
    found = {name.lower(): value for name, value in headers.items()}
    id_, stamp, shown = (_header(found, name) for name in ("id", "timestamp", "signature"))
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > _MAX_DIGITS:
        raise WebhookError("webhook-timestamp is not a number of seconds")
    if len(id_) > _MAX_ID or "." in id_:
        raise WebhookError("webhook-id is not one")
    keys = [secret_bytes(one) for one in ([secrets] if isinstance(secrets, str) else secrets)]
    if not _fits(keys, shown, id_, int(stamp), body):
        raise WebhookError("no signature fits the body and a secret")
    away_s = int(stamp) - (time.time() if now is None else now)
    if abs(away_s) > tolerance_s:
        raise WebhookError(
            f"it was sent {abs(away_s):.0f} s {'ahead' if away_s > 0 else 'ago'}; {tolerance_s} s at most"
        )
    return _webhook(id_, int(stamp), body)


def _header(found: Mapping[str, str], name: str) -> str:
    value = found.get(f"webhook-{name}", "")
    if not value:
        raise WebhookError(f"the header webhook-{name} is missing")
    return value


def _signature(key: bytes, id_: str, at: int, body: bytes) -> str:
    mac = hmac.new(key, f"{id_}.{at}.".encode() + body, hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def _fits(keys: Sequence[bytes], shown: str, id_: str, at: int, body: bytes) -> bool:
    """Compare each signature with each secret, in time that does not tell which differ where."""
    given = [one.removeprefix("v1,") for one in shown.split(" ")[:_MAX_SIGNATURES] if one.startswith("v1,")]
    fits = False
    for key in keys:
        expected = _signature(key, id_, at, body).encode()
        for one in given:
            fits |= hmac.compare_digest(expected, one.encode(errors="surrogatepass"))
    return fits


def _webhook(id_: str, at: int, body: bytes) -> Webhook:
    try:
        said = json.loads(body)
        return Webhook(id_, at, str(said["type"]), str(said["timestamp"]), dict(said["data"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WebhookError("the body is signed, but is not {type, timestamp, data}") from error
