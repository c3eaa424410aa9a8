"""Scorers that compare whole texts."""

from collections.abc import Callable

from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, texts


def exact(config: Fields) -> Scorer:
    """Score 1 where the answer is the target, or one of a list of targets."""
    fold = _folder(config)
    return lambda case: float(fold(case.answer) in {fold(one) for one in texts(case.target)})


def includes(config: Fields) -> Scorer:
    """Score 1 where the answer holds one of the targets; with `all` each, with `absent` none of them.

    Where they must be absent, tool calls are looked at too.
    """
    fold = _folder(config)
    combine = all if config.flag("all", default=False) else any
    absent = config.flag("absent", default=False)

    def score(case: Case) -> float:
        calls = [f"{one.name} {one.arguments}" for one in case.tool_calls] if absent else []
        answer = fold("\n".join([case.answer, *calls]))
        return float(absent is not combine(fold(one) in answer for one in texts(case.target)))

    return score


def _folder(config: Fields) -> Callable[[str], str]:
    ignore_case = config.flag("ignore_case", default=False)

    def fold(text: str) -> str:
        return text.strip().casefold() if ignore_case else text.strip()

    return fold
