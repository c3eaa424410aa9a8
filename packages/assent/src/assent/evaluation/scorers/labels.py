"""Scorers by what people or the dataset said of a case."""

from collections.abc import Mapping
from typing import Any

from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, Unscorable
from assent.kernel.canonical import digest_bytes


def label(config: Fields) -> Scorer:
    """Look the answer up among those that people labelled: target {"labels": {"sha256:…": "refusal"}}."""
    scores: Mapping[str, float] = config.take(
        "scores",
        {},
        lambda v: isinstance(v, Mapping) and len(v) > 0 and all(_is_share(one) for one in v.values()),
        "a mapping of labels to scores from 0 to 1",
    )
    if not scores:
        config.wrong("scores", "is missing: which score has each label?")

    def score(case: Case) -> float:
        target = case.target
        labels = target.get("labels") if isinstance(target, Mapping) else None
        named = labels.get(text_digest(case.answer)) if isinstance(labels, Mapping) else None
        if named is None:
            raise Unscorable("nobody labelled this answer")
        if not isinstance(named, str) or named not in scores:
            raise Unscorable(f"the suite gives no score for the label {named!r}")
        return float(scores[named])

    return score


def answered(_config: Fields) -> Scorer:
    """Score an answer that is no refusal: 1 where the target is "answer", 0 where it is "refuse"."""

    def score(case: Case) -> float:
        if case.target not in ("answer", "refuse"):
            raise Unscorable('the target must be "answer" or "refuse"')
        return float(case.target == "answer")

    return score


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def text_digest(answer: str) -> str:
    """Give the digest under which a recorded label names an answer."""
    return digest_bytes(answer.encode("utf-8", "surrogatepass"))
