"""What every scorer shares: the shape of a judge, and the way to say that it cannot judge."""

from collections.abc import Callable
from typing import Any


class Unscorable(Exception):
    """This answer cannot be judged by this scorer; the message says why."""


Judge = Callable[[str, Any], float]
"""(answer, target) -> score in [0, 1]. Raises: Unscorable."""
