"""Where a client asks: the gateway, or the provider itself through the SDK's transport, offline from the disk."""

import importlib
import os
from pathlib import Path

from checks import GATEWAY, IN_PROCESS, KEY

_PROVIDER, _DISK = os.environ["PROVIDER"], Path(os.environ["DISK"])


def _opened():
    from assent_client.client import Client, ClientSettings

    nowhere = "http://127.0.0.1:1"
    return Client(
        ClientSettings(url=nowhere, token="t", project="acme", environment="production", data_dir=_DISK)
    )


_client = _opened() if IN_PROCESS else None


def reach(root="/v1"):
    """Give a waiting client's arguments; `root` ends what this library calls a base URL."""
    if _client is None:
        return {"base_url": GATEWAY + root, "api_key": KEY}
    own = _client.http_client(importlib.import_module(IN_PROCESS).HTTPTransport)
    return {"base_url": _PROVIDER + root, "api_key": KEY, "http_client": own}


def reach_async(root="/v1"):
    """Give an awaiting client's arguments."""
    if _client is None:
        return {"base_url": GATEWAY + root, "api_key": KEY}
    own = _client.async_http_client(importlib.import_module(IN_PROCESS).AsyncHTTPTransport)
    return {"base_url": _PROVIDER + root, "api_key": KEY, "http_client": own}
