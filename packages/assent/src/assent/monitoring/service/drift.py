"""Drift of what is live: the present window beside a reference window of the same length."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from assent.kernel.tx import Reader
from assent.monitoring.domain import drift as rules
from assent.monitoring.domain.drift import Shift
from assent.monitoring.domain.figures import merge
from assent.monitoring.domain.kinds import Kind
from assent.monitoring.service import report
from assent.monitoring.service.report import Period

WINDOW_S = 86_400
BACK_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared, and how it came out."""

    reference: Period
    present: Period
    shifts: list[Shift]

    @property
    def drifted(self) -> list[Shift]:
        """Give what drifted."""
        return [one for one in self.shifts if one.drifted]


def compare(
    reader: Reader, project: str, where: Mapping[str, str], window_s: int = WINDOW_S, back_s: int = BACK_S
) -> Compared:
    """Compare the last `window_s` seconds with as many, `back_s` seconds earlier, kind by kind."""
    present = report.last(reader, window_s)
    back = timedelta(seconds=max(back_s, window_s))
    reference = Period(present.start - back, present.end - back)
    then, now = (
        merge(one for _, one in report.live(report.tallies(reader, project, period, where)))
        for period in (reference, present)
    )
    shifts = [
        rules.compare(kind, then.histograms.get(kind, {}), now.histograms.get(kind, {})) for kind in Kind
    ]
    return Compared(reference, present, rules.correct([one for one in shifts if one.n_present]))


def document(compared: Compared) -> dict[str, Any]:
    """Write what was compared."""
    return {
        "reference": {"from_at": compared.reference.start, "to_at": compared.reference.end},
        "present": {"from_at": compared.present.start, "to_at": compared.present.end},
        "n_comparisons": sum(one.p is not None for one in compared.shifts),
        "alpha": rules.ALPHA,
        "psi_limit": rules.PSI_LIMIT,
        "drifted": [one.kind.name.lower() for one in compared.drifted],
        "shifts": [
            {
                "kind": one.kind.name.lower(),
                "n_reference": one.n_reference,
                "n_present": one.n_present,
                "psi": one.psi,
                "test": one.test,
                "statistic": one.statistic,
                "p": one.p,
                "drifted": one.drifted,
            }
            for one in compared.shifts
        ],
    }
