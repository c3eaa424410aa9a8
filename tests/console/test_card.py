import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.cards import pdf
from assent.cards import service as cards
from assent.cards.domain import parse_form
from assent.cards.domain.form import is_plain
from assent.console.card_fields import declared_of, items_of, lines_of, texts_of
from assent.kernel.errors import Unavailable
from assent.kernel.tx import SYSTEM
from tests.cards.documents import FULL
from tests.console.shop import words_of

HERE = "/projects/shop/cards/support/2.1.0"
HOSTILE = '"><script>alert(1)</script>'


def newest(console):
    return console.read(cards.get, "shop", "support@2.1.0")


def declared(console):
    return console.read(cards.document_of, newest(console))["declared"]


def fill(browser, page=None, **typed):
    """Send the form as the page holds it, with what is typed in its fields."""
    page = page or browser.get(f"{HERE}/form")
    areas = re.findall(
        r'<textarea id="f-[^"]+" name="([^"]+)"[^>]*>\n?(.*?)</textarea>', page.text, re.DOTALL
    )
    inputs = re.findall(r'<input type="text" name="([^"]+)" value="([^"]*)"', page.text)
    held = {name: html.unescape(text) for name, text in [*areas, *inputs]}
    return browser.submit(page, f"{HERE}/form", **{**held, **typed})


def press(browser, what):
    return browser.submit(browser.get(HERE), f"{HERE}/{what}")


def test_a_version_without_a_card_offers_to_write_one(console):
    browser = console.signed_in("ada")
    assert "This version has no card yet" in words_of(browser.get(HERE))
    assert press(browser, "drafts").status_code == 303
    words = words_of(browser.get(HERE))
    assert "Incomplete" in words
    assert "Agrees with the records" in words
    assert "whoever may write cards, in the form" in words
    assert "whoever may run evaluations, by a run on this version" in words
    assert "There is no card before this one: everything is new." in words


def test_a_card_is_completed_submitted_voted_on_and_published(console):
    author = console.signed_in("ada")
    answer = fill(author, contact="team@example.org", limitations="Old products\nBilling")
    assert (answer.status_code, answer.headers["location"]) == (303, HERE)
    assert declared(console) == {"contact": "team@example.org", "limitations": ["Old products", "Billing"]}
    assert press(author, "submissions").status_code == 303
    page = author.get(HERE)
    card = newest(console)
    assert f'<a href="/projects/shop/requests/{card.request}">Review it and vote</a>' in page.text
    assert "Take it back from review" in words_of(page)
    address = f"/projects/shop/requests/{card.request}"
    reviewer = console.signed_in("rita")
    seen = reviewer.get(address)
    assert "2. Owner, contact, tier" in words_of(seen)
    said = reviewer.submit(
        seen,
        f"{address}/comments",
        path="10. Limitations and risks \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} Limitations",
        text=f"Which? {HOSTILE}",
    )
    assert said.status_code == 303
    page = author.get(HERE)
    assert "<script>" not in page.text
    assert "rita" in words_of(page)
    assert "Which?" in words_of(page)
    assert reviewer.submit(reviewer.get(address), f"{address}/votes", verdict="approve").status_code == 303
    console.do(SYSTEM, cards.settle, card.id)
    page = author.get(HERE)
    assert "Published" in words_of(page)
    assert '<a href="/cards/shop/support/2.1.0">' in page.text
    assert (
        console.browser().get("/cards/shop/support/2.1.0", headers={"accept": "text/html"}).status_code == 200
    )


def test_a_card_is_taken_back_from_review(console):
    author = console.signed_in("ada")
    press(author, "drafts")
    press(author, "submissions")
    assert press(author, "withdrawals").status_code == 303
    assert newest(console).state == "draft"


def test_a_mistake_shows_what_was_typed_and_where_it_is(console):
    browser = console.signed_in("ada")
    typed = {
        "contact": f"team {HOSTILE}",
        "limitations": "one\n" + "x" * 4001,
        "performance.0.label": "Tone",
        "performance.1.value": "5",
    }
    answer = fill(browser, **typed)
    words = words_of(answer)
    assert answer.status_code == 422
    assert "Your text was not taken" in words
    assert "`limitations` has 4,001 characters; 4,000 at most." in words
    assert 'href="#f-limitations"' in answer.text
    assert 'id="f-performance.0"' in answer.text
    assert "<script>" not in answer.text
    assert html.escape(typed["contact"], quote=True).replace("&quot;", "&#34;") in answer.text
    assert "x" * 4001 in answer.text
    assert console.read(cards.list_, "shop", {}) == []
    again = fill(
        browser,
        answer,
        **{"limitations": "one", "performance.0.value": "friendly", "performance.1.label": "n"},
    )
    assert again.status_code == 303
    assert declared(console)["performance"] == [
        {"label": "Tone", "value": "friendly"},
        {"label": "n", "value": "5"},
    ]
    assert declared(console)["contact"] == typed["contact"]


def test_two_writers_lose_nothing(console):
    first, second = console.signed_in("ada"), console.signed_in("ada")
    page = first.get(f"{HERE}/form")
    assert fill(second, contact="theirs").status_code == 303
    answer = fill(first, page, contact="mine")
    assert answer.status_code == 412
    assert "Somebody was faster" in words_of(answer)
    assert "mine</textarea>" in answer.text
    assert declared(console)["contact"] == "theirs"
    assert fill(first, answer).status_code == 303
    assert declared(console)["contact"] == "mine"


def test_a_session_that_ended_in_mid_form_loses_nothing(console):
    browser = console.signed_in("ada")
    page = browser.get(f"{HERE}/form")
    browser.submit(page, "/sign-out")
    answer = fill(browser, page, contact="a & b\nc", password="hunter2")
    assert answer.status_code == 401
    assert "hunter2" not in answer.text
    assert "what you typed is kept" in words_of(answer)
    browser.submit(browser.get("/sign-in"), "/sign-in", code=console.link("ada"))
    assert browser.submit(answer, f"{HERE}/form").status_code == 303
    assert declared(console)["contact"] == "a & b\nc"


def test_a_form_of_elsewhere_is_not_kept_for_whoever_is_signed_out(console):
    browser = console.signed_in("ada")
    page = browser.get(f"{HERE}/form")
    browser.submit(page, "/sign-out")
    answer = browser.post(f"{HERE}/form", data={"contact": "x"}, headers={"origin": "https://evil.example"})
    assert (answer.status_code, "Send it again" in answer.text) == (401, False)


def test_a_text_of_a_megabyte_is_refused_with_its_size(console):
    answer = fill(console.signed_in("ada"), contact="x" * 1_000_000)
    assert answer.status_code == 422
    assert "1,000,000 characters" in words_of(answer)
    assert fill(console.signed_in("ada"), contact="x" * 2_100_000).status_code == 413


def test_the_form_begins_with_the_text_of_the_version_before(console):
    form = {"contact": "old team", "performance": [{"label": "Tone", "value": "kind"}]}
    console.do("ada", cards.complete, "shop", "support@2.0.0", form)
    browser = console.signed_in("ada")
    page = browser.get(f"{HERE}/form")
    assert "From support@2.0.0." in words_of(page)
    assert "old team</textarea>" in page.text
    assert 'value="Tone"' in page.text
    fill(browser, page, contact="new team")
    assert declared(console) == {"contact": "new team", "performance": [{"label": "Tone", "value": "kind"}]}
    assert "From support@2.0.0." not in words_of(browser.get(f"{HERE}/form"))


def test_whoever_may_not_write_sees_why(console):
    console.do("ada", cards.generate, "shop", "support@2.1.0")
    reader = console.signed_in("rita")
    page = reader.get(HERE)
    assert "Complete it in a form" not in words_of(page)
    assert "You do not hold the permission cards.card.write." in words_of(page)
    assert reader.get(f"{HERE}/form").status_code == 403
    answer = reader.post(f"{HERE}/drafts", data=reader.fields(page, "/sign-out"))
    assert answer.status_code == 403


def test_what_cannot_be_done_now_says_why(console):
    browser = console.signed_in("ada")
    press(browser, "drafts")
    page = browser.get(HERE)
    press(browser, "submissions")
    answer = browser.submit(page, f"{HERE}/submissions")
    assert answer.status_code == 409
    assert "Nothing was changed" in words_of(answer)
    assert "is under review" in words_of(answer)


def test_an_older_revision_is_looked_at(console):
    browser = console.signed_in("ada")
    for contact in ("a", "b"):
        fill(browser, contact=contact)
    words = words_of(browser.get(f"{HERE}?revision=1"))
    assert "Revision 1" in words
    assert "Bring it up to date" not in words
    assert browser.get(f"{HERE}?revision=7").status_code == 404
    assert "The records say" not in words
    assert "Against the card of support@2.1.0, revision 1, that is a draft." in words_of(browser.get(HERE))


@pytest.mark.parametrize("form", list(cards.Form))
def test_a_card_is_taken_along_in_every_form(console, form):
    browser = console.signed_in("ada")
    fill(browser, contact="a")
    answer = browser.get(f"{HERE}/exports/{form}?revision=1")
    if form is cards.Form.PDF and answer.status_code == Unavailable.status:
        pytest.skip("neither WeasyPrint nor Chromium runs here")
    assert answer.status_code == 200
    assert form is cards.Form.HTML or "attachment" in answer.headers["content-disposition"]


def test_a_page_that_cannot_be_printed_says_what_is_missing(console, monkeypatch, tmp_path):
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    browser = console.signed_in("ada")
    fill(browser, contact="a")
    answer = browser.get(f"{HERE}/exports/pdf?revision=1")
    assert answer.status_code == 503
    assert "WeasyPrint is not installed." in words_of(answer)
    assert "No Chromium is on the PATH" in words_of(answer)


def test_the_cards_of_a_project_are_listed(console):
    browser = console.signed_in("ada")
    assert "No card was written yet" in words_of(browser.get("/projects/shop/cards"))
    fill(browser, contact="a")
    page = browser.get("/projects/shop/cards")
    assert f'<a href="{HERE}">support@2.1.0</a>' in page.text
    assert f'<a href="{HERE}">' in browser.get("/projects/shop/systems/support").text


items = st.lists(
    st.text(
        st.one_of(st.sampled_from("- a\n"), st.characters(exclude_categories=["Cs"]).filter(is_plain)),
        max_size=20,
    )
    .map(str.strip)
    .filter(bool),
    max_size=5,
)


@given(items)
def test_lists_come_back_as_they_were(listed):
    shown = lines_of(listed)
    assert items_of(shown) == listed
    assert items_of(shown.strip()) == listed


def test_every_field_of_the_form_is_on_the_page():
    assert parse_form(declared_of(texts_of(FULL))) == FULL
