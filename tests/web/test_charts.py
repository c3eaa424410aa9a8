import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.web import charts
from assent.web.charts import Estimate, Limit, RampStep
from assent.web.status import Tone

HOSTILE = '<script>alert("x")</script>'


def parsed(markup):
    return ET.fromstring(str(markup))


def shown(element):
    return " ".join(element.itertext())


def test_an_estimate_is_drawn_with_both_ends_of_its_interval():
    figure = parsed(
        charts.intervals("Accuracy", [Estimate("new", 0.5, 0.4, 0.6, "50 % [40, 60]", Tone.GOOD)])
    )

    svg = figure.find(".//svg[@role='img']")
    xs = {line.get("x1") for line in svg.iter("line")} | {line.get("x2") for line in svg.iter("line")}
    assert len(svg.findall("line")) == 3  # the interval and its two ends
    assert len(xs) == 2
    low, high = sorted(float(x.rstrip("%")) for x in xs)
    assert low < float(svg.find("circle").get("cx").rstrip("%")) < high
    assert svg.get("aria-label") == "new: 50 % [40, 60]"


def test_an_open_side_reaches_the_edge_and_has_no_end():
    figure = parsed(
        charts.intervals("Safety", [Estimate("s", 1.0, 0.97, None, "≥ 97 %")], [Limit(0.95, "95 %")])
    )

    svg = figure.find(".//svg[@role='img']")
    ranges = [line for line in svg.iter("line") if line.get("class").startswith("range")]
    assert ranges[0].get("x2") == "100.00%"
    assert len(ranges) == 2


def test_an_estimate_without_a_value_has_an_interval_but_no_point():
    figure = parsed(charts.intervals("x", [Estimate("s", None, 0.1, 0.2, "unknown")]))

    assert figure.find(".//circle") is None


def test_limits_are_named_and_stay_within_the_picture():
    figure = parsed(
        charts.intervals(
            "x",
            [Estimate("s", 0.0, -0.1, 0.9, "0")],
            [Limit(-0.1, "left"), Limit(0.9, "right"), Limit(0.4, "mid")],
        )
    )

    sides = {
        text.text: text.get("class") for text in figure.iter("text") if "limit-name" in text.get("class")
    }
    assert "start" in sides["left"]
    assert "end" in sides["right"]
    assert "middle" in sides["mid"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_ticks_are_few_and_within_the_scale(values):
    scale = charts.scale_over(values)

    marks = charts.ticks(scale)

    assert len(marks) <= 8
    assert all(scale.low - 1e-9 <= mark <= scale.high + 1e-9 * max(1, abs(scale.high)) for mark in marks)
    assert scale.low <= min(values) <= max(values) <= scale.high


def test_numbers_on_axes_are_short():
    assert [charts.number(v) for v in (0.0, -0.0, 0.05, -0.05, 20.0)] == [
        "0",
        "0",
        "0.05",
        "\N{MINUS SIGN}0.05",
        "20",
    ]


def test_the_ramp_says_which_step_is_now():
    figure = parsed(
        charts.ramp("Steps", [RampStep(0.05, "done"), RampStep(0.25, "current"), RampStep(1.0, "next")])
    )

    assert (
        figure.find("svg").get("aria-label")
        == "Steps: step 1 5 % done, step 2 25 % now, step 3 100 % to come"
    )
    heights = [float(rect.get("height")) for rect in figure.iter("rect")]
    assert heights == sorted(heights)


def test_the_e_value_chart_shows_the_line_that_convicts():
    figure = parsed(charts.evidence("E", [1.0, 3.0, 27.1], 20.0, ("02:10", "02:15")))

    assert figure.find("svg").get("aria-label") == "E: last value 27.1, at or over the line 20"
    assert "1/\N{GREEK SMALL LETTER ALPHA} = 20" in shown(figure)
    assert "02:10" in shown(figure)


@pytest.mark.parametrize("values", [[], [1.0], [0.0], [1e-300, 1e300], [math.inf]])
def test_any_series_can_be_drawn(values):
    figure = parsed(charts.evidence("E", values, 20.0))

    for line in figure.iter("polyline"):
        for x, y in (point.split(",") for point in line.get("points").split()):
            assert 0 <= float(x) <= 100
            assert 0 <= float(y) <= 100


def test_a_sparkline_says_what_it_shows():
    line = parsed(charts.sparkline("errors per minute", [1.0, 5.0, 2.0]))

    assert line.get("aria-label") == "errors per minute"
    assert charts.sparkline("nothing", []) == ""


def test_texts_from_outside_are_escaped():
    drawn = [
        charts.intervals(HOSTILE, [Estimate(HOSTILE, 0.1, 0.0, 0.2, HOSTILE)], [Limit(0.1, HOSTILE)]),
        charts.ramp(HOSTILE, [RampStep(0.1, "current")]),
        charts.evidence(HOSTILE, [1.0], 20.0, (HOSTILE, HOSTILE)),
        charts.sparkline(HOSTILE, [1.0]),
    ]

    for markup in drawn:
        assert "<script" not in markup
        assert parsed(markup).find(".//script") is None


def test_no_chart_carries_an_inline_style_or_handler():
    drawn = charts.intervals("x", [Estimate("s", 0.0, -0.1, 0.9, "0")], [Limit(0, "l")]) + charts.evidence(
        "E", [1.0], 20.0
    )

    for element in parsed(f"<div>{drawn}</div>").iter():
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
