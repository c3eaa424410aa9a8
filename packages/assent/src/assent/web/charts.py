"""Charts as SVG, drawn here: positions are percentages, so that text keeps its size at every width.

Colours come from classes of the style sheet. Every chart has a text that says the same in words.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from assent.web.status import Tone

PAD_SHARE = 0.08
N_TICKS = 5
# Nearer than this to a side, as a share of the width, a text begins or ends at its mark.
EDGE = 0.2
# The picture of an e-value series ends here; the figure beside it does not.
LOWEST_E = 1e-3
HIGHEST_E = 1e6


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; an open side is None. `shown` is the figure as text."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    shown: str
    tone: Tone = Tone.QUIET


@dataclass(frozen=True, slots=True)
class Limit:
    """A value to compare with, such as a margin."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to percentages of the width."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """Place a value, held within the picture."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(max(share, 0.0), 1.0):.2f}%"


def number(value: float) -> str:
    """Write a number for an axis: short, without a trailing zero."""
    text = f"{value:.4g}"
    return "0" if text in {"-0", "0"} else text.replace("-", "\N{MINUS SIGN}")


def scale_over(values: Sequence[float]) -> Scale:
    """Make a scale that holds all values with room at both ends."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = (high - low) * PAD_SHARE or abs(high) * PAD_SHARE or 1.0
    return Scale(low - room, high + room)


def ticks(scale: Scale) -> list[float]:
    """Choose round values for an axis: steps of 1, 2 or 5 times a power of ten."""
    raw = (scale.high - scale.low) / N_TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(scale.low / step)
    return [step * i for i in range(first, math.floor(scale.high / step) + 1)]


def _line(x1: str, x2: str, y1: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" class="{}"/>').format(x1, x2, y1, y2, kind)


def _svg(kind: str, height: int, text: str, *parts: Markup) -> Markup:
    return Markup(
        '<svg class="chart {}" width="100%" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(kind, height, text, Markup().join(parts))


def _interval(estimate: Estimate, scale: Scale, limits: Sequence[Limit]) -> Markup:
    low = scale.low if estimate.low is None else estimate.low
    high = scale.high if estimate.high is None else estimate.high
    parts = [_line(scale.at(limit.value), scale.at(limit.value), 0, 28, "limit") for limit in limits]
    parts.append(_line(scale.at(low), scale.at(high), 14, 14, f"range {estimate.tone}"))
    ends = [end for end in (estimate.low, estimate.high) if end is not None]
    parts += [_line(scale.at(end), scale.at(end), 8, 20, f"range {estimate.tone}") for end in ends]
    if estimate.value is not None:
        dot = Markup('<circle cx="{}" cy="14" r="5" class="point {}"/>')
        parts.append(dot.format(scale.at(estimate.value), estimate.tone))
    return _svg("interval", 28, f"{estimate.label}: {estimate.shown}", *parts)


def _side(scale: Scale, value: float) -> str:
    """Say from where a text at a value is written, so that it stays within the picture."""
    share = (value - scale.low) / (scale.high - scale.low)
    return "start" if share < EDGE else "end" if share > 1 - EDGE else "middle"


def _axis(scale: Scale, limits: Sequence[Limit], name: Callable[[float], str]) -> Markup:
    marks = [
        Markup('<text x="{}" y="12" class="tick">{}</text>').format(scale.at(value), name(value))
        for value in ticks(scale)
    ]
    names = [
        Markup('<text x="{}" y="{}" class="tick {} limit-name">{}</text>').format(
            scale.at(limit.value), 28 + 15 * i, _side(scale, limit.value), limit.label
        )
        for i, limit in enumerate(limits)
    ]
    return Markup('<svg class="chart axis" width="100%" height="{}" aria-hidden="true">{}{}</svg>').format(
        16 + 15 * len(limits), Markup().join(marks), Markup().join(names)
    )


def intervals(
    title: str,
    estimates: Sequence[Estimate],
    limits: Sequence[Limit] = (),
    name: Callable[[float], str] = number,
) -> Markup:
    """Draw estimates under each other on one scale, each with its interval, and the limits across all.

    `name` writes a value on the axis in the unit of the figures.
    """
    ends = [end for e in estimates for end in (e.value, e.low, e.high) if end is not None]
    scale = scale_over([*ends, *(limit.value for limit in limits)])
    row = Markup('<li><span class="name">{}</span>{}<span class="shown">{}</span></li>')
    rows = [row.format(e.label, _interval(e, scale, limits), e.shown) for e in estimates]
    return Markup(
        '<figure class="intervals"><figcaption>{}</figcaption>'
        '<ol>{}<li class="axis-row">{}</li></ol></figure>'
    ).format(title, Markup().join(rows), _axis(scale, limits, name))


@dataclass(frozen=True, slots=True)
class RampStep:
    """One step: the share of traffic in [0,1] and where the rollout stands with it."""

    share: float
    state: str  # done | current | next | stopped


def percent(share: float) -> str:
    """Write a share for people."""
    return f"{100 * share:.4g} %"


def in_points(difference: float) -> str:
    """Write a difference of shares in percentage points, for an axis."""
    return number(100 * difference)


def split(title: str, shares: Mapping[str, int], whole: int) -> Markup:
    """Draw who gets what as one bar, a part for each variant, named below it with its share."""
    parts, names, at = [], [], 0.0
    for i, (name, n) in enumerate(shares.items()):
        width = 100 * n / whole
        parts.append(
            Markup('<rect x="{:.4f}%" y="0" width="{:.4f}%" height="20" class="part part-{}"/>').format(
                at, width, i % N_PARTS
            )
        )
        swatch = _svg_swatch(i % N_PARTS)
        names.append(Markup("<li>{} {} {}</li>").format(swatch, name, percent(n / whole)))
        at += width
    words = ", ".join(f"{name} {percent(n / whole)}" for name, n in shares.items())
    return Markup('<figure class="split">{}<ul>{}</ul></figure>').format(
        _svg("split", 20, f"{title}: {words}", *parts), Markup().join(names)
    )


N_PARTS = 5


def _svg_swatch(i: int) -> Markup:
    return Markup(
        '<svg class="swatch" width="12" height="12" aria-hidden="true"><rect width="12" height="12" '
        'class="part part-{}"/></svg>'
    ).format(i)


STATE_WORDS = {"done": "done", "current": "now", "next": "to come", "stopped": "stopped here"}


def ramp(title: str, steps: Sequence[RampStep]) -> Markup:
    """Draw the steps of a rollout as a staircase of shares."""
    height, floor = 96, 92
    words = ", ".join(f"step {i + 1} {percent(s.share)} {STATE_WORDS[s.state]}" for i, s in enumerate(steps))
    width = 100 / max(len(steps), 1)
    parts = []
    for i, step in enumerate(steps):
        top = floor - max(4.0, step.share * height * 0.9)
        parts.append(
            Markup(
                '<rect x="{x:.2f}%" y="{top:.1f}" width="{width:.2f}%" height="{tall:.1f}" '
                'class="step {state}"/>'
                '<text x="{mid:.2f}%" y="110" class="tick strong">{share}</text>'
                '<text x="{mid:.2f}%" y="126" class="tick {state}">{word}</text>'
            ).format(
                x=i * width + width * 0.04,
                top=top,
                width=width * 0.92,
                tall=floor - top,
                mid=(i + 0.5) * width,
                share=percent(step.share),
                state=step.state,
                word=STATE_WORDS[step.state],
            )
        )
    return Markup('<figure class="ramp"><figcaption>{}</figcaption>{}</figure>').format(
        title, _svg("ramp", 132, f"{title}: {words}", *parts)
    )


def _polyline(points: Sequence[tuple[float, float]], kind: str, height: int) -> Markup:
    """Draw a line over a box of 100 by 100 that stretches with the page."""
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return Markup(
        '<svg class="stretch" width="100%" height="{}" viewBox="0 0 100 100" preserveAspectRatio="none">'
        '<polyline points="{}" class="{}" vector-effect="non-scaling-stroke"/></svg>'
    ).format(height, path, kind)


def evidence(
    title: str, values: Sequence[float], threshold: float, ends: tuple[str, str] = ("", "")
) -> Markup:
    """Draw a series of e-values on a log scale with the line that convicts; `ends` name first and last."""
    height = 140
    held = [math.log10(min(max(value, LOWEST_E), HIGHEST_E)) for value in values]
    limit = math.log10(threshold)
    low, high = min([*held, -1.0]), max([*held, limit]) + 0.3

    def y(log: float) -> float:
        return 100 * (high - log) / (high - low)

    parts = []
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = y(power) * height / 100
        name = f"{10**power:g}"
        parts.append(_line("0%", "100%", round(at, 1), round(at, 1), "grid"))
        parts.append(Markup('<text x="0" y="{:.1f}" class="tick start">{}</text>').format(at - 3, name))
    at = round(y(limit) * height / 100, 1)
    parts.append(_line("0%", "100%", at, at, "limit"))
    name = f"1/\N{GREEK SMALL LETTER ALPHA} = {number(threshold)}"
    parts.append(Markup('<text x="100%" y="{}" class="tick end limit-name">{}</text>').format(at - 4, name))
    if values:
        n = max(len(held) - 1, 1)
        points = [(100 * i / n, y(log)) for i, log in enumerate(held)]
        convicts = values[-1] >= threshold
        parts.append(
            _polyline(points if len(points) > 1 else [*points, (100, points[0][1])], "series", height)
        )
        side = "at or over" if convicts else "under"
        words = f"last value {values[-1]:.3g}, {side} the line {number(threshold)}"
    else:
        words = "no values yet"
    parts += [
        Markup('<text x="{}" y="{}" class="tick {}">{}</text>').format(x, height + 14, side, escape(text))
        for x, side, text in (("0", "start", ends[0]), ("100%", "end", ends[1]))
        if text
    ]
    return Markup('<figure class="evidence"><figcaption>{}</figcaption>{}</figure>').format(
        title, _svg("evidence", height + 20, f"{title}: {words}", *parts)
    )


def sparkline(text: str, values: Sequence[float]) -> Markup:
    """Draw a small line that stands in a sentence; `text` says what it shows."""
    if not values:
        return Markup()
    low, high = min(values), max(values)
    spread, n = (high - low) or 1.0, max(len(values) - 1, 1)
    points = [(100 * i / n, 90 - 80 * (value - low) / spread) for i, value in enumerate(values)]
    return Markup('<span class="sparkline" role="img" aria-label="{}">{}</span>').format(
        text, _polyline(points if len(points) > 1 else [*points, (100, points[0][1])], "series", 24)
    )
