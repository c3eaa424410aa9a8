"""Drift of what is live: the present window beside an earlier one, or beside the version's evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from assent.delivery import service as delivery
from assent.evaluation.service import Run
from assent.kernel.tx import Reader
from assent.monitoring.domain import drift as rules
from assent.monitoring.domain.drift import Shift
from assent.monitoring.domain.figures import merge
from assent.monitoring.domain.kinds import Kind
from assent.monitoring.service import baseline, report
from assent.monitoring.service.report import Period

WINDOW_S = 86_400
BACK_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared, and how it came out; the reference is a window before, or a run."""

    present: Period
    shifts: list[Shift]
    before: Period | None = None
    run: Run | None = None

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
    return Compared(present, rules.correct([one for one in shifts if one.n_present]), before=reference)


def compare_with_run(
    reader: Reader, place: delivery.Place, suite: str, window_s: int = WINDOW_S
) -> Compared | None:
    """Compare what the live version was asked and answered within a window with a run that it passed.

    None where it passed no run of the suite. Raises: NotFound (nothing is live under this name).
    """
    version = delivery.get_route(reader, place).stable
    known = baseline.find(reader, place.project, version, suite)
    if known is None:
        return None
    present = report.last(reader, window_s)
    where = {"environment": place.environment, "route": place.name, "version": version}
    now = merge(one for _, one in report.tallies(reader, place.project, present, where))
    shifts = [
        rules.compare(kind, reference, now.histograms.get(kind, {}))
        for kind, reference in known.histograms.items()
    ]
    return Compared(present, rules.correct(shifts), run=known.run)


def _reference(compared: Compared) -> dict[str, Any]:
    run, before = compared.run, compared.before
    return {
        "from_at": None if before is None else before.start,
        "to_at": None if before is None else before.end,
        "run": None if run is None else run.id,
        "suite": None if run is None else run.suite_ref,
    }


def document(compared: Compared) -> dict[str, Any]:
    """Write what was compared."""
    return {
        "reference": _reference(compared),
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
