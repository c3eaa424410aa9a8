import pytest

from assent.cards import service
from assent.cards.domain import tree_of
from assent.kernel.errors import NotFound
from tests.cards.conftest import FORM, NAME, PROJECT
from tests.cards.documents import EVALUATION, complete, document

REF = f"{NAME}@2.1.0"


def compared(desk, which=REF, against=None):
    return desk.read(service.compare, PROJECT, which, against)


def changed(comparison):
    return {
        field.path: [
            (str(line.mark), "".join(f"[{p.text}]" if p.mark != "same" else p.text for p in line.pieces))
            for line in field.lines
        ]
        for field in comparison.fields
        if field.mark != "same"
    }


def test_two_cards_differ_by_words(measured):
    measured.complete()
    measured.complete(
        {**FORM, "contact": "support-ml@example.net", "limitations": ["Before", *FORM["limitations"]]}
    )
    found = compared(measured)
    assert (found.before.revision, found.after.revision) == (1, 2)
    differences = changed(found)
    assert differences["2. Owner, contact, tier \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} Contact"] == [
        ("removed", "support-ml@example.[org]"),
        ("added", "support-ml@example.[net]"),
    ]
    limits = differences[
        "10. Limitations and risks \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} Limitations"
    ]
    assert limits == [("added", "[Before]"), ("same", "May struggle with very recent product updates")]
    assert len(differences) == 2


def test_the_published_card_of_the_same_version_is_compared_with_first(measured):
    published = measured.publish()
    measured.complete({**FORM, "contact": "a"})
    newest = measured.complete({**FORM, "contact": "b"})
    assert compared(measured).before.id == published.id
    assert measured.read(service.previous, newest).id == published.id
    assert compared(measured, newest.id, f"{REF}#2").before.revision == 2


def test_else_the_card_of_the_version_before_is(measured):
    older = measured.complete({"contact": "old"}, "2.0.0")
    measured.complete()
    assert compared(measured).before.id == older.id


def test_a_first_card_is_compared_with_nothing(desk):
    desk.complete({"contact": "old"}, "2.0.0")
    found = compared(desk, f"{NAME}@2.0.0")
    assert found.before is None
    assert {field.mark for field in found.fields} == {"added"}


def test_a_first_card_of_a_version_whose_predecessor_has_none_is_compared_with_nothing(desk):
    desk.complete()
    assert compared(desk).before is None


def test_what_is_read_now_is_not_compared():
    assert not {heading.partition(".")[0] for heading in tree_of(complete())} & {
        "13",
        "14",
        "15",
        "16",
        "17",
        "20",
    }


def test_every_suite_and_every_row_keeps_its_place():
    twice = [
        EVALUATION,
        {**EVALUATION, "suite": "other@1.0.0"},
        {**EVALUATION, "suite": "other@1.0.0", "n": "7"},
    ]
    tree = tree_of(complete(evaluations=twice))
    assert {"Suite other@1.0.0", "Suite other@1.0.0 (2)"} <= set(tree["8. Comparison with the predecessor"])
    assert tree["7. Evaluation"]["Accuracy"]["Value"] == "90.0%"
    assert tree["18. Changes"]["parameters.temperature"]["Now"] == "0.1"
    assert tree_of(document())["18. Changes"] == {"Text": "First version."}


@pytest.mark.parametrize(
    "which", [f"{REF}#9", f"{REF}#", f"{REF}#-1", f"{REF}#1x", f"{REF}#\N{SUPERSCRIPT ONE}"]
)
def test_a_revision_that_is_not_there_is_not_found(desk, which):
    desk.generate()
    with pytest.raises(NotFound, match="no card of revision"):
        desk.read(service.get, PROJECT, which)


def test_a_revision_is_named_by_its_number(desk):
    first = desk.generate()
    desk.complete()
    assert desk.read(service.get, PROJECT, f"{REF}#1") == first
