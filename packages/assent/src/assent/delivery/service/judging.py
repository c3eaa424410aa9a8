"""The newest judgement of a rollout, as it is kept between looks."""

from __future__ import annotations

from typing import Any

from assent.delivery import store
from assent.delivery.domain import NO_JUDGEMENT, Judgement, Verdict, exact
from assent.kernel.tx import Reader, Tx


def keep_judgement(tx: Tx, rollout: str, judgement: Judgement) -> None:
    """Keep a judgement as the newest."""
    store.put_judgement(tx.conn, rollout, tx.now(), _wire(judgement))


def latest_judgement(reader: Reader, rollout: str) -> Judgement:
    """Give the newest judgement; inconclusive and empty where none was made."""
    found = store.find_judgement(reader.conn, rollout)
    if found is None:
        return NO_JUDGEMENT
    wire = found[1]
    return Judgement(
        verdict=Verdict(wire["verdict"]),
        guard=wire["guard"],
        e_value=float(wire["e_value"]),
        n_canary_units=wire["n_canary_units"],
        n_stable_units=wire["n_stable_units"],
        n_detecting=wire.get("n_detecting"),
        n_shadow=wire.get("n_shadow", 0),
        broken=tuple(wire.get("broken", ())),
        unknown=tuple(wire["unknown"]),
        figures=wire["figures"],
    )


def _wire(judgement: Judgement) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict.value,
        "guard": judgement.guard,
        "e_value": repr(judgement.e_value),
        "n_canary_units": judgement.n_canary_units,
        "n_stable_units": judgement.n_stable_units,
        "n_detecting": judgement.n_detecting,
        "n_shadow": judgement.n_shadow,
        "broken": list(judgement.broken),
        "unknown": list(judgement.unknown),
        "figures": exact(dict(judgement.figures)),
    }
