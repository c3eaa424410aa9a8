"""Suite versions: what is asked, how answers are scored, and the gate fixed beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from assent.evaluation.domain.fields import Fields, Mistakes
from assent.evaluation.domain.gate import Direction, Gate, Rule
from assent.kernel.canonical import digest, is_digest

Kind = Literal["benchmark", "safety", "regression"]
KINDS = ("benchmark", "safety", "regression")
GRADED = ("f1", "rouge_l", "hallucination")
"""Kinds of scorers whose scores lie between 0 and 1."""
JUDGE = "judge"
PROGRAMS = ("choice", "tool_call", "instruction", "leak", "secrets", "pii")
SCORER_KINDS = (
    "exact", "includes", "regex", "numeric", "json_schema", "label", "answered", *GRADED, *PROGRAMS, JUDGE,
)  # fmt: skip
LIMITS = {Rule.NON_INFERIOR: "margin", Rule.THRESHOLD: "threshold", Rule.MAX_GAP: "max_gap"}
"""The field of a gate that holds the limit of its rule."""
TAKES = {
    Rule.NON_INFERIOR: "a margin and no threshold",
    Rule.THRESHOLD: "a threshold and no margin",
    Rule.SUPERIOR: "neither margin nor threshold",
    Rule.MAX_GAP: "max_gap and neither margin nor threshold",
}
REFUSED = "refused"
"""The metric that every suite has: the share of answers that are refusals."""


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """One scorer of a suite, by kind and configuration."""

    name: str
    kind: str
    config: Mapping[str, Any]

    @property
    def binary(self) -> bool:
        """Whether each score is 0 or 1 by construction."""
        if self.kind == "label":
            return all(value in {0, 1} for value in self.config.get("scores", {}).values())
        if self.kind == JUDGE:
            judge = self.config.get("judge") or {}
            return "labels" in judge.get("parser", {})
        if self.kind == "instruction":
            return self.config.get("strict") is True
        return self.kind not in GRADED


@dataclass(frozen=True, slots=True)
class RefusalRule:
    """What counts as a refusal, and what score a refusal gets: 0, unless a tag of the case says otherwise."""

    includes: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    score: float = 0.0
    by_tag: Mapping[str, float] = field(default_factory=dict)

    def score_of(self, tags: tuple[str, ...]) -> float:
        """Give a refusal's score for a case with these tags: the lowest of those that its tags name."""
        return min((value for tag, value in self.by_tag.items() if tag in tags), default=self.score)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run; a budget of 0 means none. `money` is in `currency`, for both sides together."""

    in_flight: int
    timeout_s: float
    answer_bytes: int
    attempts: int
    requests: int
    tokens: int
    seconds: int
    money: float = 0.0
    currency: str = "USD"

    def to_document(self) -> dict[str, Any]:
        """Write them; a budget in money only where there is one, so that other suites keep their digests."""
        written = {slot: getattr(self, slot) for slot in self.__slots__}
        return written if self.money else {k: v for k, v in written.items() if k not in {"money", "currency"}}


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite version; `document` is its canonical form with every default written out."""

    kind: str
    dataset: str
    solver: Mapping[str, Any]
    scorers: tuple[ScorerSpec, ...]
    repeats: int
    cluster: str | None
    coverage: float
    refusal: RefusalRule
    gate: Gate
    limits: Limits
    reuse_days: int
    document: Mapping[str, Any]
    groups: str | None = None
    """The field of a row's metadata that names the group it speaks of."""

    def is_binary(self, metric: str) -> bool:
        """Whether the metric is 0 or 1 for each answer."""
        return metric == REFUSED or next(s.binary for s in self.scorers if s.name == metric)


def parse_suite(raw: Any, *, project: str, name: str) -> Suite:
    """Read a suite as people write it, its dataset already a digest. Raises: Invalid with every mistake."""
    mistakes = Mistakes()
    fields = Fields(raw, "", mistakes)
    kind = fields.one_of("kind", "benchmark", KINDS)
    if "dataset" not in fields:
        fields.wrong("dataset", "is missing", "Name a registered dataset: `name@1.0.0`.")
    dataset = fields.take("dataset", "", is_digest, "the digest of a registered dataset")
    solver = _solver(fields, mistakes)
    scorers = _scorers(fields, mistakes)
    refusal = _refusal(fields, mistakes)
    gate = _gate(fields, mistakes, {s.name for s in scorers} | {REFUSED})
    limits = _limits(fields, mistakes)
    parts: dict[str, Any] = {
        "kind": kind,
        "dataset": dataset,
        "solver": solver,
        "repeats": fields.whole("repeats", 1, 1, 100),
        "cluster": None if fields.raw("cluster") is None else fields.text("cluster", max_length=100),
        "coverage": fields.number("coverage", 0.95, 0.5, 1.0),
        "reuse_days": fields.whole("reuse_days", 30, 0, 3650),
    }
    groups = None if fields.raw("groups") is None else fields.text("groups", max_length=100)
    if gate.rule is Rule.MAX_GAP and groups is None:
        fields.wrong("groups", "is missing", "Name the field of the metadata that holds the group: group.")
    fields.close()
    mistakes.check(f"The suite {name!r}")
    document = {
        "project": project,
        "name": name,
        **parts,
        "kind": "suite",
        "purpose": kind,
        "scorers": [{"name": s.name, "kind": s.kind, **s.config} for s in scorers],
        "refusal": {
            "includes": list(refusal.includes),
            "patterns": list(refusal.patterns),
            "score": refusal.score,
            "by_tag": dict(refusal.by_tag),
        },
        "gate": gate_document(gate),
        "limits": limits.to_document(),
        **({"groups": groups} if groups is not None else {}),
    }
    return Suite(
        scorers=tuple(scorers),
        refusal=refusal,
        gate=gate,
        limits=limits,
        document=document,
        groups=groups,
        **parts,
    )


def from_document(document: Mapping[str, Any]) -> Suite:
    """Read the stored form back."""
    raw = {key: value for key, value in document.items() if key not in {"project", "name", "purpose"}}
    raw["kind"] = document["purpose"]
    return parse_suite(raw, project=document["project"], name=document["name"])


def gate_document(gate: Gate) -> dict[str, Any]:
    """Write a gate with the field its rule uses."""
    limit = {} if gate.rule is Rule.SUPERIOR else {LIMITS[gate.rule]: gate.limit}
    return {
        "metric": gate.metric,
        "rule": gate.rule.value,
        "direction": gate.direction.value,
        "alpha": gate.alpha,
        "baseline": gate.baseline,
        **({"early": True} if gate.early else {}),
        **limit,
    }


def _solver(fields: Fields, mistakes: Mistakes) -> dict[str, Any]:
    solver = Fields(fields.raw("solver", {"kind": "subject"}), "solver", mistakes)
    kind = solver.one_of("kind", "subject", ("subject",))
    solver.close()
    return {"kind": kind}


def _scorers(fields: Fields, mistakes: Mistakes) -> list[ScorerSpec]:
    raw = fields.items("scorers")
    if not 1 <= len(raw) <= 20:  # noqa: PLR2004 -- said in the message
        fields.wrong("scorers", "must be a list of 1 to 20 scorers")
        return []
    found: list[ScorerSpec] = []
    for number, one in enumerate(raw):
        scorer = Fields(one, f"scorers[{number}]", mistakes)
        kind = scorer.one_of("kind", "", SCORER_KINDS)
        if not kind and "kind" not in scorer:
            scorer.wrong("kind", "is missing", "Use one of " + ", ".join(SCORER_KINDS) + ".")
        name = scorer.text("name", kind or "scorer", max_length=100)
        if name == REFUSED or name in {s.name for s in found}:
            scorer.wrong("name", f"{name!r} is taken", "Give each scorer a name of its own.")
        config = {
            k: v
            for k, v in dict(one if isinstance(one, Mapping) else {}).items()
            if k not in {"kind", "name"}
        }
        found.append(ScorerSpec(name, kind, config))
    return found


def _refusal(fields: Fields, mistakes: Mistakes) -> RefusalRule:
    rule = Fields(fields.raw("refusal", {}), "refusal", mistakes)
    includes, patterns = rule.items("includes"), rule.items("patterns")
    for name, words in (("includes", includes), ("patterns", patterns)):
        if not all(isinstance(word, str) and 0 < len(word) <= 1000 for word in words):  # noqa: PLR2004 -- in the message
            rule.wrong(name, "must be a list of texts of 1 to 1,000 characters")
    by_tag: Mapping[str, float] = rule.take(
        "by_tag",
        {},
        lambda v: isinstance(v, Mapping) and all(_is_score(score) for score in v.values()),
        "a mapping of tags to scores from 0 to 1",
    )
    score = rule.number("score", 0.0, 0.0, 1.0)
    rule.close()
    return RefusalRule(tuple(includes), tuple(patterns), score, dict(by_tag))


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _gate(fields: Fields, mistakes: Mistakes, metrics: set[str]) -> Gate:
    if "gate" not in fields:
        fields.wrong("gate", "is missing", "State metric, direction and margin or threshold before the run.")
        return Gate("", Rule.THRESHOLD, Direction.HIGHER, 0.0, 0.05, "none")
    gate = Fields(fields.raw("gate"), "gate", mistakes)
    metric = gate.text("metric", required=True, max_length=100)
    if metric and metric not in metrics:
        gate.wrong(
            "metric",
            f"{metric!r} is not a scorer of this suite",
            "One of " + ", ".join(sorted(metrics)) + ".",
        )
    stated = [rule for rule, name in LIMITS.items() if name in gate]
    default = stated[0] if stated else Rule.NON_INFERIOR
    rule = Rule(gate.one_of("rule", default, [r.value for r in Rule]))
    limits = {one: gate.number(name, 0.0, 0.0, 1.0) for one, name in LIMITS.items()}
    limit = limits.get(rule, 0.0)
    if stated != [one for one in LIMITS if one is rule]:
        gate.wrong("rule", f"{rule} takes {TAKES[rule]}")
    if rule in {Rule.NON_INFERIOR, Rule.MAX_GAP} and stated and limit == 0.0:
        gate.wrong(
            LIMITS[rule],
            "must be above 0: no data could show that there is no difference at all",
            "Say how much is harmless.",
        )
    compares = rule in {Rule.NON_INFERIOR, Rule.SUPERIOR}
    baseline = gate.text("baseline", "live" if compares else "none", max_length=300)
    if (baseline != "none") is not compares:
        gate.wrong("baseline", "must be none for a threshold or gap, and live or NAME@VERSION otherwise")
    direction = Direction(gate.one_of("direction", "higher", [d.value for d in Direction]))
    alpha = gate.number("alpha", 0.05, 1e-6, 0.25)
    early = gate.flag("early", default=False)
    if early and (fields.raw("cluster") is not None or rule is Rule.MAX_GAP):
        gate.wrong("early", "needs cases that are independent", "Leave out `cluster`, or decide at the end.")
    gate.close()
    return Gate(metric, rule, direction, limit, alpha, baseline, early)


def _is_currency(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isascii() and value.isupper()  # noqa: PLR2004 -- ISO 4217


def _limits(fields: Fields, mistakes: Mistakes) -> Limits:
    limits = Fields(fields.raw("limits", {}), "limits", mistakes)
    found = Limits(
        in_flight=limits.whole("in_flight", 50, 1, 1000),
        timeout_s=limits.number("timeout_s", 120.0, 0.05, 3600.0),
        answer_bytes=limits.whole("answer_bytes", 65_536, 100, 1_000_000),
        attempts=limits.whole("attempts", 6, 1, 20),
        requests=limits.whole("requests", 0, 0, 10_000_000),
        tokens=limits.whole("tokens", 0, 0, 10**12),
        seconds=limits.whole("seconds", 0, 0, 7 * 86_400),
        money=limits.number("money", 0.0, 0.0, 1e9),
        currency=limits.take("currency", "USD", _is_currency, "three capital letters"),
    )
    limits.close()
    return found


def suite_digest(suite: Suite) -> str:
    """Give the digest of a suite version."""
    return digest(suite.document)
