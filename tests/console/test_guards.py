from xml.etree import ElementTree as ET

import pytest

from assent.console.guards import block_rows, guard_view, read_block, weighed_series
from assent.monitoring.domain import eprocess


def wire(block, canary, stable, metric="thumbs_down"):
    return {"block": block, "guards": [{"metric": metric, "canary": canary, "stable": stable}]}


HARM = [wire(i, [[0, 2], [256, 8]], [[0, 190], [256, 10]]) for i in range(10)]
GUARD = {
    "metric": "thumbs_down",
    "weight": "0.5",
    "e_value": "1E+400",
    "n_canary": 100,
    "n_stable": 2000,
    "canary_rate": "0.8",
    "stable_rate": "0.05",
    "canary_interval": ["0.6", "0.9"],
    "stable_interval": ["0.04", "0.06"],
    "margin": "0.01",
}


def run(blocks, metric="thumbs_down"):
    return eprocess.run(block for block in (read_block(wire, metric) for wire in blocks) if block)


def test_the_series_is_the_weighed_e_process_before_the_blocks_and_after_each():
    series = weighed_series(run(HARM), HARM, "thumbs_down", 0.5)

    assert series == pytest.approx([0.5 * float(run(HARM[: i + 1]).e_value) for i in range(-1, len(HARM))])
    assert series == sorted(series)


def test_the_newest_blocks_alone_give_the_end_of_the_same_series():
    whole = weighed_series(run(HARM), HARM, "thumbs_down", 1.0)

    assert weighed_series(run(HARM), HARM[-3:], "thumbs_down", 1.0) == pytest.approx(whole[-4:])


def test_a_block_that_lacks_the_metric_leaves_the_evidence_as_it_is():
    blocks = [HARM[0], wire(1, [], [], "error"), HARM[1]]

    series = weighed_series(run(blocks), blocks, "thumbs_down", 1.0)

    assert series[1] == series[2] < series[3]


def test_blocks_are_listed_newest_first_with_their_means():
    newest = block_rows(HARM, "thumbs_down", 60.0, weighed_series(run(HARM), HARM, "thumbs_down", 1.0))[0]

    assert newest.closed_at.timestamp() == 600
    assert (newest.n_canary, newest.n_stable) == (10, 200)
    assert (newest.canary_mean, newest.stable_mean) == ("0.800", "0.050")


def test_a_guard_over_the_line_is_a_breach_whatever_the_size_of_its_evidence():
    view = guard_view(
        GUARD, 20.0, ("canary 2.2.0", "stable 2.1.0"), weighed_series(run(HARM), HARM, "thumbs_down", 0.5)
    )

    assert view.state == "breach"
    assert view.name == "Thumbs-down"
    assert "80.0 % [60.0, 90.0], 100 units" in view.rates
    assert ET.fromstring(str(view.series)) is not None


def test_a_guard_without_units_shows_no_point_and_is_unknown():
    quiet = {**GUARD, "e_value": "1", "n_canary": 0, "canary_rate": "0", "canary_interval": ["0", "1"]}

    view = guard_view(quiet, 20.0, ("canary", "stable"), [])

    assert view.state == "unknown"
    assert len(ET.fromstring(str(view.rates)).findall(".//circle")) == 1
