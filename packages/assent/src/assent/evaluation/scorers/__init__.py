"""Scorers: pure judges of one answer. Each sees the answer, the target and its configuration, nothing else.

Patterns run on `regex` with a time limit: the standard `re` cannot be interrupted, and one answer that
makes a pattern backtrack would hold the whole run. RE2 would need no limit, but has no wheels for
every platform that Assent runs on. A pattern that exceeds its limit leaves the case unscorable, on record.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import jsonschema
import regex  # type: ignore[import-untyped]  # it ships no types
from jsonschema.exceptions import SchemaError
from jsonschema.validators import extend
from referencing import Registry

from assent.evaluation.domain.cases import Answer, Outcome, Score, score_key, score_rule
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.fields import Fields, Mistakes
from assent.evaluation.domain.suite import RefusalRule, ScorerSpec, Suite
from assent.evaluation.scorers.base import Judge, Unscorable
from assent.evaluation.scorers.words import f1, hallucination, rouge_l
from assent.kernel.canonical import canonical, digest_bytes
from assent.kernel.errors import Invalid

TIME_LIMIT_S = 0.1
MAX_PATTERN_LENGTH = 1000
MAX_REPEAT = 1000
NUMBER = r"-?\$?\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"
_MAX_NUMBER_LENGTH = 100


class Pattern:
    """A pattern that cannot run away: bounded when compiled, and bounded in time when searched."""

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        if len(text) > MAX_PATTERN_LENGTH:
            raise Invalid(f"A pattern has at most {MAX_PATTERN_LENGTH:,} characters, not {len(text):,}.")
        # Nested counted repeats are expanded when compiled: {1000} in {1000} would take all memory.
        product = 1
        for low, high in regex.findall(r"\{(\d*)(?:,(\d*))?\}", text):
            product *= max(1, *(int(n[:9]) for n in (low, high) if n), 1)
        if product > MAX_REPEAT:
            raise Invalid(f"The counted repeats of {text!r} multiply to more than {MAX_REPEAT:,}.")
        try:
            self._compiled = regex.compile(text, regex.IGNORECASE if ignore_case else 0)
        except (regex.error, RecursionError, OverflowError) as error:
            raise Invalid(f"{text!r} is not a pattern: {error}") from error

    def found(self, text: str) -> bool:
        """Tell whether it occurs. Raises: Unscorable."""
        try:
            return self._compiled.search(text, timeout=TIME_LIMIT_S) is not None
        except TimeoutError:
            raise Unscorable(f"the pattern took longer than {TIME_LIMIT_S} s on this answer") from None

    def pick(self, text: str, *, last: bool) -> str | None:
        """Give the first or last occurrence: its first group, or all of it. Raises: Unscorable."""
        try:
            picked = None
            for match in self._compiled.finditer(text, timeout=TIME_LIMIT_S):
                picked = match.group(1) if self._compiled.groups else match.group(0)
                if not last:
                    break
        except TimeoutError:
            raise Unscorable(f"the pattern took longer than {TIME_LIMIT_S} s on this answer") from None
        return picked


def _exact(config: Fields) -> Judge:
    fold = _folder(config)

    def judge(answer: str, target: Any) -> float:
        return float(fold(answer) in {fold(one) for one in _texts(target)})

    return judge


def _includes(config: Fields) -> Judge:
    fold = _folder(config)
    combine = all if config.flag("all", default=False) else any

    def judge(answer: str, target: Any) -> float:
        text = fold(answer)
        return float(combine(fold(one) in text for one in _texts(target)))

    return judge


def _folder(config: Fields) -> Callable[[str], str]:
    ignore_case = config.flag("ignore_case", default=False)

    def fold(text: str) -> str:
        return text.strip().casefold() if ignore_case else text.strip()

    return fold


def _texts(target: Any) -> Sequence[str]:
    texts = target if isinstance(target, list | tuple) else [target]
    if not texts or not all(isinstance(one, str) for one in texts):
        raise Unscorable("the case's target is not text or a list of texts")
    return texts


def _regex(config: Fields) -> Judge:
    pattern = _pattern(config, "")
    absent = config.flag("absent", default=False)
    return lambda answer, _target: float(pattern.found(answer) is not absent)


def _pattern(config: Fields, default: str) -> Pattern:
    text = config.text("pattern", default, required=not default, max_length=MAX_PATTERN_LENGTH)
    try:
        return Pattern(text, ignore_case=config.flag("ignore_case", default=False))
    except Invalid as error:
        config.wrong("pattern", error.message)
        return Pattern("")


def _numeric(config: Fields) -> Judge:
    """Compare the number that `pattern` picks; an answer without one is wrong."""
    pattern = _pattern(config, NUMBER)
    last = config.one_of("which", "last", ("first", "last")) == "last"
    absolute = Decimal(repr(config.number("absolute", 0.0, 0.0, 1e15)))
    relative = Decimal(repr(config.number("relative", 0.0, 0.0, 1.0)))

    def judge(answer: str, target: Any) -> float:
        wanted = _number(str(target)) if isinstance(target, str | int | float) else None
        if wanted is None or isinstance(target, bool):
            raise Unscorable("the case's target is not a number")
        picked = pattern.pick(answer, last=last)
        given = None if picked is None else _number(picked)
        if given is None:
            return 0.0
        return float(abs(given - wanted) <= max(absolute, relative * abs(wanted)))

    return judge


def _number(text: str) -> Decimal | None:
    plain = text.strip().replace(",", "").replace("$", "").rstrip(".")
    if len(plain) > _MAX_NUMBER_LENGTH:
        return None
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return None
    # Beyond these exponents arithmetic would overflow; no measured quantity is there.
    return number if number.is_finite() and abs(number.adjusted()) < 1000 else None  # noqa: PLR2004 -- see above


class _Deadline:
    at = 0.0


def _timed(keyword: Callable[..., Any], deadline: _Deadline) -> Callable[..., Any]:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        if time.monotonic() > deadline.at:
            raise Unscorable(f"the JSON schema took longer than {TIME_LIMIT_S} s on this answer")
        return keyword(validator, value, instance, schema)

    return check


def _schema_pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Any:
    if isinstance(instance, str) and not Pattern(pattern).found(instance):
        yield jsonschema.ValidationError(f"does not match {pattern!r}")


def _schema_unique(_validator: Any, wanted: bool, instance: Any, _schema: Any) -> Any:  # noqa: FBT001 -- jsonschema's signature
    # jsonschema compares each with each where items do not sort; a long answer would take minutes.
    if wanted and isinstance(instance, list) and len({canonical(one) for one in instance}) < len(instance):
        yield jsonschema.ValidationError("has equal items")


def _json_schema(config: Fields) -> Judge:
    schema = config.raw("schema")
    fenced = Pattern(r"(?s)```(?:json)?\s*\n(.*?)```") if config.flag("fenced", default=False) else None
    if not isinstance(schema, Mapping):
        config.wrong("schema", "is missing or not a mapping")
        return lambda _answer, _target: 0.0
    for place in _schema_faults(schema):
        config.wrong("schema", place)
    deadline = _Deadline()
    base = jsonschema.Draft202012Validator
    keywords = {name: _timed(check, deadline) for name, check in base.VALIDATORS.items()}
    own = {"pattern": _timed(_schema_pattern, deadline), "uniqueItems": _timed(_schema_unique, deadline)}
    # An empty registry: a schema never makes the worker fetch an address.
    validator = extend(base, keywords | own)(  # type: ignore[no-untyped-call]  # it ships no types
        dict(schema), registry=Registry()
    )

    def judge(answer: str, _target: Any) -> float:
        text = answer if fenced is None else fenced.pick(answer, last=True) or answer
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return 0.0
        deadline.at = time.monotonic() + TIME_LIMIT_S
        try:
            return float(validator.is_valid(value))
        except (RecursionError, Invalid) as error:
            raise Unscorable(f"the JSON schema could not be applied: {error}") from error

    return judge


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _schema_faults(schema: Mapping[str, Any]) -> list[str]:
    faults = []
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        faults.append(f"is not a JSON schema: {getattr(error, 'message', error)}")
        return faults
    waiting: list[Any] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            faults += [
                f"refers to {value[name]!r}; only references within it (#/…) are followed"
                for name in ("$ref", "$dynamicRef")
                if isinstance(value.get(name), str) and not value[name].startswith("#")
            ]
            faults += ["patternProperties is not supported"] if "patternProperties" in value else []
            faults += _pattern_faults(value.get("pattern"))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return faults


def _pattern_faults(pattern: Any) -> list[str]:
    if not isinstance(pattern, str):
        return []
    try:
        Pattern(pattern)
    except Invalid as error:
        return [error.message]
    return []


def _label(config: Fields) -> Judge:
    """Look the answer up among those that people labelled: target {"labels": {"sha256:…": "refusal"}}."""
    scores: Mapping[str, float] = config.take(
        "scores",
        {},
        lambda v: isinstance(v, Mapping) and len(v) > 0 and all(_is_share(one) for one in v.values()),
        "a mapping of labels to scores from 0 to 1",
    )
    if not scores:
        config.wrong("scores", "is missing: which score has each label?")

    def judge(answer: str, target: Any) -> float:
        labels = target.get("labels") if isinstance(target, Mapping) else None
        label = labels.get(text_digest(answer)) if isinstance(labels, Mapping) else None
        if label is None:
            raise Unscorable("nobody labelled this answer")
        if not isinstance(label, str) or label not in scores:
            raise Unscorable(f"the suite gives no score for the label {label!r}")
        return float(scores[label])

    return judge


def _answered(_config: Fields) -> Judge:
    """Score an answer that is no refusal: 1 where the target is "answer", 0 where it is "refuse"."""

    def judge(_answer: str, target: Any) -> float:
        if target not in ("answer", "refuse"):
            raise Unscorable('the target must be "answer" or "refuse"')
        return float(target == "answer")

    return judge


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def text_digest(answer: str) -> str:
    """Give the digest under which a recorded label names an answer."""
    return digest_bytes(answer.encode("utf-8", "surrogatepass"))


_KINDS: Mapping[str, Callable[[Fields], Judge]] = {
    "exact": _exact,
    "includes": _includes,
    "regex": _regex,
    "numeric": _numeric,
    "json_schema": _json_schema,
    "label": _label,
    "answered": _answered,
    "f1": f1,
    "rouge_l": rouge_l,
    "hallucination": hallucination,
}


@dataclass(frozen=True, slots=True)
class Bench:
    """The compiled scorers of a suite. Not shared between threads."""

    judges: tuple[tuple[ScorerSpec, str, Judge], ...]
    refusal: RefusalRule
    patterns: tuple[Pattern, ...]

    def score(self, row: Row, answer: Answer, key: str) -> tuple[Outcome, tuple[Score, ...]]:
        """Judge one answer: its outcome, and a score or a reason from each scorer."""
        try:
            refuses = self._refuses(answer)
        except Unscorable as reason:
            unknown = (
                Score(spec.name, score_key(key, rule), None, str(reason)) for spec, rule, _ in self.judges
            )
            return Outcome.UNSCORABLE, tuple(unknown)
        if refuses:
            value = self.refusal.score_of(row.tags)
            return Outcome.REFUSED, tuple(
                Score(spec.name, score_key(key, rule), value, "refused") for spec, rule, _ in self.judges
            )
        scores = tuple(
            self._one(spec, score_key(key, rule), judge, (answer.text, row.target))
            for spec, rule, judge in self.judges
        )
        scored = all(score.value is not None for score in scores)
        return (Outcome.SCORED if scored else Outcome.UNSCORABLE), scores

    def _refuses(self, answer: Answer) -> bool:
        if answer.refused:
            return True
        text = answer.text.casefold()
        if any(phrase.casefold() in text for phrase in self.refusal.includes):
            return True
        return any(pattern.found(answer.text) for pattern in self.patterns)

    def _one(self, spec: ScorerSpec, key: str, judge: Judge, case: tuple[str, Any]) -> Score:
        try:
            return Score(spec.name, key, judge(*case))
        except Unscorable as reason:
            return Score(spec.name, key, None, str(reason))


def compile_suite(suite: Suite) -> Bench:
    """Compile the scorers of a suite. Raises: Invalid with every mistake of every configuration."""
    mistakes = Mistakes()
    judges = []
    for number, spec in enumerate(suite.scorers):
        config = Fields(spec.config, f"scorers[{number}]", mistakes)
        judge = _KINDS[spec.kind](config)
        config.close()
        judges.append((spec, score_rule(spec, suite.refusal), judge))
    patterns = []
    for number, text in enumerate(suite.refusal.patterns):
        try:
            patterns.append(Pattern(text, ignore_case=True))
        except Invalid as error:
            mistakes.add(f"refusal.patterns[{number}]", error.message)
    mistakes.check("The suite")
    return Bench(tuple(judges), suite.refusal, tuple(patterns))
