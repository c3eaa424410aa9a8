"""What every scorer shares: what it sees of a case, its shape, and the way to say that it cannot judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from assent.evaluation.domain.cases import Answer, ToolCall
from assent.evaluation.domain.dataset import Row


class Unscorable(Exception):
    """This answer cannot be judged by this scorer; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that a scorer sees: what was asked, what was wanted, what was answered.

    `question` is the row's input: text, {"messages": […]} or {"text": …, "variables": {…}}.
    """

    answer: str
    target: Any = None
    question: Any = ""
    choices: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Row, answer: Answer) -> Self:
        """Put a row and its answer together."""
        return cls(answer.text, row.target, row.input, row.choices, answer.tool_calls, row.tags, row.metadata)


Scorer = Callable[[Case], float]
"""case -> score in [0, 1]. Raises: Unscorable."""


def texts(target: Any) -> Sequence[str]:
    """Read a target that is text or a list of texts. Raises: Unscorable."""
    found = target if isinstance(target, list | tuple) else [target]
    if not found or not all(isinstance(one, str) for one in found):
        raise Unscorable("the case's target is not text or a list of texts")
    return found
