"""Labelling and judges in the console: blind, by button or key, without a script; hostile answers stay text."""

import re

import pytest

from assent.evaluation import service as evaluation
from assent.evaluation.service import NewCalibration
from assent.evaluation.store import labels_of
from assent.kernel.tx import SYSTEM
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of
from tests.console.test_evaluations import HOSTILE, runs

__all__ = ["runs"]
PAGE = f"/projects/{PROJECT}/labelling"


@pytest.fixture
def opened(console, runs):
    ada = console.signed_in("ada")
    typed = {"run": runs[0].id, "question": "Is it right?", "labels": "right, wrong", "n": "200"}
    answer = ada.submit(ada.get(PAGE), PAGE, **typed)
    assert answer.status_code == 303
    return answer.headers["location"]


def shown_answer(page):
    return re.search(r'name="answer" value="(sha256:[0-9a-f]+)"', page.text)[1]


def test_answers_are_labelled_one_by_one_and_the_last_is_taken_back(console, opened):
    rita = console.signed_in("rita")
    page = rita.get(opened)
    words = words_of(page)
    assert "0 of 120 labelled" in words
    assert "support@" not in words
    assert 'accesskey="1"' in page.text
    assert 'data-key="2"' in page.text
    assert HOSTILE not in page.text
    first = shown_answer(page)
    assert rita.submit(page, f"{opened}/labels", answer=first, label="right").status_code == 303
    page = rita.get(opened)
    assert "1 of 120 labelled" in words_of(page)
    assert shown_answer(page) != first
    assert rita.submit(page, f"{opened}/withdrawals").status_code == 303
    page = rita.get(opened)
    assert shown_answer(page) == first
    assert "Take my last label back" not in words_of(page)
    labelling = opened.rpartition("/")[2]
    assert [one.label for one in console.read(labels_of, labelling)] == ["right", None]


def test_agreement_is_shown_only_to_those_who_may_export(console, opened):
    ada, rita = console.signed_in("ada"), console.signed_in("rita")
    page = rita.get(opened)
    first = shown_answer(page)
    rita.submit(page, f"{opened}/labels", answer=first, label="right")
    ada.submit(ada.get(opened), f"{opened}/labels", answer=first, label="wrong")
    words = words_of(ada.get(opened))
    assert "ada and rita 1 0 0.000" in words or "rita and ada 1 0 0.000" in words
    assert "Agreement" not in words_of(rita.get(opened))


def test_what_cannot_be_taken_is_shown_with_its_reasons(console, opened):
    ada = console.signed_in("ada")
    page = ada.get(opened)
    refused = ada.submit(page, f"{opened}/labels", answer=shown_answer(page), label="perhaps")
    assert refused.status_code == 422
    assert "none of the labels" in words_of(refused)
    refused = ada.submit(ada.get(PAGE), PAGE, run="run_x", question="q?", labels="right")
    assert refused.status_code == 422
    assert "Give 2 to 9 labels" in words_of(refused)
    assert 'value="run_x"' in refused.text
    assert "It was not opened" in words_of(refused)
    refused = ada.submit(ada.get(PAGE), PAGE, run="run_x", question="q?", labels="a, b", n="many")
    assert (refused.status_code, "'many' is no number of answers" in words_of(refused)) == (422, True)


def test_the_list_tells_labellings_apart_by_their_suite_and_the_form_takes_a_number(console, opened, runs):
    ada = console.signed_in("ada")
    page = ada.get(PAGE)
    assert f"<td>{runs[0].suite_ref}</td>" in page.text
    made = ada.submit(page, PAGE, run=runs[0].id, question="Is it kind?", labels="yes, no", n="2")
    assert "0 of 2 labelled" in words_of(ada.get(made.headers["location"]))


def test_who_may_not_label_may_look_and_a_form_from_elsewhere_does_nothing(console, opened):
    otto = console.signed_in("otto")
    page = otto.get(opened)
    assert "not label" in words_of(page)
    assert "Open one" not in words_of(otto.get(PAGE))
    assert "Is it right?" in words_of(otto.get(PAGE))
    for name in ("otto", "rita"):
        forged = console.signed_in(name).post(f"{opened}/labels", data={"answer": "x", "label": "right"})
        assert forged.status_code == 403
    assert console.read(labels_of, opened.rpartition("/")[2]) == []


def test_judges_show_their_passports_with_intervals(console):
    rita = console.signed_in("rita")
    page = f"/projects/{PROJECT}/judges"
    assert "No judge was calibrated" in words_of(rita.get(page))
    judge = {"model": "m-1", "prompt": "p", "parser": {"labels": ["yes", "no"], "positive": "yes"}}
    cases = [
        {"id": f"c{n}", "human": label, "reply": label if n % 10 else "yes"}
        for n in range(100)
        for label in [("yes", "no")[n % 2]]
    ]
    new = NewCalibration(PROJECT, "grader", judge, "support@2.1.0", cases)
    console.do(SYSTEM, evaluation.calibrate, new)
    words = words_of(rita.get(page))
    assert "grader m-1 support@2.1.0 usable" in words
    assert re.search(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", words)
    assert "ends with any change" in words
