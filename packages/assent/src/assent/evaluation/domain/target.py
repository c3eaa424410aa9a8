"""Where a version's questions go, and how they are put."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.evaluation.domain.dataset import Row

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """One upstream model as a version pins it; `render` gives the messages that put a case to it."""

    base_url: str
    api_key: str | None
    upstream_model: str
    parameters: Mapping[str, Any]
    render: Callable[[Row], Messages]
