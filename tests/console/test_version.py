"""The pages of versions, labels and search, over a whole installation."""

import re

import pytest

from assent.evidence import service as evidence
from assent.evidence.domain import METRICS
from assent.kernel.tx import SYSTEM
from assent.registry import service as registry
from assent.registry.service import Change, Pointer
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of

VERSION = "/projects/shop/versions/support/2.1.0"
SEARCH = "/projects/shop/search"


def pointer(label="champion"):
    return Pointer(project=PROJECT, name="support", label=label)


def test_a_version_says_what_it_would_take_to_ship_it(console):
    console.bind()
    console.adopt()

    answer = console.signed_in("rita").get(VERSION)
    words = words_of(answer)

    assert answer.status_code == 200
    assert "What it would take to ship this" in words
    assert "To do" in words
    assert "conditions are open" in words
    assert "live in production" in words
    assert "assent rollout request support@2.1.0 ENVIRONMENT" in words


def test_evidence_and_figures_of_a_version_are_shown(console):
    console.pass_suite()

    words = words_of(console.signed_in("rita").get(VERSION))

    assert "suite.verdict" in words
    assert "verdict: pass" in words
    assert "supersedes support@2.0.0" in words


def test_a_figure_of_a_suite_is_shown_once(console):
    version = console.version("2.1.0")
    value = {METRICS: {"correct": "0.9", "quality.correct": "0.9", "speed": "7"}}
    with console.desk.begin(SYSTEM) as tx:
        evidence.record(tx, project=PROJECT, kind="measured", subject=version.digest, value=value)
    page = console.signed_in("rita").get(VERSION).text
    assert re.findall(r"<dt>([\w.]+)</dt><dd>([\d.]+)</dd>", page) == [
        ("quality.correct", "0.9"),
        ("speed", "7"),
    ]


def test_the_label_of_an_environment_follows_what_is_live_there(console):
    console.adopt()
    found = console.read(registry.get_label, pointer("production"))
    live = console.read(registry.get_by_digest, PROJECT, found.digest)
    assert live.number == "2.0.0"

    answer = console.signed_in("rita").get("/projects/shop/labels/support/production")
    words = words_of(answer)

    assert "production of support" in words
    assert "It points to support@2.0.0." in words
    assert "rollouts alone move it" in words


def test_a_label_s_history_says_who_moved_it_and_why(console):
    for number in ("2.0.0", "2.1.0"):
        console.do("otto", registry.move_label, Change(pointer=pointer(), reason="<b>better</b>"), number)

    answer = console.signed_in("rita").get("/projects/shop/labels/support/champion")

    assert "2 support@2.0.0 support@2.1.0" in words_of(answer)
    assert "<b>better" not in answer.text
    assert "otto" in answer.text
    assert 'href="/projects/shop/labels/support/champion"' in console.signed_in("rita").get(VERSION).text


def test_the_search_finds_versions_and_leads_to_them(console):
    browser = console.signed_in("rita")
    everything = browser.get(SEARCH)
    found = browser.get(SEARCH, params={"filter": "version > 2.0.0", "q": "support"})

    assert f'href="{VERSION}"' in everything.text
    assert "support@2.1.0" in words_of(found)
    assert "support@2.0.0" not in words_of(found)
    assert "No version matches" in words_of(browser.get(SEARCH, params={"q": "nowhere"}))


def test_a_filter_that_does_not_parse_is_shown_with_its_place_and_kept(console):
    answer = console.signed_in("rita").get(SEARCH, params={"filter": 'name = support AND <script>("'})

    assert answer.status_code == 422
    assert "The filter cannot be used" in words_of(answer)
    assert "^" in answer.text
    assert "<script>" not in answer.text
    assert 'value="name = support AND &lt;script&gt;(&#34;"' in answer.text


def test_the_search_is_read_page_by_page(console):
    for minor in range(55):
        console.register(f"3.{minor}.0")
    browser = console.signed_in("rita")

    first = browser.get(SEARCH, params={"filter": "version >= 3.0.0"})
    older = browser.get(
        first.text.split('class="button outline" href="')[1].split('"')[0].replace("&amp;", "&")
    )

    assert "support@3.54.0" in words_of(first)
    assert "support@3.4.0 " not in words_of(first)
    assert "support@3.4.0 " in words_of(older)


@pytest.mark.parametrize(
    "path",
    ["versions/support/9.0.0", "versions/nothing/1.0.0", "labels/support/nothing", "labels/support/A%0A"],
)
def test_what_is_not_there_is_an_error_page(console, path):
    answer = console.signed_in("rita").get(f"/projects/shop/{path}")
    assert answer.status_code in {404, 422}


def test_where_a_request_was_filed_its_answers_and_not_those_of_a_new_one_are_shown(console):
    rollout = console.running()

    page = console.signed_in("rita").get("/projects/shop/versions/support/2.1.0")

    words = words_of(page)
    assert "Its request is executed . Policy ground@1.0.0: every condition is fulfilled." in words
    assert f"/projects/shop/requests/{rollout.request}" in page.text
