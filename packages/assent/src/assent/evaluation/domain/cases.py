"""Cases: keys that make answers reusable, four outcomes, and the record of each in the journal."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from assent.evaluation.domain.dataset import merkle_digest
from assent.evaluation.domain.suite import RefusalRule, ScorerSpec
from assent.kernel.canonical import digest, digest_bytes

Side = Literal["candidate", "baseline"]


class Outcome(StrEnum):
    """What became of a case; scored and refused enter the mean, the other two lower the coverage."""

    SCORED = "scored"
    REFUSED = "refused"
    UNSCORABLE = "unscorable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Score:
    """What one scorer says of one answer: a value in [0, 1], or None and why not."""

    name: str
    key: str
    value: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asked for; `arguments` is the text that it wrote, JSON or not."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, and what it cost. `refused`: the protocol said so itself."""

    text: str
    refused: bool = False
    finish: str = ""
    n_prompt_tokens: int | None = None
    n_completion_tokens: int | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    n_cached_tokens: int | None = None

    def digest(self) -> str:
        """Give the digest of what was said: of the text alone where no tool was called."""
        if not self.tool_calls:
            return digest_bytes(self.text.encode("utf-8", "surrogatepass"))
        calls = "".join(f"\n{len(c.name)} {len(c.arguments)} {c.name}{c.arguments}" for c in self.tool_calls)
        said = f"assent-answer-with-calls-v1\n{len(self.text)} {self.text}{calls}"
        return digest_bytes(said.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge replied: `text`, or None and why. `order`: 1 where it saw a pair swapped."""

    judge: str
    key: str
    order: int
    text: str | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """One case of a run, as the journal keeps it."""

    side: Side
    sample: str
    repeat: int
    answer_key: str
    outcome: Outcome
    answer: Answer | None
    scores: tuple[Score, ...]
    error: str
    asked_at: str
    latency_ms: float | None
    attempts: int
    reused_from: str | None = None
    replies: tuple[Reply, ...] = ()

    def score(self, metric: str) -> float | None:
        """Give the value of a metric: None where this case has none."""
        if self.outcome is Outcome.ERROR:
            return None
        if metric == "refused":
            return 1.0 if self.outcome is Outcome.REFUSED else 0.0
        return next((s.value for s in self.scores if s.name == metric), None)

    def proven(self) -> dict[str, Any]:
        """Give what the run's digest covers: what was said and how it was judged, not times or tokens."""
        return {
            "side": self.side,
            "sample": self.sample,
            "repeat": self.repeat,
            "key": self.answer_key,
            "outcome": self.outcome.value,
            "answer": None if self.answer is None else self.answer.digest(),
            "scores": [[s.name, s.key, s.value] for s in self.scores],
            **({"replies": [[r.key, r.text] for r in self.replies]} if self.replies else {}),
        }


def answer_key(subject: str, solver: str, sample: str, repeat: int) -> str:
    """Name an answer by what it depends on (digests, and the repeat's number).

    The suite is not part of it, so an edit of the suite invalidates no answer.
    """
    return digest_bytes(f"assent-answer-v1\n{subject}\n{solver}\n{sample}\n{repeat}".encode())


def score_rule(spec: ScorerSpec, refusal: RefusalRule) -> str:
    """Name a scorer by all that its scores depend on besides the answer."""
    return digest(
        {
            "kind": spec.kind,
            "config": dict(spec.config),
            "refusal": [list(refusal.includes), list(refusal.patterns), refusal.score, dict(refusal.by_tag)],
        }
    )


def score_key(answer: str, rule: str) -> str:
    """Name a score by its answer's key and its scorer's rule."""
    return digest_bytes(f"assent-score-v1\n{answer}\n{rule}".encode())


def run_digest(records: Iterable[CaseRecord]) -> str:
    """Give the Merkle root over the proven parts of all records, in the order of their keys and sides."""
    ordered = sorted(records, key=lambda r: (r.side, r.answer_key))
    return merkle_digest(digest(record.proven()) for record in ordered)
