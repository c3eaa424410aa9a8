"""The self-contained page: every text stays where it is and shows what it hides."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.cards import service
from assent.cards.domain import Edition, Facts, Grid, Items, Sentence, parts_of
from assent.cards.service import View
from assent.cards.store import Card
from tests.cards.conftest import FORM
from tests.cards.documents import DIGEST, EVALUATION, FULL, PREDECESSOR, SAFETY, complete
from tests.cards.test_exchange import HOSTILE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = {
    "html", "head", "meta", "title", "style", "body", "div", "header", "p", "h1", "h2", "h3", "bdi", "span", "svg",
    "path", "time", "a", "nav", "ol", "ul", "li", "main", "section", "dl", "dt", "dd", "table", "thead", "tbody", "tr",
    "th", "td", "footer", "code",
}  # fmt: skip
texts = st.one_of(
    st.text(max_size=60), st.sampled_from([*HOSTILE, "</style><script>x</script>", "' onload=x", "{{7*7}}"])
)


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def page(document, live=None):
    card = Card(
        id="card_1", project="shop", name="customer-support-assistant", number="2.1.0", subject=DIGEST, revision=1,
        digest=DIGEST, tier="limited", complete=True, missing=[], state="draft", drafted_at=NOW, drafted_by="usr_1",
        request=None, submitted_at=None, submitted_by=None, published_at=None, published_event=None,
    )  # fmt: skip
    edition = Edition("card_1", 1, DIGEST, "draft", "2026-01-01")
    return service.page_of(View(card, document, edition, parts_of(document, live or {})), "2.1.0")


@settings(max_examples=30, deadline=None)
@given(text=texts)
def test_no_text_becomes_markup_and_none_is_hidden(text):
    hostile = [{**EVALUATION, "suite": text, "metric": text, "lost": [text]}, SAFETY]
    changes = [{"where": text, "before": text, "after": {"x": text}}]
    declared = {**FULL, "title": text or "t", "limitations": [text]}
    live = {14: [Items((text,), text), Grid((text,), ((text,),)), Sentence(text), Facts(((text, text),))]}
    document = complete(
        declared=declared, owner=text, evaluations=hostile, predecessor={**PREDECESSOR, "changes": changes}
    )
    shown = page(document, live)
    reader = Reader()
    reader.feed(shown)
    assert set(reader.tags) <= OURS
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in {"style", "src"}]
    assert all(value.startswith(("#", "2.1.0")) for name, value in reader.attributes if name == "href")
    body = shown[shown.index("<body>") :]
    assert not re.search("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]", body)


def test_ordinary_text_is_read_as_it_was_written():
    reader = Reader()
    reader.feed(page(complete(declared={**FULL, "limitations": ['5 < 6 & "so" on, \N{GRINNING FACE}']})))
    assert '5 < 6 & "so" on, \N{GRINNING FACE}' in reader.text


def test_a_text_that_turns_its_surroundings_round_shows_a_mark(desk):
    desk.register("3.0.0", owner="evil\N{RIGHT-TO-LEFT OVERRIDE}txt.exe")
    shown = service.page_of(desk.view(desk.generate("3.0.0")))
    assert "evil\N{REPLACEMENT CHARACTER}txt.exe" in shown


@pytest.mark.parametrize("state", ["draft", "published"])
def test_the_page_says_where_the_card_stands(measured, state):
    card = measured.publish() if state == "published" else measured.complete({**FORM, "contact": ""})
    reader = Reader()
    reader.feed(service.page_of(measured.view(card)))
    words = " ".join("".join(reader.text).split())
    if state == "published":
        assert "Complete for its tier" in words
        assert "21 of 21 things that its tier requires" in words
        assert "Published" in words
    else:
        assert "Incomplete for its tier" in words
        assert "missing 1" in words
        assert "Required and missing: contact" in words
