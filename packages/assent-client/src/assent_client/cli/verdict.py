"""How a verdict is printed: what it is, its guards, an A/B test's differences and slices, what is missing."""

from __future__ import annotations

from typing import Any

from assent_client.cli.output import Column, emit, note

__all__ = ["print_slices", "print_verdict"]

SUMMARY = [
    Column("verdict"),
    Column("state"),
    Column("share"),
    Column("guard", "leading guard"),
    Column("e_value", "evidence of harm"),
    Column("threshold", "rolls back at"),
    Column("n_canary_units", "canary units"),
    Column("n_stable_units", "stable units"),
    Column("slo_kept", "objectives kept"),
    Column("unknown", "not computed"),
]


def _number(value: Any) -> str:
    return "-" if value is None else f"{float(value):.5g}"


def _interval(bounds: Any) -> str:
    return " … ".join(_number(bound) for bound in bounds)


GUARDS = [
    Column("metric", "guard"),
    Column("canary_rate", "canary", right=True, show=_number),
    Column("canary_interval", "interval", show=_interval),
    Column("stable_rate", "stable", right=True, show=_number),
    Column("stable_interval", "interval", show=_interval),
    Column("e_value", "evidence", right=True, show=_number),
    Column("weight", right=True, show=_number),
]
SHADOW = [
    Column("arm"),
    Column("n_calls", "calls", right=True),
    Column("errors", right=True, show=lambda rate: _number(rate["rate"])),
    Column("refusals", right=True, show=lambda rate: _number(rate["rate"])),
    Column("guardrails", right=True, show=lambda rate: _number(rate["rate"])),
    Column("latency_s", "p95 s", right=True, show=lambda found: _number(found["p95"])),
    Column("cost", right=True, show=lambda cost: "-" if cost is None else _number(cost["total"])),
]
METRICS = [
    Column("metric"),
    Column("canary", right=True, show=_number),
    Column("stable", right=True, show=_number),
    Column("estimate", "difference", right=True, show=_number),
    Column("low", "from", right=True, show=_number),
    Column("high", "to", right=True, show=_number),
    Column("n_canary", "canary units", right=True),
    Column("n_stable", "stable units", right=True),
    Column("waits_for", "waits for"),
]
LACKING = [Column("message", "lacks"), Column("have"), Column("need"), Column("remedy", "to do")]


def print_verdict(found: Any) -> None:
    """Print a verdict for people."""
    emit({key: value for key, value in found.items() if key not in {"figures", "lacking"}}, SUMMARY)
    figures = found["figures"]
    if figures.get("guards"):
        emit(figures["guards"], GUARDS, title="Guards")
    if shadow := figures.get("shadow"):
        emit([{"arm": arm, **one} for arm, one in shadow.items()], SHADOW, title="Shadow: mirrored calls")
    if experiment := figures.get("experiment"):
        exposure = experiment["exposure"]
        units = ", ".join(
            f"{arm} {n} of {_number(exposure['expected'][arm])}" for arm, n in exposure["counts"].items()
        )
        told = f"A/B test: {experiment['verdict'].replace('_', ' ')}, {experiment['because']}"
        emit(experiment["metrics"], METRICS, title=told)
        emit({"units": units, "as planned": exposure["ok"], "planned looks": experiment["looks"]})
    if found["lacking"]:
        emit(found["lacking"], LACKING)


def print_slices(found: Any) -> None:
    """Print an A/B test by slices for people."""
    for one in found["dimensions"]:
        rows = [{"slice": part["title"], **its} for part in one["slices"] for its in part["metrics"]]
        emit(rows, [Column("slice"), *METRICS], title=f"By {one['dimension']}", empty="No units yet.")
        for part in one["slices"]:
            if not part["exposure"]["ok"]:
                note(f"{part['title']}: its units did not fall as planned, its arms cannot be compared.")
    note(
        f"Exploratory: a slice decides nothing. At most {found['n_comparisons']} intervals are shown; "
        f"all of them hold together at {1 - found['alpha']:g}."
    )
