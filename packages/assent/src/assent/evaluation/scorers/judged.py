"""The scorer that asks another model: it says what a judge is to be asked, and reads what it replied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.evaluation.domain.cases import Reply
from assent.evaluation.domain.fields import Fields
from assent.evaluation.domain.judge import PREFERRED, Judge, read_judge, reply_key
from assent.evaluation.scorers.base import Case, Unanswered, Unscorable

MAX_REPEATS = 9
Messages = tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Consultation:
    """One question to a judge; `key` names its reply."""

    judge: Judge
    key: str
    order: int
    messages: Messages


@dataclass(frozen=True, slots=True)
class JudgeScorer:
    """A judge, asked `repeats` times about each answer; in both orders where it compares."""

    judge: Judge
    repeats: int

    def consultations(self, case: Case) -> tuple[Consultation, ...]:
        """List what to ask. Raises: Unscorable."""
        found = []
        for order, texts in enumerate(self._texts(case)):
            messages = self.judge.messages(texts)
            for repeat in range(self.repeats):
                key = reply_key(self.judge, messages, order, repeat)
                found.append(Consultation(self.judge, key, order, messages))
        return tuple(found)

    def _texts(self, case: Case) -> Sequence[Mapping[str, str]]:
        asked, answer = written(case.question), _answer(case)
        if not (self.judge.reference or self.judge.pairwise):
            return ({"question": asked, "answer": answer},)
        if not isinstance(case.target, str):
            raise Unscorable("the case's target is no text to compare with")
        if not self.judge.pairwise:
            return ({"question": asked, "reference": case.target, "answer": answer},)
        return (
            {"question": asked, "first": answer, "second": case.target},
            {"question": asked, "first": case.target, "second": answer},
        )

    def __call__(self, case: Case) -> float:
        """Score by the replies that the case holds. Raises: Unscorable, Unanswered."""
        asked = self.consultations(case)
        texts = [_text(case.replies.get(one.key)) for one in asked]
        if self.judge.pairwise:
            return self._compared(texts)
        labels = [self.judge.parse(text) for text in texts]
        for text, label in zip(texts, labels, strict=True):
            if label is None:
                raise Unscorable(f"the judge's reply is off-format: {text[:100]!r}")
        value = self.judge.decided([label for label in labels if label is not None])
        if value is None:
            raise Unscorable("the judge contradicts itself: as many replies for as against")
        return value

    def _compared(self, texts: Sequence[str]) -> float:
        values = []
        for one, other in zip(texts[: self.repeats], texts[self.repeats :], strict=True):
            label = self.judge.resolve(one, other)
            if label is None:
                raise Unscorable(f"the judge's reply is off-format: {one[:100]!r}, swapped {other[:100]!r}")
            values.append({PREFERRED: 1.0, "tie": 0.5}.get(label, 0.0))
        return sum(values) / len(values)


def judge(config: Fields) -> JudgeScorer:
    """Ask a judge: `judge` is its document, `repeats` how often it is asked the same."""
    found = read_judge(Fields(config.raw("judge"), config.at("judge"), config.mistakes))
    if not found.provider:
        config.wrong("judge.provider", "is missing", "Name a provider of the project: assent provider list.")
    return JudgeScorer(found, config.whole("repeats", 1, 1, MAX_REPEATS))


def written(question: Any) -> str:
    """Write what was asked as one text."""
    if isinstance(question, str):
        return question
    if "messages" in question:
        return "\n".join(f"{one['role']}: {one['content']}" for one in question["messages"])
    return str(question["text"])


def _answer(case: Case) -> str:
    return "\n".join([case.answer, *(f"[tool call] {one.name}({one.arguments})" for one in case.tool_calls)])


def _text(reply: Reply | None) -> str:
    if reply is None or reply.text is None:
        raise Unanswered(f"the judge gave no answer: {'' if reply is None else reply.error}"[:300])
    return reply.text
