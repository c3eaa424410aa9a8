"""Judge passports: how far an automatic judge agrees with people, and what that makes of its counts.

A judge answers with a label; one label is the positive class. Its passport holds sensitivity, specificity,
Youden's J and Cohen's kappa with intervals, measured on a fixed half of the labelled cases. The other half
shows whether the corrected rate holds what people found. A judge whose J may be as low as MIN_YOUDEN is not
usable.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.evaluation.domain.fields import Fields, Mistakes
from assent.evaluation.domain.judge import PAIR_LABELS, Judge
from assent.evaluation.domain.proportions import Interval, share_interval
from assent.evaluation.domain.quantiles import normal_quantile
from assent.kernel.errors import Invalid

MIN_YOUDEN = 0.2
MIN_CASES = 10
"""Cases of each class in the half that calibrates; below, nothing can be said."""
MAX_CASES = 100_000
TAIL = 0.025
MAX_REPLY = 20_000
MAX_AGAIN = 20


@dataclass(frozen=True, slots=True)
class Labelled:
    """One case: what people said, and what the judge replied.

    `again` are its replies to the same question asked again, `swapped` that of a pairwise judge in the
    other order.
    """

    id: str
    human: str
    reply: str
    again: tuple[str, ...] = ()
    swapped: str | None = None

    def label(self, judge: Judge) -> str | None:
        """Read what the judge said; None: off-format."""
        if judge.pairwise:
            return judge.resolve(self.reply, self.swapped or "")
        return judge.parse(self.reply)


@dataclass(frozen=True, slots=True)
class Counts:
    """Agreement of judge and people on the positive class, and the replies that could not be read."""

    both: int
    only_human: int
    only_judge: int
    neither: int
    unscorable: int

    @property
    def n(self) -> int:
        """Cases with a judge's label."""
        return self.both + self.only_human + self.only_judge + self.neither

    @property
    def n_positive(self) -> int:
        """Cases that people called positive."""
        return self.both + self.only_human

    @property
    def n_negative(self) -> int:
        """Cases that people did not call positive."""
        return self.only_judge + self.neither


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its two-sided 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Passport:
    """What calibration found; `checked` compares the rates on the half that it did not see."""

    sensitivity: Estimate
    specificity: Estimate
    youden: Estimate
    kappa: Estimate
    table: Counts
    checked: "Checked"
    self_agreement: "Share | None" = None
    order_bias: "Share | None" = None

    @property
    def usable(self) -> bool:
        """Whether the judge is surely better than chance by MIN_YOUDEN."""
        return self.youden.interval.low > MIN_YOUDEN


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `n` cases with its interval."""

    estimate: Estimate
    n: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Rates on the other half: what people found, what the judge said, and that corrected where it may be."""

    table: Counts
    human: float
    judged: float
    corrected: Estimate | None

    @property
    def holds(self) -> bool | None:
        """Whether the corrected interval holds the human rate; None where nothing was corrected."""
        if self.corrected is None:
            return None
        return self.corrected.interval.low <= self.human <= self.corrected.interval.high


def parse_cases(raw: Sequence[Any], judge: Judge) -> list[Labelled]:
    """Read labelled cases. Raises: Invalid with every mistake."""
    mistakes = Mistakes()
    cases: list[Labelled] = []
    seen: set[str] = set()
    if len(raw) > MAX_CASES:
        raise Invalid(f"A calibration takes at most {MAX_CASES:,} cases, not {len(raw):,}.")
    for number, one in enumerate(raw, start=1):
        fields = Fields(one, f"case {number}", mistakes)
        case = _case(fields, judge)
        fields.close()
        if case.id in seen:
            fields.wrong("id", f"{case.id[:60]!r} stands twice")
        seen.add(case.id)
        cases.append(case)
    mistakes.check("The labels")
    return cases


def _case(fields: Fields, judge: Judge) -> Labelled:
    again = fields.items("again")
    if len(again) > MAX_AGAIN or not all(_is_reply(one) for one in again):
        fields.wrong("again", f"must be a list of at most {MAX_AGAIN} texts")
        again = ()
    case = Labelled(
        fields.text("id", required=True, max_length=200),
        fields.text("human", required=True, max_length=200),
        fields.take("reply", "", _is_reply, "text"),
        tuple(again),
        fields.take("swapped", None, _is_reply, "text"),
    )
    if judge.pairwise is (case.swapped is None):
        why = "is missing: what it replied in the other order" if judge.pairwise else "is for pairwise judges"
        fields.wrong("swapped", why)
    known = case.human in PAIR_LABELS if judge.pairwise else judge.parse(case.human) == case.human
    if not known:
        fields.wrong("human", f"{case.human[:60]!r} is not one of the judge's labels")
    return case


def _is_reply(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_REPLY


def calibrates(case: Labelled) -> bool:
    """Tell which half a case is in: a fixed one, by the hash of its id."""
    return hashlib.sha256(case.id.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 0


def tabulate(judge: Judge, cases: Sequence[Labelled]) -> Counts:
    """Count agreement on the positive class."""
    counts = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    unscorable = 0
    for case in cases:
        label = case.label(judge)
        if label is None:
            unscorable += 1
        else:
            counts[judge.is_positive(case.human), judge.is_positive(label)] += 1
    return Counts(
        counts[True, True], counts[True, False], counts[False, True], counts[False, False], unscorable
    )


def calibrate(judge: Judge, cases: Sequence[Labelled]) -> Passport:
    """Measure a judge on one half of the cases and check it on the other. Raises: Invalid (too few cases)."""
    table = tabulate(judge, [case for case in cases if calibrates(case)])
    other = tabulate(judge, [case for case in cases if not calibrates(case)])
    if min(table.n_positive, table.n_negative, other.n) < MIN_CASES:
        raise Invalid(
            f"The half that calibrates holds {table.n_positive} readable replies to cases that people called "
            f"{_called(judge)} and {table.n_negative} to others, the other half {other.n}; "
            f"each takes {MIN_CASES}.",
            remedy="Label more cases.",
        )
    sensitivity = share_of(table.both, table.n_positive)
    specificity = share_of(table.neither, table.n_negative)
    youden = youden_j(sensitivity, specificity)
    judged = (other.both + other.only_judge) / other.n
    corrected = rogan_gladen(judged, other.n, table) if youden.interval.low > MIN_YOUDEN else None
    return Passport(
        sensitivity,
        specificity,
        youden,
        kappa(table),
        table,
        Checked(other, other.n_positive / other.n, judged, corrected),
        agreement([[c.reply, *c.again] for c in cases if c.again], judge),
        order_bias([(c.reply, c.swapped) for c in cases if c.swapped is not None], judge),
    )


def _called(judge: Judge) -> str:
    return " or ".join(map(repr, judge.positive)) if judge.bounds is None else f"{judge.at_least:g} or more"


def agreement(asked: Iterable[Sequence[str]], judge: Judge) -> Share | None:
    """Give the share of questions to which a judge replied the same each time; None: none was asked twice.

    A reply that is off-format agrees with nothing.
    """
    read = [[judge.parse(reply) for reply in replies] for replies in asked if len(replies) > 1]
    same = sum(one[0] is not None and len(set(one)) == 1 for one in read)
    return Share(share_of(same, len(read)), len(read)) if read else None


def order_bias(asked: Iterable[tuple[str, str]], judge: Judge) -> Share | None:
    """Give the share of pairs in which what a judge prefers is a place, not a text; None: no pair."""
    read = [(judge.parse(one), judge.parse(other)) for one, other in asked]
    pairs = [pair for pair in read if None not in pair]
    followed = sum(pair in {("first", "first"), ("second", "second")} for pair in pairs)
    return Share(share_of(followed, len(pairs)), len(pairs)) if pairs else None


def share_of(k: int, n: int) -> Estimate:
    """Estimate a share of cases."""
    return Estimate(k / n, share_interval(k, n, TAIL))


def youden_j(sensitivity: Estimate, specificity: Estimate) -> Estimate:
    """Give J = sensitivity + specificity - 1 with the interval of two independent shares.

    Source: Newcombe 1998, Statistics in Medicine 17, pp. 873-890, method 10.
    """
    j = sensitivity.value + specificity.value - 1
    low = math.hypot(*(one.value - one.interval.low for one in (sensitivity, specificity)))
    high = math.hypot(*(one.interval.high - one.value for one in (sensitivity, specificity)))
    return Estimate(j, Interval(max(-1.0, j - low), min(1.0, j + high)))


def kappa(table: Counts) -> Estimate:
    """Give Cohen's kappa with its large-sample interval. Source: Fleiss, Cohen, Everitt 1969, eq. 13."""
    n = table.n
    cells = ((table.both / n, table.only_human / n), (table.only_judge / n, table.neither / n))
    rows = [sum(cell) for cell in cells]
    columns = [cells[0][i] + cells[1][i] for i in (0, 1)]
    seen = cells[0][0] + cells[1][1]
    chance = sum(row * column for row, column in zip(rows, columns, strict=True))
    value = (seen - chance) / (1 - chance)
    on = sum(cells[i][i] * (1 - (rows[i] + columns[i]) * (1 - value)) ** 2 for i in (0, 1))
    off = (1 - value) ** 2 * (
        cells[0][1] * (columns[0] + rows[1]) ** 2 + cells[1][0] * (columns[1] + rows[0]) ** 2
    )
    variance = (on + off - (value - chance * (1 - value)) ** 2) / (n * (1 - chance) ** 2)
    half = -normal_quantile(TAIL) * math.sqrt(max(0.0, variance))
    return Estimate(value, Interval(max(-1.0, value - half), min(1.0, value + half)))


def rogan_gladen(judged: float, n: int, table: Counts) -> Estimate:
    """Correct a judge's rate for its errors; the errors' own uncertainty is in the interval.

    Source: Rogan, Gladen 1978, Am J Epidemiology 107, p. 71; interval of Lang, Reiczigel 2014, Preventive
    Veterinary Medicine 113, pp. 13-22, which allows for sensitivity and specificity being estimates.
    """
    z2 = normal_quantile(TAIL) ** 2
    sensitivity, specificity = table.both / table.n_positive, table.neither / table.n_negative
    value = (judged + specificity - 1) / (sensitivity + specificity - 1)
    seen, n_seen = (n * judged + z2 / 2) / (n + z2), n + z2
    sens, n_sens = (table.both + 1) / (table.n_positive + 2), table.n_positive + 2
    spec, n_spec = (table.neither + 1) / (table.n_negative + 2), table.n_negative + 2
    j = sens + spec - 1
    centre = (seen + spec - 1) / j
    sens_part, spec_part = sens * (1 - sens) / n_sens, spec * (1 - spec) / n_spec
    shift = 2 * z2 * (centre * sens_part - (1 - centre) * spec_part)
    variance = seen * (1 - seen) / n_seen + centre**2 * sens_part + (1 - centre) ** 2 * spec_part
    half = math.sqrt(z2 * variance) / j
    low, high = (min(1.0, max(0.0, centre + shift + sign * half)) for sign in (-1, 1))
    return Estimate(min(1.0, max(0.0, value)), Interval(low, high))


def to_document(passport: Passport) -> dict[str, Any]:
    """Write a passport for the wire and the leaf: figures as decimal text, counts as numbers."""
    checked = passport.checked
    return {
        "usable": passport.usable,
        **{
            name: written(getattr(passport, name))
            for name in ("sensitivity", "specificity", "youden", "kappa")
        },
        "table": _counted(passport.table),
        "checked": {
            "table": _counted(checked.table),
            "human": format(checked.human, ".9g"),
            "judged": format(checked.judged, ".9g"),
            "corrected": None if checked.corrected is None else written(checked.corrected),
            "holds": checked.holds,
        },
        "self_agreement": shared(passport.self_agreement),
        "order_bias": shared(passport.order_bias),
    }


def shared(found: Share | None) -> dict[str, Any] | None:
    """Write a share with its interval and its cases."""
    return None if found is None else {**written(found.estimate), "n": found.n}


def written(estimate: Estimate) -> dict[str, str]:
    """Write an estimate as decimal text."""
    return {
        "value": format(estimate.value, ".9g"),
        "low": format(estimate.interval.low, ".9g"),
        "high": format(estimate.interval.high, ".9g"),
    }


def table_of(document: Mapping[str, int]) -> Counts:
    """Read a table as it was written."""
    return Counts(**document)


def _counted(table: Counts) -> dict[str, int]:
    return {slot: getattr(table, slot) for slot in Counts.__slots__}
