"""How far people agree who sorted the same answers, and what they say together."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from assent.evaluation.domain.passport import TAIL, Estimate
from assent.evaluation.domain.proportions import Interval
from assent.evaluation.domain.quantiles import normal_quantile


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two people on the answers that both labelled; `kappa` None: one label was all that they used."""

    first: str
    second: str
    n: int
    n_agreed: int
    kappa: Estimate | None


def agreements(given: Mapping[str, Mapping[str, str]]) -> list[Agreement]:
    """Compare each two people, by id; `given` holds each person's labels by answer."""
    found = []
    for first, second in combinations(sorted(given), 2):
        both = sorted(given[first].keys() & given[second].keys())
        if both:
            pairs = [(given[first][key], given[second][key]) for key in both]
            found.append(Agreement(first, second, len(both), sum(a == b for a, b in pairs), cohen(pairs)))
    return found


def cohen(pairs: Sequence[tuple[str, str]]) -> Estimate | None:
    """Give Cohen's kappa over any number of labels, with its large-sample interval.

    Source: Fleiss, Cohen, Everitt 1969, Psychological Bulletin 72, eq. 13.
    """
    n = len(pairs)
    table = Counter(pairs)
    rows, columns = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    labels = rows.keys() | columns.keys()
    seen = sum(table[one, one] for one in labels) / n
    chance = sum(rows[one] * columns[one] for one in labels) / n**2
    if chance >= 1:
        return None
    value = (seen - chance) / (1 - chance)
    on = sum(table[a, a] / n * (1 - (rows[a] + columns[a]) / n * (1 - value)) ** 2 for a in labels)
    off = sum(k / n * ((columns[a] + rows[b]) / n) ** 2 for (a, b), k in table.items() if a != b)
    off *= (1 - value) ** 2
    variance = (on + off - (value - chance * (1 - value)) ** 2) / (n * (1 - chance) ** 2)
    half = -normal_quantile(TAIL) * math.sqrt(max(0.0, variance))
    return Estimate(value, Interval(max(-1.0, value - half), min(1.0, value + half)))


def consensus(given: Mapping[str, Mapping[str, str]]) -> dict[str, str | None]:
    """Give each answer's label by most people; None where no label has more voices than every other."""
    voices: dict[str, Counter[str]] = defaultdict(Counter)
    for labels in given.values():
        for answer, label in labels.items():
            voices[answer][label] += 1
    return {answer: _most(counted) for answer, counted in voices.items()}


def _most(counted: Counter[str]) -> str | None:
    ranked = counted.most_common(2)
    return None if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def order_for(person: str, answers: Iterable[str]) -> list[str]:
    """Give each person an order of their own: who tires at the end does so at other answers than others."""
    return sorted(answers, key=lambda answer: hashlib.sha256(f"{person}\n{answer}".encode()).digest())


def sample(answers: Iterable[str], n: int) -> list[str]:
    """Give n answers, the same for everybody: by their keys, which are hashes."""
    return sorted(answers)[:n]
