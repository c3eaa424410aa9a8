"""What mirrored calls say of a version before anybody gets it, beside the stable one in the same time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from assent.delivery import service as delivery
from assent.delivery.domain import EXPOSED, Judgement, Rollout, exact
from assent.kernel.tx import Reader
from assent.monitoring.domain.figures import merge
from assent.monitoring.service import report
from assent.monitoring.service.prices import price_of
from assent.monitoring.service.sums import SLOT_S
from assent_client.observe import SHADOW

_SHOWN: Final = ("n_calls", "errors", "refusals", "guardrails", "latency_s", "tokens_out", "cost")


def with_shadow(reader: Reader, rollout: Rollout, judgement: Judgement) -> Judgement:
    """Add the figures of the shadow step: as they are while it runs, and as they were when it ended."""
    if rollout.step < 0 or not rollout.plan.steps[0].shadow:
        return judgement
    if rollout.step > 0 or rollout.state not in EXPOSED:
        before = delivery.latest_judgement(reader, rollout.id)
        figures, n_shadow = before.figures.get("shadow"), before.n_shadow
    else:
        figures, n_shadow = _figures(reader, rollout)
    return replace(judgement, n_shadow=n_shadow, figures={**judgement.figures, "shadow": figures})


def _figures(reader: Reader, rollout: Rollout) -> tuple[Any, int]:
    start = rollout.step_started_at or reader.now()
    period = report.Period(start, reader.now() + timedelta(seconds=SLOT_S))
    where = {"environment": rollout.environment, "route": rollout.name}
    found = report.tallies(reader, rollout.project, period, where)
    arms: Mapping[str, tuple[str, Any]] = {
        "shadow": (rollout.subject, [tally for key, tally in found if key.variant == SHADOW]),
        "stable": (rollout.stable or "", [tally for key, tally in found if key.variant != SHADOW]),
    }
    shown = {}
    for arm, (version, tallies) in arms.items():
        figures = report.figures(merge(tallies), price_of(reader, rollout.project, version))
        shown[arm] = {name: figures[name] for name in _SHOWN}
    return exact(shown), shown["shadow"]["n_calls"]
