import re
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path

import jinja2
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from jinja2 import DictLoader

from assent.web.diff import document_diff
from assent.web.pages import Pages, count, digest_element, duration, environment, plain, time_element
from assent.web.status import LOOKS, Tone, look

HOSTILE = "<img src=x onerror=alert(1)>"


def macro(name, *arguments):
    return str(getattr(environment().get_template("macros.html").module, name)(*arguments))


def test_a_status_has_an_icon_a_word_and_a_tone():
    for status, shown in LOOKS.items():
        drawn = macro("status", status)
        assert f'class="status {shown.tone}"' in drawn
        assert "<svg" in drawn
        assert shown.word in drawn


def test_a_status_that_has_no_look_shows_its_word():
    assert look("cooling_down").word == "Cooling down"
    assert look("cooling_down").tone is Tone.QUIET
    assert "&lt;img" in macro("status", HOSTILE)


def test_what_needs_somebody_is_listed_first():
    tones = [shown.tone for shown in LOOKS.values()]

    assert tones.index(Tone.BAD) < tones.index(Tone.WARN) < tones.index(Tone.BUSY) < tones.index(Tone.GOOD)


def test_times_are_shown_in_utc_with_their_exact_form():
    berlin = datetime(2026, 3, 1, 0, 30, 5, tzinfo=timezone(timedelta(hours=1)))

    drawn = time_element(berlin)

    assert drawn == '<time datetime="2026-02-28T23:30:05.000000Z">28 Feb 2026, 23:30:05 UTC</time>'


def test_a_digest_is_short_for_eyes_and_whole_for_machines():
    digest = "sha256:" + "ab" * 32

    drawn = digest_element(digest)

    assert f'title="{digest}"' in drawn
    assert "abababababab…" in drawn
    assert "&lt;" in digest_element("<b>")


def test_durations_name_their_two_largest_units():
    assert [duration(s) for s in (0, 59.6, 600, 3700, 90061)] == [
        "0 s",
        "1 min",
        "10 min",
        "1 h 1 min",
        "1 d 1 h",
    ]


def test_numbers_and_values_are_written_for_people():
    assert count(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert plain("text") == "text"
    assert plain({"b": 1, "a": None}) == '{"a": null, "b": 1}'


def test_a_diff_shows_hostile_content_as_text():
    drawn = macro("document_diff", document_diff({"p": "safe"}, {"p": HOSTILE, HOSTILE: 1}))

    assert "<img" not in drawn
    assert "&lt;img" in drawn


def test_a_missing_value_fails_instead_of_showing_nothing():
    with pytest.raises(jinja2.UndefinedError):
        environment(DictLoader({"x.html": "{{ missing }}"})).get_template("x.html").render()


def test_no_template_carries_inline_code_or_style():
    folders = [Path(str(files(slice_))) / "templates" for slice_ in ("assent.web", "assent.console")]
    templates = [template for folder in folders for template in folder.rglob("*.html")]

    assert len(templates) > 8
    for template in templates:
        text = template.read_text()
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:|hx-on|\|\s*safe", text), template.name
        assert not re.search(r"<script(?! src=)", text), template.name


def test_a_page_is_never_cached_and_its_forms_can_be_sent_back():
    app = FastAPI()
    pages = Pages(
        DictLoader(
            {
                "p.html": '{% extends "layout.html" %}{% block content %}{{ token_field }}={{ form_token }}{% endblock %}'
            }
        )
    )

    @app.get("/")
    def show(request: Request):
        return pages.render(request, "p.html", {})

    here = TestClient(app, base_url="http://127.0.0.1:8400")
    first = here.get("/")
    second = here.get("/")

    assert first.headers["cache-control"] == "no-store"
    assert "assent_form_8400=" in first.headers["set-cookie"]
    assert "set-cookie" not in second.headers
    token = re.search(r"form_token=([0-9a-f]{64})", first.text).group(1)
    assert token in second.text
    away = TestClient(app, base_url="http://assent.example").get("/")
    assert away.status_code == 200
    assert "set-cookie" not in away.headers
