"""What every scorer shares: what it sees of a case, its shape, and the way to say that it cannot judge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from assent.evaluation.domain.cases import Answer, Reply, ToolCall
from assent.evaluation.domain.dataset import Row


class Unscorable(Exception):
    """This answer cannot be judged by this scorer; the message says why."""


class Unanswered(Unscorable):
    """A judge that this scorer asks gave no answer: an error of the infrastructure."""


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
    replies: Mapping[str, Reply] = field(default_factory=dict)
    """What judges replied about it, by the keys of the questions to them."""

    @classmethod
    def of(cls, row: Row, answer: Answer, replies: Iterable[Reply] = ()) -> Self:
        """Put a row, its answer and what judges replied about it together."""
        return cls(
            answer=answer.text,
            target=row.target,
            question=row.input,
            choices=row.choices,
            tool_calls=answer.tool_calls,
            tags=row.tags,
            metadata=row.metadata,
            replies={one.key: one for one in replies},
        )


Scorer = Callable[[Case], float]
"""case -> score in [0, 1]. Raises: Unscorable."""


def texts(target: Any) -> Sequence[str]:
    """Read a target that is text or a list of texts. Raises: Unscorable."""
    found = target if isinstance(target, list | tuple) else [target]
    if not found or not all(isinstance(one, str) for one in found):
        raise Unscorable("the case's target is not text or a list of texts")
    return found
