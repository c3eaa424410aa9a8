"""Figures of two versions side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.console.monitoring import money
from assent.web.pages import count


@dataclass(frozen=True, slots=True)
class Arms:
    """A name and one value per arm in each row."""

    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def _percent(share: Any) -> str:
    return f"{100 * float(share):.1f}"


def rate_text(figures: Mapping[str, Any]) -> str:
    """Write a rate with its interval, in percent."""
    interval, rate = figures["interval"], figures["rate"]
    if rate is None:
        return "none yet"
    return f"{_percent(rate)} % [{_percent(interval['low'])}, {_percent(interval['high'])}]"


def milliseconds(quantiles: Mapping[str, Any]) -> str:
    """Write the middle and the 95th percentile of seconds as milliseconds."""
    shown = [quantiles["p50"], quantiles["p95"]]
    return " / ".join("–" if value is None else f"{1000 * float(value):.0f}" for value in shown) + " ms"  # noqa: RUF001 -- a dash for "none"


def _cost(cost: Mapping[str, Any] | None) -> str:
    return "unknown" if cost is None else money(float(cost["total"]), cost["currency"])


_SHADOW_ROWS: Sequence[tuple[str, Callable[[Mapping[str, Any]], str]]] = (
    ("Calls", lambda arm: count(arm["n_calls"])),
    ("Errors", lambda arm: rate_text(arm["errors"])),
    ("Refusals", lambda arm: rate_text(arm["refusals"])),
    ("Guardrail hits", lambda arm: rate_text(arm["guardrails"])),
    ("Latency p50 / p95", lambda arm: milliseconds(arm["latency_s"])),
    ("Tokens out", lambda arm: count(arm["tokens_out"])),
    ("Cost", lambda arm: _cost(arm["cost"])),
)


def shadow_arms(figures: Mapping[str, Any] | None, labels: tuple[str, str]) -> Arms | None:
    """Show what mirrored calls said beside the stable version; None where the plan has no shadow."""
    if figures is None:
        return None
    names = (labels[0].replace("canary", "shadow"), labels[1])
    arms = (figures["shadow"], figures["stable"])
    return Arms(names, [(name, [show(arm) for arm in arms]) for name, show in _SHADOW_ROWS])
