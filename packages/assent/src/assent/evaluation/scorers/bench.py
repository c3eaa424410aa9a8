"""The compiled scorers of a suite, which judge each answer within bounds."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from assent.evaluation.domain.cases import Answer, Outcome, Reply, Score, score_key, score_rule
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.fields import Fields, Mistakes
from assent.evaluation.domain.suite import RefusalRule, ScorerSpec, Suite
from assent.evaluation.scorers import (
    choices,
    instructions,
    judged,
    labels,
    leaks,
    patterns,
    structure,
    texts,
    tools,
    words,
)
from assent.evaluation.scorers.base import Case, Scorer, Unanswered, Unscorable
from assent.evaluation.scorers.judged import Consultation, JudgeScorer
from assent.evaluation.scorers.patterns import Pattern
from assent.evaluation.scorers.watchdog import WATCHDOG, OutOfTime
from assent.kernel.errors import Invalid

LIMIT_S = 5.0
"""No scorer takes longer over one answer."""
_MAX_WORDS = 300

KINDS: Mapping[str, Callable[[Fields], Scorer]] = {
    "exact": texts.exact,
    "includes": texts.includes,
    "regex": patterns.matches,
    "numeric": patterns.numeric,
    "json_schema": structure.json_schema,
    "label": labels.label,
    "answered": labels.answered,
    "f1": words.f1,
    "rouge_l": words.rouge_l,
    "hallucination": words.hallucination,
    "choice": choices.choice,
    "tool_call": tools.tool_call,
    "instruction": instructions.instruction,
    "leak": leaks.leak,
    "secrets": leaks.secrets,
    "pii": leaks.pii,
    "judge": judged.judge,
}
"""Each kind of scorer with what compiles its configuration."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One scorer, ready: `rule` is the digest of all that its scores depend on."""

    spec: ScorerSpec
    rule: str
    scorer: Scorer


@dataclass(frozen=True, slots=True)
class Bench:
    """The compiled scorers of a suite. Not shared between threads."""

    scorers: tuple[Compiled, ...]
    refusal: RefusalRule
    patterns: tuple[Pattern, ...]
    limit_s: float = LIMIT_S

    @property
    def judges(self) -> dict[str, JudgeScorer]:
        """The scorers that ask another model, by name."""
        return {one.spec.name: one.scorer for one in self.scorers if isinstance(one.scorer, JudgeScorer)}

    def consultations(self, row: Row, answer: Answer) -> tuple[Consultation, ...]:
        """List what judges are to be asked about an answer, each question once."""
        found: dict[str, Consultation] = {}
        with contextlib.suppress(Unscorable):  # then `score` says so
            if self.judges and not self._refuses(answer):
                case = Case.of(row, answer)
                for judge in self.judges.values():
                    found |= {one.key: one for one in judge.consultations(case)}
        return tuple(found.values())

    def score(
        self, row: Row, answer: Answer, key: str, replies: Iterable[Reply] = ()
    ) -> tuple[Outcome, tuple[Score, ...]]:
        """Judge one answer: its outcome, and a score or a reason from each scorer. Never raises.

        `replies` are those to its consultations.
        """
        try:
            refuses = self._refuses(answer)
        except Unscorable as reason:
            return Outcome.UNSCORABLE, self._all(key, None, str(reason))
        if refuses:
            return Outcome.REFUSED, self._all(key, self.refusal.score_of(row.tags), "refused")
        case = Case.of(row, answer, replies)
        judged = [self._one(one, score_key(key, one.rule), case) for one in self.scorers]
        scores = tuple(score for score, _ in judged)
        if any(outcome is Outcome.ERROR for _, outcome in judged):
            return Outcome.ERROR, scores
        scored = all(score.value is not None for score in scores)
        return (Outcome.SCORED if scored else Outcome.UNSCORABLE), scores

    def _all(self, key: str, value: float | None, note: str) -> tuple[Score, ...]:
        return tuple(Score(one.spec.name, score_key(key, one.rule), value, note) for one in self.scorers)

    def _refuses(self, answer: Answer) -> bool:
        if answer.refused:
            return True
        text = answer.text.casefold()
        if any(phrase.casefold() in text for phrase in self.refusal.includes):
            return True
        return any(pattern.found(answer.text) for pattern in self.patterns)

    def _one(self, one: Compiled, key: str, case: Case) -> tuple[Score, Outcome]:
        def without(why: str, outcome: Outcome = Outcome.UNSCORABLE) -> tuple[Score, Outcome]:
            return Score(one.spec.name, key, None, why[:_MAX_WORDS]), outcome

        try:
            value = WATCHDOG.run(lambda: one.scorer(case), self.limit_s)
        except Unanswered as reason:
            return without(str(reason), Outcome.ERROR)
        except Unscorable as reason:
            return without(str(reason))
        except OutOfTime:
            return without(f"the scorer took longer than {self.limit_s:g} s")
        except Exception as error:  # noqa: BLE001 -- a defect of one scorer on one answer ends no run
            return without(f"the scorer failed: {type(error).__name__}: {error}")
        if not 0.0 <= value <= 1.0:
            return without(f"the scorer gave {value:g}, which is not from 0 to 1")
        return Score(one.spec.name, key, value), Outcome.SCORED


def compile_suite(suite: Suite) -> Bench:
    """Compile the scorers of a suite. Raises: Invalid with every mistake of every configuration."""
    mistakes = Mistakes()
    compiled = []
    for number, spec in enumerate(suite.scorers):
        config = Fields(spec.config, f"scorers[{number}]", mistakes)
        scorer = KINDS[spec.kind](config)
        config.close()
        compiled.append(Compiled(spec, score_rule(spec, suite.refusal), scorer))
    found = []
    for number, text in enumerate(suite.refusal.patterns):
        try:
            found.append(Pattern(text, ignore_case=True))
        except Invalid as error:
            mistakes.add(f"refusal.patterns[{number}]", error.message)
    mistakes.check("The suite")
    return Bench(tuple(compiled), suite.refusal, tuple(found))
