"""Sample files of our own, read word by word as the how-to says, and what a policy makes of them."""

import json
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from assent_client.errors import Refused

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def imported(command, desk):
    desk.model("1.0.0", "good")

    def run(name, format_, *more):
        code, out = command("eval", "import", str(SAMPLES / name), "--format", format_, *more, "--json")
        return code, json.loads(out.out) if code == 0 else out.err

    return run


def by_name(found):
    return {(one["task"], one["metric"]): one for one in found["figures"]}


def test_the_junit_sample_gives_its_figures(imported):
    code, found = imported("report.xml", "junit")
    assert code == 0
    refunds, shipping = by_name(found).values()
    assert (refunds["task"], refunds["value"], refunds["n"]) == ("refunds", "0.75", 4)
    assert refunds["counts"] == {"scored": 4, "unscorable": 1}
    assert (shipping["value"], shipping["counts"]) == ("1", {"scored": 2, "error": 1})
    low, high = proportion_confint(3, 4, method="wilson")
    assert [float(refunds[end]) for end in ("low", "high")] == pytest.approx([low, high], abs=1e-8)
    assert float(refunds["coverage"]) == 0.8
    assert found["n_totals"] == 12


def test_the_jsonl_sample_gives_its_figures_and_proves_its_totals(imported):
    code, found = imported("results.jsonl", "jsonl")
    assert code == 0
    figures = by_name(found)
    assert figures["refunds", "correct"]["value"] == "0.8"
    assert figures["refunds", "correct"]["counts"] == {"scored": 5, "error": 1}
    assert (figures["refunds", "closeness"]["value"], figures["refunds", "closeness"]["n"]) == ("0.5", 2)
    assert found["n_totals"] == 4


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("report.xml", ('tests="5" failures="1"', 'tests="5" failures="0"')),
        ("results.jsonl", ('"mean":0.8', '"mean":0.9')),
    ],
)
def test_a_sample_whose_totals_were_edited_is_refused(command, tmp_path, name, edit):
    text = (SAMPLES / name).read_text()
    assert edit[0] in text
    (tmp_path / name).write_text(text.replace(*edit))
    code, out = command("eval", "import", name, "--format", "junit" if "xml" in name else "jsonl")
    assert code == Refused.exit_code
    assert "contradicts itself" in out.err


def test_with_a_subject_a_sample_becomes_evidence_that_verifies(imported, command):
    code, found = imported("report.xml", "junit", "--subject", "assistant@1.0.0", "--suite", "probes")
    assert code == 0
    assert command("eval", "verify-import", found["id"])[0] == 0
