"""The data plane: applications call stable names here and get the approved version."""

from assent.gateway.server import run, serve
from assent.gateway.settings import GatewaySettings, Limits

__all__ = ["GatewaySettings", "Limits", "run", "serve"]
