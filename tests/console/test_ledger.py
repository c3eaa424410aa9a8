import base64
import json
import sqlite3

import pytest

from assent.ledger import service as ledger
from assent_client.verify.merkle import leaf_hash
from tests.console.shop import words_of

PAGE = "/projects/shop/ledger"


def types_in(answer):
    return [json.loads(line)["type"] for line in answer.text.splitlines()]


def test_the_ledger_is_listed_newest_first_with_a_link_to_each_proof(console):
    console.running()

    answer = console.signed_in("rita").get(PAGE)
    words = words_of(answer)

    assert words.index("Rollout started at 5 %") < words.index("Version 2.0.0 registered")
    assert 'href="/leaves/' in answer.text


def test_before_a_signature_it_is_local_and_afterwards_pinned_never_witnessed(console):
    browser = console.signed_in("rita")
    assert "Local Nothing was signed yet" in words_of(browser.get(PAGE))

    console.read(ledger.checkpoint)

    words = words_of(browser.get(PAGE))
    assert "Pinned The tree continues the signed checkpoint" in words
    assert "Witnesses none" in words


def test_an_edited_ledger_is_shown_as_frozen(console):
    browser = console.signed_in("rita")
    console.read(ledger.checkpoint)
    database = console.desk.runtime.settings.data_dir / "assent.db"
    with sqlite3.connect(database) as conn:
        conn.execute("DROP TRIGGER ledger_leaves_no_update")
        conn.execute("UPDATE ledger_leaves SET leaf_hash = zeroblob(32) WHERE idx = 3")
        conn.execute("UPDATE ledger_head SET root = zeroblob(32)")
    conn.close()
    assert "the ledger was edited" in words_of(browser.get(PAGE))


@pytest.mark.parametrize(
    ("search", "seen", "unseen"),
    [
        ("type=delivery.", "Rollout started", "Version 2.0.0 registered"),
        ("type=approvals.vote.cast", "Vote: approve", "Rollout started"),
        ("actor=rita", "Vote: approve", "Rollout started"),
        ("actor=nobody", "No entry", "Vote"),
        ("subject=production", "Rollout started", "Version 2.0.0 registered"),
        ("since=2026-01-01&until=2026-01-01", "Rollout started", "No entry"),
        ("since=2026-01-02", "No entry", "Rollout started"),
        ("until=2025-12-31", "No entry", "Rollout started"),
        ("type=&actor=&subject=&since=&until=", "Rollout started", "No entry"),
        ("until=9999-12-31", "Rollout started", "No entry"),
    ],
)
def test_it_is_searched_by_type_actor_subject_and_time(console, search, seen, unseen):
    console.running()

    words = words_of(console.signed_in("rita").get(f"{PAGE}?{search}"))

    found = words.partition("Entries")[2]
    assert seen in found
    assert unseen not in found


@pytest.mark.parametrize("search", ["since=yesterday", "colour=red", "before=-1", f"type={'x' * 201}"])
def test_a_search_that_is_none_is_refused_as_a_page(console, search):
    answer = console.signed_in("rita").get(f"{PAGE}?{search}")

    assert answer.status_code == 422
    assert "<h1>" in answer.text


def test_older_entries_keep_the_search_and_what_was_typed_is_kept(console, monkeypatch):
    monkeypatch.setattr("assent.console.ledger.PER_PAGE", 2)
    console.running()
    browser = console.signed_in("rita")

    first = browser.get(f"{PAGE}?subject=support&type=registry.")
    assert 'value="support"' in first.text
    older = f'href="{PAGE}?type=registry.&amp;subject=support&amp;before='
    assert older in first.text


def test_the_export_gives_the_exact_bytes_of_what_was_found(console, monkeypatch):
    console.running()
    browser = console.signed_in("rita")

    answer = browser.get(f"{PAGE}/export?type=approvals.")

    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert set(types_in(answer)) <= {kind for kind in types_in(answer) if kind.startswith("approvals.")}
    line = json.loads(answer.text.splitlines()[0])
    leaf = console.read(ledger.leaf_at, line["index"])
    assert leaf_hash(base64.b64decode(line["entry"])) == leaf.hash
    whole = browser.get(f"{PAGE}/export")
    monkeypatch.setattr("assent.ledger.service.MAX_PAGE", 7)
    assert browser.get(f"{PAGE}/export").text == whole.text
    monkeypatch.setattr("assent.console.ledger.MAX_EXPORTED", 3)
    assert browser.get(f"{PAGE}/export").text.splitlines() == whole.text.splitlines()[:3]
